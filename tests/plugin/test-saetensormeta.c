/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/analytics/analytics.h>
#include <gst/check/gstharness.h>

#include "../same-memory.h"

#define VIDEO                                                                  \
  "video/x-raw,format=(string)RGB,width=(int)4,height=(int)2,"                 \
  "framerate=(fraction)30/1"
#define STATIC(n, types, dims)                                                 \
  "other/tensors,format=(string)static,num_tensors=(int)" n                    \
  ",types=(string)\"" types "\",dimensions=(string)\"" dims                    \
  "\",framerate=(fraction)0/1"

/* --- frames with tensors --- */

typedef struct {
  const gchar *id;
  GstTensorDataType type;
  GstTensorDimOrder order;
  gsize n_dims, dims[17];
  gssize bytes; /* of its buffer; -1: none */
} Tensor;

static GstTensor *
make_tensor (const Tensor *from)
{
  GstTensor *tensor = gst_tensor_alloc (from->n_dims);

  tensor->id = g_quark_from_string (from->id);
  tensor->layout = GST_TENSOR_LAYOUT_CONTIGUOUS;
  tensor->data_type = from->type;
  tensor->dims_order = from->order;
  tensor->num_dims = from->n_dims;
  for (gsize i = 0; i < from->n_dims; i++)
    tensor->dims[i] = from->dims[i];
  tensor->data = from->bytes < 0 ? NULL
                                 : gst_buffer_new_allocate (NULL,
                                       (gsize) from->bytes, NULL);
  return tensor;
}

static GstBuffer *
make_frame (const Tensor *tensors, guint n)
{
  GstBuffer *frame = gst_buffer_new_allocate (NULL, 24, NULL);
  GstTensor **made = g_new (GstTensor *, n);

  GST_BUFFER_PTS (frame) = 7 * GST_SECOND;
  GST_BUFFER_DURATION (frame) = GST_SECOND;
  for (guint i = 0; i < n; i++)
    made[i] = make_tensor (&tensors[i]);
  gst_tensor_meta_set (gst_buffer_add_tensor_meta (frame), n, made);
  return frame;
}

static const Tensor hidden = {"hidden", GST_TENSOR_DATA_TYPE_FLOAT32,
    GST_TENSOR_DIM_ORDER_ROW_MAJOR, 3, {2, 3, 4}, 96};

static GstHarness *
play (const gchar *description, const gchar *caps)
{
  GstHarness *harness = gst_harness_new_parse (description);

  gst_harness_set_src_caps_str (harness, caps);
  return harness;
}

static void
assert_caps (GstHarness *harness, const gchar *field, const gchar *expected)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (harness->sinkpad);
  const GstStructure *structure = gst_caps_get_structure (caps, 0);

  g_assert_cmpstr (gst_structure_get_name (structure), ==, "other/tensors");
  g_assert_cmpstr (gst_structure_get_string (structure, field), ==, expected);
}

static void
test_frames_give_their_tensors (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  GstBuffer *frame = make_frame (&hidden, 1);
  const GstTensor *tensor =
      gst_tensor_meta_get (gst_buffer_get_tensor_meta (frame), 0);
  g_autoptr (GstCaps) caps = NULL;
  GstBuffer *got;
  gint fps_n, fps_d;

  gst_buffer_ref (frame);
  g_assert_cmpint (gst_harness_push (harness, frame), ==, GST_FLOW_OK);
  got = gst_harness_pull (harness);
  assert_caps (harness, "dimensions", "4:3:2");
  assert_caps (harness, "types", "float32");
  caps = gst_pad_get_current_caps (harness->sinkpad);
  g_assert_true (gst_structure_get_fraction (gst_caps_get_structure (caps, 0),
      "framerate", &fps_n, &fps_d));
  g_assert_cmpint (fps_n, ==, 30);
  g_assert_cmpuint (GST_BUFFER_PTS (got), ==, 7 * GST_SECOND);
  g_assert_cmpuint (GST_BUFFER_DURATION (got), ==, GST_SECOND);
  g_assert_cmpuint (gst_buffer_n_memory (got), ==, 1);
  /* The very memory of the tensor. */
  g_assert_true (gst_buffer_peek_memory (got, 0) ==
                 gst_buffer_peek_memory (tensor->data, 0));
  gst_buffer_unref (got);
  gst_buffer_unref (frame);
  gst_harness_teardown (harness);
}

