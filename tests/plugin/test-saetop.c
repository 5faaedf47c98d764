/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "sae-examples.h"
#include "stream.h"

#define F 16
#define PAIRS(n) "uint32,float32", "2:" n ",2:" n

typedef struct {
  gchar *folder, *json, *page;
} Files;

static void
set_up (Files *files, gconstpointer data)
{
  files->folder = stream_make_folder ();
  files->json = g_build_filename (files->folder, "top.json", NULL);
  files->page = g_build_filename (files->folder, "top.html", NULL);
}

static void
tear_down (Files *files, gconstpointer data)
{
  stream_remove_folder (files->folder);
  g_free (files->json);
  g_free (files->page);
}

/* [n, F] codes, few of them not 0, and few different ones. */
static float *
make_codes (guint32 seed, gsize n)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  float *codes = g_new0 (float, n *F);

  for (gsize i = 0; i < n * F; i++)
    if (g_rand_int_range (random, 0, 4) == 0)
      codes[i] = (float) g_rand_int_range (random, 1, 30) / 4;
  return codes;
}

/* What the library finds in these rows. */
static SaeExamples *
examples_of (const float *codes, gsize n)
{
  SaeExamples *examples = sae_examples_new (F, 3, 2, 0, NULL);
  g_autoptr (GBytes) dense = g_bytes_new (codes, n * F * sizeof (float));
  g_autoptr (SaeLatents) latents = sae_latents_new_from_dense (F, dense, NULL);

  g_assert_true (sae_examples_add (examples, latents, 0, NULL));
  return examples;
}

static void
expect_file (const gchar *path, SaeExamples *want)
{
  g_autofree gchar *text = NULL, *wanted = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  wanted = sae_examples_to_json (want, NULL, NULL);
  g_assert_cmpstr (text, ==, wanted);
}

static Stream
top_new (const Files *files)
{
  return stream_new ("saetop", "per-latent", 3, "context", 2, "location",
      files->json, NULL);
}

static void
send_eos (Stream *stream)
{
  gst_harness_push_event (stream->harness, gst_event_new_eos ());
}

static SaeExamples *
get_examples (Stream *stream)
{
  SaeExamples *examples;

  g_object_get (stream->element, "examples", &examples, NULL);
  return examples;
}

static void
expect_example (Stream *stream, guint latent, guint rank, guint64 row,
    float value)
{
  g_autoptr (SaeExamples) examples = get_examples (stream);
  guint64 got_row;
  float got;

  g_assert_nonnull (examples);
  g_assert_true (
      sae_examples_get_example (examples, latent, rank, &got_row, &got, NULL));
  g_assert_cmpuint (got_row, ==, row);
  g_assert_cmpfloat (got, ==, value);
}

/* --- what passes, and what is written ------------------------------------- */

static void
test_passes_untouched (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (1, 4);
  GstBuffer *in = stream_buffer (codes, 4 * F * sizeof *codes), *out;

  stream_send_dims (&stream, "float32", "16:4");
  gst_buffer_ref (in);
  g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  g_assert_true (out == in);
  gst_buffer_unref (in);
  gst_buffer_unref (out);
}

static void
test_writes_at_eos (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (2, 60);
  g_autoptr (SaeExamples) want = examples_of (codes, 60);
  GstMessage *message;
  const GstStructure *s;
  guint64 rows;

  /* Any whole number of rows comes in, whatever the caps say. */
  stream_send_dims (&stream, "float32", "16:4");
  g_assert_cmpint (stream_push_floats (&stream, codes, 8 * F), ==, GST_FLOW_OK);
  g_assert_cmpint (stream_push_floats (&stream, codes + 8 * F, 52 * F), ==,
      GST_FLOW_OK);
  g_assert_false (g_file_test (files->json, G_FILE_TEST_EXISTS));
  send_eos (&stream);
  expect_file (files->json, want);
  message = stream_pop (&stream, GST_MESSAGE_ELEMENT);
  s = gst_message_get_structure (message);
  g_assert_true (gst_structure_has_name (s, "sae-examples"));
  g_assert_true (gst_structure_get_uint64 (s, "rows", &rows));
  g_assert_cmpuint (rows, ==, 60);
  g_assert_cmpstr (gst_structure_get_string (s, "location"), ==, files->json);
  gst_message_unref (message);
}

