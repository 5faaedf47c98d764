/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aux-k.h"

#include <string.h>

/* Share of Σ‖e‖² that Σ‖e − mean e‖² has at least. (Where b_dec is learned, it
 * is near 1.) */
#define LEAST_VARIANCE 0.01
#define ROWS_PER_TASK 64
#define COLUMNS_PER_TASK 128

/* Places in SaeAuxK.scratch. */
enum { DEAD, W_ENC, B_ENC, B_DEC, INDEX, ERROR, E_HAT, MEAN };

void
sae_aux_k_init (SaeAuxK *aux, SaeWorkspace *workspace)
{
  memset (aux, 0, sizeof *aux);
  aux->workspace = sae_workspace_new_sharing (workspace);
  aux->gradients.workspace = aux->workspace;
}

void
sae_aux_k_clear (SaeAuxK *aux)
{
  for (guint i = 0; i < G_N_ELEMENTS (aux->scratch); i++)
    sae_scratch_clear (&aux->scratch[i]);
  sae_gradients_clear (&aux->gradients);
  g_clear_pointer (&aux->workspace, sae_workspace_unref);
}

static gboolean
fail_no_memory (SaeAuxK *aux, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for %u dead latents", aux->n_dead);
  aux->n_dead = 0;
  return FALSE;
}

static guint
count_dead (const guint64 *last_fired, guint n, guint64 alive_since)
{
  guint n_dead = 0;

  for (guint i = 0; i < n; i++)
    n_dead += last_fired[i] < alive_since;
  return n_dead;
}

gboolean
sae_aux_k_find_dead (SaeAuxK *aux, const SaeNet *net, const guint64 *last_fired,
    guint64 alive_since, GError **error)
{
  guint32 *dead;
  guint n = 0;

  aux->n_dead = count_dead (last_fired, net->d_sae, alive_since);
  if (aux->n_dead == 0)
    return TRUE;
  dead = sae_scratch_reserve (&aux->scratch[DEAD], aux->n_dead, sizeof *dead);
  if (!dead)
    return fail_no_memory (aux, error);
  for (guint i = 0; i < net->d_sae; i++)
    if (last_fired[i] < alive_since)
      dead[n++] = i;
  aux->dead = dead;
  return TRUE;
}

/* The dead as an encoder of their own, and the whole dictionary without b_dec:
 * @x has lost that already, and ê has none. */
static gboolean
gather_nets (SaeAuxK *aux, const SaeNet *net, guint k)
{
  gsize n = aux->n_dead, d_in = net->d_in;
  SaeScratch *s = aux->scratch;
  float *W_enc = sae_scratch_reserve (&s[W_ENC], n * d_in, sizeof (float));
  float *b_enc = sae_scratch_reserve (&s[B_ENC], n, sizeof (float));
  float *b_dec = sae_scratch_reserve (&s[B_DEC], net->d_out, sizeof (float));

  if (!W_enc || !b_enc || !b_dec)
    return FALSE;
  for (gsize p = 0; p < n; p++) {
    gsize i = aux->dead[p];
    memcpy (W_enc + p * d_in, net->W_enc + i * d_in, d_in * sizeof (float));
    b_enc[p] = net->b_enc[i];
  }
  memset (b_dec, 0, net->d_out * sizeof (float));
  aux->encoder = (SaeNet){
      .d_in = net->d_in,
      .d_out = net->d_out,
      .d_sae = aux->n_dead,
      .k = MIN (k, aux->n_dead),
      .sparsity = SAE_SPARSITY_TOP_K,
      .W_enc = W_enc,
      .b_enc = b_enc,
  };
  aux->net = *net;
  aux->net.b_dec = b_dec;
  return TRUE;
}

/* @latents of the dead as those of the whole dictionary: still ascending. */
static gboolean
use_own_indices (SaeAuxK *aux, SaeSparseRows *latents)
{
  gsize nnz = latents->offsets[latents->n_rows];
  guint32 *index =
      sae_scratch_reserve (&aux->scratch[INDEX], nnz, sizeof *index);

  for (gsize p = 0; index && p < nnz; p++)
    index[p] = aux->dead[latents->index[p]];
  latents->index = index;
  return index != NULL;
}

static guint
count_tasks (gsize n, gsize per_task)
{
  return (guint) ((n + per_task - 1) / per_task);
}

/* Of a batch, what e is found from and what is found of it. */
typedef struct {
  const float *target, *x_hat;
  gsize n, d;
  float *e;          /* [n, d] */
  double *mean, *m2; /* [d]: of its columns, m2 as in SaeMeter */
} Error;

static void
error_task (guint task, guint worker, gpointer data)
{
  const Error *error = data;
  gsize first = (gsize) task * ROWS_PER_TASK;
  gsize n = MIN (ROWS_PER_TASK, error->n - first), at = first * error->d;

  sae_kernels ()->subtract (error->e + at, error->target + at,
      error->x_hat + at, n * error->d);
}

