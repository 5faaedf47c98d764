/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_ENUMS_H
#define SAE_ENUMS_H

#include <glib-object.h>
#include "sae-error.h"

G_BEGIN_DECLS

/**
 * SaeSparsity:
 * @SAE_SPARSITY_AUTO: from the model, else top-k
 * @SAE_SPARSITY_TOP_K: relu, then the k largest of each row
 *   (Gao et al. 2024, "Scaling and evaluating sparse autoencoders")
 * @SAE_SPARSITY_L1: relu; sparse through an L1 penalty in training
 *   (Bricken et al. 2023, "Towards monosemanticity")
 * @SAE_SPARSITY_JUMP_RELU: relu where the pre-activation exceeds the latent's
 *   own threshold, else 0
 *   (Rajamanoharan et al. 2024, "Jumping ahead: improving reconstruction
 *   fidelity with JumpReLU sparse autoencoders")
 * @SAE_SPARSITY_BATCH_TOP_K: relu, then the n·k largest of a batch of n rows;
 *   a rule for training only, whose models are jump-relu
 *   (Bussmann et al. 2024, "BatchTopK sparse autoencoders")
 * @SAE_SPARSITY_GROUP_MAX: relu, then the largest of each of k groups of
 *   d_sae / k latents that lie one after the other; for models that others have
 *   trained (EleutherAI's sparsify, "groupmax")
 * @SAE_SPARSITY_GATED: relu of a second pre-activation, exp(r_mag) times the
 *   first without its bias, plus b_mag, where the first is positive; for models
 *   that others have trained
 *   (Rajamanoharan et al. 2024, "Improving dictionary learning with gated
 *   sparse autoencoders")
 *
 * How pre-activations become sparse latents.
 */
typedef enum {
  SAE_SPARSITY_AUTO,
  SAE_SPARSITY_TOP_K,
  SAE_SPARSITY_L1,
  SAE_SPARSITY_JUMP_RELU,
  SAE_SPARSITY_BATCH_TOP_K,
  SAE_SPARSITY_GROUP_MAX,
  SAE_SPARSITY_GATED,
} SaeSparsity;

/**
 * SaeInputNorm:
 * @SAE_INPUT_NORM_NONE: rows are encoded as they come
 * @SAE_INPUT_NORM_LAYER_NORM: each row as (x − mean)/(std + 1e-5), and
 *   x_hat·std + mean; std with d_in − 1 in the denominator
 * @SAE_INPUT_NORM_CONSTANT_NORM: each row is scaled to the norm √d_in, and
 *   x_hat back; a row of zeros stays one, and its x_hat is 0
 * @SAE_INPUT_NORM_EXPECTED_AVERAGE: rows are encoded as they come, and should
 *   have been scaled by one number so that their norms are √d_in on average
 *   (Anthropic, "Circuits updates", April 2024)
 *
 * What is done to a row before it is encoded, and undone in its
 * reconstruction. Values of latents are of the normalised row.
 */
typedef enum {
  SAE_INPUT_NORM_NONE,
  SAE_INPUT_NORM_LAYER_NORM,
  SAE_INPUT_NORM_CONSTANT_NORM,
  SAE_INPUT_NORM_EXPECTED_AVERAGE,
} SaeInputNorm;

/**
 * SaeTies:
 * @SAE_TIES_LOWEST_INDEX: exactly k survive, the lower index first
 * @SAE_TIES_KEEP_ALL: every value that equals or exceeds the k-th largest
 *
 * What top-k does with equal values at the k-th place.
 */
typedef enum {
  SAE_TIES_LOWEST_INDEX,
  SAE_TIES_KEEP_ALL,
} SaeTies;

/**
 * SaeInit:
 * @SAE_INIT_TIED: decoder rows random unit vectors, encoder equal to the
 *   decoder (top-k) or to 2·d_in/d_sae times it (l1, jump-relu)
 * @SAE_INIT_GLOROT: independent Glorot-uniform matrices, zero biases
 *
 * How an untrained model starts.
 */