static void
test_two_cycles (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (3, 20);
  g_autoptr (SaeExamples) want = examples_of (codes, 20);

  for (guint cycle = 0; cycle < 2; cycle++) {
    unlink (files->json);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    stream_send_dims (&stream, "float32", "16:20");
    g_assert_cmpint (stream_push_floats (&stream, codes, 20 * F), ==,
        GST_FLOW_OK);
    /* Without EOS: Ctrl-C loses nothing. */
    gst_element_set_state (stream.element, GST_STATE_NULL);
    expect_file (files->json, want);
  }
  stream_expect_no_error (&stream);
}

static void
test_save_action (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (4, 30);
  g_autoptr (SaeExamples) first = examples_of (codes, 10);
  g_autoptr (SaeExamples) all = examples_of (codes, 30);
  gboolean ok = TRUE;

  g_signal_emit_by_name (stream.element, "save", &ok);
  g_assert_false (ok); /* no rows yet */
  stream_send_dims (&stream, "float32", "16:10");
  stream_push_floats (&stream, codes, 10 * F);
  g_signal_emit_by_name (stream.element, "save", &ok);
  g_assert_true (ok);
  expect_file (files->json, first);
  stream_push_floats (&stream, codes + 10 * F, 20 * F);
  g_signal_emit_by_name (stream.element, "save", &ok);
  g_assert_true (ok);
  expect_file (files->json, all);
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_signal_emit_by_name (stream.element, "save", &ok);
  g_assert_false (ok);
}

static void
test_reset_action (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (5, 10);
  g_autoptr (SaeExamples) found = NULL;

  stream_send_dims (&stream, "float32", "16:10");
  stream_push_floats (&stream, codes, 10 * F);
  g_signal_emit_by_name (stream.element, "reset");
  found = get_examples (&stream);
  g_assert_cmpuint (sae_examples_get_n_rows (found), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_alive (found), ==, 0);
}

static void
test_page (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = stream_new ("saetop", "page-location", files->page,
      "title", "A & B", NULL);
  g_autofree float *codes = make_codes (6, 10);
  g_autofree gchar *text = NULL;

  stream_send_dims (&stream, "float32", "16:10");
  stream_push_floats (&stream, codes, 10 * F);
  send_eos (&stream);
  g_assert_true (g_file_get_contents (files->page, &text, NULL, NULL));
  g_assert_true (g_str_has_prefix (text, "<!doctype html>"));
  g_assert_nonnull (strstr (text, "<title>A &amp; B</title>"));
  /* It is replaced by the next one. */
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
}

/* --- rows ----------------------------------------------------------------- */

static GstBuffer *
one_pair (guint32 index, float value)
{
  const guint32 indices[] = {index, 0};
  const float values[] = {value, 0};
  GstBuffer *buffer = stream_buffer (indices, sizeof indices);
  GstBuffer *other = stream_buffer (values, sizeof values);

  return gst_buffer_append (buffer, other);
}

static Stream
pairs_new (guint context)
{
  Stream stream =
      stream_new ("saetop", "dict-size", F, "context", context, NULL);

  stream_send_dims (&stream, PAIRS ("1"));
  return stream;
}

static void
test_numbers_from_offsets (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);
  GstBuffer *buffer = one_pair (3, 5);

  g_assert_cmpint (stream_push (&stream, one_pair (3, 9)), ==, GST_FLOW_OK);
  GST_BUFFER_OFFSET (buffer) = 700;
  GST_BUFFER_OFFSET_END (buffer) = 701;
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  g_assert_cmpint (stream_push (&stream, one_pair (3, 4)), ==, GST_FLOW_OK);
  /* Offsets that count something else. */
  buffer = one_pair (3, 3);
  GST_BUFFER_OFFSET (buffer) = 4096;
  GST_BUFFER_OFFSET_END (buffer) = 8192;
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  expect_example (&stream, 3, 0, 0, 9);
  expect_example (&stream, 3, 1, 700, 5);
  expect_example (&stream, 3, 2, 701, 4);
  expect_example (&stream, 3, 3, 702, 3);
}

