/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One row of the table for each option: it is all that a new option needs. */
#include "options.h"

#include <math.h>
#include <string.h>

#include "optimizer.h"
#include "sae-enum-types.h"
#include "sae-trainer.h"
#include "steering.h"

/* What an option is kept as. */
typedef enum {
  KIND_UINT,
  KIND_UINT64,
  KIND_INT64,
  KIND_DOUBLE,
  KIND_BOOLEAN,
  KIND_ENUM,
  KIND_TEXT
} Kind;

typedef struct {
  const char *name, *blurb;
  Kind kind;
  gsize offset;
  double minimum, maximum, fallback;
  GType (*enum_type) (void);
  gboolean live;
} Option;

/* A moment that never decays has no bias correction, and without an epsilon a
 * latent that has no gradient yet is 0 / 0: both would make NaN of weights. */
#define LARGEST_BETA 0.999999
#define SMALLEST_EPSILON 1e-16

#define AT(field) G_STRUCT_OFFSET (SaeTrainerOptions, field)

/* clang-format off */
static const Option options_table[] = {
  { "input-size", "Width of an input row (0 = from the stream)",
    KIND_UINT, AT (d_in), 0, 1 << 28, 0 },
  { "output-size", "Width of a target row, for transcoders (0 = input-size)",
    KIND_UINT, AT (d_out), 0, 1 << 28, 0 },
  { "dict-size", "Number of latents (0 = 4096)",
    KIND_UINT, AT (d_sae), 0, 1 << 28, 0 },
  { "top-k", "Latents kept per row (0 = 32)",
    KIND_UINT, AT (k), 0, 1 << 28, 0 },
  { "sparsity", "How pre-activations become sparse (auto = top-k)",
    KIND_ENUM, AT (sparsity), 0, 0, SAE_SPARSITY_AUTO, sae_sparsity_get_type },
  { "ties", "What top-k does with equal values",
    KIND_ENUM, AT (ties), 0, 0, SAE_TIES_LOWEST_INDEX, sae_ties_get_type },
  { "pre-bias", "Subtract b_dec from the input before encoding",
    KIND_BOOLEAN, AT (pre_bias), 0, 1, 0 },
  { "skip-connection", "Add W_skip x to the reconstruction, for transcoders",
    KIND_BOOLEAN, AT (skip), 0, 1, 0 },
  { "seed", "Random start: the same seed and input give the same bytes",
    KIND_UINT64, AT (seed), 0, 18446744073709551615.0, 0 },
  { "n-threads", "Threads for the mathematics (0 = one each processor)",
    KIND_UINT, AT (n_threads), 0, 1024, 0 },
  { "init", "How an untrained dictionary starts",
    KIND_ENUM, AT (init), 0, 0, SAE_INIT_TIED, sae_init_get_type },
  { "reduction", "How the parts of the loss are reduced "
    "(auto = mean for top-k and batch-top-k, sum for l1 and jump-relu)",
    KIND_ENUM, AT (reduction), 0, 0, SAE_REDUCTION_AUTO,
    sae_reduction_get_type },
  { "normalize", "Make training independent of the scale of the stream",
    KIND_ENUM, AT (normalize), 0, 0, SAE_NORMALIZE_AUTO,
    sae_normalize_get_type },
  { "decoder-norm", "What is done to the rows of W_dec",
    KIND_ENUM, AT (decoder_norm), 0, 0, SAE_DECODER_NORM_UNIT,
    sae_decoder_norm_get_type },
  { "grad-clip", "Largest Euclidean norm of the whole gradient, in units of the "
    "stream's scale (0 = none)",
    KIND_DOUBLE, AT (grad_clip), 0, 1e30, 0 },
  { "average", "Horizon in rows of a moving average of the weights, which is "
    "then the dictionary (0 = none, -2 = a tenth of the rows so far, "
    "-1 = that where the learning rate stays up, else none)",
    KIND_INT64, AT (average), -2, 9223372036854775807.0, -1 },
  { "aux-k", "Dead latents a row that reconstruct what the others leave over "
    "(0 = none, -1 = half of input-size for top-k and batch-top-k)",
    KIND_INT64, AT (aux_k), -1, 1 << 28, -1 },
  { "aux-coeff", "Coefficient of the part of the loss of aux-k's latents",
    KIND_DOUBLE, AT (aux_coeff), 0, 1e9, 1.0 / 32 },
  { "k-start", "Latents kept per row at the start (0 = top-k)",
    KIND_UINT, AT (k_start), 0, 1 << 28, 0 },
  { "k-anneal-rows", "Rows over which k-start becomes top-k "
    "(-1 = a fifth of total-rows, 262144 where that is not known)",
    KIND_INT64, AT (k_anneal_rows), -1, 9223372036854775807.0, -1 },
  { "prefixes", "Sizes of nested dictionaries, as in 64,256,1024: the first "
    "latents alone must reconstruct too",
    KIND_TEXT, AT (prefixes), 0, 0, 0 },
  { "bandwidth", "Width of the window around jump-relu's thresholds in which "
    "they learn, in units of the stream's scale",
    KIND_DOUBLE, AT (bandwidth), 1e-9, 1e9, 0.5 },
  { "threshold-rate", "Learning rate of jump-relu's thresholds, as logarithms, "
    "as a multiple of learning-rate",
    KIND_DOUBLE, AT (threshold_rate), 0, 1e6, 4 },
  { "batch-size", "Rows of one optimiser step, gathered over buffers",
    KIND_UINT, AT (batch_size), 1, 1 << 24, 256 },
  { "shuffle-rows", "Rows of the stream that are mixed with each other before "
    "they form batches, in memory (0 = as they come)",
    KIND_UINT64, AT (shuffle_rows), 0, 18446744073709551615.0, 0 },
  { "optimizer", "Update rule",
    KIND_ENUM, AT (optimizer), 0, 0, SAE_OPTIMIZER_ADAM,
    sae_optimizer_get_type },
  { "momentum", "Momentum of sgd and signum",
    KIND_DOUBLE, AT (momentum), 0, 1, 0.9 },
  { "beta1", "Decay of Adam's first moment",
    KIND_DOUBLE, AT (beta1), 0, LARGEST_BETA, 0.9 },
  { "beta2", "Decay of Adam's second moment",
    KIND_DOUBLE, AT (beta2), 0, LARGEST_BETA, 0.99 },
  { "epsilon", "Adam's epsilon",
    KIND_DOUBLE, AT (epsilon), SMALLEST_EPSILON, 1, 1e-8 },
  { "learning-rate", "Learning rate before warm-up and schedule "
    "(0 = from optimizer, dict-size, total-rows and batch-size)",
    KIND_DOUBLE, AT (learning_rate), 0, 1e6, 0, .live = TRUE },
  { "decoder-rate", "Learning rate of W_dec as a multiple of learning-rate "
    "(0 = for adam 3, or 2 with l1 and jump-relu; else 1)",
    KIND_DOUBLE, AT (decoder_rate), 0, 1e6, 0 },
  { "l1-coeff", "Coefficient of the L1 part of the loss, of the L0 part for "
    "jump-relu (-1 = 0.001 for top-k and batch-top-k; for l1 and jump-relu "
    "steered to target-l0)",
    KIND_DOUBLE, AT (l1_coeff), -1, 1e9, -1, .live = TRUE },
  { "l1-warmup-rows", "Rows over which l1-coeff rises from 0 (-1 = as "
    "warmup-rows for l1 and jump-relu unless steered, else 0)",
    KIND_INT64, AT (l1_warmup_rows), -1, 9223372036854775807.0, -1 },
  { "target-l0", "Active latents per row that l1 and jump-relu training aim "
    "at",
    KIND_DOUBLE, AT (target_l0), 0.1, 1e9, 32, .live = TRUE },
  { "warmup-rows", "Rows over which the learning rate rises from 0 "
    "(-1 = a twentieth of total-rows, 65536 where that is not known)",
    KIND_INT64, AT (warmup_rows), -1, 9223372036854775807.0, -1 },
  { "schedule", "How the learning rate falls over total-rows (auto = sqrt "
    "where they are known, else constant)",
    KIND_ENUM, AT (schedule), 0, 0, SAE_SCHEDULE_AUTO,
    sae_schedule_get_type },
  { "total-rows", "Length of the run in rows, for the schedule "
    "(0 = not known)",
    KIND_UINT64, AT (total_rows), 0, 18446744073709551615.0, 0 },
  { "dead-after", "Rows without firing after which a latent counts as dead",
    KIND_UINT64, AT (dead_after), 1, 18446744073709551615.0, 65536 },
  { "frozen", "Measure rows without training on them",
    KIND_BOOLEAN, AT (frozen), 0, 1, 0, .live = TRUE },
};
/* clang-format on */

