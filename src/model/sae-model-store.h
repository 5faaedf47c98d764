/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_MODEL_STORE_H
#define SAE_MODEL_STORE_H

#include "sae-model.h"

G_BEGIN_DECLS

/**
 * SaeModelStore:
 *
 * Models by name, for those who train them and those who run them at the same
 * time. Of each name it has the latest version, a #SaeModel that never changes;
 * who looks it up holds a reference and never sees half an update. Versions of
 * a name are numbered from 0 in the order in which they were published, as long
 * as the store lives.
 *
 * Reference-counted; all calls are safe from any thread, and none waits for
 * anything but the swap of a reference. In pipelines it travels as the field
 * `store` of a #GstContext of type `sae.model-store`.
 *
 * Since: 0.1
 */
typedef struct _SaeModelStore SaeModelStore;

/**
 * SaeModelClaim:
 *
 * The right to publish under a name, which one holder has at a time. It ends
 * with sae_model_claim_end(), or with its last reference; the last version
 * stays in the store.
 *
 * Since: 0.1
 */
typedef struct _SaeModelClaim SaeModelClaim;

#define SAE_TYPE_MODEL_STORE (sae_model_store_get_type ())
SAE_API GType sae_model_store_get_type (void);
#define SAE_TYPE_MODEL_CLAIM (sae_model_claim_get_type ())
SAE_API GType sae_model_claim_get_type (void);

SAE_API SaeModelStore *sae_model_store_new (void);
SAE_API SaeModelStore *sae_model_store_ref (SaeModelStore *store);
SAE_API void sae_model_store_unref (SaeModelStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeModelStore, sae_model_store_unref)

SAE_API SaeModel *
sae_model_store_lookup (SaeModelStore *store, const char *name);
SAE_API SaeModel *sae_model_store_request (SaeModelStore *store,
    const char *name, guint d_in, gint64 *version, GError **error);
SAE_API SaeConfig *
sae_model_store_get_config (SaeModelStore *store, const char *name);
SAE_API gint64 sae_model_store_get_version (SaeModelStore *store,
    const char *name);
SAE_API char *
sae_model_store_get_holder (SaeModelStore *store, const char *name);
SAE_API char **sae_model_store_list_names (SaeModelStore *store);

SAE_API gint64 sae_model_store_publish (SaeModelStore *store, const char *name,
    SaeModel *model, GError **error);
SAE_API SaeModelClaim *
sae_model_store_claim (SaeModelStore *store, const char *name,
    const char *holder, const SaeConfig *config, GError **error);

/**
 * SaeModelStartFunc:
 * @d_in: width of the rows that are there to be encoded; 0 where whoever asks
 *   does not know it
 * @user_data: as given to sae_model_claim_set_start()
 * @error: return location
 *
 * Publishes the first version, if it can without waiting for anybody. Called in
 * the thread of a reader that came before it, perhaps of several at a time.
 *
 * Returns: whether there is a version now
 * Since: 0.1
 */
typedef gboolean (
    *SaeModelStartFunc) (guint d_in, gpointer user_data, GError **error);

SAE_API SaeModelClaim *sae_model_claim_ref (SaeModelClaim *claim);
SAE_API void sae_model_claim_unref (SaeModelClaim *claim);
SAE_API void sae_model_claim_set_start (SaeModelClaim *claim,
    SaeModelStartFunc start, gpointer user_data, GDestroyNotify destroy);
SAE_API void
sae_model_claim_set_config (SaeModelClaim *claim, const SaeConfig *config);
SAE_API gint64 sae_model_claim_publish (SaeModelClaim *claim, SaeModel *model,
    GError **error);
SAE_API void sae_model_claim_end (SaeModelClaim *claim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeModelClaim, sae_model_claim_unref)

G_END_DECLS

#endif /* SAE_MODEL_STORE_H */