static void
test_times (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);
  GstBuffer *buffer = one_pair (3, 5);
  g_autoptr (SaeExamples) found = NULL;
  guint64 time;

  GST_BUFFER_PTS (buffer) = 7 * GST_SECOND;
  stream_push (&stream, buffer);
  found = get_examples (&stream);
  sae_examples_get_example (found, 3, 0, NULL, NULL, &time);
  g_assert_cmpuint (time, ==, 7 * GST_SECOND);
}

static void
test_gap (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);
  g_autoptr (SaeExamples) found = NULL;
  GstBuffer *gap = one_pair (3, 50);

  stream_push (&stream, one_pair (3, 1));
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  g_assert_cmpint (stream_push (&stream, gap), ==, GST_FLOW_OK);
  gap = gst_buffer_new ();
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  g_assert_cmpint (stream_push (&stream, gap), ==, GST_FLOW_OK);
  stream_push (&stream, one_pair (3, 2));
  found = get_examples (&stream);
  g_assert_cmpuint (sae_examples_get_n_rows (found), ==, 2);
  expect_example (&stream, 3, 0, 2, 2); /* the gap's row counts on */
  expect_example (&stream, 3, 1, 0, 1);
  g_assert_cmpuint (gst_harness_buffers_in_queue (stream.harness), ==, 4);
}

static void
test_flush (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (2);
  g_autoptr (SaeExamples) found = NULL;
  const float *around;
  guint n;

  stream_push (&stream, one_pair (3, 1));
  gst_harness_push_event (stream.harness, gst_event_new_flush_start ());
  gst_harness_push_event (stream.harness, gst_event_new_flush_stop (TRUE));
  stream_send_dims (&stream, PAIRS ("1"));
  stream_push (&stream, one_pair (3, 5));
  found = get_examples (&stream);
  g_assert_cmpuint (sae_examples_get_n_rows (found), ==, 2);
  around = sae_examples_get_around (found, 3, 0, &n);
  g_assert_cmpuint (n, ==, 5);
  g_assert_cmpfloat (around[1], ==, 0); /* not what was before the flush */
  g_assert_cmpfloat (around[2], ==, 5);
}

static void
test_forms (Files *files, gconstpointer data)
{
  g_autofree float *codes = make_codes (8, 6);
  g_autoptr (SaeExamples) want = examples_of (codes, 6);
  float values[6 * F];
  guint32 flat[6 * F];
  guint32 nnz = 0;

  for (guint32 i = 0; i < 6 * F; i++)
    if (codes[i] != 0) {
      values[nnz] = codes[i];
      flat[nnz++] = i;
    }
  for (guint form = 0; form < 2; form++) {
    g_auto (Stream) stream = top_new (files);
    GstBuffer *buffer = gst_buffer_new ();
    unlink (files->json);
    stream_send_caps (&stream,
        gst_caps_from_string (form ? "other/tensors,format=(string)flexible,"
                                     "framerate=(fraction)0/1"
                                   : "other/tensors,format=(string)sparse,"
                                     "framerate=(fraction)0/1"));
    gst_buffer_append_memory (buffer,
        form ? stream_flexible (7, F, 6, codes, 6 * F * sizeof *codes)
             : stream_sparse (F, 6, values, flat, nnz));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    send_eos (&stream);
    expect_file (files->json, want);
  }
}

/* --- caps ----------------------------------------------------------------- */

static void
test_caps_change (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (9, 20);
  g_autoptr (SaeExamples) want = examples_of (codes, 20);

  stream_send_dims (&stream, "float32", "16:8");
  stream_push_floats (&stream, codes, 8 * F);
  stream_send_dims (&stream, "float32", "16:3:4");
  stream_push_floats (&stream, codes + 8 * F, 12 * F);
  send_eos (&stream);
  expect_file (files->json, want);
}