guint
sae_trainer_options_end (void)
{
  return G_N_ELEMENTS (options_table) + 1;
}

GParamSpec *
sae_trainer_options_find (guint id)
{
  gpointer klass = g_type_class_peek (SAE_TYPE_TRAINER);

  if (id == 0 || id > G_N_ELEMENTS (options_table))
    return NULL;
  return g_object_class_find_property (klass, options_table[id - 1].name);
}

static guint64
to_uint64 (double value)
{
  return value >= 18446744073709551615.0 ? G_MAXUINT64 : (guint64) value;
}

static gint64
to_int64 (double value)
{
  return value >= 9223372036854775807.0 ? G_MAXINT64 : (gint64) value;
}

static GParamSpec *
create_pspec (const Option *o)
{
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                      (o->live ? (GParamFlags) SAE_PARAM_LIVE : 0);

  switch (o->kind) {
    case KIND_UINT:
      return g_param_spec_uint (o->name, NULL, o->blurb, (guint) o->minimum,
          (guint) o->maximum, (guint) o->fallback, flags);
    case KIND_UINT64:
      return g_param_spec_uint64 (o->name, NULL, o->blurb,
          to_uint64 (o->minimum), to_uint64 (o->maximum),
          to_uint64 (o->fallback), flags);
    case KIND_INT64:
      return g_param_spec_int64 (o->name, NULL, o->blurb, (gint64) o->minimum,
          to_int64 (o->maximum), (gint64) o->fallback, flags);
    case KIND_DOUBLE:
      return g_param_spec_double (o->name, NULL, o->blurb, o->minimum,
          o->maximum, o->fallback, flags);
    case KIND_TEXT:
      return g_param_spec_string (o->name, NULL, o->blurb, "", flags);
    case KIND_BOOLEAN:
      return g_param_spec_boolean (o->name, NULL, o->blurb, o->fallback != 0,
          flags);
    case KIND_ENUM:
    default:
      return g_param_spec_enum (o->name, NULL, o->blurb, o->enum_type (),
          (gint) o->fallback, flags);
  }
}

