/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "forward.h"

#include "dense-decode.h"
#include "gemm.h"
#include "skip.h"

static const float *
subtract_bias (SaeRun *run, const float *x, gsize n)
{
  const SaeNet *net = &run->step_net;
  gsize d = net->d_in;
  float *less;

  if (!net->pre_bias)
    return x;
  less = sae_scratch_reserve (&run->scratch[SAE_RUN_X_LESS_BIAS], n * d,
      sizeof *less);
  for (gsize r = 0; less && r < n; r++)
    sae_kernels ()->subtract (less + r * d, x + r * d, net->b_dec, d);
  return less;
}

/* A frozen net is encoded as any model is; only in training rows compete, or
 * have windows around their thresholds. */
static gboolean
encode (SaeRun *run, gsize n, SaeSparseRows *latents, GError **error)
{
  SaeNet net = run->step_net;
  const float *x = run->gradients.x;

  net.pre_bias = FALSE; /* x has lost it */
  if (net.sparsity == SAE_SPARSITY_BATCH_TOP_K)
    return sae_batch_top_k_encode (&run->batch_top_k, &net, run->workspace, x,
        n, net.k, latents, error);
  if (net.sparsity == SAE_SPARSITY_JUMP_RELU && !run->options.frozen)
    return sae_thresholds_encode (&run->thresholds, &net, run->workspace, x, n,
        run->options.bandwidth, latents, error);
  return sae_net_encode (&net, run->workspace, x, n, latents, error);
}

static gboolean
decode (SaeRun *run, const SaeSparseRows *latents, float *x_hat, GError **error)
{
  const SaeNet *net = &run->step_net;
  SaeGradients *gradients = &run->gradients;

  if (run->n_prefixes) {
    sae_prefixes_decode (net, run->workspace, latents, run->prefixes,
        run->n_prefixes, x_hat);
    return TRUE;
  }
  /* never for top-k, whose bits are promised on every processor */
  gradients->dense = net->sparsity == SAE_SPARSITY_L1 &&
                     sae_dense_decode_pays (latents, net->d_sae) &&
                     sae_gemm_is_there ();
  if (gradients->dense)
    return sae_dense_decode (net, run->workspace, latents, x_hat,
        &run->scratch[SAE_RUN_DENSE_LATENTS], error);
  return sae_net_decode (net, run->workspace, latents, x_hat, error);
}

gboolean
sae_forward (SaeRun *run, const float *x, gsize n, SaeSparseRows *latents,
    GError **error)
{
  gsize n_prefixes = MAX (1, run->n_prefixes);
  float *x_hat = sae_scratch_reserve (&run->scratch[SAE_RUN_X_HAT],
      n_prefixes * n * run->net.d_out, sizeof *x_hat);

  run->gradients.dense = FALSE;
  run->gradients.x = subtract_bias (run, x, n);
  if (!run->gradients.x || !x_hat) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for a batch of %" G_GSIZE_FORMAT " rows", n);
    return FALSE;
  }
  if (!encode (run, n, latents, error) || !decode (run, latents, x_hat, error))
    return FALSE;
  for (gsize p = 0; p < n_prefixes; p++)
    sae_net_skip (&run->step_net, run->workspace, x, n,
        x_hat + p * n * run->net.d_out);
  return TRUE;
}