/* For a slice of columns, row by row. */
static void
mean_task (guint task, guint worker, gpointer data)
{
  const Error *error = data;
  const SaeKernels *kernels = sae_kernels ();
  gsize begin = (gsize) task * COLUMNS_PER_TASK;
  gsize width = MIN (COLUMNS_PER_TASK, error->d - begin);
  double *mean = error->mean + begin, *m2 = error->m2 + begin;

  memset (mean, 0, width * sizeof *mean);
  memset (m2, 0, width * sizeof *m2);
  for (gsize r = 0; r < error->n; r++)
    kernels->welford (mean, m2, 1.0 / (double) (r + 1),
        error->e + r * error->d + begin, width);
}

/* Fills e; Σ‖e − mean e‖², or 0 where that is hardly any of Σ‖e‖². */
static double
find_error (Error *error, SaePool *pool)
{
  double sum2 = 0, mean2 = 0;

  sae_pool_run (pool, count_tasks (error->n, ROWS_PER_TASK), error_task, error);
  sae_pool_run (pool, count_tasks (error->d, COLUMNS_PER_TASK), mean_task,
      error);
  for (gsize j = 0; j < error->d; j++) {
    sum2 += error->m2[j];
    mean2 += error->mean[j] * error->mean[j];
  }
  return sum2 > LEAST_VARIANCE * (sum2 + (double) error->n * mean2) ? sum2 : 0;
}

/* Latents of the dead and the gradients of their error. */
static gboolean
compute (SaeAuxK *aux, const SaeGradients *main, const float *e, float *e_hat,
    GError **error)
{
  SaeGradients *g = &aux->gradients;
  SaeSparseRows latents;

  if (!sae_net_encode (&aux->encoder, aux->workspace, main->x, main->n,
          &latents, error))
    return FALSE;
  if (!use_own_indices (aux, &latents))
    return fail_no_memory (aux, error);
  if (!sae_net_decode (&aux->net, aux->workspace, &latents, e_hat, error))
    return FALSE;
  g->net = &aux->net;
  g->x = main->x;
  g->n = main->n;
  g->reduction = main->reduction;
  g->without_bias = TRUE;
  return sae_gradients_compute (g, &latents, e, e_hat, error);
}

gboolean
sae_aux_k_compute (SaeAuxK *aux, const SaeGradients *main, const float *target,
    const float *x_hat, guint k, double coeff, GError **error)
{
  gsize n = main->n, d = main->net->d_out;
  float *e = sae_scratch_reserve (&aux->scratch[ERROR], n * d, sizeof *e);
  float *e_hat =
      sae_scratch_reserve (&aux->scratch[E_HAT], n * d, sizeof *e_hat);
  double *mean = sae_scratch_reserve (&aux->scratch[MEAN], 2 * d, sizeof *mean);
  Error all = {target, x_hat, n, d, e, mean, mean ? mean + d : NULL};
  double variance;

  aux->loss = 0;
  if (aux->n_dead == 0)
    return TRUE;
  if (!e || !e_hat || !mean || !gather_nets (aux, main->net, k))
    return fail_no_memory (aux, error);
  variance = find_error (&all, aux->workspace->pool);
  if (!(variance > 0)) { /* rows are alike, or nothing is left over */
    aux->n_dead = 0;
    return TRUE;
  }
  aux->gradients.error_weight = coeff / variance;
  if (main->reduction == SAE_REDUCTION_SUM)
    aux->gradients.error_weight *= (double) d;
  if (!compute (aux, main, e, e_hat, error)) {
    aux->n_dead = 0;
    return FALSE;
  }
  aux->loss = aux->gradients.mse / aux->gradients.error_weight / variance;
  return TRUE;
}

void
sae_aux_k_add_row (const SaeAuxK *aux, guint i, float *W_enc_row,
    float *W_dec_row, float *scratch)
{
  gsize d_in = aux->net.d_in, d_out = aux->net.d_out;

  if (W_enc_row) {
    sae_gradients_row (&aux->gradients, i, scratch, NULL);
    sae_kernels ()->add (W_enc_row, scratch, d_in);
  }
  if (W_dec_row) {
    sae_gradients_row (&aux->gradients, i, NULL, scratch);
    sae_kernels ()->add (W_dec_row, scratch, d_out);
  }
}

void
sae_aux_k_add_biases (const SaeAuxK *aux, float *b_enc, float *b_dec)
{
  if (aux->n_dead == 0)
    return;
  for (guint p = 0; p < aux->n_dead; p++)
    b_enc[aux->dead[p]] += aux->gradients.b_enc[aux->dead[p]];
  sae_kernels ()->add (b_dec, aux->gradients.b_dec, aux->net.d_out);
}
