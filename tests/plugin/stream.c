/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../same-memory.h"
#include "stream.h"

#include <string.h>

#include <glib/gstdio.h>

#include "noise.h"

int
stream_run_tests (void)
{
  int failed = g_test_run ();

  if (g_getenv ("SAE_TEST_LEAK")) /* for the test that leaks are seen */
    gst_caps_new_any ();
  gst_deinit ();
  return failed;
}

static GstElement *
create_element (const gchar *name, const gchar *property, va_list properties)
{
  GstElement *element = gst_element_factory_make (name, NULL);

  if (!element)
    g_error ("no element %s: is GST_PLUGIN_PATH_1_0 set?", name);
  g_object_set_valist (G_OBJECT (element), property, properties);
  return gst_object_ref_sink (element);
}

Stream
stream_new_alone (const gchar *element, const gchar *property, ...)
{
  Stream stream = {NULL};
  va_list properties;

  va_start (properties, property);
  stream.element = create_element (element, property, properties);
  va_end (properties);
  stream.bus = gst_bus_new ();
  gst_element_set_bus (stream.element, stream.bus);
  return stream;
}

Stream
stream_new (const gchar *element, const gchar *property, ...)
{
  Stream stream = {NULL};
  va_list properties;

  va_start (properties, property);
  stream.element = create_element (element, property, properties);
  va_end (properties);
  stream.bus = gst_bus_new ();
  gst_element_set_bus (stream.element, stream.bus);
  stream.harness = gst_harness_new_with_element (stream.element, "sink", "src");
  return stream;
}

void
stream_clear (Stream *stream)
{
  if (!stream->element)
    return;
  gst_element_set_bus (stream->element, NULL);
  if (stream->harness)
    gst_harness_teardown (stream->harness);
  else
    gst_element_set_state (stream->element, GST_STATE_NULL);
  gst_clear_object (&stream->element);
  gst_clear_object (&stream->bus);
}

/* --- input ---------------------------------------------------------------- */

GstCaps *
stream_caps (const gchar *types, const gchar *dimensions)
{
  gchar **parts = g_strsplit (types, ",", -1);
  GstCaps *caps =
      gst_caps_new_simple ("other/tensors", "format", G_TYPE_STRING, "static",
          "num_tensors", G_TYPE_INT, (gint) g_strv_length (parts), "types",
          G_TYPE_STRING, types, "framerate", GST_TYPE_FRACTION, 0, 1, NULL);

  if (dimensions)
    gst_caps_set_simple (caps, "dimensions", G_TYPE_STRING, dimensions, NULL);
  g_strfreev (parts);
  return caps;
}

void
stream_send_caps (Stream *stream, GstCaps *caps)
{
  GstPad *pad = stream->harness->srcpad;
  GstEvent *old = gst_pad_get_sticky_event (pad, GST_EVENT_STREAM_START, 0);
  GstSegment segment;

  if (!old)
    gst_pad_push_event (pad, gst_event_new_stream_start ("test"));
  g_clear_pointer (&old, gst_event_unref);
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  old = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (!old)
    gst_pad_push_event (pad, gst_event_new_segment (&segment));
  g_clear_pointer (&old, gst_event_unref);
}

void
stream_send_dims (Stream *stream, const gchar *types, const gchar *dimensions)
{
  stream_send_caps (stream, stream_caps (types, dimensions));
}

static GstMemory *
new_memory (gconstpointer data, gsize size)
{
  gpointer copy = g_malloc (MAX (size, 1));

  if (size)
    memcpy (copy, data, size);
  return gst_memory_new_wrapped (0, copy, size, 0, size, copy, g_free);
}

GstBuffer *
stream_buffer (gconstpointer data, gsize size)
{
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, new_memory (data, size));
  return buffer;
}

GstBuffer *
stream_cut_buffer (gconstpointer data, gsize size, const gsize *sizes,
    guint n_sizes)
{
  GstBuffer *buffer = gst_buffer_new ();
  const guint8 *at = data;

  for (guint i = 0; i < n_sizes; i++) {
    gsize n = MIN (sizes[i], size);
    gst_buffer_append_memory (buffer, new_memory (at, n));
    at += n;
    size -= n;
  }
  gst_buffer_append_memory (buffer, new_memory (at, size));
  return buffer;
}

GstMemory *
stream_flexible (guint type, guint width, guint n_rows, gconstpointer data,
    gsize size)
{
  guint32 header[32] = {0xfeedccedu, 0xde001000u, type, width, n_rows};
  guint8 *bytes = g_malloc (sizeof header + size);

  header[76 / 4] = 1; /* format: flexible */
  header[80 / 4] = 4; /* media type: tensor */
  memcpy (bytes, header, sizeof header);
  if (size)
    memcpy (bytes + sizeof header, data, size);
  return gst_memory_new_wrapped (0, bytes, sizeof header + size, 0,
      sizeof header + size, bytes, g_free);
}