static void
test_column_major_dimensions_are_innermost_first (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  Tensor tensor = hidden;

  tensor.order = GST_TENSOR_DIM_ORDER_COL_MAJOR;
  gst_harness_push (harness, make_frame (&tensor, 1));
  gst_buffer_unref (gst_harness_pull (harness));
  assert_caps (harness, "dimensions", "2:3:4");
  gst_harness_teardown (harness);
}

static const Tensor pair[] = {
    {"index", GST_TENSOR_DATA_TYPE_UINT32, GST_TENSOR_DIM_ORDER_ROW_MAJOR, 2,
        {5, 2}, 40},
    {"value", GST_TENSOR_DATA_TYPE_FLOAT16, GST_TENSOR_DIM_ORDER_ROW_MAJOR, 1,
        {3}, 6},
};

static void
test_all_tensors_or_one (void)
{
  GstHarness *harness = play ("saetensormeta name=b", VIDEO);
  GstElement *bridge = gst_harness_find_element (harness, "saetensormeta");
  GstBuffer *got;

  gst_harness_push (harness, make_frame (pair, 2));
  got = gst_harness_pull (harness);
  assert_caps (harness, "dimensions", "2:5,3:1");
  assert_caps (harness, "types", "uint32,float16");
  g_assert_cmpuint (gst_buffer_n_memory (got), ==, 2);
  gst_buffer_unref (got);

  g_object_set (bridge, "tensor-id", "value", NULL);
  gst_harness_push (harness, make_frame (pair, 2));
  got = gst_harness_pull (harness);
  assert_caps (harness, "dimensions", "3:1");
  g_assert_cmpuint (gst_buffer_get_size (got), ==, 6);
  gst_buffer_unref (got);
  gst_object_unref (bridge);
  gst_harness_teardown (harness);
}

static guint
count_events (GstHarness *harness, GstEventType type)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_event (harness))) {
    n += GST_EVENT_TYPE (event) == type;
    gst_event_unref (event);
  }
  return n;
}

static void
test_caps_change_with_the_dimensions_only (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  Tensor longer = hidden;

  longer.dims[1] = 6;
  longer.bytes *= 2;
  for (guint i = 0; i < 3; i++)
    gst_harness_push (harness, make_frame (&hidden, 1));
  g_assert_cmpuint (count_events (harness, GST_EVENT_CAPS), ==, 1);
  for (guint i = 0; i < 3; i++)
    gst_harness_push (harness, make_frame (&longer, 1));
  g_assert_cmpuint (count_events (harness, GST_EVENT_CAPS), ==, 1);
  assert_caps (harness, "dimensions", "4:6:2");
  gst_harness_teardown (harness);
}

static gboolean
has_gap (GstHarness *harness)
{
  return count_events (harness, GST_EVENT_GAP) > 0;
}

static void
test_frames_without_rows_are_gaps (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  GstBuffer *plain = gst_buffer_new_allocate (NULL, 24, NULL);
  Tensor none = hidden;

  none.dims[0] = 0;
  none.bytes = 0;
  GST_BUFFER_PTS (plain) = 0;
  /* Nothing can be said before there are caps. */
  g_assert_cmpint (gst_harness_push (harness, gst_buffer_ref (plain)), ==,
      GST_FLOW_OK);
  g_assert_false (has_gap (harness));
  gst_harness_push (harness, make_frame (&hidden, 1));
  gst_buffer_unref (gst_harness_pull (harness));
  gst_harness_push (harness, plain);
  g_assert_true (has_gap (harness));
  gst_harness_push (harness, make_frame (&none, 1));
  g_assert_true (has_gap (harness));
  g_assert_cmpuint (gst_harness_buffers_in_queue (harness), ==, 0);
  gst_harness_teardown (harness);
}

/* A detection network that found nothing: boxes [0, 2], or scores [0]. */
static void
test_any_tensor_without_rows_makes_a_gap (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);

  for (guint i = 0; i < 4; i++) {
    Tensor tensors[] = {pair[0], pair[1]};

    gst_harness_push (harness, make_frame (pair, 2));
    gst_buffer_unref (gst_harness_pull (harness));
    tensors[i % 2].dims[0] = 0;
    tensors[i % 2].bytes = i < 2 ? 0 : -1;
    g_assert_cmpint (gst_harness_push (harness, make_frame (tensors, 2)), ==,
        GST_FLOW_OK);
    g_assert_true (has_gap (harness));
    g_assert_cmpuint (gst_harness_buffers_in_queue (harness), ==, 0);
  }
  gst_harness_teardown (harness);
}

