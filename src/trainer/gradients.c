/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gradients.h"

#include <math.h>
#include <string.h>

#include "gemm.h"
#include "group.h"

#define LATENTS_PER_TASK SAE_GRADIENTS_BLOCK
/* A block is dense when one in so many of its values is active. */
#define DENSE_SHARE 8
#define ROWS_PER_TASK 64
/* Columns of W_enc that one task sums over all latents. */
#define COLUMNS_PER_TASK 128

/* Places in SaeGradients.scratch. */
enum {
  G,
  FIRST,
  ROW,
  H,
  Q,
  B_ENC,
  B_DEC,
  L1_DECAY,
  L1_PART,
  ROW_ERROR,
  ROW_NORM,
  SUMS,
  BLOCKS,
};

typedef struct {
  SaeGradients *gradients;
  const SaeKernels *kernels;
  const float *target, *x_hat;
  float *g, *q, *b_enc, *b_dec, *l1_decay;
  double *l1_part;   /* [d_sae] */
  double *row_error; /* [n]: ‖t − x̂‖² */
  double *row_norm;  /* [n]: ‖x‖² */
  SaeRowSums *sums;
  const SaeSparseRows *latents;
} Job;

void
sae_gradients_clear (SaeGradients *gradients)
{
  for (guint i = 0; i < G_N_ELEMENTS (gradients->scratch); i++)
    sae_scratch_clear (&gradients->scratch[i]);
}

static guint
count_prefixes (const SaeGradients *gradients)
{
  return gradients->prefixes ? gradients->n_prefixes : 1;
}

static gboolean
reserve (SaeGradients *gradients, gsize nnz, Job *job)
{
  SaeScratch *s = gradients->scratch;
  gsize F = gradients->net->d_sae, d_out = gradients->net->d_out;

  job->g = sae_scratch_reserve (&s[G],
      count_prefixes (gradients) * gradients->n * d_out, sizeof (float));
  job->q = sae_scratch_reserve (&s[Q], nnz, sizeof (float));
  job->b_enc = sae_scratch_reserve (&s[B_ENC], F, sizeof (float));
  job->b_dec = sae_scratch_reserve (&s[B_DEC], d_out, sizeof (float));
  job->l1_decay = sae_scratch_reserve (&s[L1_DECAY], F, sizeof (float));
  job->l1_part = sae_scratch_reserve (&s[L1_PART], F, sizeof (double));
  job->row_error =
      sae_scratch_reserve (&s[ROW_ERROR], gradients->n, sizeof (double));
  job->row_norm =
      sae_scratch_reserve (&s[ROW_NORM], gradients->n, sizeof (double));
  job->sums = sae_scratch_reserve (&s[SUMS], gradients->n, sizeof (SaeRowSums));
  gradients->first = sae_scratch_reserve (&s[FIRST], F + 2, sizeof (gsize));
  gradients->row = sae_scratch_reserve (&s[ROW], nnz, sizeof (guint32));
  gradients->h = sae_scratch_reserve (&s[H], nnz, sizeof (float));
  gradients->g = job->g;
  gradients->q = job->q;
  gradients->b_enc = job->b_enc;
  gradients->b_dec = job->b_dec;
  gradients->l1_decay = job->l1_decay;
  gradients->sums = job->sums;
  return job->g && job->q && job->b_enc && job->b_dec && job->l1_decay &&
         job->l1_part && job->row_error && job->row_norm && job->sums &&
         gradients->first && gradients->row && gradients->h;
}

/* ∂loss/∂x_hat is this times x̂ − t. */
static double
residual_factor (const SaeGradients *gradients)
{
  return 2.0 * gradients->error_weight;
}

double
sae_gradients_error_weight (SaeReduction reduction, gsize n, guint d_out)
{
  double weight = 1.0 / (double) n;

  return reduction == SAE_REDUCTION_SUM ? weight : weight / d_out;
}

/* ∂loss/∂x_hat [n, d_out] as latent @i has it. */
static const float *
residuals_of (const SaeGradients *gradients, guint i)
{
  gsize size = gradients->n * gradients->net->d_out;
  guint prefix = 0;

  while (prefix + 1 < count_prefixes (gradients) &&
         gradients->prefixes[prefix] <= i)
    prefix++;
  return gradients->g + prefix * size;
}

