/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../same-memory.h"
#include "rows.h"

#include <string.h>

#include <gst/app/gstappsink.h>

#define TIMEOUT (30 * GST_SECOND)

/* --- bytes ---------------------------------------------------------------- */

static guint16
half_bits (guint value)
{
  guint exponent = 0;

  if (value == 0)
    return 0;
  while (value >> exponent > 1)
    exponent++;
  return (
      guint16) ((exponent + 15) << 10 | ((value << 10 >> exponent) & 0x3ff));
}

static void
append_value (GByteArray *bytes, const gchar *descr, guint value)
{
  if (strcmp (descr, "<f4") == 0) {
    gfloat x = (gfloat) value;
    g_byte_array_append (bytes, (const guint8 *) &x, 4);
  } else if (strcmp (descr, "<f8") == 0) {
    gdouble x = value;
    g_byte_array_append (bytes, (const guint8 *) &x, 8);
  } else if (strcmp (descr, "<f2") == 0) {
    guint16 x = half_bits (value);
    g_byte_array_append (bytes, (const guint8 *) &x, 2);
  } else if (strcmp (descr, "bf16") == 0) {
    gfloat x = (gfloat) value;
    g_byte_array_append (bytes, (const guint8 *) &x + 2, 2);
  } else if (strcmp (descr, "<u4") == 0) {
    guint32 x = value % 256;
    g_byte_array_append (bytes, (const guint8 *) &x, 4);
  } else {
    guint8 x = (guint8) value;
    g_byte_array_append (bytes, &x, 1);
  }
}

void
rows_append (GByteArray *bytes, const gchar *descr, guint64 first, gsize n,
    guint width)
{
  for (guint64 i = first; i < first + n; i++)
    for (guint j = 0; j < width; j++)
      append_value (bytes, descr, (guint) ROWS_VALUE (i, j));
}

void
rows_append_header (GByteArray *bytes, const gchar *descr, const gchar *shape)
{
  g_autofree gchar *dict =
      g_strdup_printf ("{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
          descr, shape);
  gsize size = (10 + strlen (dict) + 1 + 63) / 64 * 64;
  guint8 prefix[10] = "\x93NUMPY\x01";
  g_autofree gchar *text =
      g_strdup_printf ("%-*s\n", (int) (size - 10 - 1), dict);

  prefix[8] = (guint8) ((size - 10) & 0xff);
  prefix[9] = (guint8) ((size - 10) >> 8);
  g_byte_array_append (bytes, prefix, sizeof prefix);
  g_byte_array_append (bytes, (const guint8 *) text, (guint) strlen (text));
}

GByteArray *
rows_npy (const gchar *descr, gsize n, guint width)
{
  GByteArray *bytes = g_byte_array_new ();
  g_autofree gchar *shape =
      g_strdup_printf ("(%" G_GSIZE_FORMAT ", %u)", n, width);

  rows_append_header (bytes, descr, shape);
  rows_append (bytes, descr, 0, n, width);
  return bytes;
}

void
rows_save (const gchar *path, const GByteArray *bytes)
{
  GError *error = NULL;

  g_file_set_contents (path, (const gchar *) bytes->data, bytes->len, &error);
  g_assert_no_error (error);
}

void
rows_save_npy (const gchar *path, const gchar *descr, guint64 first, gsize n,
    guint width)
{
  g_autoptr (GByteArray) bytes = rows_npy (descr, n, width);
  gsize size = bytes->len;

  g_byte_array_set_size (bytes, 0);
  {
    g_autoptr (GByteArray) whole = rows_npy (descr, n, width);
    g_autoptr (GByteArray) data = g_byte_array_new ();
    rows_append (data, descr, first, n, width);
    g_byte_array_append (bytes, whole->data, (guint) (size - data->len));
    g_byte_array_append (bytes, data->data, data->len);
  }
  rows_save (path, bytes);
}

/* --- what came out -------------------------------------------------------- */

