/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Eight threads set and get every property of a playing element; many
 * buffers; the tiniest numbers. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "fault.h"
#include "noise.h"
#include "fault.h"
#include "stream.h"

#define D 16
#define N_THREADS 8

typedef struct {
  Stream stream;
  guint32 seed;
  gint stop;               /* atomic */
  gint thread;             /* atomic: how many have begun */
  guint64 n_begun, n_done; /* atomic: properties set and got */
} Stress;

/* A value somewhere in the range of the property, near its lower end. */
static void
set_number (GObject *object, GParamSpec *pspec, Noise *noise)
{
  g_auto (GValue) number = G_VALUE_INIT, value = G_VALUE_INIT;
  g_autofree gchar *text = NULL;

  g_value_init (&number, G_TYPE_UINT);
  g_value_set_uint (&number, noise_below (noise, 100));
  g_value_init (&value, pspec->value_type);
  if (G_IS_PARAM_SPEC_STRING (pspec)) {
    text = g_strdup_printf ("key=%u", g_value_get_uint (&number));
    g_value_set_string (&value, noise_below (noise, 2) ? text : NULL);
  } else if (G_IS_PARAM_SPEC_ENUM (pspec)) {
    GEnumClass *values = G_PARAM_SPEC_ENUM (pspec)->enum_class;
    g_value_set_enum (&value,
        values->values[noise_below (noise, values->n_values)].value);
  } else {
    g_assert_true (g_value_transform (&number, &value));
  }
  g_param_value_validate (pspec, &value);
  g_object_set_property (object, pspec->name, &value);
}

static void
touch (GObject *object, GParamSpec *pspec, Noise *noise)
{
  g_auto (GValue) value = G_VALUE_INIT;

  /* The name and parent of an element are its bin's affair. */
  if (g_str_equal (pspec->name, "name") || g_str_equal (pspec->name, "parent"))
    return;
  if (pspec->flags & G_PARAM_WRITABLE && noise_below (noise, 2))
    set_number (object, pspec, noise);
  if (pspec->flags & G_PARAM_READABLE) {
    g_value_init (&value, pspec->value_type);
    g_object_get_property (object, pspec->name, &value);
  }
}

static gpointer
touch_all (gpointer data)
{
  Stress *stress = data;
  GObject *object = G_OBJECT (stress->stream.element);
  Noise noise = {
      .state = stress->seed + (guint) g_atomic_int_add (&stress->thread, 1)};
  guint n;
  g_autofree GParamSpec **pspecs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);

  while (!g_atomic_int_get (&stress->stop)) {
    __atomic_add_fetch (&stress->n_begun, 1, __ATOMIC_RELAXED);
    touch (object, pspecs[noise_below (&noise, n)], &noise);
    __atomic_add_fetch (&stress->n_done, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static void
drain (Stream *stream)
{
  GstMessage *message;
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (stream->harness)) != NULL)
    gst_buffer_unref (buffer);
  while ((message = gst_bus_pop (stream->bus)) != NULL)
    gst_message_unref (message);
}

static void
stress_by (GThreadFunc touch_it, Stream stream, const gchar *types,
    const gchar *dims, gsize row)
{
  Stress s = {.stream = stream, .seed = (guint32) g_test_rand_int ()};
  GThread *threads[N_THREADS];
  gpointer zeros = g_malloc0 (40 * row);
  gint64 end =
      g_get_monotonic_time () + (g_test_slow () ? 60 : 2) * G_TIME_SPAN_SECOND;

  stream_send_dims (&s.stream, types, dims);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("touch", touch_it, &s);
  for (guint i = 0; g_get_monotonic_time () < end; i++) {
    stream_push (&s.stream, stream_buffer (zeros, (1 + i % 40) * row));
    drain (&s.stream);
  }
  g_atomic_int_set (&s.stop, 1);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_free (zeros);
  stream_expect_no_error (&s.stream);
  if (s.n_begun)
    fault_report (11, s.n_begun, s.n_done, 0);
}

static void
stress (Stream stream, const gchar *types, const gchar *dims, gsize row)
{
  stress_by (touch_all, stream, types, dims, row);
}

static void
test_encoder (void)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "dict-size", 64, "top-k", 4, NULL);

  stress (stream, "float32", "16:1", D * 4);
}

static void
test_decoder (void)
{
  g_auto (Stream) stream = stream_new ("saedecoder", "input-size", D,
      "dict-size", 64, "top-k", 4, NULL);

  stress (stream, "uint32,float32", "4:1,4:1", 4 * 8);
}