GstMemory *
stream_sparse (guint width, guint n_rows, const float *values,
    const guint32 *flat, guint32 nnz)
{
  guint32 header[32] = {0xfeedccedu, 0xde001000u, 7, width, n_rows};
  gsize size = sizeof header + 8 * (gsize) nnz;
  guint8 *bytes = g_malloc (size);

  header[76 / 4] = 2; /* format: sparse */
  header[80 / 4] = 4;
  header[84 / 4] = nnz;
  memcpy (bytes, header, sizeof header);
  if (nnz) {
    memcpy (bytes + sizeof header, values, 4 * (gsize) nnz);
    memcpy (bytes + sizeof header + 4 * (gsize) nnz, flat, 4 * (gsize) nnz);
  }
  return gst_memory_new_wrapped (0, bytes, size, 0, size, bytes, g_free);
}

GstFlowReturn
stream_push (Stream *stream, GstBuffer *buffer)
{
  return gst_harness_push (stream->harness, buffer);
}

GstFlowReturn
stream_push_floats (Stream *stream, const float *x, gsize n)
{
  return stream_push (stream, stream_buffer (x, n * sizeof *x));
}

/* --- output --------------------------------------------------------------- */

static gsize
size_of_type (const gchar *type)
{
  if (g_str_has_suffix (type, "8"))
    return 1;
  return g_str_has_suffix (type, "16")   ? 2
         : g_str_has_suffix (type, "64") ? 8
                                         : 4;
}

/* Asserts that the memories of @buffer are the tensors that @caps promise. */
static void
check_size (GstBuffer *buffer, GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  const gchar *format = gst_structure_get_string (s, "format");
  g_auto (GStrv) types = NULL, dims = NULL;

  if (g_strcmp0 (format, "static") != 0 || gst_buffer_get_size (buffer) == 0)
    return;
  types = g_strsplit (gst_structure_get_string (s, "types"), ",", -1);
  dims = g_strsplit (gst_structure_get_string (s, "dimensions"), ",", -1);
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, g_strv_length (types));
  for (guint i = 0; types[i]; i++) {
    g_auto (GStrv) sizes = g_strsplit (dims[i], ":", -1);
    gsize n = size_of_type (types[i]);
    for (guint j = 0; sizes[j]; j++)
      n *= g_ascii_strtoull (sizes[j], NULL, 10);
    g_assert_cmpuint (gst_memory_get_sizes (gst_buffer_peek_memory (buffer, i),
                          NULL, NULL),
        ==, n);
  }
}

GstBuffer *
stream_pull (Stream *stream)
{
  GstBuffer *buffer = gst_harness_try_pull (stream->harness);
  GstCaps *caps = gst_pad_get_current_caps (stream->harness->sinkpad);

  g_assert_nonnull (buffer);
  g_assert_nonnull (caps);
  check_size (buffer, caps);
  gst_caps_unref (caps);
  return buffer;
}

void
stream_expect_nothing (Stream *stream)
{
  g_assert_cmpuint (gst_harness_buffers_in_queue (stream->harness), ==, 0);
}

GBytes *
stream_memory (GstBuffer *buffer, guint index)
{
  GstMemory *memory = gst_buffer_peek_memory (buffer, index);
  GstMapInfo map;
  GBytes *bytes;

  g_assert_true (gst_memory_map (memory, &map, GST_MAP_READ));
  bytes = g_bytes_new (map.data, map.size);
  gst_memory_unmap (memory, &map);
  return bytes;
}

gchar *
stream_out_field (Stream *stream, const gchar *name)
{
  GstCaps *caps = gst_pad_get_current_caps (stream->harness->sinkpad);
  const GValue *value;
  gchar *text;

  g_assert_nonnull (caps);
  value = gst_structure_get_value (gst_caps_get_structure (caps, 0), name);
  g_assert_nonnull (value);
  text = G_VALUE_HOLDS_STRING (value) ? g_value_dup_string (value)
                                      : gst_value_serialize (value);
  gst_caps_unref (caps);
  return text;
}

/* --- messages ------------------------------------------------------------- */

GstMessage *
stream_pop (Stream *stream, GstMessageType type)
{
  return gst_bus_pop_filtered (stream->bus, type);
}

guint
stream_count (Stream *stream, GstMessageType type)
{
  GstMessage *message;
  guint n = 0;

  while ((message = stream_pop (stream, type)) != NULL) {
    gst_message_unref (message);
    n++;
  }
  return n;
}

