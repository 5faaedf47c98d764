/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "screen.h"
#include "start.h"

/* Encoded rows from which making a screen has been worth it. */
#define SCREEN_ROWS 64

/* W_enc, b_enc, W_dec, b_dec, threshold */
#define N_ARRAYS 5

struct _SaeModel {
  gatomicrefcount ref_count; /* counted inline, where ThreadSanitizer sees it */
  SaeNet net;                /* its pointers are the data of the bytes below */
  GBytes *W_enc, *b_enc, *W_dec, *b_dec;
  GBytes *threshold;     /* jump-relu only, else NULL */
  GBytes *r_mag, *b_mag; /* gated only, else NULL */
  GBytes *W_skip;        /* NULL without one */
  GHashTable *metadata;  /* gchar* to gchar* */

  GMutex lock;       /* while a screen is made */
  SaeScreen *screen; /* atomic; NULL before */
  guint n_encoded;   /* atomic; rows, until there is a screen */
};

G_DEFINE_BOXED_TYPE (SaeModel, sae_model, sae_model_ref, sae_model_unref)

const SaeNet *
sae_model_get_net (SaeModel *model)
{
  return &model->net;
}

/* Rows that say how large the columns of a screen are. */
#define SAMPLE_ROWS 1024

/* Normalised rows for it; NULL when there is no memory for them. */
static float *
normalise_sample (const SaeNet *net, const float *x, gsize n_rows)
{
  float *sample = g_try_malloc_n (n_rows, net->d_in * sizeof (float));

  for (gsize r = 0; sample && r < n_rows; r++)
    sae_input_norm_apply (net->input_norm, x + r * net->d_in, net->d_in, NULL,
        sample + r * net->d_in);
  return sample;
}

/* Who comes while another thread makes it, goes on without. */
static void
make_screen (SaeModel *model, const float *x, gsize n_rows)
{
  const SaeNet *net = &model->net;
  g_autofree float *sample = NULL;

  if (!g_mutex_trylock (&model->lock))
    return;
  if (sae_input_norm_is_per_row (net->input_norm)) {
    n_rows = MIN (n_rows, SAMPLE_ROWS);
    x = sample = normalise_sample (net, x, n_rows);
    n_rows = sample ? n_rows : 0;
  }
  if (!g_atomic_pointer_get (&model->screen))
    g_atomic_pointer_set (&model->screen,
        sae_screen_new (net->W_enc, net->d_in, net->d_sae, x, n_rows,
            net->pre_bias ? net->b_dec : NULL));
  g_mutex_unlock (&model->lock);
}

SaeNet
sae_model_get_net_for (SaeModel *model, const float *x, gsize n_rows)
{
  SaeNet net = model->net;
  gsize before = (gsize) g_atomic_int_get (&model->n_encoded);

  if (!sae_screen_is_worthwhile (net.d_in, net.d_sae))
    return net;
  if (!g_atomic_pointer_get (&model->screen)) {
    if (before + n_rows >= SCREEN_ROWS)
      make_screen (model, x, n_rows);
    else
      g_atomic_int_set (&model->n_encoded, (gint) (before + n_rows));
  }
  net.screen = g_atomic_pointer_get (&model->screen);
  return net;
}

GHashTable *
sae_model_get_metadata_table (SaeModel *model)
{
  return model->metadata;
}

static GHashTable *
copy_metadata (GHashTable *metadata)
{
  GHashTable *copy =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  if (!metadata)
    return copy;
  g_hash_table_iter_init (&iter, metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy, g_strdup (key), g_strdup (value));
  return copy;
}

static GBytes *
take_floats (float *floats, gsize rows, gsize columns)
{
  return g_bytes_new_with_free_func (floats, rows * columns * sizeof (float),
      free, floats);
}

static gboolean
check_finite (const char *name, GBytes *bytes, GError **error)
{
  gsize n = g_bytes_get_size (bytes) / sizeof (float);
  const float *data = g_bytes_get_data (bytes, NULL);

  if (sae_kernels ()->all_finite (data, n))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
      "%s: expected finite weights, got NaN or infinity", name);
  return FALSE;
}

static gboolean
check_threshold (SaeModel *model, GError **error)
{
  gboolean wanted = model->net.sparsity == SAE_SPARSITY_JUMP_RELU;

  if (wanted && model->threshold)
    return check_finite ("threshold", model->threshold, error);
  if (!wanted && !model->threshold)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE, "threshold: expected %s",
      wanted ? "one for each latent with jump-relu, got none"
             : "none without jump-relu, got some");
  return FALSE;
}

