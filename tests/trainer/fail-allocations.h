/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * malloc() and its kin of this program and of the libraries in it: large
 * allocations fail where a test says so. Needs the C library's own allocator
 * below it: no sanitizers. */
#pragma once

#include <glib.h>

/* Allocations from here on that count as large. */
#define LARGE_ALLOCATION (64 * 1024)

/* The @nth large allocation from now on fails, and those behind it do not
 * (@nth counts from 1; 0: none fails). */
void fail_allocation (guint nth);

/* Whether it has failed by now; none fails any more. */
gboolean fail_allocation_end (void);
