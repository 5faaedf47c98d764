/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_MODEL_H
#define SAE_MODEL_H

#include "sae-enums.h"
#include "sae-latents.h"

G_BEGIN_DECLS

/**
 * SaeConfig:
 * @d_in: width of an input row
 * @d_out: width of a reconstructed row; 0 stands for @d_in
 * @d_sae: number of latents
 * @k: latents kept per row by top-k; number of groups of group-max
 * @sparsity: the sparsity rule; auto is top-k
 * @ties: what top-k does with equal values
 * @pre_bias: whether b_dec is subtracted from the input before encoding
 * @input_norm: how rows are normalised before that
 *
 * What makes a model besides its weights. A plain value: set the fields.
 */
typedef struct {
  guint d_in;
  guint d_out;
  guint d_sae;
  guint k;
  SaeSparsity sparsity;
  SaeTies ties;
  gboolean pre_bias;
  SaeInputNorm input_norm;
  /*< private >*/
  gpointer padding[8];
} SaeConfig;

#define SAE_TYPE_CONFIG (sae_config_get_type ())
SAE_API GType sae_config_get_type (void);
SAE_API SaeConfig *sae_config_new (guint d_in, guint d_sae, guint k);
SAE_API SaeConfig *sae_config_copy (const SaeConfig *config);
SAE_API void sae_config_free (SaeConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeConfig, sae_config_free)

/**
 * SaeModel:
 *
 * A sparse autoencoder: weights and the rule that makes its latents sparse.
 * Immutable and reference-counted; safe to use from any number of threads.
 */
typedef struct _SaeModel SaeModel;

#define SAE_TYPE_MODEL (sae_model_get_type ())
SAE_API GType sae_model_get_type (void);

SAE_API SaeModel *sae_model_new (const SaeConfig *config, guint64 seed,
    SaeInit init, GError **error);
SAE_API SaeModel *sae_model_new_from_weights (const SaeConfig *config,
    GBytes *W_enc, GBytes *b_enc, GBytes *W_dec, GBytes *b_dec, GError **error);
SAE_API SaeModel *sae_model_load (const char *path, GError **error);
SAE_API gboolean sae_model_save (SaeModel *model, const char *path,
    GError **error);
SAE_API gboolean sae_model_save_as (SaeModel *model, const char *path,
    const char *layout, GError **error);
SAE_API char **sae_model_list_layouts (void);
SAE_API gboolean sae_model_can_save_as (const char *layout);
SAE_API SaeModel *sae_model_ref (SaeModel *model);
SAE_API void sae_model_unref (SaeModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeModel, sae_model_unref)

SAE_API SaeModel *
sae_model_with_top_k (SaeModel *model, guint k, SaeTies ties, GError **error);
SAE_API SaeModel *
sae_model_with_threshold (SaeModel *model, GBytes *threshold, GError **error);
SAE_API SaeModel *sae_model_with_gate (SaeModel *model, GBytes *r_mag,
    GBytes *b_mag, GError **error);
SAE_API SaeModel *
sae_model_with_skip (SaeModel *model, GBytes *W_skip, GError **error);
SAE_API SaeModel *
sae_model_with_metadata (SaeModel *model, const char *key, const char *value);

SAE_API SaeConfig *sae_model_get_config (SaeModel *model);
SAE_API guint sae_model_get_d_in (SaeModel *model);
SAE_API guint sae_model_get_d_out (SaeModel *model);
SAE_API guint sae_model_get_d_sae (SaeModel *model);
SAE_API guint sae_model_get_k (SaeModel *model);
SAE_API SaeSparsity sae_model_get_sparsity (SaeModel *model);
SAE_API GBytes *sae_model_get_W_enc (SaeModel *model);
SAE_API GBytes *sae_model_get_b_enc (SaeModel *model);
SAE_API GBytes *sae_model_get_W_dec (SaeModel *model);
SAE_API GBytes *sae_model_get_b_dec (SaeModel *model);
SAE_API GBytes *sae_model_get_threshold (SaeModel *model);
SAE_API GBytes *sae_model_get_W_skip (SaeModel *model);
SAE_API GBytes *sae_model_get_r_mag (SaeModel *model);
SAE_API GBytes *sae_model_get_b_mag (SaeModel *model);
SAE_API SaeInputNorm sae_model_get_input_norm (SaeModel *model);
SAE_API char **sae_model_list_metadata (SaeModel *model);
SAE_API const char *sae_model_get_metadata (SaeModel *model, const char *key);

SAE_API SaeLatents *
sae_model_encode (SaeModel *model, GBytes *x, GError **error);
SAE_API GBytes *
sae_model_decode (SaeModel *model, SaeLatents *latents, GError **error);
SAE_API GBytes *sae_model_forward (SaeModel *model, GBytes *x,
    SaeLatents **latents, GError **error);

/**
 * SaeWorkspace:
 *
 * Scratch memory and worker threads for the calls that run once per buffer.
 * It grows to the largest batch seen and then allocates no more. Use one per
 * streaming thread; it is not safe for two calls at a time.
 */
typedef struct _SaeWorkspace SaeWorkspace;

#define SAE_TYPE_WORKSPACE (sae_workspace_get_type ())
SAE_API GType sae_workspace_get_type (void);
SAE_API SaeWorkspace *sae_workspace_new (guint n_threads);
SAE_API SaeWorkspace *sae_workspace_ref (SaeWorkspace *workspace);
SAE_API void sae_workspace_unref (SaeWorkspace *workspace);
SAE_API void
sae_workspace_set_zero_nonfinite (SaeWorkspace *workspace, gboolean zero);
SAE_API guint64 sae_workspace_get_n_nonfinite (SaeWorkspace *workspace);
SAE_API const float *
sae_workspace_get_row_norms (SaeWorkspace *workspace, gsize *n_rows);
SAE_API void sae_workspace_set_row_norms (SaeWorkspace *workspace,
    const float *norms, gsize n_rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeWorkspace, sae_workspace_unref)

SAE_API gboolean sae_model_encode_rows (SaeModel *model,
    SaeWorkspace *workspace, const float *x, gsize n_rows,
    const gsize **offsets, const guint32 **indices, const float **values,
    GError **error);
SAE_API gboolean sae_model_decode_rows (SaeModel *model,
    SaeWorkspace *workspace, const gsize *offsets, const guint32 *indices,
    const float *values, gsize n_rows, float *x_hat, GError **error);
SAE_API gboolean sae_model_decode_dense (SaeModel *model,
    SaeWorkspace *workspace, const float *latents, gsize n_rows, float *x_hat,
    GError **error);

G_END_DECLS

#endif /* SAE_MODEL_H */