/* Of gated models, exp (r_mag) is what counts. */
static gboolean
check_gate (SaeModel *model, GError **error)
{
  gboolean wanted = model->net.sparsity == SAE_SPARSITY_GATED;

  if (!wanted)
    return TRUE;
  if (!model->r_mag || !model->b_mag) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "r_mag, b_mag: expected one for each latent with gated, got none");
    return FALSE;
  }
  if (!check_finite ("r_mag", model->r_mag, error) ||
      !check_finite ("b_mag", model->b_mag, error))
    return FALSE;
  for (guint i = 0; i < model->net.d_sae; i++)
    if (!isfinite ((float) exp ((double) model->net.r_mag[i]))) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "r_mag: expected exp (r_mag) to be finite, got exp (%g) of latent %u",
          model->net.r_mag[i], i);
      return FALSE;
    }
  return TRUE;
}

static const float *
floats_of (GBytes *bytes)
{
  return bytes ? g_bytes_get_data (bytes, NULL) : NULL;
}

SaeModel *
sae_model_new_take_bytes (const SaeNet *net, GBytes *W_enc, GBytes *b_enc,
    GBytes *W_dec, GBytes *b_dec, GBytes *threshold, GHashTable *metadata,
    GError **error)
{
  SaeModel *model = g_new0 (SaeModel, 1);

  g_atomic_ref_count_init (&model->ref_count);
  g_mutex_init (&model->lock);
  model->net = *net;
  model->net.screen = NULL;
  model->W_enc = W_enc;
  model->b_enc = b_enc;
  model->W_dec = W_dec;
  model->b_dec = b_dec;
  model->threshold = threshold;
  model->net.W_enc = floats_of (W_enc);
  model->net.b_enc = floats_of (b_enc);
  model->net.W_dec = floats_of (W_dec);
  model->net.b_dec = floats_of (b_dec);
  model->net.threshold = floats_of (threshold);
  model->metadata = copy_metadata (metadata);
  if (!sae_net_check (net, error) ||
      !check_finite ("W_enc", model->W_enc, error) ||
      !check_finite ("b_enc", model->b_enc, error) ||
      !check_finite ("W_dec", model->W_dec, error) ||
      !check_finite ("b_dec", model->b_dec, error) ||
      !check_threshold (model, error) || !check_gate (model, error))
    g_clear_pointer (&model, sae_model_unref);
  return model;
}

SaeModel *
sae_model_new_take (const SaeNet *net, float *W_enc, float *b_enc, float *W_dec,
    float *b_dec, float *threshold, GHashTable *metadata, GError **error)
{
  return sae_model_new_take_bytes (net,
      take_floats (W_enc, net->d_sae, net->d_in),
      take_floats (b_enc, 1, net->d_sae),
      take_floats (W_dec, net->d_sae, net->d_out),
      take_floats (b_dec, 1, net->d_out),
      threshold ? take_floats (threshold, 1, net->d_sae) : NULL, metadata,
      error);
}

static void
free_arrays (float *arrays[N_ARRAYS])
{
  for (guint i = 0; i < N_ARRAYS; i++)
    free (arrays[i]);
}

/* Zeroed arrays of the sizes of @net, or none; the last is NULL but for
 * jump-relu. */
static gboolean
allocate (const SaeNet *net, float *arrays[N_ARRAYS], GError **error)
{
  const struct {
    const char *name;
    gsize rows, columns;
  } shapes[N_ARRAYS] = {
      {"W_enc", net->d_sae, net->d_in},
      {"b_enc", 1, net->d_sae},
      {"W_dec", net->d_sae, net->d_out},
      {"b_dec", 1, net->d_out},
      {"threshold", 1, net->d_sae},
  };
  guint n = net->sparsity == SAE_SPARSITY_JUMP_RELU ? N_ARRAYS : N_ARRAYS - 1;

  memset (arrays, 0, N_ARRAYS * sizeof *arrays);
  for (guint i = 0; i < n; i++) {
    arrays[i] = sae_floats_new (shapes[i].rows, shapes[i].columns,
        shapes[i].name, error);
    if (!arrays[i]) {
      free_arrays (arrays);
      return FALSE;
    }
  }
  return TRUE;
}

