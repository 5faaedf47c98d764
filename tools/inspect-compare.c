/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-compare.h"

#include <stdio.h>

#include "numbers.h"
#include "progress.h"

/* What many papers call the same latent. */
#define ALIKE 0.9
/* What takes a fraction of a second needs no progress. */
#define LONG_SECONDS 1.0

typedef struct {
  SaeProgress *progress;
  gint64 begin;
} Told;

static void
tell (gdouble share, gpointer data)
{
  Told *told = data;
  double seconds =
      (double) (g_get_monotonic_time () - told->begin) / G_USEC_PER_SEC;
  g_autofree char *rest = NULL, *text = NULL;

  if (seconds < LONG_SECONDS)
    return;
  rest = sae_number_duration (seconds / share - seconds);
  text = g_strdup_printf ("comparing, %s left", rest);
  sae_progress_show (told->progress, share, text, FALSE);
}

static json_t *
list_matches (SaeComparison *comparison)
{
  g_autoptr (GBytes) cosines = sae_comparison_get_cosines (comparison);
  g_autoptr (GBytes) matches = sae_comparison_get_matches (comparison);
  gsize size;
  const guint32 *match = g_bytes_get_data (matches, &size);
  const float *cosine = g_bytes_get_data (cosines, NULL);
  json_t *array = json_array ();

  for (gsize i = 0; i < size / sizeof *match; i++)
    json_array_append_new (array,
        match[i] == SAE_COMPARISON_NONE
            ? json_pack ("{s:n, s:n}", "match", "cosine")
            : json_pack ("{s:I, s:f}", "match", (json_int_t) match[i], "cosine",
                  (double) cosine[i]));
  return array;
}

static json_t *
describe_side (const char *path, SaeModel *model, SaeComparison *comparison,
    gboolean matches)
{
  g_autofree char *name = g_filename_display_name (path);
  json_t *side = json_pack ("{s:s, s:i, s:f, s:f, s:f, s:f}", "path", name,
      "d_sae", (int) sae_model_get_d_sae (model), "share-above-0.9",
      sae_comparison_get_share_above (comparison, ALIKE), "min",
      sae_comparison_get_quantile (comparison, 0), "median",
      sae_comparison_get_quantile (comparison, 0.5), "max",
      sae_comparison_get_quantile (comparison, 1));

  if (matches)
    json_object_set_new (side, "latents", list_matches (comparison));
  return side;
}

static SaeComparison *
compare (SaeModel *a, SaeModel *b, gboolean quiet, GError **error)
{
  g_autoptr (SaeProgress) progress = sae_progress_new (quiet);
  Told told = {progress, g_get_monotonic_time ()};
  SaeComparison *comparison = sae_model_compare (a, b, tell, &told, error);

  sae_progress_clear (progress, FALSE);
  return comparison;
}

json_t *
sae_inspect_compare (const char *a, const char *b, gboolean matches,
    gboolean quiet, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (a, error);
  g_autoptr (SaeModel) other = model ? sae_model_load (b, error) : NULL;
  g_autoptr (SaeComparison) comparison =
      other ? compare (model, other, quiet, error) : NULL;
  g_autoptr (SaeComparison) reverse =
      comparison ? sae_comparison_reverse (comparison) : NULL;

  if (!reverse)
    return NULL;
  return json_pack ("{s:s, s:o, s:o}", "kind", "comparison", "a",
      describe_side (a, model, comparison, matches), "b",
      describe_side (b, other, reverse, matches));
}

static void
print_side (const char *name, const json_t *side)
{
  g_autofree char *d_sae = sae_number_grouped (
      (guint64) json_integer_value (json_object_get (side, "d_sae")));
  double share = json_real_value (json_object_get (side, "share-above-0.9"));

  printf ("  %-8s%12s%14.1f %%%10.3f%10.3f%10.3f\n", name, d_sae, 100 * share,
      json_real_value (json_object_get (side, "min")),
      json_real_value (json_object_get (side, "median")),
      json_real_value (json_object_get (side, "max")));
}

void
sae_inspect_print_comparison (const char *a, const char *b, const json_t *facts)
{
  printf ("A %s\nB %s\n", a, b);
  printf (
      "best cosine     latents   above 0.9       min    median       max\n");
  print_side ("A in B", json_object_get (facts, "a"));
  print_side ("B in A", json_object_get (facts, "b"));
}
