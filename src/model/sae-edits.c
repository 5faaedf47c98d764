/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "edits.h"

struct _SaeEdits {
  GArray *all; /* of SaeEdit, ascending */
};

G_DEFINE_BOXED_TYPE (SaeEdits, sae_edits, sae_edits_copy, sae_edits_free)

/**
 * sae_edits_new:
 *
 * Makes edits of no latent.
 *
 * Returns: (transfer full): edits
 * Since: 0.1
 */
SaeEdits *
sae_edits_new (void)
{
  SaeEdits *edits = g_new (SaeEdits, 1);

  edits->all = g_array_new (FALSE, FALSE, sizeof (SaeEdit));
  return edits;
}

/**
 * sae_edits_copy:
 * @edits: edits
 *
 * Returns: (transfer full): a copy
 * Since: 0.1
 */
SaeEdits *
sae_edits_copy (const SaeEdits *edits)
{
  SaeEdits *copy = g_new (SaeEdits, 1);

  copy->all = g_array_copy (edits->all);
  return copy;
}

/**
 * sae_edits_free:
 * @edits: (transfer full): edits
 *
 * Frees edits.
 *
 * Since: 0.1
 */
void
sae_edits_free (SaeEdits *edits)
{
  g_array_unref (edits->all);
  g_free (edits);
}

const SaeEdit *
sae_edits_get_all (const SaeEdits *edits, gsize *n)
{
  *n = edits->all->len;
  return (const SaeEdit *) (gpointer) edits->all->data;
}

/* Where @latent is, or would be. Mostly they come in order. */
static guint
find_place (const SaeEdits *edits, guint32 latent)
{
  guint first = 0, last = edits->all->len;

  if (last > 0 && g_array_index (edits->all, SaeEdit, last - 1).latent < latent)
    return last;
  while (first < last) {
    guint middle = first + (last - first) / 2;
    if (g_array_index (edits->all, SaeEdit, middle).latent < latent)
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

static SaeEdit *
find_edit (const SaeEdits *edits, guint32 latent)
{
  guint place = find_place (edits, latent);
  SaeEdit *edit = NULL;

  if (place < edits->all->len)
    edit = &g_array_index (edits->all, SaeEdit, place);
  return edit && edit->latent == latent ? edit : NULL;
}

static gboolean
changes_nothing (const SaeEdit *edit)
{
  return edit->scale == 1.0f && edit->offset == 0.0f && edit->min == -FLT_MAX &&
         edit->max == FLT_MAX;
}

void
sae_edits_put (SaeEdits *edits, const SaeEdit *edit)
{
  guint place = find_place (edits, edit->latent);
  gboolean there = find_edit (edits, edit->latent) != NULL;

  if (changes_nothing (edit)) {
    if (there)
      g_array_remove_index (edits->all, place);
  } else if (there) {
    g_array_index (edits->all, SaeEdit, place) = *edit;
  } else {
    g_array_insert_val (edits->all, place, *edit);
  }
}

static SaeEdit
get_edit (const SaeEdits *edits, guint latent)
{
  const SaeEdit *edit = find_edit (edits, latent);

  return edit ? *edit : (SaeEdit) SAE_EDIT_NOTHING (latent);
}

static float
to_float (double value)
{
  return (float) CLAMP (value, -FLT_MAX, FLT_MAX);
}

/**
 * sae_edits_set:
 * @edits: edits
 * @latent: which latent
 * @scale: what it is multiplied with, 0 to switch it off, 1 to keep it
 * @offset: what is added then, in the units of the latents
 *
 * Scales and raises a latent. Bounds that it has stay. An edit that changes
 * nothing is none. Numbers are kept as float32, NaN is refused.
 *
 * Since: 0.1
 */
void
sae_edits_set (SaeEdits *edits, guint latent, double scale, double offset)
{
  SaeEdit edit = get_edit (edits, latent);

  g_return_if_fail (!isnan (scale) && !isnan (offset));
  edit.scale = to_float (scale);
  edit.offset = to_float (offset);
  sae_edits_put (edits, &edit);
}

/**
 * sae_edits_set_range:
 * @edits: edits
 * @latent: which latent
 * @min: what it is at least, −∞ for no bound
 * @max: what it is at most, ∞ for no bound; where @min is above, @max holds
 *
 * Bounds what the latent is after scale and offset, which stay. (A latent that
 * is not active is 0, and raised to @min like any other.)
 *
 * Since: 0.1
 */
void
sae_edits_set_range (SaeEdits *edits, guint latent, double min, double max)
{
  SaeEdit edit = get_edit (edits, latent);

  g_return_if_fail (!isnan (min) && !isnan (max));
  edit.min = to_float (min);
  edit.max = to_float (max);
  sae_edits_put (edits, &edit);
}

/* No bound is infinite for those outside. */
static double
show_bound (float bound)
{
  return fabsf (bound) == FLT_MAX ? copysign (INFINITY, (double) bound)
                                  : (double) bound;
}

/**
 * sae_edits_get:
 * @edits: edits
 * @latent: which latent
 * @scale: (out) (optional): what it is multiplied with, 1 without an edit
 * @offset: (out) (optional): what is added then, 0 without an edit
 * @min: (out) (optional): what it is at least, or −∞
 * @max: (out) (optional): what it is at most, or ∞
 *
 * Returns: whether @latent is edited
 * Since: 0.1
 */
gboolean
sae_edits_get (const SaeEdits *edits, guint latent, double *scale,
    double *offset, double *min, double *max)
{
  SaeEdit edit = get_edit (edits, latent);

  if (scale)
    *scale = (double) edit.scale;
  if (offset)
    *offset = (double) edit.offset;
  if (min)
    *min = show_bound (edit.min);
  if (max)
    *max = show_bound (edit.max);
  return find_edit (edits, latent) != NULL;
}

/**
 * sae_edits_remove:
 * @edits: edits
 * @latent: which latent
 *
 * Leaves a latent as it is.
 *
 * Returns: whether it was edited
 * Since: 0.1
 */
gboolean
sae_edits_remove (SaeEdits *edits, guint latent)
{
  const SaeEdit nothing = SAE_EDIT_NOTHING (latent);
  gboolean there = find_edit (edits, latent) != NULL;

  sae_edits_put (edits, &nothing);
  return there;
}

/**
 * sae_edits_clear:
 * @edits: edits
 *
 * Leaves all latents as they are. Keeps the memory for the next ones.
 *
 * Since: 0.1
 */
void
sae_edits_clear (SaeEdits *edits)
{
  g_array_set_size (edits->all, 0);
}

/**
 * sae_edits_get_n_latents:
 * @edits: edits
 *
 * Returns: how many latents are edited
 * Since: 0.1
 */
guint
sae_edits_get_n_latents (const SaeEdits *edits)
{
  return edits->all->len;
}

/**
 * sae_edits_get_latent:
 * @edits: edits
 * @place: below sae_edits_get_n_latents()
 *
 * Returns: the latent in that place, ascending
 * Since: 0.1
 */
guint
sae_edits_get_latent (const SaeEdits *edits, guint place)
{
  g_return_val_if_fail (place < edits->all->len, G_MAXUINT);
  return g_array_index (edits->all, SaeEdit, place).latent;
}
