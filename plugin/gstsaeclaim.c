/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeclaim.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  gconstpointer owner; /* no reference: only compared */
  gchar *owner_name;
} Claim;

G_LOCK_DEFINE_STATIC (claims);
static GHashTable *claims; /* path -> Claim; lock claims; NULL while empty */

static void
free_claim (gpointer data)
{
  Claim *claim = data;

  g_free (claim->owner_name);
  g_free (claim);
}

/* What is there of the path by its real name, and behind it what will be made:
 * "/real/folder/new/name". (transfer full) */
static gchar *
canonical (const gchar *path)
{
  g_autofree gchar *absolute = g_canonicalize_filename (path, NULL);
  g_autofree gchar *name = g_path_get_basename (absolute);
  g_autofree gchar *parent = g_path_get_dirname (path), *known = NULL;
  char *real;

  /* Of the path as it is given: "link/../x" is not "x". */
  real = realpath (parent, NULL);
  if (!real) {
    if (strcmp (parent, ".") == 0 || strcmp (parent, "/") == 0)
      return g_steal_pointer (&absolute);
    known = canonical (parent);
    return g_build_filename (known, name, NULL);
  }
  known = g_strdup (real);
  free (real);
  return g_build_filename (known, name, NULL);
}

/* (transfer full): the key of a path without slashes at its end */
static gchar *
make_key (const gchar *path)
{
  gsize length = strlen (path);
  g_autofree gchar *trimmed = NULL;

  while (length > 1 && path[length - 1] == '/')
    length--;
  trimmed = g_strndup (path, length);
  return canonical (trimmed);
}

/* Name of the element that has @key already, or NULL once it is ours. */
static gchar *
claim_or_find (GstElement *owner, const gchar *key)
{
  Claim *claim;
  gchar *holder = NULL;

  G_LOCK (claims);
  if (!claims)
    claims =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_claim);
  claim = g_hash_table_lookup (claims, key);
  if (claim) {
    holder = g_strdup (claim->owner_name);
  } else {
    claim = g_new0 (Claim, 1);
    claim->owner = owner;
    claim->owner_name = gst_object_get_name (GST_OBJECT (owner));
    g_hash_table_insert (claims, g_strdup (key), claim);
  }
  G_UNLOCK (claims);
  return holder;
}

gboolean
gst_sae_claim_take (GstElement *owner, const gchar *property, const gchar *path)
{
  g_autofree gchar *key = make_key (path);
  g_autofree gchar *holder = claim_or_find (owner, key);

  if (!holder)
    return TRUE;
  GST_ELEMENT_ERROR (owner, RESOURCE, BUSY,
      ("%s: expected a place that no other element writes, %s is written by %s",
          property, path, holder),
      (NULL));
  return FALSE;
}

static gboolean
is_of (gpointer key, gpointer claim, gpointer owner)
{
  return ((const Claim *) claim)->owner == owner;
}

void
gst_sae_claim_release_all (GstElement *owner)
{
  G_LOCK (claims);
  if (claims) {
    g_hash_table_foreach_remove (claims, is_of, owner);
    if (g_hash_table_size (claims) == 0)
      g_clear_pointer (&claims, g_hash_table_unref);
  }
  G_UNLOCK (claims);
}
