/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "expect.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static char context[512];

void
expect_with (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_vsnprintf (context, sizeof context, format, args);
  va_end (args);
}

static gboolean
same_float (float a, float b)
{
  return (isnan (a) && isnan (b)) || memcmp (&a, &b, sizeof a) == 0;
}

static gboolean
same_double (double a, double b)
{
  return (isnan (a) && isnan (b)) || memcmp (&a, &b, sizeof a) == 0;
}

void
expect_same_bits (const char *what, const float *got, const float *want,
    gsize n)
{
  if (n == 0 || memcmp (got, want, n * sizeof *got) == 0)
    return;
  for (gsize i = 0; i < n; i++)
    if (!same_float (got[i], want[i]))
      g_error ("%s[%" G_GSIZE_FORMAT "]: expected %a, got %a (%s)", what, i,
          want[i], got[i], context);
}

void
expect_same_doubles (const char *what, const double *got, const double *want,
    gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (!same_double (got[i], want[i]))
      g_error ("%s[%" G_GSIZE_FORMAT "]: expected %a, got %a (%s)", what, i,
          want[i], got[i], context);
}

void
expect_same_bytes (const char *what, GBytes *got, GBytes *want)
{
  gsize n_got, n_want;
  const guint8 *g = g_bytes_get_data (got, &n_got);
  const guint8 *w = g_bytes_get_data (want, &n_want);

  if (n_got != n_want)
    g_error ("%s: expected %" G_GSIZE_FORMAT " bytes, got %" G_GSIZE_FORMAT
             " (%s)",
        what, n_want, n_got, context);
  for (gsize i = 0; i < n_got; i++)
    if (g[i] != w[i])
      g_error ("%s: byte %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
               ": expected %02x, got %02x (%s)",
          what, i, n_got, w[i], g[i], context);
}

void
expect_within (const char *what, double got, double want, double bound)
{
  if (!(fabs (got - want) <= bound))
    g_error ("%s: expected %.12g, got %.12g: off by %.3g, bound %.3g (%s)",
        what, want, got, fabs (got - want), bound, context);
}

/* The worst place and what it is off by, as a share of the largest |want|. */
static void
judge (const char *what, const float *got, const double *want, gsize n,
    double tolerance)
{
  double largest = 0;

  for (gsize i = 0; i < n; i++)
    largest = MAX (largest, fabs (want[i]));
  for (gsize i = 0; i < n; i++)
    if (!(fabs (got[i] - want[i]) <= tolerance * largest))
      g_error ("%s[%" G_GSIZE_FORMAT "]: expected %.9g, got %.9g: off by %.3g "
               "of the largest, %.9g; tolerance %.3g (%s)",
          what, i, want[i], (double) got[i], fabs (got[i] - want[i]) / largest,
          largest, tolerance, context);
}

void
expect_close_to_doubles (const char *what, const float *got, const double *want,
    gsize n, double tolerance)
{
  judge (what, got, want, n, tolerance);
}

void
expect_close (const char *what, const float *got, const float *want, gsize n,
    double tolerance)
{
  g_autofree double *doubles = g_new (double, n);

  for (gsize i = 0; i < n; i++)
    doubles[i] = want[i];
  judge (what, got, doubles, n, tolerance);
}

void
expect_error (GError **error, GQuark domain, gint code, const char *part)
{
  if (!*error)
    g_error ("expected an error with '%s', got none (%s)", part, context);
  if ((*error)->domain != domain || (*error)->code != code ||
      !strstr ((*error)->message, part))
    g_error ("expected %s %d with '%s', got %s %d: %s (%s)",
        g_quark_to_string (domain), code, part,
        g_quark_to_string ((*error)->domain), (*error)->code, (*error)->message,
        context);
  g_clear_error (error);
}
