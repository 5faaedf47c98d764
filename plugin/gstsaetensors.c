/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetensors.h"

#include <string.h>

#include "error-text.h"

typedef struct {
  const gchar *name;
  gsize size;
} TypeInfo;

static const TypeInfo types[] = {
    [GST_SAE_INT32] = {"int32", 4},
    [GST_SAE_UINT32] = {"uint32", 4},
    [GST_SAE_INT16] = {"int16", 2},
    [GST_SAE_UINT16] = {"uint16", 2},
    [GST_SAE_INT8] = {"int8", 1},
    [GST_SAE_UINT8] = {"uint8", 1},
    [GST_SAE_FLOAT64] = {"float64", 8},
    [GST_SAE_FLOAT32] = {"float32", 4},
    [GST_SAE_INT64] = {"int64", 8},
    [GST_SAE_UINT64] = {"uint64", 8},
    [GST_SAE_FLOAT16] = {"float16", 2},
};

static const gchar *const formats[] = {
    [GST_SAE_FORMAT_STATIC] = "static",
    [GST_SAE_FORMAT_FLEXIBLE] = "flexible",
    [GST_SAE_FORMAT_SPARSE] = "sparse",
};

const gchar *
gst_sae_format_name (GstSaeFormat format)
{
  return formats[format];
}

/* --- types --- */

gsize
gst_sae_type_size (GstSaeType type)
{
  return types[type].size;
}

const gchar *
gst_sae_type_name (GstSaeType type)
{
  return types[type].name;
}

gboolean
gst_sae_type_from_name (const gchar *name, GstSaeType *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (strcmp (types[i].name, name) == 0) {
      *type = (GstSaeType) i;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
gst_sae_type_to_dtype (GstSaeType type, SaeDtype *dtype)
{
  switch (type) {
    case GST_SAE_FLOAT32:
      *dtype = SAE_DTYPE_FLOAT32;
      return TRUE;
    case GST_SAE_FLOAT64:
      *dtype = SAE_DTYPE_FLOAT64;
      return TRUE;
    case GST_SAE_FLOAT16:
      *dtype = SAE_DTYPE_FLOAT16;
      return TRUE;
    default:
      return FALSE;
  }
}

/* --- one tensor --- */

static void
trim_rank (GstSaeTensor *tensor)
{
  while (tensor->rank > 1 && tensor->dims[tensor->rank - 1] == 1)
    tensor->rank--;
}

static gboolean
set_dims (GstSaeTensor *tensor, gchar **sizes, const gchar *dims,
    GError **error)
{
  gsize elements = 1;

  for (guint i = 0; sizes[i] != NULL; i++) {
    guint64 size;
    if (i == GST_SAE_MAX_RANK) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "dimensions: expected at most %d sizes, got \"%.80s\"",
          GST_SAE_MAX_RANK, dims);
      return FALSE;
    }
    if (!g_ascii_string_to_unsigned (g_strstrip (sizes[i]), 10, 1, G_MAXUINT32,
            &size, NULL) ||
        !g_size_checked_mul (&elements, elements, (gsize) size)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "dimensions: expected sizes of 1 and more, innermost first, as "
          "\"768:32\", got \"%.80s\"",
          dims);
      return FALSE;
    }
    tensor->dims[i] = (guint32) size;
    tensor->rank = i + 1;
  }
  return TRUE;
}

gboolean
gst_sae_tensor_parse_dims (GstSaeTensor *tensor, const gchar *dims,
    GError **error)
{
  g_auto (GStrv) sizes = g_strsplit (dims, ":", GST_SAE_MAX_RANK + 1);

  tensor->rank = 0;
  for (guint i = 0; i < GST_SAE_MAX_RANK; i++)
    tensor->dims[i] = 1;
  if (!set_dims (tensor, sizes, dims, error))
    return FALSE;
  if (tensor->rank == 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "dimensions: expected sizes, innermost first, as \"768:32\", got an "
        "empty string");
    return FALSE;
  }
  trim_rank (tensor);
  return TRUE;
}