/* g of row @r, from the longest prefix to the shortest; the sum of their
 * squared errors. */
static double
residual_row (const Job *job, gsize r)
{
  const SaeGradients *gradients = job->gradients;
  gsize d = gradients->net->d_out, size = gradients->n * d;
  const float *target = job->target + r * d;
  float factor = (float) residual_factor (gradients);
  double error2 = 0;

  for (guint p = count_prefixes (gradients); p-- > 0;) {
    float *g = job->g + p * size + r * d;
    const float *x_hat = job->x_hat + p * size + r * d;
    SaeRowSums sums;
    job->kernels->scaled_difference (g, factor, x_hat, target, d);
    job->kernels->row_sums (target, x_hat, d, &sums);
    error2 += sums.error2;
    if (p + 1 < count_prefixes (gradients))
      job->kernels->add (g, g + size, d);
    else
      job->sums[r] = sums;
  }
  return error2;
}

/* ‖x‖² of row @r, which is known where the rows are their own target. */
static double
squared_norm (const Job *job, gsize r)
{
  gsize d = job->gradients->net->d_in;
  const float *x = job->gradients->x + r * d;
  SaeRowSums sums;

  if (job->gradients->x == job->target)
    return job->sums[r].x2;
  job->kernels->row_sums (x, x, d, &sums);
  return sums.x2;
}

static void
group (const Job *job)
{
  SaeGradients *gradients = job->gradients;

  sae_group_by_latent (job->latents, gradients->net->d_sae,
      (gsize *) gradients->first, (guint32 *) gradients->row,
      (float *) gradients->h);
}

/* g = ∂loss/∂x_hat, and the squared norms of each row; and, as the first task,
 * what needs none of them and cannot be divided. */
static void
residual_task (guint task, guint worker, gpointer data)
{
  Job *job = data;
  const SaeGradients *gradients = job->gradients;
  gsize n = gradients->n, first = ((gsize) task - 1) * ROWS_PER_TASK;

  if (task == 0) {
    group (job);
    return;
  }
  for (gsize r = first; r < MIN (first + ROWS_PER_TASK, n); r++) {
    job->row_error[r] = residual_row (job, r);
    job->row_norm[r] = squared_norm (job, r);
  }
}

static void
no_gradients (Job *job, guint i)
{
  job->b_enc[i] = job->l1_decay[i] = 0;
  job->l1_part[i] = 0;
}

/* q, ∂b_enc and the L1 terms of latent @i. @scores: its g_s·W_dec[i] for every
 * row s, @stride apart, where they are known already. */
static void
latent_gradients (Job *job, guint i, const float *scores, gsize stride)
{
  const SaeGradients *gradients = job->gradients;
  gsize d = gradients->net->d_out, n = gradients->n;
  const float *W_dec = gradients->net->W_dec + i * d;
  const float *g = residuals_of (gradients, i);
  gboolean sum = gradients->reduction == SAE_REDUCTION_SUM;
  double norm = 1.0, h_sum = 0.0, factor;
  float l1_term, b_enc = 0.0f;

  factor = gradients->counts ? 0 : gradients->l1_coeff / (double) n;
  if (sum)
    norm = sqrt ((double) job->kernels->dot (W_dec, W_dec, d));
  else
    factor /= gradients->net->d_sae;
  l1_term = (float) (factor * norm);
  for (gsize p = gradients->first[i]; p < gradients->first[i + 1]; p++) {
    gsize row = gradients->row[p];
    float score = scores ? scores[row * stride]
                         : job->kernels->dot (g + row * d, W_dec, d);
    job->q[p] = score + l1_term;
    b_enc += job->q[p];
    h_sum += gradients->h[p];
  }
  job->b_enc[i] = b_enc;
  job->l1_part[i] =
      gradients->counts
          ? (double) (gradients->first[i + 1] - gradients->first[i])
          : h_sum * norm;
  job->l1_decay[i] = sum && norm > 0 ? (float) (factor * h_sum / norm) : 0;
}