/* Whether @net is gated; it is l1 then, which add_gate() makes gated. */
static gboolean
without_gate (SaeNet *net)
{
  if (net->sparsity != SAE_SPARSITY_GATED)
    return FALSE;
  net->sparsity = SAE_SPARSITY_L1;
  return TRUE;
}

static SaeModel *add_gate (SaeModel *model, GError **error);

/**
 * sae_model_new:
 * @config: sizes and rule
 * @seed: which random start
 * @init: how it starts
 * @error: return location
 *
 * Makes an untrained model; the same seed gives the same bits everywhere. With
 * jump-relu the thresholds are 0; sae_model_with_threshold() sets others. With
 * gated r_mag and b_mag are 0; sae_model_with_gate() sets others.
 * %SAE_ERROR_SIZE when @config contradicts itself, %SAE_ERROR_NO_SPACE when
 * memory is exhausted.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_new (const SaeConfig *config, guint64 seed, SaeInit init,
    GError **error)
{
  SaeNet net = sae_net_from_config (config);
  float *arrays[N_ARRAYS];
  SaeModel *model;
  gboolean gated = without_gate (&net);

  if (!sae_net_check (&net, error) || !allocate (&net, arrays, error))
    return NULL;
  sae_start_weights (&net, init, seed, arrays[0], arrays[2]);
  model = sae_model_new_take (&net, arrays[0], arrays[1], arrays[2], arrays[3],
      arrays[4], NULL, error);
  return gated ? add_gate (model, error) : model;
}

static gboolean
check_weights_size (const char *name, gsize rows, gsize columns, GBytes *from,
    GError **error)
{
  gsize expected = rows * columns * sizeof (float);

  if (g_bytes_get_size (from) == expected)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT
      "] = %" G_GSIZE_FORMAT " bytes, got %" G_GSIZE_FORMAT,
      name, rows, columns, expected, g_bytes_get_size (from));
  return FALSE;
}

static gboolean
copy_weights (const char *name, float *to, gsize rows, gsize columns,
    GBytes *from, GError **error)
{
  if (!check_weights_size (name, rows, columns, from, error))
    return FALSE;
  memcpy (to, g_bytes_get_data (from, NULL), g_bytes_get_size (from));
  return TRUE;
}

/**
 * sae_model_new_from_weights:
 * @config: sizes and rule
 * @W_enc: float32 [d_sae, d_in]; row i reads latent i
 * @b_enc: float32 [d_sae]
 * @W_dec: float32 [d_sae, d_out]; row i writes latent i
 * @b_dec: float32 [d_out]
 * @error: return location
 *
 * Makes a model from arrays, which are copied. Note the orientation: W_enc of
 * SAELens and Gemma Scope is the transpose. With jump-relu the thresholds are
 * 0; sae_model_with_threshold() sets others. With gated r_mag and b_mag are 0;
 * sae_model_with_gate() sets others. %SAE_ERROR_SIZE when a size is not what
 * @config says, %SAE_ERROR_NON_FINITE for a NaN or an infinity.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_new_from_weights (const SaeConfig *config, GBytes *W_enc,
    GBytes *b_enc, GBytes *W_dec, GBytes *b_dec, GError **error)
{
  SaeNet net = sae_net_from_config (config);
  float *a[N_ARRAYS];
  SaeModel *model;
  gboolean gated = without_gate (&net);

  if (!sae_net_check (&net, error) || !allocate (&net, a, error))
    return NULL;
  if (!copy_weights ("W_enc", a[0], net.d_sae, net.d_in, W_enc, error) ||
      !copy_weights ("b_enc", a[1], 1, net.d_sae, b_enc, error) ||
      !copy_weights ("W_dec", a[2], net.d_sae, net.d_out, W_dec, error) ||
      !copy_weights ("b_dec", a[3], 1, net.d_out, b_dec, error)) {
    free_arrays (a);
    return NULL;
  }
  model = sae_model_new_take (&net, a[0], a[1], a[2], a[3], a[4], NULL, error);
  return gated ? add_gate (model, error) : model;
}

/**
 * sae_model_ref:
 * @model: a model
 *
 * Returns: (transfer full): @model, with one more reference
 * Since: 0.1
 */
SaeModel *
sae_model_ref (SaeModel *model)
{
  __atomic_add_fetch (&model->ref_count, 1, __ATOMIC_RELAXED);
  return model;
}