typedef enum {
  SAE_INIT_TIED,
  SAE_INIT_GLOROT,
} SaeInit;

/**
 * SaeReduction:
 * @SAE_REDUCTION_AUTO: mean for top-k and batch-top-k, sum for l1 and jump-relu
 * @SAE_REDUCTION_MEAN: squared error as the mean over n·d_out, L1 as the mean
 *   over n·d_sae
 * @SAE_REDUCTION_SUM: squared error summed over d_out, L1 summed over latents
 *   and weighted by the decoder norms, both as means over the n rows
 *   (SAELens, Anthropic)
 *
 * How the parts of the training loss are reduced.
 */
typedef enum {
  SAE_REDUCTION_AUTO,
  SAE_REDUCTION_MEAN,
  SAE_REDUCTION_SUM,
} SaeReduction;

/**
 * SaeNormalize:
 * @SAE_NORMALIZE_AUTO: scale from the first rows, so that the scale of the
 *   stream does not matter to the optimiser
 * @SAE_NORMALIZE_NONE: train on the numbers as they come
 *
 * Whether training is made independent of the scale of the stream.
 */
typedef enum {
  SAE_NORMALIZE_AUTO,
  SAE_NORMALIZE_NONE,
} SaeNormalize;

/**
 * SaeOptimizer:
 * @SAE_OPTIMIZER_ADAM: Adam with bias correction (Kingma and Ba 2015)
 * @SAE_OPTIMIZER_SGD: gradient descent with momentum
 *   (Sutskever et al. 2013, as PyTorch writes it: v = μ·v + g, w −= η·v)
 * @SAE_OPTIMIZER_SIGNUM: signed momentum (Bernstein et al. 2018):
 *   m = μ·m + (1 − μ)·g, w −= η·sign(m)
 *
 * The update rule of the trainer.
 */
typedef enum {
  SAE_OPTIMIZER_ADAM,
  SAE_OPTIMIZER_SGD,
  SAE_OPTIMIZER_SIGNUM,
} SaeOptimizer;

/**
 * SaeSchedule:
 * @SAE_SCHEDULE_AUTO: sqrt where the length of the run is known, else
 *   constant
 * @SAE_SCHEDULE_CONSTANT: the learning rate stays
 * @SAE_SCHEDULE_LINEAR: falls linearly to 0 over the last fifth of the run
 * @SAE_SCHEDULE_SQRT: falls to 0 over the last fifth of the run as 1 − √share
 *   of it, fast at first (Hägele et al. 2024, "Scaling laws and
 *   compute-optimal training beyond fixed training durations")
 * @SAE_SCHEDULE_COSINE: falls to 0 as half a cosine, from the warm-up on
 *
 * How the learning rate changes after the warm-up.
 */
typedef enum {
  SAE_SCHEDULE_AUTO,
  SAE_SCHEDULE_CONSTANT,
  SAE_SCHEDULE_LINEAR,
  SAE_SCHEDULE_COSINE,
  SAE_SCHEDULE_SQRT,
} SaeSchedule;

/**
 * SaeDecoderNorm:
 * @SAE_DECODER_NORM_UNIT: each row of W_dec is kept at norm 1 and the part of
 *   its gradient along it removed
 * @SAE_DECODER_NORM_FREE: rows of W_dec move freely
 *
 * What is done to the rows of W_dec in training.
 */
typedef enum {
  SAE_DECODER_NORM_UNIT,
  SAE_DECODER_NORM_FREE,
} SaeDecoderNorm;

/**
 * SaeResume:
 * @SAE_RESUME_NO: starts anew
 * @SAE_RESUME_REPLAY: goes on, and the stream is the same from its start: rows
 *   that the run has had are dropped
 * @SAE_RESUME_CONTINUE: goes on, with rows that the run has not had
 *
 * How a run goes on from a checkpoint.
 */
typedef enum {
  SAE_RESUME_NO,
  SAE_RESUME_REPLAY,
  SAE_RESUME_CONTINUE,
} SaeResume;

G_END_DECLS

#endif /* SAE_ENUMS_H */
