/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What tests of numbers expect: the same bits, or a stated closeness. A
 * failure says which place differs, by what, and with which parameters. */
#pragma once

#include <glib.h>

/* The parameters that a failure from here on prints. */
void expect_with (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* The same bits; any NaN equals any other. */
void expect_same_bits (const char *what, const float *got, const float *want,
    gsize n);
void expect_same_doubles (const char *what, const double *got,
    const double *want, gsize n);
void expect_same_bytes (const char *what, GBytes *got, GBytes *want);

/* |got − want| ≤ bound. */
void expect_within (const char *what, double got, double want, double bound);

/* |got[i] − want[i]| ≤ tolerance · max |want|. */
void expect_close (const char *what, const float *got, const float *want,
    gsize n, double tolerance);
void expect_close_to_doubles (const char *what, const float *got,
    const double *want, gsize n, double tolerance);

/* That of @domain and @code, with @part in its message; clears it. */
void expect_error (GError **error, GQuark domain, gint code, const char *part);
