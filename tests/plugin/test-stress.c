/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Eight threads set and get every property of a playing element. */
#include <string.h>

#include "noise.h"
#include "stream.h"

#define D 16
#define N_THREADS 8

typedef struct {
  Stream stream;
  guint32 seed;
  gint stop;   /* atomic */
  gint thread; /* atomic: how many have begun */
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

  while (!g_atomic_int_get (&stress->stop))
    touch (object, pspecs[noise_below (&noise, n)], &noise);
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
stress (Stream stream, const gchar *types, const gchar *dims, gsize row)
{
  Stress s = {.stream = stream, .seed = (guint32) g_test_rand_int ()};
  GThread *threads[N_THREADS];
  gpointer zeros = g_malloc0 (40 * row);
  gint64 end =
      g_get_monotonic_time () + (g_test_slow () ? 60 : 2) * G_TIME_SPAN_SECOND;

  stream_send_dims (&s.stream, types, dims);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("touch", touch_all, &s);
  for (guint i = 0; g_get_monotonic_time () < end; i++) {
    stream_push (&s.stream, stream_buffer (zeros, (1 + i % 40) * row));
    drain (&s.stream);
  }
  g_atomic_int_set (&s.stop, 1);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_free (zeros);
  stream_expect_no_error (&s.stream);
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

/* At the end the run is still the one that was started. */
static void
test_trainer (void)
{
  g_auto (Stream) stream = stream_new ("saetrainer", "dict-size", 64, "top-k",
      4, "batch-size", 16, NULL);

  stress (stream, "float32", "16:1", D * 4);
  g_object_set (stream.element, "location", NULL, NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stress/properties/saeencoder", test_encoder);
  g_test_add_func ("/stress/properties/saedecoder", test_decoder);
  g_test_add_func ("/stress/properties/saetrainer", test_trainer);
  return stream_run_tests ();
}
