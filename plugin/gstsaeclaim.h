/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who writes what: a path that one element of this process writes is refused
 * to others until it is given back. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum {
  GST_SAE_CLAIM_FOLDER, /* and all that is in it */
  GST_SAE_CLAIM_FILE,
  GST_SAE_CLAIM_SHARED_FILE /* others may claim it as that too */
} GstSaeClaimKind;

/* Claims @path for @owner. The same place under another spelling (relative,
 * through a link to a folder, with a slash at its end) is the same; it need not
 * be there yet. When it is claimed already, by @owner too, posts RESOURCE/BUSY,
 * which names both paths and the element, and returns FALSE. @property: what
 * @path is the value of. Any thread. */
gboolean gst_sae_claim_take (GstElement *owner, const gchar *property,
    const gchar *path, GstSaeClaimKind kind);

/* Who writes in the way of a write to @path, as "saetrainer0 writes /out"; NULL
 * when nobody does, or @owner that very place. (transfer full) Any thread. */
gchar *
gst_sae_claim_find (GstElement *owner, const gchar *path, GstSaeClaimKind kind);

/* @path as it is now, wherever the working directory goes; "" is none and stays
 * so. (transfer full) (nullable): NULL for NULL */
gchar *gst_sae_claim_absolute (const gchar *path);

/* Gives back all that @owner has claimed. Any thread. */
void gst_sae_claim_release_all (GstElement *owner);

G_END_DECLS
