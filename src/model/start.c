/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "start.h"

#include <math.h>
#include <string.h>

#include "random.h"

/* Streams of one seed: decoder rows, then encoder rows. */
#define ENCODER_STREAM ((guint64) 1 << 40)

static void
fill_unit (float *row, gsize d, guint64 seed, guint64 stream)
{
  SaeRandom random;
  double norm2 = 0;

  sae_random_init (&random, seed, stream);
  for (gsize j = 0; j < d; j++) {
    row[j] = (float) sae_random_normal (&random);
    norm2 += (double) row[j] * row[j];
  }
  for (gsize j = 0; j < d; j++)
    row[j] = norm2 > 0 ? (float) (row[j] / sqrt (norm2)) : j == 0;
}

/* Uniform in ±√(6 / (d + d_sae)) (Glorot and Bengio 2010, eq. 16). */
static void
fill_glorot (float *row, gsize d, gsize d_sae, guint64 seed, guint64 stream)
{
  double limit = sqrt (6.0 / ((double) d + (double) d_sae));
  SaeRandom random;

  sae_random_init (&random, seed, stream);
  for (gsize j = 0; j < d; j++)
    row[j] = (float) (limit * (2 * sae_random_uniform (&random) - 1));
}

/* Tied unit rows overshoot under relu, where half of all latents are active:
 * with l1 the encoder is scaled by 2·d_in / d_sae. A transcoder's encoder has
 * other columns than its decoder and gets unit rows of its own. */
static void
start_tied (const SaeNet *net, guint64 seed, guint row, float *enc, float *dec)
{
  float gain = net->sparsity == SAE_SPARSITY_L1
                   ? (float) (2.0 * net->d_in / net->d_sae)
                   : 1.0f;

  fill_unit (dec, net->d_out, seed, row);
  if (net->d_in == net->d_out)
    memcpy (enc, dec, net->d_in * sizeof (float));
  else
    fill_unit (enc, net->d_in, seed, ENCODER_STREAM + row);
  for (gsize j = 0; j < net->d_in; j++)
    enc[j] *= gain;
}

void
sae_start_weights (const SaeNet *net, SaeInit init, guint64 seed, float *W_enc,
    float *W_dec)
{
  for (guint i = 0; i < net->d_sae; i++) {
    float *enc = W_enc + (gsize) i * net->d_in;
    float *dec = W_dec + (gsize) i * net->d_out;
    if (init == SAE_INIT_TIED) {
      start_tied (net, seed, i, enc, dec);
    } else {
      fill_glorot (dec, net->d_out, net->d_sae, seed, i);
      fill_glorot (enc, net->d_in, net->d_sae, seed, ENCODER_STREAM + i);
    }
  }
}