static void
test_steer (void)
{
  g_auto (Stream) stream = stream_new ("saesteer", "dict-size", 64, "top-k", 4,
      "latents", "3:=5", NULL);

  stress (stream, "float32", "16:1", D * 4);
}

/* Edits come, change and go by both ways that there are. */
static gpointer
edit_all (gpointer data)
{
  Stress *stress = data;
  GstChildProxy *proxy = GST_CHILD_PROXY (stress->stream.element);
  Noise noise = {
      .state = stress->seed + (guint) g_atomic_int_add (&stress->thread, 1)};

  while (!g_atomic_int_get (&stress->stop)) {
    guint latent = noise_below (&noise, 8);
    g_autofree gchar *text =
        g_strdup_printf ("%u:=5,%u:*2", latent, latent + 1);
    g_autofree gchar *name = g_strdup_printf ("latent-%u::offset", latent);
    g_autofree gchar *got = NULL;
    GObject *child;
    switch (noise_below (&noise, 4)) {
      case 0:
        g_object_set (proxy, "latents", text, NULL);
        break;
      case 1:
        gst_child_proxy_set (proxy, name, 1.0, NULL);
        break;
      case 2:
        child = gst_child_proxy_get_child_by_index (proxy, latent);
        g_clear_object (&child);
        break;
      default:
        g_object_get (proxy, "latents", &got, NULL);
    }
  }
  return NULL;
}

static void
test_steer_edits (void)
{
  g_auto (Stream) stream =
      stream_new ("saesteer", "dict-size", 64, "top-k", 4, NULL);

  stress_by (edit_all, stream, "float32", "16:1", D * 4);
}

/* At the end the run is still the one that was started. */
static void
test_trainer (void)
{
  g_auto (Stream) stream = stream_new ("saetrainer", "dict-size", 64, "top-k",
      4, "batch-size", 16, NULL);

  stress (stream, "float32", "16:1", D * 4);
  g_object_set (stream.element, "location", NULL, NULL);
}

/* --- soak ----------------------------------------------------------------- */

/* Resident memory in bytes; 0 where it is not told. */
static gsize
read_resident (void)
{
  unsigned long total, resident = 0;
  FILE *file = fopen ("/proc/self/statm", "r");

  if (file && fscanf (file, "%lu %lu", &total, &resident) != 2)
    resident = 0;
  if (file)
    fclose (file);
  return resident * (gsize) sysconf (_SC_PAGESIZE);
}

/* Buffers of one to eight pieces of @size bytes, of which @bytes has eight. */
static void
push_some (Stream *stream, const guint8 *bytes, gsize size, guint n)
{
  GstBuffer *buffer;
  GstEvent *event;

  for (guint i = 0; i < n; i++) {
    g_assert_cmpint (stream_push (stream,
                         stream_buffer (bytes, (1 + i % 8) * size)),
        ==, GST_FLOW_OK);
    while ((buffer = gst_harness_try_pull (stream->harness)) != NULL)
      gst_buffer_unref (buffer);
    while ((event = gst_harness_try_pull_event (stream->harness)) != NULL)
      gst_event_unref (event); /* new caps, which the harness keeps */
  }
}

#define N_SAMPLES 50

/* Bytes per buffer, by least squares, when @n buffers come between samples. */
static double
find_slope (const gsize *samples, guint n)
{
  double mean = 0, up = 0, square = 0;

  for (guint i = 0; i < N_SAMPLES; i++)
    mean += (double) samples[i] / N_SAMPLES;
  for (guint i = 0; i < N_SAMPLES; i++) {
    double x = i - (N_SAMPLES - 1) / 2.0;
    up += x * ((double) samples[i] - mean);
    square += x * x;
  }
  return up / square / n;
}

static guint
count_between_samples (void)
{
  return g_test_slow () ? 10000 : 200;
}

/* Samples of the last half: less than 1 MB for 10⁶ buffers. A short run may be
 * off by what the allocator takes at once. */
static void
expect_flat (const gsize *samples)
{
  guint n = count_between_samples (), n_all = 2 * n * N_SAMPLES;
  double slope = find_slope (samples, n);

  g_test_message ("%u buffers: %.3f bytes each", n_all, slope);
  g_assert_cmpfloat (slope, <,
      g_test_slow () ? 1 : 1 + 1024.0 * 1024 / (n * N_SAMPLES));
  fault_report (16, n_all, n_all, 0);
}

