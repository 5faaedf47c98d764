/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a few bytes may make an element do: the property max-bytes, and sparse
 * codes that lie. */
#include <string.h>
#include <sys/resource.h>

#include "fault.h"
#include "noise.h"
#include "peak.h"
#include "stream.h"

#define SPARSE "other/tensors,format=(string)sparse"
#define FLEXIBLE "other/tensors,format=(string)flexible"
#define STATIC                                                                 \
  "other/tensors,format=(string)static,num_tensors=(int)1,"                    \
  "types=(string)float32,dimensions=(string)"

/* The element that @description begins with, its properties behind it. */
static Stream
describe (const gchar *description)
{
  g_autoptr (GError) error = NULL;
  Stream stream = {NULL};

  stream.element = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  gst_object_ref_sink (stream.element);
  stream.bus = gst_bus_new ();
  gst_element_set_bus (stream.element, stream.bus);
  stream.harness = gst_harness_new_with_element (stream.element, "sink", "src");
  return stream;
}

/* What comes in: a header of @width × @n_rows, and with @full the floats that
 * it speaks of, all of them 0. */
typedef struct {
  const gchar *caps;
  guint32 width, n_rows;
  gboolean full;
} Input;

static GstBuffer *
make_input (const Input *input)
{
  gsize n = input->full ? (gsize) input->width * input->n_rows : 0;
  g_autofree float *zeros = g_new0 (float, n);
  GstBuffer *buffer = gst_buffer_new ();
  GstMemory *memory =
      g_str_equal (input->caps, SPARSE)
          ? stream_sparse (input->width, input->n_rows, NULL, NULL, 0)
          : stream_flexible (7, input->width, input->n_rows, zeros,
                n * sizeof *zeros);

  if (g_str_has_prefix (input->caps, STATIC))
    gst_memory_resize (memory, 128, n * sizeof *zeros);
  gst_buffer_append_memory (buffer, memory);
  return buffer;
}

static GstFlowReturn
send (Stream *stream, const Input *input)
{
  stream_send_caps (stream, gst_caps_from_string (input->caps));
  return stream_push (stream, make_input (input));
}

static gboolean
is_missing (const gchar *description)
{
  g_auto (GStrv) words = g_strsplit (description, " ", 2);
  g_autoptr (GstElementFactory) factory = gst_element_factory_find (words[0]);

  return factory == NULL;
}

/* --- a few bytes that ask for far too much -------------------------------- */

#define MIB ((gsize) 1 << 20)
#define DECODER "saedecoder dict-size=64 top-k=4 input-size="

/* Refused by the defaults. The first ones would still fit this machine. */
static const struct {
  const gchar *description;
  Input input;
  const gchar *asked;
} greedy[] = {
    {DECODER "320", {SPARSE, 64, 1 << 20}, "1350565896"},
    {DECODER "16", {SPARSE, 64, 1 << 24}, "1207959560"},
    {"saenpyenc rows=1", {SPARSE, (1 << 28) + 1, 1}, "1073741828"},
    {"saenpyenc rows=4194304", {SPARSE, 1024, 1 << 22}, "17179869184"},
    {"saenpyenc rows=1", {SPARSE, G_MAXUINT32, 1}, "17179869180"},
    {"saetop", {SPARSE, 1 << 19, 1}, "1673527296"},
    {"saetop", {SPARSE, 1 << 28, 1}, "856845975552"},
    {"saetop", {SPARSE, G_MAXUINT32, 1}, NULL},
    {"saescope", {SPARSE, 100000000, 1}, "1200000000"},
    {"saescope", {SPARSE, G_MAXUINT32, 1}, "51539607540"},
    {DECODER "4096", {SPARSE, 64, 1 << 24}, "275012124680"},
    {"saeencoder", {FLEXIBLE, 1 << 18, 1, TRUE}, "8589934592"},
    {"saesteer latents=1:*0", {FLEXIBLE, 1 << 18, 1, TRUE}, "8589934592"},
    {"saetrainer", {FLEXIBLE, 1 << 18, 1, TRUE}, "8589934592"},
    {"saetrainer input-size=16", {STATIC "262144:1", 1 << 18, 1, TRUE}, NULL},
    {"saetrainer model-name=m dict-size=65536", {STATIC "4294967295:1"}, NULL},
};