static void
test_other_size_refused (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (9, 20);

  stream_send_dims (&stream, "float32", "16:8");
  stream_push_floats (&stream, codes, 8 * F);
  stream_send_dims (&stream, "float32", "8:8");
  g_assert_cmpint (stream_push_floats (&stream, codes, 8 * 8), ==,
      GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "16", "8", NULL);
}

static void
test_pairs_need_a_size (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);

  stream_send_dims (&stream, PAIRS ("1"));
  g_assert_cmpint (stream_push (&stream, one_pair (3, 1)), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "dict-size", "model-location", NULL);
}

static void
test_size_of_a_model (Files *files, gconstpointer data)
{
  const SaeConfig config = {.d_in = 4, .d_sae = F, .k = 2};
  g_autofree gchar *model =
      stream_save_model (files->folder, "model", &config, 1);
  g_auto (Stream) stream = stream_new ("saetop", "model-location", model, NULL);
  g_auto (Stream) other = stream_new_alone ("saetop", "model-location", model,
      "dict-size", 17, NULL);

  stream_send_dims (&stream, PAIRS ("1"));
  g_assert_cmpint (stream_push (&stream, one_pair (F - 1, 1)), ==, GST_FLOW_OK);
  expect_example (&stream, F - 1, 0, 0, 1);
  g_assert_cmpint (gst_element_set_state (other.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&other, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "17", "16", model, NULL);
}

static void
test_dense_against_dict_size (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = stream_new ("saetop", "dict-size", 20, NULL);
  float codes[F] = {0};

  stream_send_dims (&stream, "float32", "16:1");
  g_assert_cmpint (stream_push_floats (&stream, codes, F), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "20", "16", NULL);
}

static void
test_huge_size (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = stream_new ("saetop", "dict-size", G_MAXUINT,
      "per-latent", 1000, "context", 1000, NULL);

  stream_send_dims (&stream, PAIRS ("1"));
  g_assert_cmpint (stream_push (&stream, one_pair (3, 1)), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NO_SPACE_LEFT, "no memory", NULL);
}

/* --- hostile codes -------------------------------------------------------- */

static void
test_hostile_index (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);

  g_assert_cmpint (stream_push (&stream, one_pair (F, 1)), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "16",
      NULL);
}

static void
test_half_rows (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);

  g_assert_cmpint (stream_push (&stream, stream_buffer ("1234567", 7)), ==,
      GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "7",
      NULL);
}

static void
test_nan (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);

  g_assert_cmpint (stream_push (&stream, one_pair (3, NAN)), ==,
      GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
      NULL);
}

static void
test_no_rows (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = pairs_new (0);
  g_autoptr (SaeExamples) found = NULL;

  g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
  found = get_examples (&stream);
  g_assert_null (found);
  send_eos (&stream);
  stream_expect_no_error (&stream);
}

/* Bytes of any kind: an error or none, never more. */
static void
test_fuzz (Files *files, gconstpointer data)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (11);

  for (guint i = 0; i < 300; i++) {
    g_auto (Stream) stream =
        stream_new ("saetop", "dict-size", F, "context", 3, NULL);
    guint8 bytes[512];
    for (guint j = 0; j < sizeof bytes; j++)
      bytes[j] = (guint8) g_rand_int_range (random, 0, j % 4 == 0 ? 24 : 2);
    if (i % 3 == 0)
      stream_send_dims (&stream, PAIRS ("2"));
    else
      stream_send_caps (&stream,
          gst_caps_from_string (i % 3 == 1
                                    ? "other/tensors,format=(string)sparse,"
                                      "framerate=(fraction)0/1"
                                    : "other/tensors,format=(string)flexible,"
                                      "framerate=(fraction)0/1"));
    if (i % 3 != 0) { /* NNStreamer's magic and version */
      memcpy (bytes, &(guint32){0xfeedcced}, 4);
      memcpy (bytes + 4, &(guint32){0xde001000}, 4);
    }
    stream_push (&stream,
        stream_buffer (bytes, (gsize) g_rand_int_range (random, 0, 512)));
  }
}

