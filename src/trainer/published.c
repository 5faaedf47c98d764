/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "published.h"

#include <math.h>
#include <string.h>

#include "average.h"
#include "update.h"

static gboolean
fail_no_memory (const SaeRun *run, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the dictionary of %u latents", run->net.d_sae);
  return FALSE;
}

/* A mean of unit vectors is none. */
static gboolean
make_unit_rows (SaeRun *run)
{
  const SaeParameter *from = &run->parameters[SAE_W_DEC];
  gsize d_out = run->net.d_out;
  float *W_dec = sae_scratch_reserve (&run->scratch[SAE_RUN_PUBLISHED_W_DEC],
      from->n, sizeof *W_dec);

  if (!W_dec)
    return FALSE;
  memcpy (W_dec, from->average, from->n * sizeof *W_dec);
  if (run->options.decoder_norm == SAE_DECODER_NORM_UNIT)
    for (gsize i = 0; i < run->net.d_sae; i++)
      sae_update_make_unit (W_dec + i * d_out, d_out);
  run->published.W_dec = W_dec;
  return TRUE;
}

static gboolean
use_average (SaeRun *run)
{
  run->published.W_enc = run->parameters[SAE_W_ENC].average;
  run->published.b_enc = run->parameters[SAE_B_ENC].average;
  run->published.b_dec = run->parameters[SAE_B_DEC].average;
  run->published.W_skip = run->parameters[SAE_W_SKIP].average;
  return make_unit_rows (run);
}

/* jump-relu's own thresholds, or one for all from batch-top-k. */
static gboolean
fill_thresholds (SaeRun *run, gboolean averaged)
{
  const SaeParameter *p = &run->parameters[SAE_THRESHOLD];
  const float *logs = averaged ? p->average : p->w;
  float all = (float) sae_batch_top_k_get_threshold (&run->batch_top_k);
  float *threshold =
      sae_scratch_reserve (&run->scratch[SAE_RUN_PUBLISHED_THRESHOLD],
          run->net.d_sae, sizeof *threshold);

  if (!threshold)
    return FALSE;
  for (guint i = 0; i < run->net.d_sae; i++)
    threshold[i] = p->n ? expf (logs[i]) : all;
  run->published.threshold = threshold;
  run->published.sparsity = SAE_SPARSITY_JUMP_RELU;
  run->published.k = 0;
  return TRUE;
}

gboolean
sae_run_get_published (SaeRun *run, SaeNet *net, GError **error)
{
  gboolean averaged =
      sae_average_is_on (&run->options) && run->averaged_rows > 0;
  gboolean thresholds = run->net.sparsity == SAE_SPARSITY_JUMP_RELU ||
                        run->net.sparsity == SAE_SPARSITY_BATCH_TOP_K;

  if (!run->published_is_made) {
    run->published = run->net;
    run->published.k = run->options.k;
    if ((averaged && !use_average (run)) ||
        (thresholds && !fill_thresholds (run, averaged)))
      return fail_no_memory (run, error);
    run->published_is_made = TRUE;
  }
  *net = run->published;
  return TRUE;
}