gchar *
gst_sae_tensor_dims_to_string (const GstSaeTensor *tensor)
{
  GString *dims = g_string_new (NULL);

  for (guint i = 0; i < MAX (tensor->rank, 2); i++)
    g_string_append_printf (dims, "%s%" G_GUINT32_FORMAT, i == 0 ? "" : ":",
        tensor->dims[i]);
  return g_string_free (dims, FALSE);
}

gboolean
gst_sae_tensor_equal (const GstSaeTensor *a, const GstSaeTensor *b)
{
  return a->type == b->type && a->rank == b->rank &&
         memcmp (a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

gboolean
gst_sae_tensor_n_rows (const GstSaeTensor *tensor, gsize *n_rows)
{
  *n_rows = 1;
  for (guint i = 1; i < tensor->rank; i++)
    if (!g_size_checked_mul (n_rows, *n_rows, tensor->dims[i]))
      return FALSE;
  return TRUE;
}

gboolean
gst_sae_tensor_size (const GstSaeTensor *tensor, gsize *size)
{
  return gst_sae_tensor_n_rows (tensor, size) &&
         g_size_checked_mul (size, *size, tensor->dims[0]) &&
         g_size_checked_mul (size, *size, types[tensor->type].size);
}

/* --- caps --- */

static const gchar *
get_string_field (const GstStructure *structure, const gchar *field,
    GError **error)
{
  const GValue *value = gst_structure_get_value (structure, field);
  g_autofree gchar *text = NULL;

  if (value == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "caps field %s: expected a string, the field is missing", field);
    return NULL;
  }
  if (G_VALUE_HOLDS_STRING (value) && g_value_get_string (value) != NULL)
    return g_value_get_string (value);
  text = gst_value_serialize (value);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "caps field %s: expected a string, got %s of type %s; on a command line "
      "write %s=(string)…",
      field, text ? text : "a value", G_VALUE_TYPE_NAME (value), field);
  return NULL;
}

static gboolean
read_format (GstSaeFormat *format, const GstStructure *structure,
    GError **error)
{
  const gchar *name;

  *format = GST_SAE_FORMAT_STATIC;
  if (!gst_structure_has_field (structure, "format"))
    return TRUE; /* NNStreamer's default */
  name = get_string_field (structure, "format", error);
  if (name == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (strcmp (formats[i], name) == 0) {
      *format = (GstSaeFormat) i;
      return TRUE;
    }
  }
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "caps field format: expected static, flexible or sparse, got \"%.80s\"",
      name);
  return FALSE;
}

static gboolean
read_framerate (GstSaeTensors *tensors, const GstStructure *structure,
    GError **error)
{
  tensors->fps_n = 0;
  tensors->fps_d = 1;
  if (!gst_structure_has_field (structure, "framerate"))
    return TRUE;
  if (gst_structure_get_fraction (structure, "framerate", &tensors->fps_n,
          &tensors->fps_d) &&
      tensors->fps_n >= 0 && tensors->fps_d > 0)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "caps field framerate: expected a fraction of 0/1 or more");
  return FALSE;
}

/* The parts of a list that NNStreamer separates by either of two signs. */
static gchar **
split_list (const GstStructure *structure, const gchar *field, guint *n,
    GError **error)
{
  const gchar *text = get_string_field (structure, field, error);
  gchar **parts;

  if (text == NULL)
    return NULL;
  parts = g_strsplit_set (text, ",.", GST_SAE_MAX_TENSORS + 1);
  *n = g_strv_length (parts);
  if (*n >= 1 && *n <= GST_SAE_MAX_TENSORS)
    return parts;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "caps field %s: expected 1 to %d tensors, got \"%.80s\"", field,
      GST_SAE_MAX_TENSORS, text);
  g_strfreev (parts);
  return NULL;
}

static gboolean
check_count (const GstStructure *structure, guint n_types, guint n_dims,
    GError **error)
{
  gint n = (gint) n_types;

  if (gst_structure_has_field (structure, "num_tensors") &&
      !gst_structure_get_int (structure, "num_tensors", &n)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "caps field num_tensors: expected an int");
    return FALSE;
  }
  if (n == (gint) n_types && n_types == n_dims)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "caps: expected one type and one shape for each tensor, got "
      "num_tensors %d with %u types and %u dimensions",
      n, n_types, n_dims);
  return FALSE;
}