/* --- files ---------------------------------------------------------------- */

static void
expect_no_start (const gchar *property, const gchar *path, GQuark domain,
    gint code, const gchar *part)
{
  g_auto (Stream) stream = stream_new_alone ("saetop", property, path, NULL);

  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, domain, code, path, part, NULL);
}

static void
test_other_files_kept (Files *files, gconstpointer data)
{
  static const gchar thesis[] = "<!doctype html>\n<title>Thesis</title>\n";
  g_autofree gchar *link = g_build_filename (files->folder, "link", NULL);
  g_autofree gchar *text = NULL;

  g_file_set_contents (files->json, "{\"precious\": 1}", -1, NULL);
  expect_no_start ("location", files->json, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, "another file");
  expect_no_start ("page-location", files->json, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, "another file");
  g_assert_true (g_file_get_contents (files->json, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "{\"precious\": 1}");
  g_clear_pointer (&text, g_free);
  g_file_set_contents (files->page, thesis, -1, NULL);
  expect_no_start ("page-location", files->page, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, "another file");
  g_assert_true (g_file_get_contents (files->page, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, thesis);
  g_assert_cmpint (symlink ("nowhere", link), ==, 0);
  expect_no_start ("location", link, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, NULL);
  expect_no_start ("location", files->folder, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, NULL);
  expect_no_start ("tokens-location", "/nonexistent/tokens", GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, NULL);
  expect_no_start ("model-location", "/nonexistent/model", GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, NULL);
}

static void
test_one_writer (Files *files, gconstpointer data)
{
  g_auto (Stream) first = top_new (files);
  g_auto (Stream) second =
      stream_new_alone ("saetop", "location", files->json, NULL);

  g_assert_cmpint (gst_element_set_state (second.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&second, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY,
      files->json, NULL);
  gst_element_set_state (first.element, GST_STATE_NULL);
  g_assert_cmpint (gst_element_set_state (second.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
}

static void
test_failed_write (Files *files, gconstpointer data)
{
  g_auto (Stream) stream = top_new (files);
  g_autofree float *codes = make_codes (9, 4);

  stream_send_dims (&stream, "float32", "16:4");
  stream_push_floats (&stream, codes, 4 * F);
  stream_remove_folder (g_strdup (files->folder));
  send_eos (&stream);
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      files->folder, NULL);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  stream_expect_no_error (&stream); /* said once */
  files->folder = (g_free (files->folder), stream_make_folder ());
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test)                                                        \
  g_test_add ("/saetop/" name, Files, NULL, set_up, test, tear_down)
  ADD ("passes-untouched", test_passes_untouched);
  ADD ("writes-at-eos", test_writes_at_eos);
  ADD ("two-cycles", test_two_cycles);
  ADD ("save-action", test_save_action);
  ADD ("reset-action", test_reset_action);
  ADD ("page", test_page);
  ADD ("numbers-from-offsets", test_numbers_from_offsets);
  ADD ("times", test_times);
  ADD ("gap", test_gap);
  ADD ("flush", test_flush);
  ADD ("sparse-and-flexible", test_forms);
  ADD ("caps-change", test_caps_change);
  ADD ("other-size-refused", test_other_size_refused);
  ADD ("pairs-need-a-size", test_pairs_need_a_size);
  ADD ("size-of-a-model", test_size_of_a_model);
  ADD ("dense-against-dict-size", test_dense_against_dict_size);
  ADD ("huge-size-fails", test_huge_size);
  ADD ("hostile/index", test_hostile_index);
  ADD ("hostile/half-rows", test_half_rows);
  ADD ("hostile/nan", test_nan);
  ADD ("hostile/fuzz", test_fuzz);
  ADD ("no-rows", test_no_rows);
  ADD ("other-files-kept", test_other_files_kept);
  ADD ("one-writer", test_one_writer);
  ADD ("failed-write", test_failed_write);
  return stream_run_tests ();
}