void
sae_trainer_options_install (GObjectClass *object_class)
{
  for (guint i = 0; i < G_N_ELEMENTS (options_table); i++)
    g_object_class_install_property (object_class, i + 1,
        create_pspec (&options_table[i]));
}

void
sae_trainer_options_init (SaeTrainerOptions *options,
    GObjectClass *object_class)
{
  for (guint i = 0; i < G_N_ELEMENTS (options_table); i++) {
    GParamSpec *pspec =
        g_object_class_find_property (object_class, options_table[i].name);
    sae_trainer_options_set (options, i + 1,
        g_param_spec_get_default_value (pspec));
  }
}

/* Too long a text is cut to one that says so, which no parser takes. */
static void
set_text (const Option *o, SaeTrainerOptions *options, const char *text)
{
  char *to = G_STRUCT_MEMBER_P (options, o->offset);

  if (g_strlcpy (to, text ? text : "", SAE_OPTIONS_TEXT) >= SAE_OPTIONS_TEXT)
    memcpy (to + SAE_OPTIONS_TEXT - 5, " …", 5);
}

gboolean
sae_trainer_options_set (SaeTrainerOptions *options, guint id,
    const GValue *value)
{
  const Option *o;

  if (id == 0 || id > G_N_ELEMENTS (options_table))
    return FALSE;
  o = &options_table[id - 1];
  switch (o->kind) {
    case KIND_UINT:
      G_STRUCT_MEMBER (guint, options, o->offset) = g_value_get_uint (value);
      break;
    case KIND_UINT64:
      G_STRUCT_MEMBER (guint64, options, o->offset) =
          g_value_get_uint64 (value);
      break;
    case KIND_INT64:
      G_STRUCT_MEMBER (gint64, options, o->offset) = g_value_get_int64 (value);
      break;
    case KIND_DOUBLE:
      G_STRUCT_MEMBER (double, options, o->offset) = g_value_get_double (value);
      break;
    case KIND_BOOLEAN:
      G_STRUCT_MEMBER (gboolean, options, o->offset) =
          g_value_get_boolean (value);
      break;
    case KIND_ENUM:
      G_STRUCT_MEMBER (gint, options, o->offset) = g_value_get_enum (value);
      break;
    case KIND_TEXT:
      set_text (o, options, g_value_get_string (value));
      break;
  }
  return TRUE;
}

