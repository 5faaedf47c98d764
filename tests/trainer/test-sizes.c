/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sizes at and past their bounds, by every way that they come in: an error
 * that says which, and nothing is allocated for it. */
#include "fault.h"
#include "peak.h"
#include "sae-examples.h"
#include "sae-trainer.h"
#include "scratch.h"

#define MIB ((gsize) 1 << 20)
#define LARGEST (1u << 28)

static void
expect_error (GError **error, const char *part)
{
  g_assert_nonnull (*error);
  if (!strstr ((*error)->message, part))
    g_error ("expected '%s' in '%s'", part, (*error)->message);
  g_assert_true (g_error_matches (*error, SAE_ERROR, SAE_ERROR_SIZE) ||
                 g_error_matches (*error, SAE_ERROR, SAE_ERROR_NO_SPACE) ||
                 g_error_matches (*error, SAE_ERROR, SAE_ERROR_FORMAT));
  g_clear_error (error);
}

/* --- by the API ----------------------------------------------------------- */

static const struct {
  guint d_in, d_out, d_sae, k;
  const char *part;
} sizes[] = {
    {0, 0, 10, 1, "d_in: expected 1 to 268435456, got 0"},
    {4, 0, 0, 1, "d_sae: expected 1 to 268435456, got 0"},
    {LARGEST + 1, 0, 10, 1, "d_in: expected 1 to 268435456, got 268435457"},
    {4, LARGEST + 1, 10, 1, "d_out: expected 1 to 268435456"},
    {4, 0, LARGEST + 1, 1, "d_sae: expected 1 to 268435456, got 268435457"},
    {4, 0, 1u << 31, 1, "got 2147483648"},
    {4, 0, G_MAXUINT, 1, "got 4294967295"},
    {1u << 31, 0, 1u << 31, 1, "got 2147483648"},
    {G_MAXUINT, G_MAXUINT, G_MAXUINT, 1, "got 4294967295"},
    {LARGEST, 0, LARGEST, 1, "W_enc [268435456, 268435456]: no memory"},
    {1u << 26, 4, LARGEST, 1, "W_enc [268435456, 67108864]: no memory"},
    {4, 0, 10, 0, "top-k: expected 1 to dict-size 10, got 0"},
    {4, 0, 10, 11, "top-k: expected 1 to dict-size 10, got 11"},
    {4, 0, 10, G_MAXUINT, "top-k: expected 1 to dict-size 10"},
};

static guint
refuse_models (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
    const SaeConfig config = {.d_in = sizes[i].d_in,
        .d_out = sizes[i].d_out,
        .d_sae = sizes[i].d_sae,
        .k = sizes[i].k};
    GError *error = NULL;
    g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
    expect_error (&error, sizes[i].part);
    g_assert_null (
        sae_model_new_from_weights (&config, none, none, none, none, &error));
    expect_error (&error, sizes[i].part);
  }
  return 2 * G_N_ELEMENTS (sizes);
}

/* Options are 2^28 at most. */
static guint
refuse_trainers (void)
{
  static const struct {
    guint d_in, d_sae, k;
    const char *part;
  } runs[] = {
      {LARGEST, LARGEST, 1, "268435456"},
      {LARGEST, 4096, 32, "268435456"},
      {1u << 16, LARGEST, 32, "268435456"},
      {4, 10, 11, "top-k: expected 1 to dict-size 10, got 11"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    g_autoptr (SaeTrainer) trainer =
        sae_trainer_new (runs[i].d_in, runs[i].d_sae, runs[i].k);
    GError *error = NULL;
    g_assert_false (sae_trainer_start (trainer, &error));
    expect_error (&error, runs[i].part);
  }
  return G_N_ELEMENTS (runs);
}

static guint
refuse_examples (void)
{
  GError *error = NULL;

  g_assert_null (sae_examples_new (G_MAXUINT, SAE_EXAMPLES_MAX_PER_LATENT,
      SAE_EXAMPLES_MAX_CONTEXT, 0, &error));
  expect_error (&error, "no memory for 1000 of each of 4294967295 latents");
  g_assert_null (sae_examples_new (0, 1, 0, 0, &error));
  expect_error (&error, "d_sae of 1 or more");
  return 2;
}

/* --- by files ------------------------------------------------------------- */

/* The weights of one latent of rows of one number: what sizes that wrap 32 bits
 * could be taken for. */
#define HEADER                                                                 \
  "{\"W_enc\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"     \
  "\"W_dec\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]},"      \
  "\"b_enc\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"       \
  "\"b_dec\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}"

static void
write_weights (const char *path)
{
  const guint64 length = GUINT64_TO_LE (sizeof HEADER - 1);
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, (const guint8 *) &length, sizeof length);
  g_byte_array_append (bytes, (const guint8 *) HEADER, sizeof HEADER - 1);
  g_byte_array_append (bytes, (const guint8[16]){0}, 16);
  g_assert_true (
      g_file_set_contents (path, (const char *) bytes->data, bytes->len, NULL));
  g_byte_array_unref (bytes);
}

static const char *const large[] = {"0", "-1", "268435457", "2147483648",
    "4294967296", "4294967297", "2305843009213693952", "9223372036854775807",
    "9223372036854775808", "1e30", "16777216"};

static void
refuse_folder (Scratch *scratch, const char *weights_file, const char *config)
{
  g_autofree char *cfg = scratch_path (scratch, "cfg.json");
  g_autofree char *path = scratch_path (scratch, weights_file);
  GError *error = NULL;

  scratch_write_text (cfg, config);
  write_weights (path);
  g_assert_null (sae_model_load (scratch->path, &error));
  expect_error (&error, scratch->path);
  scratch_remove (path);
}

static guint
refuse_files (Scratch *scratch)
{
  guint tried = 0;

  for (guint i = 0; i < G_N_ELEMENTS (large); i++)
    for (guint j = 0; j < 3; j++, tried += 2) {
      const char *d = j == 1 ? "4" : large[i], *f = j == 0 ? "9" : large[i];
      g_autofree char *saelens = g_strdup_printf (
          "{\"architecture\":\"standard\",\"d_in\":%s,\"d_sae\":%s}", d, f);
      g_autofree char *sparsify =
          g_strdup_printf ("{\"d_in\":%s,\"num_latents\":%s,\"k\":1}", d, f);
      refuse_folder (scratch, "sae_weights.safetensors", saelens);
      refuse_folder (scratch, "sae.safetensors", sparsify);
    }
  return tried;
}

static void
test_sizes (Scratch *scratch, gconstpointer data)
{
  gsize before = peak_read ();
  guint tried = refuse_models () + refuse_trainers () + refuse_examples () +
                refuse_files (scratch);

  g_assert_cmpuint (peak_read () - before, <, 16 * MIB);
  fault_report (8, tried, tried, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/trainer/sizes/refused-before-they-are-allocated", test_sizes);
  return g_test_run ();
}
