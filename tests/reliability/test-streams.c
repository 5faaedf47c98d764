/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What may happen to a stream of rows on its way through an element: other
 * caps, flushes, gaps, more streams, nobody who reads the bus. Whatever comes
 * before it, a row becomes what it becomes alone. */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "fault.h"
#include "noise.h"
#include "stream.h"

#define D 16
#define K 4
#define MAX_ROWS 9

typedef struct {
  const gchar *name, *description;
  gboolean takes_pairs;
  gboolean one_type; /* of rows, whatever they are made of */
  gboolean compare;  /* rows come out as they went in, or coded */
} Kind;

static const Kind kinds[] = {
    {"saetrainer", "saetrainer dict-size=64 top-k=4 batch-size=16", FALSE,
        FALSE, TRUE},
    {"saeencoder", "saeencoder dict-size=64 top-k=4", FALSE, FALSE, TRUE},
    {"saeencoder-dense", "saeencoder dict-size=64 codes-format=dense", FALSE,
        FALSE, TRUE},
    {"saedecoder", "saedecoder input-size=16 dict-size=64 top-k=4", TRUE, TRUE,
        TRUE},
    {"saesteer", "saesteer dict-size=64 latents=\"3:=5,9:*0\"", FALSE, FALSE,
        TRUE},
    {"saenpyenc", "saenpyenc rows=1000000000", FALSE, TRUE, FALSE},
    {"saetop", "saetop dict-size=64", TRUE, TRUE, TRUE},
#ifdef HAVE_SCOPE
    {"saescope", "saescope dict-size=64 rows-per-frame=100", TRUE, TRUE, FALSE},
#endif
};

static Stream
open_stream (const Kind *kind)
{
  GError *error = NULL;
  Stream stream = {NULL};

  stream.element = gst_parse_launch (kind->description, &error);
  g_assert_no_error (error);
  gst_object_ref_sink (stream.element);
  stream.bus = gst_bus_new ();
  gst_element_set_bus (stream.element, stream.bus);
  stream.harness = gst_harness_new_with_element (stream.element, "sink", "src");
  return stream;
}

/* --- rows ----------------------------------------------------------------- */

typedef enum { FLOAT32, FLOAT16, FLOAT64, FLEXIBLE, N_FORMS } Form;

static const gchar *const form_types[] = {"float32", "float16", "float64"};

static Form
draw_form (const Kind *kind, Noise *noise)
{
  return kind->one_type ? FLOAT32 : noise_below (noise, N_FORMS);
}

static void
send_caps (Stream *stream, const Kind *kind, Form form, guint d, guint n)
{
  g_autofree gchar *dims = kind->takes_pairs
                               ? g_strdup_printf ("%u:%u,%u:%u", K, n, K, n)
                               : g_strdup_printf ("%u:%u", d, n);

  if (form == FLEXIBLE)
    stream_send_caps (stream,
        gst_caps_from_string ("other/tensors,format=flexible,framerate=0/1"));
  else
    stream_send_dims (stream,
        kind->takes_pairs ? "uint32,float32" : form_types[form], dims);
}

/* Small integers, which every type has: 1 to 4, and their float16. */
static void
write_row (Form form, guint d, guint8 *row)
{
  static const guint16 halves[] = {0x3c00, 0x4000, 0x4200, 0x4400};

  for (guint j = 0; j < d; j++)
    if (form == FLOAT16)
      ((guint16 *) row)[j] = halves[j * 7 % 4];
    else if (form == FLOAT64)
      ((double *) row)[j] = 1 + j * 7 % 4;
    else
      ((float *) row)[j] = (float) (1 + j * 7 % 4);
}

static gsize
row_size (Form form, guint d)
{
  return d * (form == FLOAT16 ? 2 : form == FLOAT64 ? 8 : 4);
}

static GstBuffer *
make_pairs (guint n)
{
  guint32 index[MAX_ROWS * K];
  float value[MAX_ROWS * K];

  for (guint i = 0; i < n * K; i++) {
    index[i] = i % K * 5;
    value[i] = (float) (1 + i % K);
  }
  return gst_buffer_append (stream_buffer (index, n * K * sizeof *index),
      stream_buffer (value, n * K * sizeof *value));
}

