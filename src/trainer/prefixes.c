/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prefixes.h"

#include "error-text.h"

#define ROWS_PER_TASK 32

static gboolean
fail (const char *text, guint d_sae, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "prefixes: expected at most %d ascending sizes from 1 to dict-size %u, "
      "as in \"64,256\", got '%s'",
      SAE_MAX_PREFIXES, d_sae, text);
  return sae_error_show (FALSE, error);
}

gboolean
sae_prefixes_parse (const char *text, guint d_sae,
    guint sizes[SAE_MAX_PREFIXES], guint *n, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  *n = 0;
  for (guint i = 0; parts[i]; i++) {
    guint64 size, smallest = *n ? (guint64) sizes[*n - 1] + 1 : 1;
    if (*n == SAE_MAX_PREFIXES || smallest > d_sae ||
        !g_ascii_string_to_unsigned (g_strstrip (parts[i]), 10, smallest, d_sae,
            &size, NULL))
      return fail (text, d_sae, error);
    sizes[(*n)++] = (guint) size;
  }
  if (*n == 0 || sizes[*n - 1] == d_sae)
    return TRUE;
  if (*n == SAE_MAX_PREFIXES)
    return fail (text, d_sae, error);
  sizes[(*n)++] = d_sae;
  return TRUE;
}

typedef struct {
  const SaeNet *net;
  const SaeSparseRows *latents;
  const guint *sizes;
  guint n_prefixes;
  float *x_hat;
} Decode;

/* Each prefix adds its own latents to what the one before it has. */
static void
decode_row (const Decode *decode, gsize r)
{
  const SaeNet *net = decode->net;
  const SaeSparseRows *latents = decode->latents;
  const float *before = net->b_dec;
  gsize at = latents->offsets[r];

  for (guint p = 0; p < decode->n_prefixes; p++) {
    float *x_hat = decode->x_hat + (p * latents->n_rows + r) * net->d_out;
    gsize first = at;
    while (
        at < latents->offsets[r + 1] && latents->index[at] < decode->sizes[p])
      at++;
    sae_kernels ()->combine (x_hat, net->d_out, latents->value + first,
        latents->index + first, at - first, net->W_dec, net->d_out);
    sae_kernels ()->add (x_hat, before, net->d_out);
    before = x_hat;
  }
}

static void
decode_task (guint task, guint worker, gpointer data)
{
  const Decode *decode = data;
  gsize first = (gsize) task * ROWS_PER_TASK;

  for (gsize r = first;
       r < MIN (first + ROWS_PER_TASK, decode->latents->n_rows); r++)
    decode_row (decode, r);
}

void
sae_prefixes_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, const guint *sizes, guint n_prefixes,
    float *x_hat)
{
  Decode decode = {net, latents, sizes, n_prefixes, x_hat};

  sae_pool_run (workspace->pool,
      (guint) ((latents->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK),
      decode_task, &decode);
}