/* The errors on the bus as text; all other messages stay on it. */
static GPtrArray *
take_errors (Stream *stream)
{
  GPtrArray *errors =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  GQueue others = G_QUEUE_INIT;
  GstMessage *message;

  while ((message = gst_bus_pop (stream->bus)) != NULL) {
    GError *error;
    if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR) {
      g_queue_push_tail (&others, message);
      continue;
    }
    gst_message_parse_error (message, &error, NULL);
    g_ptr_array_add (errors, error);
    gst_message_unref (message);
  }
  while ((message = g_queue_pop_head (&others)) != NULL)
    gst_bus_post (stream->bus, message);
  return errors;
}

void
stream_expect_error (Stream *stream, GQuark domain, gint code, ...)
{
  g_autoptr (GPtrArray) errors = take_errors (stream);
  const GError *error;
  const gchar *part;
  va_list parts;

  if (errors->len != 1)
    g_error ("expected one error, got %u%s%s", errors->len,
        errors->len ? ": " : "",
        errors->len ? ((GError *) errors->pdata[errors->len - 1])->message
                    : "");
  error = errors->pdata[0];
  va_start (parts, code);
  while ((part = va_arg (parts, const gchar *)) != NULL)
    if (!strstr (error->message, part))
      g_error ("expected '%s' in '%s'", part, error->message);
  va_end (parts);
  if (!g_error_matches (error, domain, code))
    g_error ("expected %s %d for '%s', got %s %d", g_quark_to_string (domain),
        code, error->message, g_quark_to_string (error->domain), error->code);
}

void
stream_expect_no_error (Stream *stream)
{
  g_autoptr (GPtrArray) errors = take_errors (stream);

  if (errors->len)
    g_error ("expected no error, got '%s'",
        ((GError *) errors->pdata[0])->message);
}

/* --- data ----------------------------------------------------------------- */

#define N_DIRECTIONS 12

float *
stream_rows (guint32 seed, gsize n, guint d)
{
  Noise noise = {.state = seed};
  float *x = g_new0 (float, n *d);
  g_autofree float *directions = g_new (float, N_DIRECTIONS *d);

  for (gsize i = 0; i < (gsize) N_DIRECTIONS * d; i++)
    directions[i] = noise_normal (&noise);
  for (gsize r = 0; r < n; r++)
    for (guint active = 0; active < 2; active++) {
      const float *direction =
          directions + noise_below (&noise, N_DIRECTIONS) * d;
      float strength = 1.0f + noise_uniform (&noise) * 0.5f;
      for (guint j = 0; j < d; j++)
        x[r * d + j] += strength * direction[j] + 0.05f * noise_normal (&noise);
    }
  return x;
}

gchar *
stream_save_model (const gchar *parent, const gchar *name,
    const SaeConfig *config, guint64 seed)
{
  gchar *path = g_build_filename (parent, name, NULL);
  g_autoptr (SaeModel) model = NULL;
  GError *error = NULL;

  model = sae_model_new (config, seed, SAE_INIT_TIED, &error);
  g_assert_no_error (error);
  sae_model_save (model, path, &error);
  g_assert_no_error (error);
  return path;
}

gchar *
stream_make_folder (void)
{
  GError *error = NULL;
  gchar *path = g_dir_make_tmp ("sae-stream-XXXXXX", &error);

  g_assert_no_error (error);
  return path;
}

static void
remove_all (const gchar *path)
{
  if (!g_file_test (path, G_FILE_TEST_IS_SYMLINK) &&
      g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
    const gchar *name;
    while (folder && (name = g_dir_read_name (folder)) != NULL) {
      g_autofree gchar *child = g_build_filename (path, name, NULL);
      remove_all (child);
    }
  }
  g_remove (path);
}

void
stream_remove_folder (gchar *path)
{
  remove_all (path);
  g_free (path);
}

GBytes *
stream_load_file (const gchar *folder, const gchar *name)
{
  g_autofree gchar *path = g_build_filename (folder, name, NULL);
  gchar *data;
  gsize size;
  GError *error = NULL;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (data, size);
}

float *
stream_load_golden (const gchar *folder, const gchar *name, gsize *n)
{
  g_autofree gchar *parent =
      g_build_filename (g_getenv ("SAE_GOLDENS"), folder, NULL);
  g_autoptr (GBytes) bytes = stream_load_file (parent, name);
  gsize size, begin;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  assert_same_memory (data, 6, "\x93NUMPY", 6);
  begin = 10 + data[8] + 256 * (gsize) data[9];
  *n = (size - begin) / sizeof (float);
  return g_memdup2 (data + begin, size - begin);
}
