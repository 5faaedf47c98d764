/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

#include "dictionary.h"
#include "input-norm.h"
#include "sparsity.h"

static gboolean
check_input_norm (const SaeNet *net, GError **error)
{
  if ((guint) net->input_norm > SAE_INPUT_NORM_EXPECTED_AVERAGE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "input-norm: expected a known one, got %d", (int) net->input_norm);
    return FALSE;
  }
  if (sae_input_norm_is_per_row (net->input_norm) && net->d_in != net->d_out) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "input-norm: expected equal input and output sizes, got %u and %u",
        net->d_in, net->d_out);
    return FALSE;
  }
  if (net->input_norm == SAE_INPUT_NORM_LAYER_NORM && net->d_in < 2) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "input-norm: layer-norm: expected rows of 2 or more, got %u",
        net->d_in);
    return FALSE;
  }
  return TRUE;
}

gboolean
sae_net_check (const SaeNet *net, GError **error)
{
  if (!sae_dictionary_check_sizes (net->d_in, net->d_out, net->d_sae, error))
    return FALSE;
  if (net->sparsity == SAE_SPARSITY_BATCH_TOP_K) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "sparsity: batch-top-k is a rule for training; its models are "
        "jump-relu");
    return FALSE;
  }
  if (!sae_sparsity_find (net->sparsity)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "sparsity: expected a known rule, got %d", (int) net->sparsity);
    return FALSE;
  }
  if (net->ties != SAE_TIES_LOWEST_INDEX && net->ties != SAE_TIES_KEEP_ALL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "ties: expected a known rule, got %d", (int) net->ties);
    return FALSE;
  }
  if (sae_sparsity_has_k (net->sparsity) &&
      (net->k == 0 || net->k > net->d_sae)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "top-k: expected 1 to dict-size %u, got %u", net->d_sae, net->k);
    return FALSE;
  }
  if (net->sparsity == SAE_SPARSITY_GROUP_MAX && net->d_sae % net->k != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "group-max: expected groups of one size, got %u latents in %u groups",
        net->d_sae, net->k);
    return FALSE;
  }
  if (net->pre_bias && net->d_in != net->d_out) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "pre-bias: expected equal input and output sizes, got %u and %u",
        net->d_in, net->d_out);
    return FALSE;
  }
  return check_input_norm (net, error);
}