RowsTaken *
rows_taken_new (void)
{
  RowsTaken *taken = g_new0 (RowsTaken, 1);

  taken->bytes = g_byte_array_new ();
  taken->sizes = g_array_new (FALSE, FALSE, sizeof (guint));
  taken->offsets = g_array_new (FALSE, FALSE, sizeof (guint64));
  taken->times = g_array_new (FALSE, FALSE, sizeof (GstClockTime));
  taken->dims = g_ptr_array_new_with_free_func (g_free);
  return taken;
}

void
rows_taken_free (RowsTaken *taken)
{
  g_byte_array_unref (taken->bytes);
  g_array_unref (taken->sizes);
  g_array_unref (taken->offsets);
  g_array_unref (taken->times);
  g_ptr_array_unref (taken->dims);
  g_free (taken);
}

void
rows_taken_add (RowsTaken *taken, GstBuffer *buffer, const GstCaps *caps,
    gsize row_size)
{
  guint64 offset = GST_BUFFER_OFFSET (buffer);
  GstClockTime time = GST_BUFFER_PTS (buffer);
  GstMapInfo map;
  guint rows = 0;

  /* Before it is mapped, which would merge them. */
  if (row_size > 0)
    g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 1);
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_byte_array_append (taken->bytes, map.data, (guint) map.size);
  if (row_size > 0) {
    g_assert_cmpuint (map.size % row_size, ==, 0);
    rows = (guint) (map.size / row_size);
  }
  gst_buffer_unmap (buffer, &map);
  g_array_append_val (taken->sizes, rows);
  g_array_append_val (taken->offsets, offset);
  g_array_append_val (taken->times, time);
  g_ptr_array_add (taken->dims,
      g_strdup (gst_structure_get_string (gst_caps_get_structure (caps, 0),
          "dimensions")));
}

guint
rows_taken_size (const RowsTaken *taken, guint index)
{
  return g_array_index (taken->sizes, guint, index);
}

void
rows_taken_expect (const RowsTaken *taken, const gchar *descr, guint64 first,
    gsize n, guint width)
{
  g_autoptr (GByteArray) want = g_byte_array_new ();

  for (guint i = 0; i < taken->sizes->len; i++) {
    g_autofree gchar *dims =
        g_strdup_printf ("%u:%u", width, rows_taken_size (taken, i));
    g_assert_cmpstr (g_ptr_array_index (taken->dims, i), ==, dims);
  }
  rows_append (want, descr, first, n, width);
  g_assert_cmpuint (taken->bytes->len, ==, want->len);
  assert_same_memory (taken->bytes->data, taken->bytes->len, want->data,
      want->len);
}

/* --- pipelines ------------------------------------------------------------ */

static GError *
pop_error (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  GError *error = NULL;

  if (message)
    gst_message_parse_error (message, &error, NULL);
  g_clear_pointer (&message, gst_message_unref);
  gst_object_unref (bus);
  return error;
}

RowsTaken *
rows_collect (GstElement *pipeline, gsize row_size, GError **error)
{
  GstElement *out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  RowsTaken *taken = rows_taken_new ();
  GError *failure = NULL;
  gint64 deadline = g_get_monotonic_time () + TIMEOUT / 1000;
  GstSample *sample;

  while (!failure && !gst_app_sink_is_eos (GST_APP_SINK (out))) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    sample =
        gst_app_sink_try_pull_sample (GST_APP_SINK (out), 20 * GST_MSECOND);
    if (sample) {
      rows_taken_add (taken, gst_sample_get_buffer (sample),
          gst_sample_get_caps (sample), row_size);
      gst_sample_unref (sample);
    } else {
      failure = pop_error (pipeline);
    }
  }
  if (!failure)
    failure = pop_error (pipeline);
  if (failure)
    g_propagate_error (error, failure);
  gst_object_unref (out);
  return taken;
}

RowsTaken *
rows_run (const gchar *description, gsize row_size, GError **error)
{
  GError *failure = NULL;
  GstElement *pipeline = gst_parse_launch (description, &failure);
  RowsTaken *taken;

  if (failure) {
    g_propagate_error (error, failure);
    g_clear_object (&pipeline);
    return rows_taken_new ();
  }
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  taken = rows_collect (pipeline, row_size, error);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return taken;
}
