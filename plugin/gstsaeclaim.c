/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeclaim.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  gchar *key, *path;   /* its real name, and as it was given */
  gconstpointer owner; /* no reference: only compared */
  gchar *owner_name;
  GstSaeClaimKind kind;
} Claim;

G_LOCK_DEFINE_STATIC (claims);
static GPtrArray *claims; /* of Claim; lock claims; NULL while empty */

static Claim *
new_claim (GstElement *owner, const gchar *key, const gchar *path,
    GstSaeClaimKind kind)
{
  Claim *claim = g_new0 (Claim, 1);

  claim->key = g_strdup (key);
  claim->path = g_strdup (path);
  claim->owner = owner;
  claim->owner_name = gst_object_get_name (GST_OBJECT (owner));
  claim->kind = kind;
  return claim;
}

static void
free_claim (gpointer data)
{
  Claim *claim = data;

  g_free (claim->key);
  g_free (claim->path);
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

static gboolean
is_inside (const gchar *path, const gchar *folder)
{
  gsize length = strlen (folder);

  return strncmp (path, folder, length) == 0 && path[length] == '/';
}

static gboolean
conflicts (const Claim *claim, const gchar *key, GstSaeClaimKind kind)
{
  if (g_str_equal (claim->key, key))
    return claim->kind != GST_SAE_CLAIM_SHARED_FILE ||
           kind != GST_SAE_CLAIM_SHARED_FILE;
  return (claim->kind == GST_SAE_CLAIM_FOLDER && is_inside (key, claim->key)) ||
         (kind == GST_SAE_CLAIM_FOLDER && is_inside (claim->key, key));
}

/* Needs lock claims. Of @but's claims only those of other places count. */
static gchar *
find_holder (GstElement *but, const gchar *key, GstSaeClaimKind kind)
{
  for (guint i = 0; claims && i < claims->len; i++) {
    const Claim *claim = g_ptr_array_index (claims, i);
    if (conflicts (claim, key, kind) &&
        (claim->owner != but || !g_str_equal (claim->key, key)))
      return g_strdup_printf ("%s writes %s", claim->owner_name, claim->path);
  }
  return NULL;
}

/* What is written by whom in the way of @key, or NULL once that is ours. */
static gchar *
claim_or_find (GstElement *owner, const gchar *key, const gchar *path,
    GstSaeClaimKind kind)
{
  gchar *holder;

  G_LOCK (claims);
  holder = find_holder (NULL, key, kind);
  if (!holder) {
    if (!claims)
      claims = g_ptr_array_new_with_free_func (free_claim);
    g_ptr_array_add (claims, new_claim (owner, key, path, kind));
  }
  G_UNLOCK (claims);
  return holder;
}

gchar *
gst_sae_claim_find (GstElement *owner, const gchar *path, GstSaeClaimKind kind)
{
  g_autofree gchar *key = make_key (path);
  gchar *holder;

  G_LOCK (claims);
  holder = find_holder (owner, key, kind);
  G_UNLOCK (claims);
  return holder;
}

gchar *
gst_sae_claim_absolute (const gchar *path)
{
  g_autofree gchar *here = NULL;

  if (!path || !*path || g_path_is_absolute (path))
    return g_strdup (path);
  here = g_get_current_dir ();
  return g_build_filename (here, path, NULL);
}

gboolean
gst_sae_claim_take (GstElement *owner, const gchar *property, const gchar *path,
    GstSaeClaimKind kind)
{
  g_autofree gchar *key = make_key (path);
  g_autofree gchar *holder = claim_or_find (owner, key, path, kind);

  if (!holder)
    return TRUE;
  GST_ELEMENT_ERROR (owner, RESOURCE, BUSY,
      ("%s: expected a place of its own, got %s where %s", property, path,
          holder),
      (NULL));
  return FALSE;
}

void
gst_sae_claim_release_all (GstElement *owner)
{
  G_LOCK (claims);
  for (guint i = claims ? claims->len : 0; i-- > 0;)
    if (((Claim *) g_ptr_array_index (claims, i))->owner == owner)
      g_ptr_array_remove_index_fast (claims, i);
  if (claims && claims->len == 0)
    g_clear_pointer (&claims, g_ptr_array_unref);
  G_UNLOCK (claims);
}
