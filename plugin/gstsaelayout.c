/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelayout.h"

#include <string.h>

static const guint8 magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

void
gst_sae_layout_clear (GstSaeLayout *layout)
{
  memset (layout, 0, sizeof *layout);
}

gboolean
gst_sae_layout_is_npy (const guint8 *data, gsize size)
{
  return size >= sizeof magic && memcmp (data, magic, sizeof magic) == 0;
}

/* --- beginnings --- */

static GstSaeType
choose_type (SaeDtype dtype)
{
  switch (dtype) {
    case SAE_DTYPE_FLOAT16:
      return GST_SAE_FLOAT16;
    case SAE_DTYPE_FLOAT64:
      return GST_SAE_FLOAT64;
    default:
      return GST_SAE_FLOAT32;
  }
}

gboolean
gst_sae_layout_begin_raw (GstSaeLayout *layout, const GstSaeLayoutHints *hints,
    GError **error)
{
  SaeDtype dtype = hints->dtype < 0 ? SAE_DTYPE_FLOAT32 : hints->dtype;

  if (hints->width == 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "input-size: expected the width of raw rows, none was set");
    return FALSE;
  }
  gst_sae_layout_clear (layout);
  layout->known = TRUE;
  layout->dtype = dtype;
  layout->row_size = (gsize) hints->width * sae_dtype_size (dtype);
  layout->rows.type = choose_type (dtype);
  layout->rows.width = hints->width;
  layout->rows.row_size =
      (gsize) hints->width * gst_sae_type_size (layout->rows.type);
  layout->rows.n_rows = GST_SAE_ENDLESS;
  layout->first.n_rows = GST_SAE_ENDLESS;
  layout->current = layout->first;
  return TRUE;
}

static gboolean
check_hints (const GstSaeNpyRows *rows, SaeDtype dtype,
    const GstSaeLayoutHints *hints, GError **error)
{
  if (hints->width > 0 && hints->width != rows->width) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "input-size: expected %u as set, the .npy header has rows of %u",
        hints->width, rows->width);
    return FALSE;
  }
  if (hints->dtype >= 0 && hints->dtype != (gint) dtype) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "dtype: expected %s as set, the .npy header has %s",
        sae_dtype_name ((SaeDtype) hints->dtype), sae_dtype_name (dtype));
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_same (const GstSaeLayout *layout, const GstSaeNpyRows *rows,
    GError **error)
{
  if (!layout->known ||
      (rows->type == layout->rows.type && rows->width == layout->rows.width))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "expected another .npy file with rows of %u %s, got %u %s",
      layout->rows.width, gst_sae_type_name (layout->rows.type), rows->width,
      gst_sae_type_name (rows->type));
  return FALSE;
}

gboolean
gst_sae_layout_accept_header (GstSaeLayout *layout, const SaeNpyHeader *header,
    guint64 offset, const GstSaeLayoutHints *hints, GError **error)
{
  const GstSaeArray *last = &layout->current;
  GstSaeArray array = {offset, header->header_size, 0, 0};
  GstSaeNpyRows rows;

  if (!gst_sae_npy_rows_from_header (&rows, header, error) ||
      !check_hints (&rows, header->dtype, hints, error) ||
      !check_same (layout, &rows, error))
    return FALSE;
  array.n_rows = rows.n_rows;
  if (layout->known)
    array.first_row = offset > last->offset ? last->first_row + last->n_rows
                                            : last->first_row;
  if (!layout->known || offset == layout->first.offset)
    layout->first = array;
  layout->current = array;
  layout->known = TRUE;
  layout->dtype = header->dtype;
  layout->rows = rows;
  layout->row_size = rows.row_size;
  return TRUE;
}

/* --- places --- */

/* Bytes of a file in the stream; both terms are below 2^63. */
static guint64
measure_array (const GstSaeLayout *layout, const GstSaeArray *array)
{
  if (array->n_rows == GST_SAE_ENDLESS)
    return GST_SAE_ENDLESS;
  return array->header_size + array->n_rows * layout->row_size;
}

/* The file that holds @offset, when all are like @array. */
static GstSaeArray
step_to (const GstSaeLayout *layout, GstSaeArray array, guint64 offset)
{
  guint64 n = (offset - array.offset) / measure_array (layout, &array);

  array.offset += n * measure_array (layout, &array);
  array.first_row += n * array.n_rows;
  return array;
}

static const GstSaeArray *
choose_nearest (const GstSaeLayout *layout, guint64 offset)
{
  return offset >= layout->current.offset ? &layout->current : &layout->first;
}

GstSaePlace
gst_sae_layout_locate (GstSaeLayout *layout, guint64 offset)
{
  GstSaePlace place = {GST_SAE_AT_HEADER, 0, 0};
  const GstSaeArray *nearest = choose_nearest (layout, offset);
  guint64 inside;

  if (offset < nearest->offset) {
    layout->current = *nearest;
    return place;
  }
  layout->current = step_to (layout, *nearest, offset);
  inside = offset - layout->current.offset;
  if (inside == 0 && layout->current.header_size > 0)
    return place;
  place.kind = GST_SAE_INSIDE;
  if (inside < layout->current.header_size) {
    place.skip = layout->current.header_size - inside;
    return place;
  }
  inside -= layout->current.header_size;
  place.row = inside / layout->row_size;
  if (inside % layout->row_size != 0)
    place.skip = layout->row_size - inside % layout->row_size;
  else
    place.kind = GST_SAE_AT_ROW;
  return place;
}

guint64
gst_sae_layout_row_to_offset (const GstSaeLayout *layout, guint64 row)
{
  const GstSaeArray *near =
      row >= layout->current.first_row ? &layout->current : &layout->first;
  guint64 inside = row - MIN (row, near->first_row);
  guint64 files = 0, offset;

  /* The end of a file is also where the next one begins: stay before it. */
  if (near->n_rows > 0 && inside > near->n_rows) {
    files = inside / near->n_rows;
    inside %= near->n_rows;
  }
  inside = MIN (inside, near->n_rows);
  if (!g_uint64_checked_mul (&inside, inside, layout->row_size) ||
      !g_uint64_checked_add (&inside, inside, near->header_size) ||
      !g_uint64_checked_mul (&offset, files, measure_array (layout, near)) ||
      !g_uint64_checked_add (&offset, offset, inside) ||
      !g_uint64_checked_add (&offset, offset, near->offset))
    return GST_SAE_ENDLESS;
  return offset;
}

guint64
gst_sae_layout_offset_to_row (const GstSaeLayout *layout, guint64 offset)
{
  const GstSaeArray *near = choose_nearest (layout, offset);
  GstSaeArray array;
  guint64 inside;

  if (offset < near->offset)
    return near->first_row;
  array = step_to (layout, *near, offset);
  inside = offset - array.offset;
  inside -= MIN (inside, array.header_size);
  return array.first_row + inside / layout->row_size;
}

gint64
gst_sae_layout_count_rows (const GstSaeLayout *layout, gint64 size)
{
  const GstSaeArray *array = &layout->first;
  guint64 bytes = (guint64) size, whole = measure_array (layout, array);

  if (array->n_rows == GST_SAE_ENDLESS)
    return size < 0 ? -1 : (gint64) (bytes / layout->row_size);
  if (size < 0)
    return layout->current.offset == array->offset ? (gint64) array->n_rows
                                                   : -1;
  if (bytes < whole)
    return (
        gint64) ((bytes - MIN (bytes, array->header_size)) / layout->row_size);
  return bytes % whole == 0 ? (gint64) (bytes / whole * array->n_rows) : -1;
}
