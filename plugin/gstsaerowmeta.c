/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaerowmeta.h"

#include <string.h>

GType
gst_sae_row_meta_api_get_type (void)
{
  static gsize type;
  /* No tags: it is of the rows, which elements that change the memory or the
   * numbers keep. */
  static const gchar *tags[] = {NULL};

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        gst_meta_api_type_register ("GstSaeRowMetaAPI", tags));
  return type;
}

static gboolean
init_meta (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  GstSaeRowMeta *rows = (GstSaeRowMeta *) meta;

  rows->n_rows = rows->capacity = 0;
  rows->norms = NULL;
  return TRUE;
}

static void
free_meta (GstMeta *meta, GstBuffer *buffer)
{
  g_free (((GstSaeRowMeta *) meta)->norms);
}

static gboolean
fill (GstSaeRowMeta *rows, gconstpointer norms, gsize n_rows)
{
  if (n_rows > rows->capacity) {
    float *larger = g_try_realloc_n (rows->norms, n_rows, 2 * sizeof *larger);
    if (!larger)
      return FALSE;
    rows->norms = larger;
    rows->capacity = n_rows;
  }
  memcpy (rows->norms, norms, n_rows * 2 * sizeof *rows->norms);
  rows->n_rows = n_rows;
  return TRUE;
}

static GstSaeRowMeta *
find (GstBuffer *buffer)
{
  return (
      GstSaeRowMeta *) gst_buffer_get_meta (buffer, GST_SAE_ROW_META_API_TYPE);
}

/* The buffer's own, or a new one. */
static GstSaeRowMeta *
ensure (GstBuffer *buffer)
{
  GstSaeRowMeta *rows = find (buffer);

  if (!rows)
    rows = (GstSaeRowMeta *) gst_buffer_add_meta (buffer,
        gst_sae_row_meta_get_info (), NULL);
  return rows;
}

static gboolean
is_whole (const GstMetaTransformCopy *copy, GstBuffer *buffer)
{
  return !copy->region ||
         (copy->offset == 0 && (copy->size == (gsize) -1 ||
                                   copy->size == gst_buffer_get_size (buffer)));
}

static gboolean
transform_meta (GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type,
    gpointer data)
{
  const GstSaeRowMeta *rows = (const GstSaeRowMeta *) meta;
  GstSaeRowMeta *copy;

  if (!GST_META_TRANSFORM_IS_COPY (type) || !is_whole (data, from))
    return FALSE;
  copy = ensure (to);
  if (copy && fill (copy, rows->norms, rows->n_rows))
    return TRUE;
  if (copy)
    gst_buffer_remove_meta (to, &copy->meta);
  return FALSE;
}

#if GST_CHECK_VERSION(1, 24, 0)
/* Mean and scale of each row as little-endian float32, which is the machine's
 * own order: what unixfdsink sends to another process. */
#define SERIAL_VERSION 1
#define ROW_SIZE (2 * sizeof (float))

static gboolean
serialize_meta (const GstMeta *meta, GstByteArrayInterface *data,
    guint8 *version)
{
  const GstSaeRowMeta *rows = (const GstSaeRowMeta *) meta;

  *version = SERIAL_VERSION;
  return gst_byte_array_interface_append_data (data,
      (const guint8 *) rows->norms, rows->n_rows * ROW_SIZE);
}

static GstMeta *
deserialize_meta (const GstMetaInfo *info, GstBuffer *buffer,
    const guint8 *data, gsize size, guint8 version)
{
  GstSaeRowMeta *rows;

  if (version != SERIAL_VERSION || size == 0 || size % ROW_SIZE != 0)
    return NULL;
  rows = ensure (buffer);
  if (rows && fill (rows, data, size / ROW_SIZE))
    return &rows->meta;
  if (rows)
    gst_buffer_remove_meta (buffer, &rows->meta);
  return NULL;
}

static const GstMetaInfo *
register_meta (void)
{
  GstMetaInfo *info = gst_meta_info_new (GST_SAE_ROW_META_API_TYPE,
      "GstSaeRowMeta", sizeof (GstSaeRowMeta));

  info->init_func = init_meta;
  info->free_func = free_meta;
  info->transform_func = transform_meta;
  info->serialize_func = serialize_meta;
  info->deserialize_func = deserialize_meta;
  return gst_meta_info_register (info);
}
#else
static const GstMetaInfo *
register_meta (void)
{
  return gst_meta_register (GST_SAE_ROW_META_API_TYPE, "GstSaeRowMeta",
      sizeof (GstSaeRowMeta), init_meta, free_meta, transform_meta);
}
#endif

const GstMetaInfo *
gst_sae_row_meta_get_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info, register_meta ());
  return info;
}

const GstSaeRowMeta *
gst_sae_row_meta_get (GstBuffer *buffer)
{
  return find (buffer);
}

gboolean
gst_sae_row_meta_set (GstBuffer *buffer, const float *norms, gsize n_rows)
{
  GstSaeRowMeta *rows = norms ? ensure (buffer) : find (buffer);

  if (!norms) {
    if (rows)
      gst_buffer_remove_meta (buffer, &rows->meta);
    return TRUE;
  }
  if (!rows)
    return FALSE;
  GST_META_FLAG_SET (&rows->meta, GST_META_FLAG_POOLED);
  return fill (rows, norms, n_rows);
}
