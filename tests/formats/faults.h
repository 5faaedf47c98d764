/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * System calls of the code under test that fail when told to. The program is
 * linked with --wrap for each of them. */
#pragma once

typedef enum {
  FAULT_WRITE,
  FAULT_FSYNC,
  FAULT_LINKAT,
  FAULT_RENAMEAT,
  FAULT_RENAMEAT2,
  FAULT_N_CALLS
} FaultCall;

/* From the @nth call on (1 is the next), @times calls fail with @error_number.
 * For FAULT_WRITE, EINTR also means that the calls between are short. */
void fault_set (FaultCall call, int nth, int times, int error_number);
void fault_clear (void);
