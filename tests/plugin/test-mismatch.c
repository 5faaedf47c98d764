/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Caps that are not those of the model, for every element that runs one:
 * nothing is negotiated, and one ERROR says what was expected and what came. */
#include "fault.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4

static const gchar *const ranks[] = {"%u", "%u:3", "%u:3:1", "%u:3:5"};

/* An element, the property that names the model, the width that this has on
 * that side, and what it takes. */
typedef struct {
  const gchar *element, *property;
  guint width;
  const gchar *const *types, *taken;
} Reader;

static const gchar *const floats[] = {"float32", "float16", "float64", NULL};
static const gchar *const codes[] = {"float32", NULL};
static const Reader readers[] = {
    {"saeencoder", "location", D, floats, "float32, float16 or float64"},
    {"saesteer", "location", D, floats, "float32, float16 or float64"},
    {"saetrainer", "init-location", D, floats, "float32, float16 or float64"},
    {"saedecoder", "location", F, codes, "float32 (dense)"},
    {"saetop", "model-location", F, codes, "float32 (dense)"},
    {"saescope", "model-location", F, codes, "float32 (dense)"},
};

static const gchar *const all_types[] = {"int32", "uint32", "int16", "uint16",
    "int8", "uint8", "int64", "uint64", "float16", "float32", "float64"};

static void
expect_refused (const Reader *reader, const gchar *model, const gchar *type,
    const gchar *rank, guint width, GQuark domain, gint code,
    const gchar *expected, const gchar *got)
{
  g_auto (Stream) stream =
      stream_new (reader->element, reader->property, model, NULL);
  g_autofree gchar *dims = g_strdup_printf (rank, width);
  float zeros[4] = {0};

  g_test_message ("%s: %s %s", reader->element, type, dims);
  stream_send_dims (&stream, type, dims);
  g_assert_cmpint (stream_push_floats (&stream, zeros, 4), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, domain, code, expected, got, NULL);
  stream_expect_nothing (&stream);
}

static guint
refuse_widths (const Reader *reader, const gchar *model)
{
  const guint widths[] = {1, reader->width - 1, reader->width + 1,
      2 * reader->width, G_MAXUINT32};
  g_autofree gchar *expected =
      g_strdup_printf ("expected rows of %u (", reader->width);
  guint tried = 0;

  for (guint t = 0; reader->types[t]; t++)
    for (guint w = 0; w < G_N_ELEMENTS (widths); w++)
      for (guint r = 0; r < G_N_ELEMENTS (ranks); r++, tried++) {
        g_autofree gchar *got = g_strdup_printf ("got rows of %u", widths[w]);
        expect_refused (reader, model, reader->types[t], ranks[r], widths[w],
            GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, expected, got);
      }
  return tried;
}

static guint
refuse_types (const Reader *reader, const gchar *model)
{
  guint tried = 0;

  for (guint t = 0; t < G_N_ELEMENTS (all_types); t++) {
    if (g_strv_contains (reader->types, all_types[t]))
      continue;
    for (guint r = 0; r < G_N_ELEMENTS (ranks); r++, tried++)
      expect_refused (reader, model, all_types[t], ranks[r], reader->width,
          GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE, reader->taken,
          all_types[t]);
  }
  return tried;
}

static void
test_reader (gconstpointer data)
{
  const Reader *reader = data;
  const SaeConfig config = {.d_in = D, .d_sae = F, .k = K};
  gchar *folder = stream_make_folder ();
  g_autofree gchar *model = stream_save_model (folder, "model", &config, 1);
  guint widths = refuse_widths (reader, model);
  guint types = refuse_types (reader, model);

  fault_report (1, widths + types, widths + types, 0);
  stream_remove_folder (folder);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (readers); i++) {
    g_autoptr (GstElementFactory) factory =
        gst_element_factory_find (readers[i].element);
    g_autofree gchar *path =
        g_strconcat ("/plugin/mismatch/", readers[i].element, NULL);
    if (factory)
      g_test_add_data_func (path, &readers[i], test_reader);
  }
  return stream_run_tests ();
}
