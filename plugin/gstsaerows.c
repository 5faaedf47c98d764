/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaerows.h"

/* --- units --- */

GstClockTime
gst_sae_row_units_get_time (const GstSaeRowUnits *units, guint64 row)
{
  if (units->rate_n <= 0)
    return GST_CLOCK_TIME_NONE;
  return gst_util_uint64_scale (row, GST_SECOND * (guint64) units->rate_d,
      (guint64) units->rate_n);
}

static gboolean
convert_to_rows (const GstSaeRowUnits *units, GstFormat format, guint64 value,
    guint64 *row)
{
  switch (format) {
    case GST_FORMAT_DEFAULT:
      *row = value;
      return TRUE;
    case GST_FORMAT_BYTES:
      if (units->row_size == 0)
        return FALSE;
      *row = value / units->row_size;
      return TRUE;
    case GST_FORMAT_TIME:
      if (units->rate_n <= 0)
        return FALSE;
      *row = gst_util_uint64_scale_ceil (value, (guint64) units->rate_n,
          GST_SECOND * (guint64) units->rate_d);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
convert_from_rows (const GstSaeRowUnits *units, guint64 row, GstFormat format,
    guint64 *value)
{
  switch (format) {
    case GST_FORMAT_DEFAULT:
      *value = row;
      return TRUE;
    case GST_FORMAT_BYTES:
      return units->row_size > 0 &&
             g_uint64_checked_mul (value, row, units->row_size);
    case GST_FORMAT_TIME:
      *value = gst_sae_row_units_get_time (units, row);
      return units->rate_n > 0;
    default:
      return FALSE;
  }
}

gboolean
gst_sae_row_units_convert (const GstSaeRowUnits *units, GstFormat src_format,
    gint64 src, GstFormat dst_format, gint64 *dst)
{
  guint64 row = 0, value = 0;

  *dst = src;
  if (src_format == dst_format || src < 0)
    return src >= -1;
  if (!convert_to_rows (units, src_format, (guint64) src, &row) ||
      !convert_from_rows (units, row, dst_format, &value) || value > G_MAXINT64)
    return FALSE;
  *dst = (gint64) value;
  return TRUE;
}

gboolean
gst_sae_row_units_answer_convert (const GstSaeRowUnits *units, GstQuery *query)
{
  GstFormat src_format, dst_format;
  gint64 src, dst;

  gst_query_parse_convert (query, &src_format, &src, &dst_format, NULL);
  if (!gst_sae_row_units_convert (units, src_format, src, dst_format, &dst))
    return FALSE;
  gst_query_set_convert (query, src_format, src, dst_format, dst);
  return TRUE;
}

gboolean
gst_sae_row_units_answer_duration (const GstSaeRowUnits *units, GstQuery *query,
    gint64 n_rows)
{
  GstFormat format;
  gint64 duration;

  gst_query_parse_duration (query, &format, NULL);
  if (n_rows < 0 || !gst_sae_row_units_convert (units, GST_FORMAT_DEFAULT,
                        n_rows, format, &duration))
    return FALSE;
  gst_query_set_duration (query, format, duration);
  return TRUE;
}

void
gst_sae_row_units_get_framerate (const GstSaeRowUnits *units, guint n_rows,
    gint *fps_n, gint *fps_d)
{
  *fps_n = 0;
  *fps_d = 1;
  if (units->rate_n <= 0 || n_rows == 0 || n_rows > G_MAXINT ||
      !gst_util_fraction_multiply (units->rate_n, units->rate_d, 1,
          (gint) n_rows, fps_n, fps_d)) {
    *fps_n = 0;
    *fps_d = 1;
  }
}

/* --- rows of .npy files --- */

static const struct {
  SaeDtype dtype;
  GstSaeType type;
} row_types[] = {
    {SAE_DTYPE_FLOAT32, GST_SAE_FLOAT32},
    {SAE_DTYPE_FLOAT16, GST_SAE_FLOAT16},
    {SAE_DTYPE_FLOAT64, GST_SAE_FLOAT64},
};

static gboolean
find_type (SaeDtype dtype, GstSaeType *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (row_types); i++) {
    if (row_types[i].dtype == dtype) {
      *type = row_types[i].type;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
gst_sae_npy_rows_from_header (GstSaeNpyRows *rows, const SaeNpyHeader *header,
    GError **error)
{
  guint64 width = header->shape[header->rank - 1];

  if (!find_type (header->dtype, &rows->type)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "npy dtype: expected float32, float16 or float64, file has %s",
        sae_dtype_name (header->dtype));
    return FALSE;
  }
  if (header->rank < 2 || width > G_MAXUINT32) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "npy shape: expected two or more dimensions, (rows, width), with a "
        "width below 2^32; file has %u, the last one of %" G_GUINT64_FORMAT,
        header->rank, width);
    return FALSE;
  }
  rows->width = (guint32) width;
  rows->row_size = (gsize) width * gst_sae_type_size (rows->type);
  rows->n_rows = 1;
  for (guint i = 0; i + 1 < header->rank; i++)
    rows->n_rows *= header->shape[i];
  return TRUE;
}

GstCaps *
gst_sae_npy_rows_to_caps (const GstSaeNpyRows *rows, guint n_rows, gint fps_n,
    gint fps_d)
{
  GstSaeTensors tensors = {
      .format = GST_SAE_FORMAT_STATIC,
      .n_tensors = 1,
      .fps_n = fps_n,
      .fps_d = fps_d,
  };

  tensors.tensors[0].type = rows->type;
  tensors.tensors[0].rank = 2;
  tensors.tensors[0].dims[0] = rows->width;
  tensors.tensors[0].dims[1] = n_rows;
  return gst_sae_tensors_to_caps (&tensors);
}

void
gst_sae_swap_file_elements (guint8 *data, gsize n_elements, gsize element_size)
{
  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return;
  for (; n_elements > 0; n_elements--, data += element_size) {
    for (gsize i = 0; i < element_size / 2; i++) {
      guint8 byte = data[i];
      data[i] = data[element_size - 1 - i];
      data[element_size - 1 - i] = byte;
    }
  }
}
