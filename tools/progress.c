/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET_SECONDS 5
#define BAR_WIDTH 10
#define USUAL_COLUMNS 80
#define ERASE "\r\033[K"

struct _SaeProgress {
  gboolean quiet;
  gboolean in_place; /* a terminal that can move back */
  gboolean is_drawn;
  gint64 last_shown; /* monotonic µs; 0 before */
};

SaeProgress *
sae_progress_new (gboolean quiet)
{
  SaeProgress *progress = g_new0 (SaeProgress, 1);

  progress->quiet = quiet;
  progress->in_place =
      isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  return progress;
}

void
sae_progress_free (SaeProgress *progress)
{
  sae_progress_clear (progress, TRUE);
  g_free (progress);
}

static guint
count_columns (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return USUAL_COLUMNS;
}

/* "[####......]  46 %", in letters that every terminal has. */
static char *
make_bar (double share)
{
  char bar[BAR_WIDTH + 1];
  guint full = (guint) (share * BAR_WIDTH);

  for (guint i = 0; i < BAR_WIDTH; i++)
    bar[i] = i < full ? '#' : '.';
  bar[BAR_WIDTH] = '\0';
  return g_strdup_printf ("[%s] %3d %%  ", bar, (int) (100 * share));
}

/* What would run over the edge would stay there when it is drawn anew. */
static void
draw (SaeProgress *progress, double share, const char *text)
{
  g_autofree char *bar = share < 0 ? g_strdup ("") : make_bar (share);
  g_autofree char *line = g_strconcat (bar, text, NULL);
  guint columns = count_columns ();

  if (g_utf8_strlen (line, -1) >= columns)
    *g_utf8_offset_to_pointer (line, columns - 1) = '\0';
  fprintf (stderr, ERASE "%s", line);
  fflush (stderr);
  progress->is_drawn = TRUE;
}

static void
print_line (double share, const char *text)
{
  if (share < 0)
    fprintf (stderr, "%s\n", text);
  else
    fprintf (stderr, "%3d %%  %s\n", (int) (100 * share), text);
}

void
sae_progress_show (SaeProgress *progress, double share, const char *text,
    gboolean last)
{
  gint64 now = g_get_monotonic_time ();
  double clamped = share < 0 ? -1 : MIN (share, 1.0);

  if (progress->quiet)
    return;
  if (progress->in_place) {
    draw (progress, clamped, text);
    return;
  }
  if (!last && progress->last_shown &&
      now - progress->last_shown < QUIET_SECONDS * G_USEC_PER_SEC)
    return;
  progress->last_shown = now;
  print_line (clamped, text);
}

void
sae_progress_clear (SaeProgress *progress, gboolean keep)
{
  if (!progress->is_drawn)
    return;
  fputs (keep ? "\n" : ERASE, stderr);
  progress->is_drawn = FALSE;
}
