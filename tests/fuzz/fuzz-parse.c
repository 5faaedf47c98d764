/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a stream that saeparse reads: byte 0 says its properties, byte 1
 * in which blocks the bytes come. They make no difference, and what comes out
 * without an error is what the headers say. */
#include "fuzz.h"

#include <string.h>

#include "../same-memory.h"
#include "buffers.h"
#include "gstsaeparse.h"
#include "npy.h"

GST_ELEMENT_REGISTER_DECLARE (saeparse)

#define MAX_BLOCK 64

typedef struct {
  guint width; /* 0: .npy files */
  SaeDtype dtype;
  guint rows_per_buffer;
} Properties;

/* What came out, and how it ended. */
typedef struct {
  GString *events;
  GByteArray *bytes;
  gchar *error;
} Outcome;

static GstStaticPadTemplate any_sink = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static Properties
choose_properties (guint8 choice)
{
  static const SaeDtype dtypes[] = {SAE_DTYPE_FLOAT32, SAE_DTYPE_FLOAT16,
      SAE_DTYPE_BFLOAT16, SAE_DTYPE_FLOAT64};

  return (Properties){choice % 4, dtypes[choice / 4 % 4], 1 + choice / 16 % 4};
}

/* --- running it ----------------------------------------------------------- */

static GstFlowReturn
take_buffer (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  Outcome *outcome = gst_pad_get_element_private (pad);
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_byte_array_append (outcome->bytes, map.data, (guint) map.size);
  g_string_append_printf (outcome->events,
      "buffer at %" G_GUINT64_FORMAT " of %" G_GSIZE_FORMAT "\n",
      GST_BUFFER_OFFSET (buffer), map.size);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
take_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Outcome *outcome = gst_pad_get_element_private (pad);

  if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
    GstCaps *caps;
    gst_event_parse_caps (event, &caps);
    g_autofree gchar *text = gst_caps_to_string (caps);
    g_string_append_printf (outcome->events, "%s\n", text);
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_EOS) {
    g_string_append (outcome->events, "end\n");
  }
  gst_event_unref (event);
  return TRUE;
}

static GstElement *
make_parser (const Properties *properties)
{
  GstElement *parser = gst_element_factory_make ("saeparse", NULL);

  g_object_set (parser, "input-size", properties->width, "rows-per-buffer",
      properties->rows_per_buffer, NULL);
  if (properties->width > 0)
    g_object_set (parser, "dtype", properties->dtype, NULL);
  return parser;
}

/* Links both pads; @outcome gets what comes out. */
static void
connect_pads (GstElement *parser, GstPad *src, GstPad *sink, Outcome *outcome)
{
  GstPad *parser_sink = gst_element_get_static_pad (parser, "sink");
  GstPad *parser_src = gst_element_get_static_pad (parser, "src");

  gst_pad_set_element_private (sink, outcome);
  gst_pad_set_chain_function (sink, take_buffer);
  gst_pad_set_event_function (sink, take_event);
  gst_pad_set_active (src, TRUE);
  gst_pad_set_active (sink, TRUE);
  g_assert_cmpint (gst_pad_link (src, parser_sink), ==, GST_PAD_LINK_OK);
  g_assert_cmpint (gst_pad_link (parser_src, sink), ==, GST_PAD_LINK_OK);
  gst_object_unref (parser_sink);
  gst_object_unref (parser_src);
}

static GstFlowReturn
push_bytes (GstPad *src, const guint8 *data, gsize size, gsize block)
{
  GstSegment segment;
  GstFlowReturn flow = GST_FLOW_OK;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_pad_push_event (src, gst_event_new_stream_start ("fuzz"));
  gst_pad_push_event (src, gst_event_new_segment (&segment));
  for (gsize at = 0; at < size && flow == GST_FLOW_OK; at += block) {
    GstBuffer *buffer = gst_buffer_new ();
    fuzz_append (buffer, data + at, MIN (block, size - at));
    GST_BUFFER_OFFSET (buffer) = at;
    flow = gst_pad_push (src, buffer);
  }
  if (flow == GST_FLOW_OK)
    gst_pad_push_event (src, gst_event_new_eos ());
  return flow;
}