static void
latents_task (guint task, guint worker, gpointer data)
{
  Job *job = data;
  const SaeGradients *gradients = job->gradients;
  gsize d = gradients->net->d_out;
  guint first = task * LATENTS_PER_TASK;
  guint last = MIN (first + LATENTS_PER_TASK, gradients->net->d_sae);
  float *scores = NULL;

  if (sae_gradients_block_is_dense (gradients, first, last)) {
    scores = (float *) gradients->scratch[BLOCKS].data +
             worker * gradients->n * LATENTS_PER_TASK;
    sae_gemm (1, gradients->n, last - first, d, job->g, d,
        gradients->net->W_dec + first * d, d, scores, LATENTS_PER_TASK);
  }
  for (guint i = first; i < last; i++)
    if (sae_gradients_is_active (gradients, i))
      latent_gradients (job, i, scores ? scores + (i - first) : NULL,
          LATENTS_PER_TASK);
    else
      no_gradients (job, i);
}

/* ∂b_dec for a slice of columns: rows and latents ascending. */
static void
b_dec_task (guint task, guint worker, gpointer data)
{
  Job *job = data;
  const SaeGradients *gradients = job->gradients;
  const SaeNet *net = gradients->net;
  gsize d = net->d_out, begin = (gsize) task * COLUMNS_PER_TASK;
  gsize n = MIN (COLUMNS_PER_TASK, d - begin);
  float *b_dec = job->b_dec + begin;

  memset (b_dec, 0, n * sizeof *b_dec);
  for (gsize r = 0; !gradients->without_bias && r < gradients->n; r++)
    job->kernels->add (b_dec, job->g + r * d + begin, n);
  if (!net->pre_bias)
    return;
  for (guint i = 0; i < net->d_sae; i++)
    if (sae_gradients_is_active (gradients, i))
      job->kernels->add_scaled (b_dec, -job->b_enc[i],
          net->W_enc + i * d + begin, n);
}

static void
add_losses (SaeGradients *gradients, const Job *job)
{
  double error2 = 0, l1 = 0;

  for (gsize r = 0; r < gradients->n; r++)
    error2 += job->row_error[r];
  for (guint i = 0; i < gradients->net->d_sae; i++)
    l1 += job->l1_part[i];
  gradients->mse = gradients->error_weight * error2;
  gradients->l1 = l1 / (double) gradients->n;
  if (gradients->reduction != SAE_REDUCTION_SUM && !gradients->counts)
    gradients->l1 /= gradients->net->d_sae;
  gradients->loss = gradients->mse + gradients->l1_coeff * gradients->l1;
}

/* By Cauchy and Schwarz: |Σ_s q_s x_sj|² ≤ Σ q² · Σ x², the same for
 * Σ_s h_s g_sj, and (Σ_s h_s)² ≤ nnz·Σ h² for its L1 term; b_enc sums fewer of
 * those terms, and b_dec, whose W_enc they do not know, is there already. A sum
 * over p prefixes has a square of at most p times the sum of theirs. Sums and
 * no maxima, since they keep a NaN; squares that overflow float32 leave the
 * bound infinite, and are of numbers beyond any that is let through. */
static void
find_bound (SaeGradients *gradients, const Job *job)
{
  double factor = residual_factor (gradients), x2 = 1, g2 = 1, h2 = 1, q2 = 1;
  double nnz = (double) gradients->first[gradients->net->d_sae];
  double n = (double) gradients->n, b_dec2;
  double n_prefixes = count_prefixes (gradients);
  double l1_coeff = gradients->counts ? 0 : gradients->l1_coeff;

  for (gsize r = 0; r < gradients->n; r++) {
    x2 += job->row_norm[r];
    g2 += n_prefixes * factor * factor * job->row_error[r];
  }
  h2 += job->kernels->dot (gradients->h, gradients->h, (gsize) nnz);
  q2 += job->kernels->dot (gradients->q, gradients->q, (gsize) nnz);
  b_dec2 = job->kernels->dot (gradients->b_dec, gradients->b_dec,
      gradients->net->d_out);
  gradients->bound = sqrt (q2 * (x2 + nnz)) + sqrt (g2 * (h2 + n)) +
                     l1_coeff / n * sqrt (h2 * nnz) + sqrt (b_dec2);
}

