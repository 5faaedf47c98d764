/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeexposition.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "atomic-write.h"
#include "regular-file.h"

/* Metric names have no hyphens; counters end in _total. (transfer full) */
static gchar *
make_name (const gchar *field, gboolean counter)
{
  gchar *name = g_strconcat ("sae_", field, counter ? "_total" : "", NULL);

  return g_strdelimit (name, "-", '_');
}

/* Backslash, quote and line feed are the ones to escape. */
static void
append_label (GString *text, const gchar *value)
{
  for (; *value; value++)
    if (*value == '\n')
      g_string_append (text, "\\n");
    else if (*value == '\\' || *value == '"')
      g_string_append_printf (text, "\\%c", *value);
    else
      g_string_append_c (text, *value);
}

static void
append_metric (GString *text, const GstSaeExposition *exposition,
    const gchar *field, const gchar *help, gboolean counter, const gchar *value)
{
  g_autofree gchar *name = make_name (field, counter);

  g_string_append_printf (text, "# HELP %s %s.\n# TYPE %s %s\n%s{element=\"",
      name, help, name, counter ? "counter" : "gauge", name);
  append_label (text, exposition->element);
  g_string_append_printf (text, "\"} %s\n", value);
}

static void
append_count (GString *text, const GstSaeExposition *exposition,
    const gchar *field, const gchar *help, guint64 value)
{
  g_autofree gchar *number = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  append_metric (text, exposition, field, help, TRUE, number);
}

/* g_ascii_dtostr(): a point in every locale. */
static void
append_value (GString *text, const GstSaeExposition *exposition,
    const gchar *field, const gchar *help, double value)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  if (isfinite (value))
    append_metric (text, exposition, field, help, FALSE,
        g_ascii_dtostr (number, sizeof number, value));
}

gchar *
gst_sae_exposition_write (const GstSaeExposition *exposition)
{
  GString *text = g_string_new (NULL);
  guint n;
  const GstSaeStat *stats = gst_sae_stats_list (&n);

  for (guint i = 0; i < n; i++) {
    const GstSaeStat *stat = &stats[i];
    if (stat->kind == GST_SAE_STAT_COUNT)
      append_count (text, exposition, stat->name, stat->help,
          gst_sae_stat_count (stat, exposition->total));
    else if (stat->kind == GST_SAE_STAT_STATE ||
             exposition->since_last->rows > 0)
      append_value (text, exposition, stat->name, stat->help,
          gst_sae_stat_value (stat, exposition->since_last));
  }
  append_count (text, exposition, "dropped-rows",
      "Rows that flushes took away before a step", exposition->dropped_rows);
  return g_string_free (text, FALSE);
}

gboolean
gst_sae_exposition_check_place (const gchar *path, GError **error)
{
  static const char ours[] = "# HELP sae_";
  char first[sizeof ours - 1] = {0};
  guint64 size;
  int fd = sae_regular_file_open (path, &size, NULL);
  gboolean ok = TRUE;

  if (fd < 0) /* whatever it is, writing will tell */
    return TRUE;
  if (size > 0)
    ok = size >= sizeof first &&
         sae_regular_file_read (fd, 0, first, sizeof first, path, NULL) &&
         memcmp (first, ours, sizeof first) == 0;
  close (fd);
  if (!ok)
    g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
        "%s: expected a metrics file of saetrainer or nothing, found another "
        "file",
        path);
  return ok;
}

gboolean
gst_sae_exposition_save (const GstSaeExposition *exposition, const gchar *path,
    GError **error)
{
  g_autofree gchar *text = gst_sae_exposition_write (exposition);

  return sae_atomic_write_view (path, sae_write_text, text, error);
}