/* @n rows, all the same. */
static GstBuffer *
make_rows (const Kind *kind, Form form, guint d, guint n)
{
  guint8 rows[MAX_ROWS * 2 * D * 8];
  gsize size = row_size (form, d);
  GstBuffer *buffer;

  if (kind->takes_pairs)
    return make_pairs (n);
  for (guint r = 0; r < n; r++)
    write_row (form, d, rows + r * size);
  if (form != FLEXIBLE)
    return stream_buffer (rows, n * size);
  buffer = gst_buffer_new ();
  gst_buffer_append_memory (buffer, stream_flexible (7, d, n, rows, n * size));
  return buffer;
}

/* --- what came out -------------------------------------------------------- */

/* A row as it comes out for each form of input, all tensors. */
typedef struct {
  GByteArray *rows[N_FORMS];
} Seen;

static void
seen_clear (Seen *seen)
{
  for (guint i = 0; i < N_FORMS; i++)
    g_clear_pointer (&seen->rows[i], g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Seen, seen_clear)

/* Row @r of all tensors of @buffer, one behind the other. */
static GByteArray *
take_row (GstBuffer *buffer, gsize header, guint r, guint n)
{
  GByteArray *row = g_byte_array_new ();

  for (guint i = 0; i < gst_buffer_n_memory (buffer); i++) {
    g_autoptr (GBytes) bytes = stream_memory (buffer, i);
    gsize size;
    const guint8 *data = g_bytes_get_data (bytes, &size);
    g_assert_cmpuint ((size - header) % n, ==, 0);
    size = (size - header) / n;
    g_byte_array_append (row, data + header + r * size, (guint) size);
  }
  return row;
}

static void
expect_same_rows (Seen *seen, Stream *stream, GstBuffer *buffer, Form form,
    guint n)
{
  g_autofree gchar *format = stream_out_field (stream, "format");
  gsize header = g_str_equal (format, "static") ? 0 : 128;

  for (guint r = 0; r < n; r++) {
    g_autoptr (GByteArray) row = take_row (buffer, header, r, n);
    if (!seen->rows[form])
      seen->rows[form] = g_byte_array_ref (row);
    assert_same_memory (row->data, row->len, seen->rows[form]->data,
        seen->rows[form]->len);
  }
}

static void
pull_all (Stream *stream, const Kind *kind, Seen *seen, Form form, guint n)
{
  GstBuffer *buffer;
  GstEvent *event;
  guint n_buffers = 0;

  while ((buffer = gst_harness_try_pull (stream->harness)) != NULL) {
    if (kind->compare)
      expect_same_rows (seen, stream, buffer, form, n);
    n_buffers++;
    gst_buffer_unref (buffer);
  }
  if (kind->compare)
    g_assert_cmpuint (n_buffers, ==, 1);
  while ((event = gst_harness_try_pull_event (stream->harness)) != NULL)
    gst_event_unref (event);
}

static void
push_rows (Stream *stream, const Kind *kind, Seen *seen, Form form, guint n)
{
  g_assert_cmpint (stream_push (stream, make_rows (kind, form, D, n)), ==,
      GST_FLOW_OK);
  pull_all (stream, kind, seen, form, n);
}

/* --- other caps ----------------------------------------------------------- */

static void
test_renegotiation (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Stream) stream = open_stream (kind);
  g_auto (Seen) seen = {{NULL}};
  Noise noise = noise_new ();

  for (guint i = 0; i < 1000; i++) {
    Form form = draw_form (kind, &noise);
    guint told = 1 + noise_below (&noise, MAX_ROWS);
    send_caps (&stream, kind, form, D, told);
    push_rows (&stream, kind, &seen, form, 1 + noise_below (&noise, MAX_ROWS));
  }
  stream_expect_no_error (&stream);
  fault_report (3, 1000, 1000, 0);
}

/* Rows of another width are refused, once; the element is as new when it is
 * started again. */
