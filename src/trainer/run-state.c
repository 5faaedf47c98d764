/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What of a run is state: all that a step changes and another one reads. Not
 * state are scratch, and what follows from the options. */
#include "run.h"

#include <string.h>

#include "json-text.h"

static void
describe_meter (SaeMeter *meter, const char *name, SaeState *state)
{
  g_autofree char *counts = g_strconcat (name, ".counts", NULL);
  g_autofree char *sums = g_strconcat (name, ".sums", NULL);
  g_autofree char *mean = g_strconcat (name, ".mean", NULL);
  g_autofree char *m2 = g_strconcat (name, ".m2", NULL);
  guint64 *const count[] = {&meter->rows, &meter->nnz, &meter->batches};
  double *const sum[] = {&meter->error2, &meter->cosine, &meter->norm_ratio,
      &meter->l1, &meter->loss, &meter->aux};
  guint64 u[G_N_ELEMENTS (count)];
  double d[G_N_ELEMENTS (sum)];

  /* A new field of a meter goes into one of the lists above. */
  G_STATIC_ASSERT (sizeof (SaeMeter) ==
                   (1 + G_N_ELEMENTS (count) + G_N_ELEMENTS (sum) + 2) * 8);
  for (guint i = 0; i < G_N_ELEMENTS (count); i++)
    u[i] = *count[i];
  for (guint i = 0; i < G_N_ELEMENTS (sum); i++)
    d[i] = *sum[i];
  sae_state_u64s (state, counts, u, G_N_ELEMENTS (count));
  sae_state_doubles (state, sums, d, G_N_ELEMENTS (sum));
  for (guint i = 0; i < G_N_ELEMENTS (count); i++)
    *count[i] = u[i];
  for (guint i = 0; i < G_N_ELEMENTS (sum); i++)
    *sum[i] = d[i];
  sae_state_doubles (state, mean, meter->mean, meter->d_out);
  sae_state_doubles (state, m2, meter->m2, meter->d_out);
}

static void
describe_parameter (SaeRun *run, guint which, SaeState *state)
{
  SaeParameter *p = &run->parameters[which];
  const char *name = sae_run_parameter_name (which);

  sae_state_floats (state, name, p->w, p->n);
  for (guint m = 0; m < run->rule->n_moments; m++) {
    g_autofree char *moment = g_strdup_printf ("%s.moment%u", name, m);
    sae_state_floats (state, moment, p->moments[m], p->n);
  }
  if (p->average) {
    g_autofree char *average = g_strconcat (name, ".average", NULL);
    sae_state_floats (state, average, p->average, p->n);
  }
}

static void
describe_window (SaeLatentStats *window, const char *name, SaeState *state)
{
  g_autofree char *rows = g_strconcat (name, ".rows", NULL);
  g_autofree char *fired = g_strconcat (name, ".fired", NULL);
  g_autofree char *sum = g_strconcat (name, ".sum", NULL);
  g_autofree char *max = g_strconcat (name, ".max", NULL);

  sae_state_u64s (state, rows, &window->n_rows, 1);
  sae_state_u64s (state, fired, window->fired, window->d_sae);
  sae_state_doubles (state, sum, window->sum, window->d_sae);
  sae_state_floats (state, max, window->max, window->d_sae);
}

static void
describe_firing (SaeFiring *firing, SaeState *state)
{
  sae_state_u64s (state, "firing.last", firing->last_fired, firing->d_sae);
  sae_state_u64s (state, "firing.rows", &firing->rows, 1);
  describe_window (&firing->now, "firing.now", state);
  describe_window (&firing->before, "firing.before", state);
}

static void
describe_spikes (SaeSpikes *spikes, SaeState *state)
{
  sae_state_doubles (state, "spikes.log_mean", &spikes->log_mean, 1);
  sae_state_u64s (state, "spikes.seen", &spikes->seen, 1);
  sae_state_u64s (state, "spikes.in_a_row", &spikes->in_a_row, 1);
}

static void
describe_outliers (SaeOutliers *outliers, SaeState *state)
{
  sae_state_doubles (state, "outliers.usual", &outliers->usual, 1);
  sae_state_u64s (state, "outliers.in_a_row", &outliers->in_a_row, 1);
}

static void
describe_batch_top_k (SaeBatchTopK *batch, SaeState *state)
{
  sae_state_doubles (state, "batch_top_k.sum", &batch->sum, 1);
  sae_state_u64s (state, "batch_top_k.batches", &batch->batches, 1);
}

/* Of the model that the run started from, as JSON; NULL without one. */
static char *
metadata_text (GHashTable *metadata)
{
  GHashTableIter iter;
  gpointer key, value;
  json_t *root;
  char *text;

  if (!metadata)
    return NULL;
  root = json_object ();
  g_hash_table_iter_init (&iter, metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    json_object_set_new (root, key, json_string (value));
  text = sae_json_write (root, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref (root);
  return text;
}

static GHashTable *
parse_metadata (const char *text, GError **error)
{
  GHashTable *metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  json_t *root = sae_json_read (text, strlen (text), "metadata", error), *value;
  const char *key;

  json_object_foreach (root, key, value)
  {
    const char *string = json_string_value (value);
    if (string)
      g_hash_table_insert (metadata, g_strdup (key), g_strdup (string));
  }
  if (!root)
    g_clear_pointer (&metadata, g_hash_table_unref);
  json_decref (root);
  return metadata;
}

static void
describe_metadata (SaeRun *run, SaeState *state)
{
  g_autofree char *text = metadata_text (run->metadata);
  GError **error;

  sae_state_text (state, "metadata", &text);
  error = sae_state_error (state);
  if (!sae_state_is_restoring (state) || !error)
    return;
  g_clear_pointer (&run->metadata, g_hash_table_unref);
  if (text && *text)
    run->metadata = parse_metadata (text, error);
}

void
sae_run_describe (SaeRun *run, SaeState *state)
{
  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    if (run->parameters[i].n)
      describe_parameter (run, i, state);
  sae_state_flag (state, "from_model", &run->from_model);
  sae_state_flag (state, "has_thresholds", &run->has_thresholds);
  describe_metadata (run, state);
  sae_state_doubles (state, "scale", &run->scale, 1);
  sae_state_doubles (state, "target_variance", &run->target_variance, 1);
  sae_state_flag (state, "calibrated", &run->calibrated);
  sae_state_u64s (state, "steps", &run->steps, 1);
  sae_state_u64s (state, "rows", &run->rows, 1);
  sae_state_u64s (state, "skipped_rows", &run->skipped_rows, 1);
  sae_state_u64s (state, "averaged_rows", &run->averaged_rows, 1);
  sae_state_doubles (state, "gradient_norm", &run->gradient_norm, 1);
  sae_state_doubles (state, "learning_rate", &run->learning_rate, 1);
  sae_state_doubles (state, "l1_coeff", &run->l1_coeff, 1);
  describe_firing (&run->firing, state);
  describe_spikes (&run->spikes, state);
  describe_outliers (&run->outliers, state);
  describe_batch_top_k (&run->batch_top_k, state);
  describe_meter (&run->since_last, "since_last", state);
  describe_meter (&run->total, "total", state);
  sae_state_expect (state, "scale", run->scale > 0);
  if (sae_state_expect (state, "calibrated", run->calibrated || run->means) &&
      run->calibrated)
    g_clear_pointer (&run->means, g_free);
}
