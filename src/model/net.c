/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

#include <stdlib.h>
#include <string.h>

#include "dictionary.h"
#include "sparsity.h"

gboolean
sae_net_check (const SaeNet *net, GError **error)
{
  if (!sae_dictionary_check_sizes (net->d_in, net->d_out, net->d_sae, error))
    return FALSE;
  if (!sae_sparsity_find (net->sparsity)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "sparsity: expected a known rule, got %d", (int) net->sparsity);
    return FALSE;
  }
  if (net->sparsity == SAE_SPARSITY_TOP_K &&
      (net->k == 0 || net->k > net->d_sae)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "top-k: expected 1 to dict-size %u, got %u", net->d_sae, net->k);
    return FALSE;
  }
  if (net->pre_bias && net->d_in != net->d_out) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "pre-bias: expected equal input and output sizes, got %u and %u",
        net->d_in, net->d_out);
    return FALSE;
  }
  return TRUE;
}

float *
sae_floats_new (gsize rows, gsize columns, const char *what, GError **error)
{
  gsize n, bytes;
  void *floats = NULL;

  if (!g_size_checked_mul (&n, rows, columns) ||
      !g_size_checked_mul (&bytes, n, sizeof (float)) ||
      posix_memalign (&floats, 64, MAX (bytes, 64)) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: no memory for %" G_GSIZE_FORMAT " rows of %" G_GSIZE_FORMAT
        " floats",
        what, rows, columns);
    return NULL;
  }
  memset (floats, 0, MAX (bytes, 64));
  return floats;
}