static guint
count_tasks (gsize n, gsize per_task)
{
  return (guint) ((n + per_task - 1) / per_task);
}

gboolean
sae_gradients_compute (SaeGradients *gradients, const SaeSparseRows *latents,
    const float *target, const float *x_hat, GError **error)
{
  const SaeNet *net = gradients->net;
  SaePool *pool = gradients->workspace->pool;
  Job job = {gradients, sae_kernels (), target, x_hat, .latents = latents};

  if (!reserve (gradients, latents->offsets[latents->n_rows], &job) ||
      (gradients->dense &&
          !sae_scratch_reserve (&gradients->scratch[BLOCKS],
              sae_pool_get_n_threads (pool) * gradients->n * LATENTS_PER_TASK,
              sizeof (float)))) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for the gradients of %" G_GSIZE_FORMAT " rows",
        gradients->n);
    return FALSE;
  }
  sae_pool_run (pool, 1 + count_tasks (gradients->n, ROWS_PER_TASK),
      residual_task, &job);
  sae_pool_run (pool, count_tasks (net->d_sae, LATENTS_PER_TASK), latents_task,
      &job);
  sae_pool_run (pool, count_tasks (net->d_out, COLUMNS_PER_TASK), b_dec_task,
      &job);
  add_losses (gradients, &job);
  find_bound (gradients, &job);
  return TRUE;
}

void
sae_gradients_row (const SaeGradients *gradients, guint i, float *W_enc_row,
    float *W_dec_row)
{
  const SaeNet *net = gradients->net;
  const SaeKernels *kernels = sae_kernels ();
  gsize first = gradients->first[i], n = gradients->first[i + 1] - first;

  if (W_enc_row)
    kernels->combine (W_enc_row, net->d_in, gradients->q + first,
        gradients->row + first, n, gradients->x, net->d_in);
  if (!W_dec_row)
    return;
  kernels->combine (W_dec_row, net->d_out, gradients->h + first,
      gradients->row + first, n, residuals_of (gradients, i), net->d_out);
  if (gradients->l1_decay[i] != 0.0f)
    kernels->add_scaled (W_dec_row, gradients->l1_decay[i],
        net->W_dec + (gsize) i * net->d_out, net->d_out);
}

gboolean
sae_gradients_block_is_dense (const SaeGradients *gradients, guint first,
    guint last)
{
  gsize nnz = gradients->first[last] - gradients->first[first];

  return gradients->dense && nnz >= (last - first) * gradients->n / DENSE_SHARE;
}

gsize
sae_gradients_block_scratch (const SaeGradients *gradients)
{
  return gradients->n * SAE_GRADIENTS_BLOCK;
}

/* out [last − first, d] = values of each latent over all rows, times @rows. */
static void
multiply_block (const SaeGradients *gradients, guint first, guint last,
    const float *values, const float *rows, gsize d, float *scratch, float *out)
{
  gsize n = gradients->n;

  memset (scratch, 0, (last - first) * n * sizeof *scratch);
  for (guint i = first; i < last; i++)
    for (gsize p = gradients->first[i]; p < gradients->first[i + 1]; p++)
      scratch[(i - first) * n + gradients->row[p]] = values[p];
  sae_gemm (0, last - first, d, n, scratch, n, rows, d, out, d);
}

void
sae_gradients_block (const SaeGradients *gradients, guint first, guint last,
    float *scratch, float *W_enc_rows, float *W_dec_rows)
{
  const SaeNet *net = gradients->net;

  if (W_enc_rows)
    multiply_block (gradients, first, last, gradients->q, gradients->x,
        net->d_in, scratch, W_enc_rows);
  if (!W_dec_rows)
    return;
  multiply_block (gradients, first, last, gradients->h, gradients->g,
      net->d_out, scratch, W_dec_rows);
  for (guint i = first; i < last; i++)
    if (gradients->l1_decay[i] != 0.0f)
      sae_kernels ()->add_scaled (W_dec_rows + (i - first) * net->d_out,
          gradients->l1_decay[i], net->W_dec + (gsize) i * net->d_out,
          net->d_out);
}