/* At most one, and it says what is wrong. */
static gchar *
take_error (GstBus *bus)
{
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  gchar *text = NULL;

  if (message != NULL) {
    g_autoptr (GError) error = NULL;
    g_autofree gchar *debug = NULL;
    gst_message_parse_error (message, &error, &debug);
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    text = g_strdup (error->message);
    gst_message_unref (message);
  }
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  return text;
}

static Outcome
run (const Properties *properties, const guint8 *data, gsize size, gsize block)
{
  Outcome outcome = {g_string_new (NULL), g_byte_array_new (), NULL};
  GstElement *parser = make_parser (properties);
  GstPad *src = gst_pad_new ("src", GST_PAD_SRC);
  GstPad *sink = gst_pad_new_from_static_template (&any_sink, "sink");
  GstBus *bus = gst_bus_new ();
  GstFlowReturn flow;

  gst_element_set_bus (parser, bus);
  connect_pads (parser, src, sink, &outcome);
  gst_element_set_state (parser, GST_STATE_PLAYING);
  flow = push_bytes (src, data, size, block);
  gst_element_set_state (parser, GST_STATE_NULL);
  outcome.error = take_error (bus);
  g_assert_true (flow == GST_FLOW_OK || outcome.error != NULL);
  gst_element_set_bus (parser, NULL);
  gst_object_unref (bus);
  gst_object_unref (src);
  gst_object_unref (sink);
  gst_object_unref (parser);
  return outcome;
}

static void
clear (Outcome *outcome)
{
  g_string_free (outcome->events, TRUE);
  g_byte_array_unref (outcome->bytes);
  g_free (outcome->error);
}

/* --- what has to come out ------------------------------------------------- */

static void
append_widened (GByteArray *bytes, const guint8 *data, gsize size)
{
  static const guint8 zeros[2];

  for (gsize i = 0; i < size; i += 2) {
    g_byte_array_append (bytes, zeros, 2);
    g_byte_array_append (bytes, data + i, 2);
  }
}

/* Raw rows, or arrays one after the other, without their headers. */
static GByteArray *
make_expected (const Properties *properties, const guint8 *data, gsize size)
{
  GByteArray *bytes = g_byte_array_new ();
  SaeNpyHeader header;

  if (properties->width > 0 && (size < 6 || memcmp (data, "\x93NUMPY", 6))) {
    if (properties->dtype == SAE_DTYPE_BFLOAT16)
      append_widened (bytes, data, size);
    else
      g_byte_array_append (bytes, data, (guint) size);
    return bytes;
  }
  while (size > 0) {
    gsize n;
    g_assert_true (sae_npy_header_parse (data, size, &header, NULL));
    n = (gsize) header.shape[0] * sae_npy_header_row_elements (&header) *
        sae_dtype_size (header.dtype);
    g_assert_cmpuint (header.header_size + n, <=, size);
    g_byte_array_append (bytes, data + header.header_size, (guint) n);
    data += header.header_size + n;
    size -= header.header_size + n;
  }
  return bytes;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Properties properties = choose_properties (fuzz_take_byte (&data, &size));
  gsize block = 1 + fuzz_take_byte (&data, &size) % MAX_BLOCK;
  Outcome whole, cut;

  if (!gst_is_initialized ()) {
    fuzz_init_gst ();
    GST_ELEMENT_REGISTER (saeparse, NULL);
  }
  whole = run (&properties, data, size, MAX (size, 1));
  cut = run (&properties, data, size, block);
  g_assert_cmpstr (whole.events->str, ==, cut.events->str);
  assert_same_memory (whole.bytes->data, whole.bytes->len, cut.bytes->data,
      cut.bytes->len);
  g_assert_cmpstr (whole.error, ==, cut.error);
  fuzz_n_accepted += whole.error == NULL ? 1 : 0;
  if (whole.error == NULL) {
    GByteArray *expected = make_expected (&properties, data, size);
    assert_same_memory (whole.bytes->data, whole.bytes->len, expected->data,
        expected->len);
    g_byte_array_unref (expected);
  }
  clear (&whole);
  clear (&cut);
  return 0;
}