static void
test_greedy (void)
{
  gsize before = peak_read ();

  for (guint i = 0; i < G_N_ELEMENTS (greedy); i++) {
    g_auto (Stream) stream = {NULL};
    if (is_missing (greedy[i].description))
      continue;
    g_test_message ("%s", greedy[i].description);
    stream = describe (greedy[i].description);
    g_assert_cmpint (send (&stream, &greedy[i].input), <, GST_FLOW_OK);
    stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "expected", greedy[i].asked ? "(max-bytes)" : "", greedy[i].asked,
        NULL);
  }
  g_assert_cmpuint (peak_read () - before, <, 64 * MIB);
}

/* --- the limit itself ----------------------------------------------------- */

/* What each asks for, to the byte. */
static const struct {
  const gchar *description;
  Input input;
  guint64 bytes;
} exact[] = {
    {DECODER "16", {SPARSE, 64, 3}, 3 * 16 * 4 + 4 * 8},
    {DECODER "16", {STATIC "64:3", 64, 3, TRUE}, 3 * 16 * 4},
    {DECODER "16", {FLEXIBLE, 64, 3, TRUE}, 3 * 16 * 4},
    {"saenpyenc rows=3", {SPARSE, 64, 3}, 3 * 64 * 4},
    {"saetop per-latent=1 context=0", {SPARSE, 64, 3},
        64 * (2 * (24 + 4 + 16 + 36) + 256)},
    {"saetop per-latent=1 context=0", {STATIC "64:3", 64, 3, TRUE},
        64 * (2 * (24 + 4 + 16 + 36) + 256)},
    {"saetop dict-size=64", {SPARSE, 64, 3}, 4 * 8},
    {"saescope", {SPARSE, 64, 3}, 64 * 12},
    {"saescope dict-size=64", {SPARSE, 64, 3}, 4 * 8},
    {"saeencoder input-size=16 dict-size=64 codes-format=dense",
        {STATIC "16:3", 16, 3, TRUE}, 3 * 64 * 4},
    {"saeencoder input-size=16 dict-size=64 codes-format=sparse",
        {STATIC "16:3", 16, 3, TRUE}, 128},
    {"saeencoder dict-size=64 top-k=4", {FLEXIBLE, 16, 3, TRUE}, 64 * 32 * 4},
    {"saesteer dict-size=64 top-k=4 latents=1:*0", {FLEXIBLE, 16, 3, TRUE},
        64 * 32 * 4},
    {"saetrainer dict-size=64 top-k=4", {FLEXIBLE, 16, 3, TRUE}, 64 * 32 * 4},
    {"saetrainer dict-size=64 top-k=4 skip-connection=true",
        {FLEXIBLE, 16, 3, TRUE}, 64 * 32 * 4 + 16 * 16 * 4},
};

static GstFlowReturn
send_with_limit (guint i, guint64 max_bytes)
{
  g_auto (Stream) stream = {NULL};
  g_autofree gchar *description =
      g_strdup_printf ("%s max-bytes=%" G_GUINT64_FORMAT, exact[i].description,
          max_bytes);
  g_autofree gchar *limit =
      g_strdup_printf ("at most %" G_GUINT64_FORMAT " bytes (max-bytes)",
          max_bytes);
  g_autofree gchar *asked =
      g_strdup_printf ("asks for %" G_GUINT64_FORMAT, exact[i].bytes);
  GstFlowReturn flow;

  g_test_message ("%s", description);
  stream = describe (description);
  flow = send (&stream, &exact[i].input);
  if (flow == GST_FLOW_OK)
    stream_expect_no_error (&stream);
  else
    stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        limit, asked, NULL);
  return flow;
}

static void
test_exact (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);

  if (is_missing (exact[i].description)) {
    g_test_skip ("no such element");
    return;
  }
  g_assert_cmpint (send_with_limit (i, exact[i].bytes), ==, GST_FLOW_OK);
  g_assert_cmpint (send_with_limit (i, exact[i].bytes - 1), ==, GST_FLOW_ERROR);
  g_assert_cmpint (send_with_limit (i, 0), ==, GST_FLOW_OK);
}