static gboolean
read_tensor (GstSaeTensor *tensor, gchar *type, const gchar *dims, guint index,
    GError **error)
{
  gsize size;

  if (!gst_sae_type_from_name (g_strstrip (type), &tensor->type)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "caps field types: expected a tensor type such as float32, got "
        "\"%.80s\" for tensor %u",
        type, index);
    return FALSE;
  }
  if (!gst_sae_tensor_parse_dims (tensor, dims, error)) {
    g_prefix_error (error, "caps, tensor %u: ", index);
    return FALSE;
  }
  if (!gst_sae_tensor_size (tensor, &size)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "caps field dimensions: %.80s of %s overflow the address space", dims,
        type);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_static (GstSaeTensors *tensors, const GstStructure *structure,
    GError **error)
{
  guint n_types, n_dims;
  g_auto (GStrv) type_names = NULL;
  g_auto (GStrv) dims = NULL;

  type_names = split_list (structure, "types", &n_types, error);
  if (type_names == NULL)
    return FALSE;
  dims = split_list (structure, "dimensions", &n_dims, error);
  if (dims == NULL || !check_count (structure, n_types, n_dims, error))
    return FALSE;
  for (guint i = 0; i < n_types; i++)
    if (!read_tensor (&tensors->tensors[i], type_names[i], dims[i], i, error))
      return FALSE;
  tensors->n_tensors = n_types;
  return TRUE;
}

static gboolean
read_caps (GstSaeTensors *tensors, const GstCaps *caps, GError **error)
{
  const GstStructure *structure;

  memset (tensors, 0, sizeof *tensors);
  if (gst_caps_is_any (caps) || gst_caps_get_size (caps) != 1 ||
      !gst_structure_has_name (gst_caps_get_structure (caps, 0),
          "other/tensors")) {
    g_autofree gchar *text = gst_caps_to_string (caps);
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "caps: expected other/tensors, got %.200s", text);
    return FALSE;
  }
  structure = gst_caps_get_structure (caps, 0);
  if (!read_format (&tensors->format, structure, error) ||
      !read_framerate (tensors, structure, error))
    return FALSE;
  return tensors->format != GST_SAE_FORMAT_STATIC ||
         read_static (tensors, structure, error);
}

gboolean
gst_sae_tensors_from_caps (GstSaeTensors *tensors, const GstCaps *caps,
    GError **error)
{
  /* What an error quotes of a field may be cut inside a character. */
  return sae_error_show (read_caps (tensors, caps, error), error);
}

static void
set_static_fields (GstCaps *caps, const GstSaeTensors *tensors)
{
  g_autoptr (GString) type_names = g_string_new (NULL);
  g_autoptr (GString) dims = g_string_new (NULL);

  for (guint i = 0; i < tensors->n_tensors; i++) {
    const GstSaeTensor *tensor = &tensors->tensors[i];
    g_autofree gchar *text = gst_sae_tensor_dims_to_string (tensor);
    g_string_append_printf (type_names, "%s%s", i == 0 ? "" : ",",
        types[tensor->type].name);
    g_string_append_printf (dims, "%s%s", i == 0 ? "" : ",", text);
  }
  gst_caps_set_simple (caps, "num_tensors", G_TYPE_INT,
      (gint) tensors->n_tensors, "types", G_TYPE_STRING, type_names->str,
      "dimensions", G_TYPE_STRING, dims->str, NULL);
}

GstCaps *
gst_sae_tensors_to_caps (const GstSaeTensors *tensors)
{
  GstCaps *caps = gst_caps_new_simple ("other/tensors", "format", G_TYPE_STRING,
      formats[tensors->format], NULL);

  if (tensors->format == GST_SAE_FORMAT_STATIC)
    set_static_fields (caps, tensors);
  gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, tensors->fps_n,
      MAX (tensors->fps_d, 1), NULL);
  return caps;
}