static void
test_other_width (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Stream) stream = open_stream (kind);
  g_auto (Seen) seen = {{NULL}};
  Noise noise = noise_new ();

  for (guint i = 0; i < 100; i++) {
    Form form = draw_form (kind, &noise);
    guint d = noise_below (&noise, 2) ? D - 1 : 2 * D;
    send_caps (&stream, kind, form, D, 3);
    push_rows (&stream, kind, &seen, form, 3);
    g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_ERROR), ==, 0);
    send_caps (&stream, kind, form, d, 3);
    for (guint again = 0; again < 2; again++)
      g_assert_cmpint (stream_push (&stream, make_rows (kind, form, d, 3)), <,
          GST_FLOW_EOS);
    /* flexible rows have no caps to refuse: each buffer is another mistake */
    g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_ERROR), ==,
        form == FLEXIBLE ? 2 : 1);
    stream_expect_nothing (&stream);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    gst_pad_set_active (stream.harness->srcpad, FALSE);
    gst_pad_set_active (stream.harness->srcpad, TRUE);
    gst_pad_set_active (stream.harness->sinkpad, FALSE);
    gst_pad_set_active (stream.harness->sinkpad, TRUE);
  }
  fault_report (3, 100, 100, 0);
}

/* --- flushes and other events --------------------------------------------- */

static void
send (Stream *stream, GstEvent *event)
{
  gst_harness_push_event (stream->harness, event);
}

static void
send_segment (Stream *stream, GstFormat format)
{
  GstSegment segment;

  gst_segment_init (&segment, format);
  send (stream, gst_event_new_segment (&segment));
}

static void
flush (Stream *stream)
{
  send (stream, gst_event_new_flush_start ());
  send (stream, gst_event_new_flush_stop (TRUE));
  send_segment (stream, GST_FORMAT_TIME);
}

static void
test_flushes (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Stream) stream = open_stream (kind);
  g_auto (Seen) seen = {{NULL}};
  Noise noise = noise_new ();
  guint n = 10000;

  send_caps (&stream, kind, FLOAT32, D, 3);
  for (guint i = 0; i < n; i++) {
    if (noise_below (&noise, 2))
      push_rows (&stream, kind, &seen, FLOAT32,
          1 + noise_below (&noise, MAX_ROWS));
    flush (&stream);
  }
  push_rows (&stream, kind, &seen, FLOAT32, 5);
  stream_expect_no_error (&stream);
  fault_report (12, n, n, 0);
}

/* What elements upstream may send in the middle of a stream. */
static void
send_any (Stream *stream, Noise *noise)
{
  switch (noise_below (noise, 8)) {
    case 0:
      send (stream, gst_event_new_gap (GST_SECOND, GST_SECOND));
      break;
    case 1:
      send (stream, gst_event_new_stream_start ("another"));
      send_segment (stream, GST_FORMAT_TIME);
      break;
    case 2:
      send_segment (stream,
          noise_below (noise, 2) ? GST_FORMAT_TIME : GST_FORMAT_DEFAULT);
      break;
    case 3:
      send (stream,
          gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "rows", NULL)));
      break;
    case 4:
      send (stream, gst_event_new_segment_done (GST_FORMAT_TIME, 0));
      break;
    case 5:
      send (stream, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
                        gst_structure_new_empty ("sae-stats")));
      break;
    case 6:
      gst_harness_push_upstream_event (stream->harness,
          gst_event_new_reconfigure ());
      break;
    default:
      gst_harness_push_upstream_event (stream->harness,
          gst_event_new_latency (GST_SECOND));
  }
}

static void
test_events (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Stream) stream = open_stream (kind);
  g_auto (Seen) seen = {{NULL}};
  Noise noise = noise_new ();
  guint n = 5000;

  send_caps (&stream, kind, FLOAT32, D, 3);
  for (guint i = 0; i < n; i++) {
    send_any (&stream, &noise);
    push_rows (&stream, kind, &seen, FLOAT32,
        1 + noise_below (&noise, MAX_ROWS));
  }
  stream_expect_no_error (&stream);
  fault_report (12, n, n, 0);
}

/* --- EOS ------------------------------------------------------------------ */

static guint
count_eos (Stream *stream)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_event (stream->harness)) != NULL) {
    n += GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  return n;
}

