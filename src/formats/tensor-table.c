/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tensor-table.h"

#include <math.h>
#include <string.h>

#include "json-text.h"

char *
sae_tensor_shape_to_string (guint rank, const guint64 *shape)
{
  GString *text = g_string_new ("[");
  for (guint i = 0; i < rank; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i == 0 ? "" : ", ",
        shape[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

static gboolean
check_tensor (SaeSafetensors *file, const SaeTensorSource *tensor,
    const char *label, GError **error)
{
  const SaeTensorEntry *entry = sae_safetensors_find (file, tensor->name);
  g_autofree char *expected =
      sae_tensor_shape_to_string (tensor->rank, tensor->shape);
  g_autofree char *found = NULL;

  if (entry == NULL)
    found = g_strdup ("no such tensor");
  else if (!entry->readable || !sae_dtype_is_float (entry->dtype))
    found = g_strdup (entry->dtype_name);
  else if (entry->rank != tensor->rank ||
           memcmp (entry->shape, tensor->shape,
               tensor->rank * sizeof *tensor->shape) != 0)
    found = sae_tensor_shape_to_string (entry->rank, entry->shape);
  if (found == NULL)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: %s: expected %s, file has %s", label, tensor->name, expected, found);
  return FALSE;
}

/* "W_enc, W_dec, b_enc and b_dec" */
static char *
list_names (const SaeTensorSource *tensors, guint n_tensors)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n_tensors; i++) {
    if (i > 0)
      g_string_append (text, i == n_tensors - 1 ? " and " : ", ");
    g_string_append (text, tensors[i].name);
  }
  return g_string_free (text, FALSE);
}

static gboolean
refuse_other (const char *name, const SaeTensorSource *tensors, guint n_tensors,
    const char *label, GError **error)
{
  g_autofree char *shown = sae_json_shorten (name);
  g_autofree char *names = list_names (tensors, n_tensors);

  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: expected the tensors %s, file also has '%s'", label, names, shown);
  return FALSE;
}

gboolean
sae_tensor_table_check (SaeSafetensors *file, const SaeTensorSource *tensors,
    guint n_tensors, const char *label, GError **error)
{
  for (guint i = 0; i < n_tensors; i++)
    if (!check_tensor (file, &tensors[i], label, error))
      return FALSE;
  for (guint n = 0; n < sae_safetensors_get_n_tensors (file); n++) {
    const char *name = sae_safetensors_get_nth (file, n)->name;
    guint i = 0;
    while (i < n_tensors && strcmp (tensors[i].name, name) != 0)
      i++;
    if (i == n_tensors)
      return refuse_other (name, tensors, n_tensors, label, error);
  }
  return TRUE;
}

gboolean
sae_tensor_table_read (SaeSafetensors *file, const SaeTensorSource *tensors,
    guint n_tensors, GError **error)
{
  for (guint i = 0; i < n_tensors; i++) {
    const SaeTensorEntry *entry = sae_safetensors_find (file, tensors[i].name);
    float *dst = (float *) tensors[i].data;
    if (!(tensors[i].transposed
                ? sae_safetensors_read_transposed (file, entry, dst, error)
                : sae_safetensors_read_float32 (file, entry, dst, error)))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_finite (const char *layout, const SaeTensorSource *tensor, GError **error)
{
  gsize n = 1;

  for (guint i = 0; i < tensor->rank; i++)
    n *= (gsize) tensor->shape[i];
  for (gsize i = 0; i < n; i++) {
    if (!isfinite (tensor->data[i])) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "layout '%s': %s: expected finite values, got %s at element "
          "%" G_GSIZE_FORMAT,
          layout, tensor->name,
          isnan (tensor->data[i]) ? "a NaN" : "an infinity", i);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
sae_tensor_table_check_finite (const char *layout,
    const SaeTensorSource *tensors, guint n_tensors, GError **error)
{
  for (guint i = 0; i < n_tensors; i++)
    if (!check_finite (layout, &tensors[i], error))
      return FALSE;
  return TRUE;
}