/**
 * sae_model_unref:
 * @model: (transfer full): a model
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_model_unref (SaeModel *model)
{
  if (__atomic_sub_fetch (&model->ref_count, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  g_bytes_unref (model->W_enc);
  g_bytes_unref (model->b_enc);
  g_bytes_unref (model->W_dec);
  g_bytes_unref (model->b_dec);
  g_clear_pointer (&model->threshold, g_bytes_unref);
  g_clear_pointer (&model->W_skip, g_bytes_unref);
  g_clear_pointer (&model->r_mag, g_bytes_unref);
  g_clear_pointer (&model->b_mag, g_bytes_unref);
  g_hash_table_unref (model->metadata);
  sae_screen_free (model->screen);
  g_mutex_clear (&model->lock);
  g_free (model);
}

/* A new model over the same weights. */
static SaeModel *
share_weights (SaeModel *model)
{
  SaeModel *copy = g_new0 (SaeModel, 1);

  g_atomic_ref_count_init (&copy->ref_count);
  g_mutex_init (&copy->lock);
  copy->net = model->net;
  copy->W_enc = g_bytes_ref (model->W_enc);
  copy->b_enc = g_bytes_ref (model->b_enc);
  copy->W_dec = g_bytes_ref (model->W_dec);
  copy->b_dec = g_bytes_ref (model->b_dec);
  if (model->threshold)
    copy->threshold = g_bytes_ref (model->threshold);
  if (model->W_skip)
    copy->W_skip = g_bytes_ref (model->W_skip);
  if (model->r_mag)
    copy->r_mag = g_bytes_ref (model->r_mag);
  if (model->b_mag)
    copy->b_mag = g_bytes_ref (model->b_mag);
  copy->metadata = copy_metadata (model->metadata);
  return copy;
}

/* @threshold may be NULL. */
static void
take_threshold (SaeModel *model, float *threshold)
{
  g_clear_pointer (&model->r_mag, g_bytes_unref);
  g_clear_pointer (&model->b_mag, g_bytes_unref);
  model->net.r_mag = model->net.b_mag = NULL;
  g_clear_pointer (&model->threshold, g_bytes_unref);
  if (threshold)
    model->threshold = take_floats (threshold, 1, model->net.d_sae);
  model->net.threshold = threshold;
}

/**
 * sae_model_with_top_k:
 * @model: a model
 * @k: latents to keep per row
 * @ties: what to do with equal values
 * @error: return location
 *
 * The same weights under the top-k rule with another k. No weights are copied.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_top_k (SaeModel *model, guint k, SaeTies ties, GError **error)
{
  g_autoptr (SaeModel) copy = share_weights (model);

  copy->net.sparsity = SAE_SPARSITY_TOP_K;
  copy->net.k = k;
  copy->net.ties = ties;
  take_threshold (copy, NULL);
  return sae_net_check (&copy->net, error) ? g_steal_pointer (&copy) : NULL;
}

/**
 * sae_model_with_threshold:
 * @model: a model
 * @threshold: float32 [d_sae]: what a latent's pre-activation must exceed to
 *   be active, in the model's units; where it is negative, 0
 * @error: return location
 *
 * The same weights under the jump-relu rule. @threshold is copied, the weights
 * are not. %SAE_ERROR_SIZE when it has another size, %SAE_ERROR_NON_FINITE for
 * a NaN or an infinity.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_threshold (SaeModel *model, GBytes *threshold, GError **error)
{
  g_autoptr (SaeModel) copy = share_weights (model);
  gsize d_sae = model->net.d_sae;
  float *floats = sae_floats_new (1, d_sae, "threshold", error);

  if (!floats)
    return NULL;
  copy->net.sparsity = SAE_SPARSITY_JUMP_RELU;
  copy->net.k = 0;
  take_threshold (copy, floats);
  if (!copy_weights ("threshold", floats, 1, d_sae, threshold, error) ||
      !check_threshold (copy, error))
    return NULL;
  return g_steal_pointer (&copy);
}

static GBytes *
copy_floats (const char *name, guint d_sae, GBytes *from, GError **error)
{
  float *floats = sae_floats_new (1, d_sae, name, error);

  if (floats && copy_weights (name, floats, 1, d_sae, from, error))
    return take_floats (floats, 1, d_sae);
  free (floats);
  return NULL;
}

/**
 * sae_model_with_gate:
 * @model: a model
 * @r_mag: float32 [d_sae]: the logarithm of what the magnitude's weights are
 *   more than the gate's
 * @b_mag: float32 [d_sae]: the magnitude's bias
 * @error: return location
 *
 * The same weights under the gated rule, with s = (x − [pre_bias] b_dec)
 * W_encᵀ: a latent is relu(exp(r_mag)·s + b_mag) where s + b_enc > 0, else 0.
 * b_enc is the gate's bias. @r_mag and @b_mag are copied, the weights are not.
 * %SAE_ERROR_SIZE when they have another size, %SAE_ERROR_NON_FINITE for a NaN,
 * an infinity or an exponential that is none.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_gate (SaeModel *model, GBytes *r_mag, GBytes *b_mag,
    GError **error)
{
  g_autoptr (SaeModel) copy = share_weights (model);
  guint d_sae = model->net.d_sae;

  take_threshold (copy, NULL);
  copy->net.sparsity = SAE_SPARSITY_GATED;
  copy->net.k = 0;
  copy->r_mag = copy_floats ("r_mag", d_sae, r_mag, error);
  if (copy->r_mag)
    copy->b_mag = copy_floats ("b_mag", d_sae, b_mag, error);
  if (!copy->b_mag)
    return NULL;
  copy->net.r_mag = floats_of (copy->r_mag);
  copy->net.b_mag = floats_of (copy->b_mag);
  return check_gate (copy, error) ? g_steal_pointer (&copy) : NULL;
}

/* A gated model starts as an l1 one, whose r_mag and b_mag are then 0. */
static SaeModel *
add_gate (SaeModel *model, GError **error)
{
  g_autoptr (SaeModel) plain = model;
  g_autoptr (GBytes) zeros = NULL;
  float *floats;

  if (!plain)
    return NULL;
  floats = sae_floats_new (1, plain->net.d_sae, "r_mag", error);
  if (!floats)
    return NULL;
  zeros = take_floats (floats, 1, plain->net.d_sae);
  return sae_model_with_gate (plain, zeros, zeros, error);
}