/* Also when it comes twice, or after nothing at all. */
static void
test_eos (gconstpointer data)
{
  const Kind *kind = data;
  guint n_rows = 20;

  for (guint rows = 0; rows <= n_rows; rows++) {
    g_auto (Stream) stream = open_stream (kind);
    g_auto (Seen) seen = {{NULL}};
    send_caps (&stream, kind, FLOAT32, D, 1);
    for (guint r = 0; r < rows; r++)
      push_rows (&stream, kind, &seen, FLOAT32, 1);
    send (&stream, gst_event_new_eos ());
    send (&stream, gst_event_new_eos ());
    g_assert_cmpuint (count_eos (&stream), ==, 1);
    g_assert_cmpint (stream_push (&stream, make_rows (kind, FLOAT32, D, 1)), ==,
        GST_FLOW_EOS);
    if (strcmp (kind->name, "saenpyenc") != 0) /* was told of more rows */
      stream_expect_no_error (&stream);
  }
  fault_report (13, n_rows + 1, n_rows + 1, 0);
}

/* --- the bus -------------------------------------------------------------- */

/* Every row is bad, and nobody is told so for each. */
static void
test_bad_rows (gconstpointer data)
{
  const Kind *kind = data;
  g_auto (Stream) stream = open_stream (kind);
  guint n = g_test_slow () ? 1000000 : 20000, n_messages;
  float bad[D] = {NAN, INFINITY};
  gint64 begin = g_get_monotonic_time (), most;
  GstBuffer *buffer;

  if (g_str_has_prefix (kind->name, "saeencoder"))
    gst_util_set_object_arg (G_OBJECT (stream.element), "on-nonfinite", "zero");
  stream_send_dims (&stream, "float32", "16:1");
  for (guint i = 0; i < n; i++) {
    g_assert_cmpint (stream_push_floats (&stream, bad, D), ==, GST_FLOW_OK);
    while ((buffer = gst_harness_try_pull (stream.harness)) != NULL)
      gst_buffer_unref (buffer);
  }
  n_messages = stream_count (&stream, GST_MESSAGE_ANY);
  /* states, a warning, one a second */
  most = 10 + (g_get_monotonic_time () - begin) / G_USEC_PER_SEC;
  fault_report (32, n, n_messages <= most ? n : 0, 0);
  g_assert_cmpint (n_messages, <=, most);
}

/* As many as the interval allows, and no more than may wait. */
static void
test_statistics (void)
{
  static const Kind *kind = &kinds[0];
  guint n = g_test_slow () ? 1000000 : 20000;

  for (guint every = 0; every < 2; every++) {
    g_auto (Stream) stream = open_stream (kind);
    g_auto (Seen) seen = {{NULL}};
    guint64 interval = every ? 1 : 20 * GST_MSECOND, most;
    gint64 begin = g_get_monotonic_time ();
    guint n_messages;
    g_object_set (stream.element, "stats-interval", interval, NULL);
    send_caps (&stream, kind, FLOAT32, D, 1);
    for (guint i = 0; i < n; i++)
      push_rows (&stream, kind, &seen, FLOAT32, 1);
    most = (guint64) (g_get_monotonic_time () - begin) * 1000 / interval;
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    n_messages = stream_count (&stream, GST_MESSAGE_ANY);
    g_assert_cmpuint (n_messages, <=, MIN (most, 600) + 10);
    g_assert_cmpuint (n_messages, >=, every ? 600 : 1);
    fault_report (32, n, n, 0);
  }
}

static void
add (const gchar *what, const Kind *kind, GTestDataFunc test)
{
  g_autofree gchar *path =
      g_strdup_printf ("/reliability/streams/%s/%s", what, kind->name);

  g_test_add_data_func (path, kind, test);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    add ("renegotiation", &kinds[i], test_renegotiation);
    if (!kinds[i].takes_pairs)
      add ("other-width", &kinds[i], test_other_width);
    add ("flushes", &kinds[i], test_flushes);
    add ("events", &kinds[i], test_events);
    add ("eos-once", &kinds[i], test_eos);
    if (!kinds[i].takes_pairs)
      add ("bad-rows", &kinds[i], test_bad_rows);
  }
  g_test_add_func ("/reliability/streams/statistics", test_statistics);
  return stream_run_tests ();
}