static void
test_of_events_that_wait_the_latest_is_kept (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  g_autoptr (GstEvent) segment = NULL, tag = NULL;
  GstTagList *tags;
  gchar *title;

  for (guint i = 0; i < 1000; i++) {
    g_autofree gchar *text = g_strdup_printf ("%u", i);
    tags = gst_tag_list_new (GST_TAG_TITLE, text, NULL);
    gst_tag_list_set_scope (tags,
        i % 2 ? GST_TAG_SCOPE_STREAM : GST_TAG_SCOPE_GLOBAL);
    gst_harness_push_event (harness, gst_event_new_tag (tags));
  }
  gst_harness_push (harness, make_frame (&hidden, 1));
  g_assert_cmpuint (count_events (harness, GST_EVENT_TAG), ==, 2);
  segment = gst_pad_get_sticky_event (harness->sinkpad, GST_EVENT_SEGMENT, 0);
  g_assert_nonnull (segment);
  for (guint i = 0; i < 2; i++) {
    tag = gst_pad_get_sticky_event (harness->sinkpad, GST_EVENT_TAG, i);
    gst_event_parse_tag (tag, &tags);
    g_assert_true (gst_tag_list_get_string (tags, GST_TAG_TITLE, &title));
    g_assert_cmpstr (title, ==,
        gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_STREAM ? "999" : "998");
    g_free (title);
    gst_clear_event (&tag);
  }
  gst_harness_teardown (harness);
}

/* --- what is wrong --- */

static void
assert_error (const gchar *description, GstBuffer *buffer, const gchar *caps,
    const gchar *part)
{
  GstHarness *harness = play (description, caps);
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;
  GstMessage *message;

  gst_element_set_bus (harness->element, bus);
  g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_ERROR);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  if (!strstr (error->message, part))
    g_error ("expected an error with \"%s\", got \"%s\"", part, error->message);
  gst_message_unref (message);
  gst_element_set_bus (harness->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (harness);
}

#define WITH(field, value)                                                     \
  ({                                                                           \
    Tensor t = hidden;                                                         \
    t.field = value;                                                           \
    t;                                                                         \
  })

