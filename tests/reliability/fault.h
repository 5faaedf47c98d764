/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a test has seen of one row of docs/reliability.md, for its figures:
 * how often the fault was there, how often all went as expected, and how much
 * (rows, versions, files) was lost. The figures of all tests of a row are
 * added up, so a test says nothing twice. */
static inline void
fault_report (guint number, guint64 tried, guint64 survived, guint64 lost)
{
  g_test_message ("fault %u: tried %" G_GUINT64_FORMAT
                  ", survived %" G_GUINT64_FORMAT ", lost %" G_GUINT64_FORMAT,
      number, tried, survived, lost);
}
