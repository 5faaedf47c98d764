/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which model an element runs: the properties that say so, and what follows
 * from them. */
#pragma once

#include <gst/gst.h>

#include "sae-model.h"

G_BEGIN_DECLS

/* With dict-size 0 and no model, here as in the trainer's options. */
#define GST_SAE_DEFAULT_DICT_SIZE 4096

typedef struct {
  SaeConfig wanted; /* as set; 0 and auto where nothing was */
  gboolean ties_set;
  gboolean pre_bias_set;
  gchar *location;
  gchar *model_name;
  guint64 seed;
  guint n_threads;
  guint64 max_bytes;
} GstSaeChoice;

/* Properties with ids from 1 on; first one that is free. */
guint gst_sae_choice_install (GObjectClass *klass);
/* For a class that is stricter: max-bytes once more, with that default, which
 * its instances then set. */
void gst_sae_choice_install_max_bytes (GObjectClass *klass, guint64 standard);
/* FALSE for an id that is none of them. Needs the lock that guards @choice. */
gboolean
gst_sae_choice_set (GstSaeChoice *choice, guint id, const GValue *value);
gboolean
gst_sae_choice_get (const GstSaeChoice *choice, guint id, GValue *value);

void gst_sae_choice_copy (const GstSaeChoice *choice, GstSaeChoice *copy);
void gst_sae_choice_clear (GstSaeChoice *choice);

/* Loads the model at the location. Whatever was set must be what it has; only
 * another k and another rule for ties are allowed. (transfer full) */
SaeModel *gst_sae_choice_load (const GstSaeChoice *choice, GError **error);

/* The same for a model that is there. (transfer full) */
SaeModel *gst_sae_choice_adapt (const GstSaeChoice *choice, SaeModel *model,
    GError **error);

/* What a model of @config becomes by that; what is 0 or auto in @config is not
 * known yet. */
gboolean gst_sae_choice_adapt_config (const GstSaeChoice *choice,
    SaeConfig *config, GError **error);

/* What an untrained model is, without a location: d_in is 0 unless set. What
 * was set must not contradict itself. */
gboolean gst_sae_choice_untrained (const GstSaeChoice *choice,
    SaeConfig *config, GError **error);

G_END_DECLS