static void
test_what_is_wrong_is_said (void)
{
  const struct {
    Tensor tensor;
    const gchar *part;
  } cases[] = {
      {WITH (bytes, 95), "expected the bytes of 4:3:2 float32, got 95"},
      {WITH (bytes, 97), "got 97"},
      {WITH (bytes, -1), "got 0"},
      {WITH (n_dims, 0), "1 to 16 dimensions, got 0"},
      {WITH (n_dims, 17), "1 to 16 dimensions, got 17"},
      {WITH (dims[2], 0), "sizes of 1"},
      {WITH (dims[0], G_MAXSIZE), "sizes of 1"},
      {WITH (dims[0], (gsize) G_MAXUINT32 + 1), "sizes of 1"},
      {WITH (dims[0], G_MAXUINT32), "expected the bytes of"},
      {WITH (type, GST_TENSOR_DATA_TYPE_BFLOAT16), "float16, float32"},
      {WITH (type, GST_TENSOR_DATA_TYPE_INT4), "8 to 64 bits"},
      {WITH (type, (GstTensorDataType) 99), "got GstTensorDataType 99"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_error ("saetensormeta", make_frame (&cases[i].tensor, 1), VIDEO,
        cases[i].part);
}

static void
test_products_that_overflow_are_refused (void)
{
  Tensor tensor = hidden;

  tensor.n_dims = 16;
  for (guint i = 0; i < 16; i++)
    tensor.dims[i] = 65536;
  assert_error ("saetensormeta", make_frame (&tensor, 1), VIDEO,
      "expected the bytes of");
}

static void
test_an_id_that_is_not_there_is_said (void)
{
  assert_error ("saetensormeta tensor-id=logits", make_frame (pair, 2), VIDEO,
      "expected a tensor \"logits\", the buffer has \"index\", \"value\"");
}

static void
test_more_tensors_than_streams_have_are_refused (void)
{
  Tensor many[17];

  for (guint i = 0; i < 17; i++)
    many[i] = hidden;
  assert_error ("saetensormeta", make_frame (many, 17), VIDEO, "at most 16");
}

/* --- tensors that get a meta --- */

static void
assert_tensor (const GstTensor *tensor, const gchar *id, GstTensorDataType type,
    gsize n_rows, gsize width)
{
  g_assert_cmpstr (g_quark_to_string (tensor->id), ==, id);
  g_assert_cmpint (tensor->data_type, ==, type);
  g_assert_cmpint (tensor->dims_order, ==, GST_TENSOR_DIM_ORDER_ROW_MAJOR);
  g_assert_cmpuint (tensor->num_dims, ==, 2);
  g_assert_cmpuint (tensor->dims[0], ==, n_rows);
  g_assert_cmpuint (tensor->dims[1], ==, width);
}

static void
test_tensors_get_a_meta_of_the_same_memory (void)
{
  GstHarness *harness =
      play ("saetensormeta", STATIC ("2", "uint32,float32", "4:3,4:3"));
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 48, NULL), *got;
  GstTensorMeta *meta;

  gst_buffer_append (buffer, gst_buffer_new_allocate (NULL, 48, NULL));
  g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  got = gst_harness_pull (harness);
  meta = gst_buffer_get_tensor_meta (got);
  g_assert_nonnull (meta);
  g_assert_cmpuint (meta->num_tensors, ==, 2);
  assert_tensor (meta->tensors[0], "sae-0", GST_TENSOR_DATA_TYPE_UINT32, 3, 4);
  assert_tensor (meta->tensors[1], "sae-1", GST_TENSOR_DATA_TYPE_FLOAT32, 3, 4);
  for (guint i = 0; i < 2; i++)
    g_assert_true (gst_buffer_peek_memory (meta->tensors[i]->data, 0) ==
                   gst_buffer_peek_memory (got, i));
  gst_buffer_unref (got);
  gst_harness_teardown (harness);
}

static void
test_any_cut_into_memories (void)
{
  GstHarness *harness =
      play ("saetensormeta", STATIC ("2", "uint32,float32", "4:3,4:3"));
  guint8 bytes[96], got_bytes[48];
  GstBuffer *buffer = gst_buffer_new (), *got;
  GstTensorMeta *meta;

  for (guint i = 0; i < 96; i++)
    bytes[i] = (guint8) i;
  for (guint at = 0; at < 96; at += 32)
    gst_buffer_append (buffer, gst_buffer_new_memdup (bytes + at, 32));
  gst_harness_push (harness, buffer);
  got = gst_harness_pull (harness);
  meta = gst_buffer_get_tensor_meta (got);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpuint (gst_buffer_extract (meta->tensors[i]->data, 0, got_bytes,
                          48),
        ==, 48);
    assert_same_memory (got_bytes, 48, bytes + 48 * i, 48);
  }
  gst_buffer_unref (got);
  gst_harness_teardown (harness);
}

/* A flexible tensor [2, 3] of float32, as NNStreamer writes one. */
static GstBuffer *
make_flexible (void)
{
  guint32 header[32] = {0xfeedcced, 0xde001000, 7, 3, 2};
  GstBuffer *buffer = gst_buffer_new_memdup (header, sizeof header);

  header[19] = 1;
  header[20] = 4;
  gst_buffer_fill (buffer, 0, header, sizeof header);
  return gst_buffer_append (buffer, gst_buffer_new_allocate (NULL, 24, NULL));
}

static void
test_headers_are_left_out (void)
{
  GstHarness *harness = play ("saetensormeta tensor-id=x",
      "other/tensors,format=(string)flexible,framerate=(fraction)0/1");
  GstTensorMeta *meta;
  GstBuffer *got;

  gst_harness_push (harness, make_flexible ());
  got = gst_harness_pull (harness);
  meta = gst_buffer_get_tensor_meta (got);
  g_assert_cmpuint (meta->num_tensors, ==, 1);
  assert_tensor (meta->tensors[0], "x", GST_TENSOR_DATA_TYPE_FLOAT32, 2, 3);
  g_assert_cmpuint (gst_buffer_get_size (meta->tensors[0]->data), ==, 24);
  g_assert_cmpuint (gst_buffer_get_size (got), ==, 128 + 24);
  gst_buffer_unref (got);
  gst_harness_teardown (harness);
}

static void
test_half_rows_are_refused (void)
{
  assert_error ("saetensormeta", gst_buffer_new_allocate (NULL, 17, NULL),
      STATIC ("1", "float32", "4:3"), "17");
}

/* --- with the others --- */