/**
 * sae_model_with_skip:
 * @model: a model
 * @W_skip: (nullable): float32 [d_out, d_in]; row j reads the input for
 *   output j. %NULL removes the skip connection
 * @error: return location
 *
 * The same weights with a skip connection: x_hat = latents W_dec + b_dec +
 * x W_skipᵀ, with x as it comes. Codes do not carry x, so sae_model_decode() of
 * such a model is %SAE_ERROR_UNSUPPORTED; sae_model_forward() is not. @W_skip
 * is not copied. %SAE_ERROR_SIZE when it has another size,
 * %SAE_ERROR_NON_FINITE for a NaN or an infinity.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_skip (SaeModel *model, GBytes *W_skip, GError **error)
{
  g_autoptr (SaeModel) copy = share_weights (model);

  g_clear_pointer (&copy->W_skip, g_bytes_unref);
  copy->net.W_skip = NULL;
  if (!W_skip)
    return g_steal_pointer (&copy);
  if (!check_weights_size ("W_skip", model->net.d_out, model->net.d_in, W_skip,
          error) ||
      !check_finite ("W_skip", W_skip, error))
    return NULL;
  copy->W_skip = g_bytes_ref (W_skip);
  copy->net.W_skip = floats_of (W_skip);
  return g_steal_pointer (&copy);
}

/**
 * sae_model_with_metadata:
 * @model: a model
 * @key: what is told, such as `model_name` or `hook_name`
 * @value: (nullable): its text; %NULL removes the key
 *
 * The same weights with one more entry of metadata, which is saved into
 * `cfg.json`. No weights are copied.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_metadata (SaeModel *model, const char *key, const char *value)
{
  SaeModel *copy = share_weights (model);

  if (value)
    g_hash_table_insert (copy->metadata, g_strdup (key), g_strdup (value));
  else
    g_hash_table_remove (copy->metadata, key);
  return copy;
}

/**
 * sae_model_get_config:
 * @model: a model
 *
 * Returns: (transfer full): its sizes and rule
 * Since: 0.1
 */
SaeConfig *
sae_model_get_config (SaeModel *model)
{
  SaeConfig *config =
      sae_config_new (model->net.d_in, model->net.d_sae, model->net.k);

  config->d_out = model->net.d_out;
  config->sparsity = model->net.sparsity;
  config->ties = model->net.ties;
  config->pre_bias = model->net.pre_bias;
  config->input_norm = model->net.input_norm;
  return config;
}

/**
 * sae_model_get_d_in:
 * @model: a model
 *
 * Returns: width of an input row
 * Since: 0.1
 */