/* --- sparse codes that lie ------------------------------------------------ */

#define F 64
#define N 5
#define NNZ 7
#define WORDS (32 + 2 * NNZ)

enum { AT_WIDTH = 3, AT_ROWS = 4, AT_NNZ = 21, AT_FLAT = 32 + NNZ };

/* A word above @least. */
static guint32
draw_above (Noise *noise, guint32 least)
{
  guint32 bits = (guint32) noise_bits (noise) >> noise_below (noise, 25);

  return MAX (bits, least) + (bits <= least);
}

/* Codes of N rows with one thing wrong about them. */
static void
lie (Noise *noise, guint32 *words, gsize *size)
{
  guint32 header[32] = {0xfeedccedu, 0xde001000u, 7, F, N};
  guint32 more;

  memcpy (words, header, sizeof header);
  words[AT_NNZ] = NNZ;
  for (guint p = 0; p < NNZ; p++) {
    words[32 + p] = 0x3f800000;
    words[AT_FLAT + p] = noise_below (noise, N * F);
  }
  *size = WORDS * sizeof *words;
  switch (noise_below (noise, 5)) {
    case 0: /* a row or an index that there is not */
      words[AT_FLAT + noise_below (noise, NNZ)] = draw_above (noise, N * F - 1);
      break;
    case 1: /* more or fewer values than there are; 2^29 more wrap 32 bits */
      more = noise_below (noise, 2) ? (1 + noise_below (noise, 7)) << 29
                                    : draw_above (noise, 0);
      words[AT_NNZ] += more;
      break;
    case 2: /* bytes that are missing, or too many */
      *size -= 1 + noise_below (noise, 128 + 8 * NNZ - 1);
      break;
    case 3: /* rows whose elements wrap 32 bits: N · F again */
      words[AT_ROWS] = N + ((1 + noise_below (noise, F - 1)) << 26);
      break;
    default: /* dimensions whose product wraps 64 bits: to 0 */
      for (guint i = 0; i < 5; i++)
        words[AT_ROWS + i] = 1u << (24 + noise_below (noise, 8));
      break;
  }
}

static void
test_lies (gconstpointer description)
{
  guint tried = g_test_slow () ? 20000 : 600, survived = 0;
  Noise noise = noise_new ();

  for (guint i = 0; i < tried; i++) {
    g_auto (Stream) stream = describe (description);
    guint32 words[WORDS];
    gsize size;
    lie (&noise, words, &size);
    stream_send_caps (&stream, gst_caps_from_string (SPARSE));
    g_assert_cmpint (stream_push (&stream, stream_buffer (words, size)), ==,
        GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        NULL);
    if (!g_str_has_prefix (description, "saenpyenc")) /* it has a header */
      stream_expect_nothing (&stream);
    survived++;
  }
  fault_report (28, tried, survived, 0);
}

int
main (int argc, char **argv)
{
  static const gchar *const readers[] = {DECODER "16", "saenpyenc rows=5",
      "saetop dict-size=64", "saetop", "saescope dict-size=64"};
  const struct rlimit space = {(rlim_t) 8 << 30, (rlim_t) 8 << 30};

  /* Without a limit of ours, this machine is not to suffer. */
  if (!g_getenv ("SAE_TEST_PRELOAD"))
    setrlimit (RLIMIT_AS, &space);
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/limits/defaults-refuse", test_greedy);
  for (guint i = 0; i < G_N_ELEMENTS (exact); i++) {
    g_auto (GStrv) words = g_strsplit (exact[i].description, " ", 2);
    g_autofree gchar *path =
        g_strdup_printf ("/plugin/limits/to-the-byte/%s-%u", words[0], i);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_exact);
  }
  for (guint i = 0; i < G_N_ELEMENTS (readers); i++) {
    g_auto (GStrv) words = g_strsplit (readers[i], " ", 2);
    g_autofree gchar *path =
        g_strdup_printf ("/plugin/limits/sparse-lies/%s-%u", words[0], i);
    if (!is_missing (readers[i]))
      g_test_add_data_func (path, readers[i], test_lies);
  }
  return stream_run_tests ();
}