static void
test_an_encoder_takes_the_tensors_of_frames (void)
{
  GstHarness *harness = play ("saetensormeta ! saeencoder dict-size=16 top-k=2 "
                              "codes-format=pairs !"
                              "saetensormeta tensor-id=latents",
      VIDEO);
  GstBuffer *frame = make_frame (&hidden, 1), *got;
  GstTensorMeta *meta = gst_buffer_get_tensor_meta (frame);

  gst_buffer_memset (meta->tensors[0]->data, 0, 0, 96);
  g_assert_cmpint (gst_harness_push (harness, frame), ==, GST_FLOW_OK);
  got = gst_harness_pull (harness);
  assert_caps (harness, "dimensions", "2:3:2,2:3:2");
  meta = gst_buffer_get_tensor_meta (got);
  g_assert_cmpuint (meta->num_tensors, ==, 2);
  g_assert_cmpstr (g_quark_to_string (meta->tensors[1]->id), ==, "latents-1");
  g_assert_cmpuint (meta->tensors[1]->num_dims, ==, 3);
  g_assert_cmpuint (GST_BUFFER_PTS (got), ==, 7 * GST_SECOND);
  gst_buffer_unref (got);
  gst_harness_teardown (harness);
}

static void
push_and_flush (GstHarness *harness)
{
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpint (gst_harness_push (harness, make_frame (&hidden, 1)), ==,
        GST_FLOW_OK);
    gst_buffer_unref (gst_harness_pull (harness));
  }
  gst_harness_push_event (harness, gst_event_new_flush_start ());
  gst_harness_push_event (harness, gst_event_new_flush_stop (TRUE));
}

static void
test_flush_and_states (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (guint i = 0; i < 3; i++) {
    push_and_flush (harness);
    gst_harness_push_event (harness, gst_event_new_segment (&segment));
    push_and_flush (harness);
    gst_element_set_state (harness->element, GST_STATE_NULL);
    gst_element_set_state (harness->element, GST_STATE_PLAYING);
    gst_harness_push_event (harness, gst_event_new_stream_start ("x"));
    gst_harness_set_src_caps_str (harness, VIDEO);
    gst_harness_push_event (harness, gst_event_new_segment (&segment));
  }
  gst_harness_teardown (harness);
}

static void
test_the_end_before_any_frame (void)
{
  GstHarness *harness = play ("saetensormeta", VIDEO);
  GstEvent *event;
  gboolean ended = FALSE;

  g_assert_true (gst_harness_push_event (harness, gst_event_new_eos ()));
  while ((event = gst_harness_try_pull_event (harness))) {
    ended = ended || GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  g_assert_true (ended);
  gst_harness_teardown (harness);
}

#define ADD(path, function)                                                    \
  g_test_add_func ("/plugin/saetensormeta/" path, function)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  ADD ("frames-give-their-tensors", test_frames_give_their_tensors);
  ADD ("column-major-dimensions-are-innermost-first",
      test_column_major_dimensions_are_innermost_first);
  ADD ("all-tensors-or-one", test_all_tensors_or_one);
  ADD ("caps-change-with-the-dimensions-only",
      test_caps_change_with_the_dimensions_only);
  ADD ("frames-without-rows-are-gaps", test_frames_without_rows_are_gaps);
  ADD ("any-tensor-without-rows-makes-a-gap",
      test_any_tensor_without_rows_makes_a_gap);
  ADD ("of-events-that-wait-the-latest-is-kept",
      test_of_events_that_wait_the_latest_is_kept);
  ADD ("what-is-wrong-is-said", test_what_is_wrong_is_said);
  ADD ("products-that-overflow-are-refused",
      test_products_that_overflow_are_refused);
  ADD ("an-id-that-is-not-there-is-said", test_an_id_that_is_not_there_is_said);
  ADD ("more-tensors-than-streams-have-are-refused",
      test_more_tensors_than_streams_have_are_refused);
  ADD ("tensors-get-a-meta-of-the-same-memory",
      test_tensors_get_a_meta_of_the_same_memory);
  ADD ("any-cut-into-memories", test_any_cut_into_memories);
  ADD ("headers-are-left-out", test_headers_are_left_out);
  ADD ("half-rows-are-refused", test_half_rows_are_refused);
  ADD ("an-encoder-takes-the-tensors-of-frames",
      test_an_encoder_takes_the_tensors_of_frames);
  ADD ("flush-and-states", test_flush_and_states);
  ADD ("the-end-before-any-frame", test_the_end_before_any_frame);
  return g_test_run ();
}