guint
sae_model_get_d_in (SaeModel *model)
{
  return model->net.d_in;
}

/**
 * sae_model_get_d_out:
 * @model: a model
 *
 * Returns: width of a reconstructed row
 * Since: 0.1
 */
guint
sae_model_get_d_out (SaeModel *model)
{
  return model->net.d_out;
}

/**
 * sae_model_get_d_sae:
 * @model: a model
 *
 * Returns: number of latents
 * Since: 0.1
 */
guint
sae_model_get_d_sae (SaeModel *model)
{
  return model->net.d_sae;
}

/**
 * sae_model_get_k:
 * @model: a model
 *
 * Returns: latents kept per row; 0 where the rule has no such number
 * Since: 0.1
 */
guint
sae_model_get_k (SaeModel *model)
{
  return model->net.k;
}

/**
 * sae_model_get_sparsity:
 * @model: a model
 *
 * Returns: its sparsity rule
 * Since: 0.1
 */
SaeSparsity
sae_model_get_sparsity (SaeModel *model)
{
  return model->net.sparsity;
}

/**
 * sae_model_get_W_enc:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae, d_in]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_W_enc (SaeModel *model)
{
  return g_bytes_ref (model->W_enc);
}

/**
 * sae_model_get_b_enc:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_b_enc (SaeModel *model)
{
  return g_bytes_ref (model->b_enc);
}

/**
 * sae_model_get_W_dec:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae, d_out]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_W_dec (SaeModel *model)
{
  return g_bytes_ref (model->W_dec);
}

/**
 * sae_model_get_b_dec:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_out]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_b_dec (SaeModel *model)
{
  return g_bytes_ref (model->b_dec);
}

/**
 * sae_model_get_threshold:
 * @model: a model
 *
 * Returns: (transfer full) (nullable): float32 [d_sae], what the
 *   pre-activations of a jump-relu model must exceed; not copied. %NULL for
 *   other rules
 * Since: 0.1
 */
GBytes *
sae_model_get_threshold (SaeModel *model)
{
  return model->threshold ? g_bytes_ref (model->threshold) : NULL;
}

/**
 * sae_model_get_W_skip:
 * @model: a model
 *
 * Returns: (transfer full) (nullable): float32 [d_out, d_in], see
 *   sae_model_with_skip(); not copied. %NULL without a skip connection
 * Since: 0.1
 */
GBytes *
sae_model_get_W_skip (SaeModel *model)
{
  return model->W_skip ? g_bytes_ref (model->W_skip) : NULL;
}

/**
 * sae_model_get_r_mag:
 * @model: a model
 *
 * Returns: (transfer full) (nullable): float32 [d_sae], see
 *   sae_model_with_gate(); not copied. %NULL for other rules
 * Since: 0.1
 */
GBytes *
sae_model_get_r_mag (SaeModel *model)
{
  return model->r_mag ? g_bytes_ref (model->r_mag) : NULL;
}

/**
 * sae_model_get_b_mag:
 * @model: a model
 *
 * Returns: (transfer full) (nullable): float32 [d_sae], see
 *   sae_model_with_gate(); not copied. %NULL for other rules
 * Since: 0.1
 */
GBytes *
sae_model_get_b_mag (SaeModel *model)
{
  return model->b_mag ? g_bytes_ref (model->b_mag) : NULL;
}

/**
 * sae_model_get_input_norm:
 * @model: a model
 *
 * Returns: what it does to a row before it encodes it
 * Since: 0.1
 */
SaeInputNorm
sae_model_get_input_norm (SaeModel *model)
{
  return model->net.input_norm;
}

/**
 * sae_model_list_metadata:
 * @model: a model
 *
 * Returns: (transfer full) (array zero-terminated=1): keys of its metadata,
 *   sorted
 * Since: 0.1
 */
char **
sae_model_list_metadata (SaeModel *model)
{
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (model->metadata),
      (GCompareFunc) g_strcmp0);
  GStrvBuilder *builder = g_strv_builder_new ();
  char **list;

  for (GList *l = keys; l; l = l->next)
    g_strv_builder_add (builder, l->data);
  list = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return list;
}

/**
 * sae_model_get_metadata:
 * @model: a model
 * @key: a key
 *
 * Returns: (nullable) (transfer none): its text, %NULL when there is none
 * Since: 0.1
 */
const char *
sae_model_get_metadata (SaeModel *model, const char *key)
{
  return g_hash_table_lookup (model->metadata, key);
}