/* Nobody reads the bus. */
static void
soak_by (Stream *stream, const guint8 *bytes, gsize size)
{
  guint n = count_between_samples ();
  gsize samples[N_SAMPLES];

  push_some (stream, bytes, size, n * N_SAMPLES);
  for (guint i = 0; i < N_SAMPLES; i++) {
    push_some (stream, bytes, size, n);
    samples[i] = read_resident ();
  }
  expect_flat (samples);
}

static void
soak (Stream stream, const gchar *types, const gchar *dims, gsize row)
{
  static const guint8 zeros[8 * 4 * D];

  g_assert_cmpuint (8 * row, <=, sizeof zeros);
  stream_send_dims (&stream, types, dims);
  soak_by (&stream, zeros, row);
}

/* Sanitizers keep what was freed for a while. */
static gboolean
skip_soak (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("freed memory is kept by the sanitizer");
  return TRUE;
#else
  return FALSE;
#endif
}

static void
test_soak_encoder (void)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "dict-size", 64, "top-k", 4, NULL);

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}

static void
test_soak_steer (void)
{
  g_auto (Stream) stream = stream_new ("saesteer", "dict-size", 64, "top-k", 4,
      "latents", "3:=5,9:*0", NULL);

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}

static void
test_soak_decoder (void)
{
  g_auto (Stream) stream = stream_new ("saedecoder", "input-size", D,
      "dict-size", 64, "top-k", 4, NULL);

  if (!skip_soak ())
    soak (stream, "uint32,float32", "4:1,4:1", 4 * 8);
}

static void
test_soak_npyenc (void)
{
  g_auto (Stream) stream = stream_new ("saenpyenc", "rows",
      G_GUINT64_CONSTANT (1) << 40, NULL); /* nobody here can seek back */

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}

/* Codes as activations, of 16 latents. */
static void
test_soak_top (void)
{
  g_auto (Stream) stream = stream_new ("saetop", NULL, NULL);

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}

/* A .npy file of three rows. */
static void
write_file (guint8 *file)
{
  static const char header[] =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 16), }";

  memcpy (file, "\x93NUMPY\1\0v\0", 10);
  memset (file + 10, ' ', 117);
  memcpy (file + 10, header, strlen (header));
  file[127] = '\n';
}

#define FILE_SIZE (128 + 3 * 4 * D)

/* One file after another. */
static void
test_soak_parse (void)
{
  g_auto (Stream) stream = stream_new ("saeparse", "rows-per-buffer", 2, NULL);
  guint8 files[8 * FILE_SIZE] = {0};
  GstSegment segment;

  for (guint i = 0; i < 8; i++)
    write_file (files + i * FILE_SIZE);
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (stream.harness, gst_event_new_stream_start ("soak"));
  gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  if (!skip_soak ())
    soak_by (&stream, files, FILE_SIZE);
  stream_expect_no_error (&stream);
}

/* Readers of what a trainer publishes after every batch. */
static void
test_soak_live (void)
{
  g_auto (Stream) stream = {NULL};
  GError *error = NULL;

  stream.element = gst_parse_bin_from_description (
      "saetrainer model-name=m dict-size=64 top-k=4 batch-size=64 "
      "publish-interval=160 stats-interval=0 ! saeencoder model-name=m ! "
      "saedecoder model-name=m",
      TRUE, &error);
  g_assert_no_error (error);
  gst_object_ref_sink (stream.element);
  stream.bus = gst_bus_new ();
  gst_element_set_bus (stream.element, stream.bus);
  stream.harness = gst_harness_new_with_element (stream.element, "sink", "src");
  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}

typedef struct {
  gsize samples[N_SAMPLES];
  guint n_buffers;
} Samples;

/* In the streaming thread. */
static GstPadProbeReturn
take_sample (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Samples *samples = data;
  guint n = count_between_samples ();
  guint sample = ++samples->n_buffers / n;

  if (samples->n_buffers % n == 0 && sample > N_SAMPLES)
    samples->samples[sample - N_SAMPLES - 1] = read_resident ();
  return GST_PAD_PROBE_OK;
}

/* Passes over a file, shuffled, one row a buffer. */
static void
run_source (const gchar *path, Samples *samples)
{
  g_autofree gchar *description =
      g_strdup_printf ("saesrc location=%s shuffle=true rows-per-buffer=1 "
                       "epochs=%u ! "
                       "fakesink name=sink",
          path, (2 * N_SAMPLES * count_between_samples () + 2) / 3);
  GstElement *pipeline = gst_parse_launch (description, NULL);
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  g_autoptr (GstMessage) end = NULL;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, take_sample, samples,
      NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  end = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline),
      GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (end), ==, GST_MESSAGE_EOS);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pad);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
}