gboolean
sae_trainer_options_get (const SaeTrainerOptions *options, guint id,
    GValue *value)
{
  const Option *o;

  if (id == 0 || id > G_N_ELEMENTS (options_table))
    return FALSE;
  o = &options_table[id - 1];
  switch (o->kind) {
    case KIND_UINT:
      g_value_set_uint (value, G_STRUCT_MEMBER (guint, options, o->offset));
      break;
    case KIND_UINT64:
      g_value_set_uint64 (value, G_STRUCT_MEMBER (guint64, options, o->offset));
      break;
    case KIND_INT64:
      g_value_set_int64 (value, G_STRUCT_MEMBER (gint64, options, o->offset));
      break;
    case KIND_DOUBLE:
      g_value_set_double (value, G_STRUCT_MEMBER (double, options, o->offset));
      break;
    case KIND_BOOLEAN:
      g_value_set_boolean (value,
          G_STRUCT_MEMBER (gboolean, options, o->offset));
      break;
    case KIND_ENUM:
      g_value_set_enum (value, G_STRUCT_MEMBER (gint, options, o->offset));
      break;
    case KIND_TEXT:
      g_value_set_string (value, G_STRUCT_MEMBER_P (options, o->offset));
      break;
  }
  return TRUE;
}

/* Rules that keep a number of latents; the others have a penalty. */
static gboolean
has_k (const SaeTrainerOptions *o)
{
  return o->sparsity == SAE_SPARSITY_TOP_K ||
         o->sparsity == SAE_SPARSITY_BATCH_TOP_K;
}

static void
resolve_sizes (SaeTrainerOptions *o)
{
  if (o->d_out == 0)
    o->d_out = o->d_in;
  if (o->d_sae == 0)
    o->d_sae = 4096;
  if (o->sparsity == SAE_SPARSITY_AUTO)
    o->sparsity = SAE_SPARSITY_TOP_K;
  if (o->k == 0)
    o->k = MIN (32, o->d_sae);
  if (!has_k (o))
    o->k = o->k_start = 0;
}

static void
resolve_loss (SaeTrainerOptions *o)
{
  if (o->reduction == SAE_REDUCTION_AUTO)
    o->reduction = has_k (o) ? SAE_REDUCTION_MEAN : SAE_REDUCTION_SUM;
  o->steered = o->l1_coeff < 0 && !has_k (o);
  if (o->l1_coeff < 0)
    o->l1_coeff = o->steered ? sae_steering_start (o) : 1e-3;
  if (o->aux_k < 0)
    o->aux_k = has_k (o) ? MAX (1, o->d_in / 2) : 0;
}

/* @share of the run, or @unknown where its length is not known. */
static gint64
rows_of (const SaeTrainerOptions *o, guint64 share, gint64 unknown)
{
  return o->total_rows ? (gint64) MIN (o->total_rows / share, G_MAXINT64)
                       : unknown;
}

static void
resolve_course (SaeTrainerOptions *o)
{
  if (o->learning_rate == 0)
    o->learning_rate = sae_optimizer_find (o->optimizer)->default_rate (o);
  if (o->decoder_rate == 0)
    o->decoder_rate =
        sae_optimizer_find (o->optimizer)->default_decoder_rate (o);
  if (o->warmup_rows < 0)
    o->warmup_rows = rows_of (o, 20, 65536);
  if (o->l1_warmup_rows < 0)
    o->l1_warmup_rows = has_k (o) || o->steered ? 0 : o->warmup_rows;
  if (o->k_anneal_rows < 0)
    o->k_anneal_rows = rows_of (o, 5, 262144);
  if (o->schedule == SAE_SCHEDULE_AUTO)
    o->schedule = o->total_rows ? SAE_SCHEDULE_SQRT : SAE_SCHEDULE_CONSTANT;
  if (o->average == -1)
    o->average = o->schedule == SAE_SCHEDULE_CONSTANT ? -2 : 0;
}

SaeTrainerOptions
sae_trainer_options_resolve (const SaeTrainerOptions *options)
{
  SaeTrainerOptions o = *options;

  resolve_sizes (&o);
  resolve_loss (&o);
  resolve_course (&o);
  return o;
}