static void
test_soak_source (void)
{
  gchar *folder = stream_make_folder ();
  g_autofree gchar *path = g_build_filename (folder, "x.npy", NULL);
  guint8 file[FILE_SIZE] = {0};
  Samples samples = {{0}, 0};

  write_file (file);
  g_assert_true (g_file_set_contents (path, (char *) file, FILE_SIZE, NULL));
  run_source (path, &samples);
  if (!skip_soak ())
    expect_flat (samples.samples);
  stream_remove_folder (folder);
}

#ifdef HAVE_SCOPE
static void
test_soak_scope (void)
{
  g_auto (Stream) stream = stream_new ("saescope", "rows-per-frame",
      G_GUINT64_CONSTANT (1000), NULL);

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
}
#endif

/* With all that a run may have beside it: the messages that nobody reads are
 * as many as may wait before the half that is measured. */
static void
test_soak_trainer (void)
{
  gchar *folder = stream_make_folder ();
  g_autofree gchar *location = g_build_filename (folder, "out", NULL);
  g_autofree gchar *checkpoint = g_build_filename (folder, "checkpoint", NULL);
  g_auto (Stream) stream = stream_new ("saetrainer", "dict-size", 64, "top-k",
      4, "batch-size", 64, "location", location, "checkpoint-location",
      checkpoint, "checkpoint-interval", G_GUINT64_CONSTANT (10000),
      "model-name", "m", "publish-interval", G_GUINT64_CONSTANT (256),
      "stats-interval", G_GUINT64_CONSTANT (1), NULL);

  if (!skip_soak ())
    soak (stream, "float32", "16:1", D * 4);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  stream_clear (&stream);
  stream_remove_folder (folder);
}

/* --- denormals ------------------------------------------------------------ */

/* The streaming thread's way with them is not ours to change. */
static void
test_denormals (void)
{
#ifdef __SSE__
  static const gchar *const elements[] = {"saeencoder", "saesteer",
      "saetrainer"};
  float tiny[40 * D];
  guint n_tried = 0;

  for (guint i = 0; i < G_N_ELEMENTS (tiny); i++)
    tiny[i] = 1e-40f * (float) (i % 7);
  for (guint i = 0; i < G_N_ELEMENTS (elements); i++)
    for (guint flush_to_zero = 0; flush_to_zero < 2; flush_to_zero++) {
      g_auto (Stream) stream =
          stream_new (elements[i], "dict-size", 64, "top-k", 4, NULL);
      unsigned int normal = _mm_getcsr () & 0xffc0u, before, after;
      stream_send_dims (&stream, "float32", "16:40");
      _mm_setcsr (flush_to_zero ? normal | 0x8040u : normal);
      before = _mm_getcsr () & 0xffc0u; /* the rest are sticky flags */
      stream_push_floats (&stream, tiny, G_N_ELEMENTS (tiny));
      gst_harness_push_event (stream.harness, gst_event_new_eos ());
      after = _mm_getcsr () & 0xffc0u;
      _mm_setcsr (normal);
      g_assert_cmphex (after, ==, before);
      stream_expect_no_error (&stream);
      n_tried++;
    }
  fault_report (6, n_tried, n_tried, 0);
#else
  g_test_skip ("no MXCSR");
#endif
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stress/properties/saeencoder", test_encoder);
  g_test_add_func ("/stress/properties/saedecoder", test_decoder);
  g_test_add_func ("/stress/properties/saesteer", test_steer);
  g_test_add_func ("/stress/edits/saesteer", test_steer_edits);
  g_test_add_func ("/stress/properties/saetrainer", test_trainer);
  g_test_add_func ("/stress/soak/saeencoder", test_soak_encoder);
  g_test_add_func ("/stress/soak/saesteer", test_soak_steer);
  g_test_add_func ("/stress/soak/saedecoder", test_soak_decoder);
  g_test_add_func ("/stress/soak/saenpyenc", test_soak_npyenc);
  g_test_add_func ("/stress/soak/saetop", test_soak_top);
  g_test_add_func ("/stress/soak/saeparse", test_soak_parse);
  g_test_add_func ("/stress/soak/saesrc", test_soak_source);
  g_test_add_func ("/stress/soak/live", test_soak_live);
#ifdef HAVE_SCOPE
  g_test_add_func ("/stress/soak/saescope", test_soak_scope);
#endif
  g_test_add_func ("/stress/soak/saetrainer", test_soak_trainer);
  g_test_add_func ("/stress/denormals-leave-mxcsr", test_denormals);
  return stream_run_tests ();
}
