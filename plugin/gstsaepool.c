/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaepool.h"

#define MAX_SIZES 16

#define GST_TYPE_SAE_POOL (gst_sae_pool_get_type ())
G_DECLARE_FINAL_TYPE (GstSaePool, gst_sae_pool, GST, SAE_POOL, GstBufferPool)

struct _GstSaePool {
  GstBufferPool parent;
  gsize sizes[MAX_SIZES]; /* constant once created */
  guint n_sizes;
  GstAllocator *allocator;
  GstAllocationParams params;
};

G_DEFINE_FINAL_TYPE (GstSaePool, gst_sae_pool, GST_TYPE_BUFFER_POOL)

/* GStreamer's own allocator ends the program where there is no memory; what is
 * asked for here is large. */
static gboolean
is_plain (const GstSaePool *self)
{
  return self->params.flags == 0 &&
         g_strcmp0 (self->allocator->mem_type, GST_ALLOCATOR_SYSMEM) == 0;
}

/* The memory begins where it is aligned: a buffer that comes back to its pool
 * loses its offset. */
static GstMemory *
allocate_plain (const GstAllocationParams *params, gsize size)
{
  gsize align = params->align | gst_memory_alignment;
  gsize room, whole;
  guint8 *data;

  if (!g_size_checked_add (&room, size, params->prefix) ||
      !g_size_checked_add (&room, room, params->padding) ||
      !g_size_checked_add (&whole, room, align) ||
      !(data = g_try_malloc (MAX (whole, 1))))
    return NULL;
  return gst_memory_new_wrapped (0, data + (-(gsize) data & align), room,
      params->prefix, size, data, g_free);
}

static GstFlowReturn
gst_sae_pool_alloc_buffer (GstBufferPool *pool, GstBuffer **buffer,
    GstBufferPoolAcquireParams *acquire_params)
{
  GstSaePool *self = GST_SAE_POOL (pool);
  GstBuffer *made = gst_buffer_new ();

  for (guint i = 0; i < self->n_sizes; i++) {
    GstMemory *memory = is_plain (self)
                            ? allocate_plain (&self->params, self->sizes[i])
                            : gst_allocator_alloc (self->allocator,
                                  self->sizes[i], &self->params);
    if (!memory) {
      gst_buffer_unref (made);
      return GST_FLOW_ERROR;
    }
    gst_buffer_append_memory (made, memory);
  }
  *buffer = made;
  return GST_FLOW_OK;
}

/* Buffers come back with memories that were cut to what was used. */
static void
gst_sae_pool_reset_buffer (GstBufferPool *pool, GstBuffer *buffer)
{
  GstSaePool *self = GST_SAE_POOL (pool);

  if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_TAG_MEMORY) &&
      gst_buffer_n_memory (buffer) == self->n_sizes &&
      gst_buffer_is_all_memory_writable (buffer))
    for (guint i = 0; i < self->n_sizes; i++)
      gst_memory_resize (gst_buffer_peek_memory (buffer, i), 0, self->sizes[i]);
  GST_BUFFER_POOL_CLASS (gst_sae_pool_parent_class)
      ->reset_buffer (pool, buffer);
}

static void
gst_sae_pool_finalize (GObject *object)
{
  gst_clear_object (&GST_SAE_POOL (object)->allocator);
  G_OBJECT_CLASS (gst_sae_pool_parent_class)->finalize (object);
}

static void
gst_sae_pool_class_init (GstSaePoolClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = gst_sae_pool_finalize;
  GST_BUFFER_POOL_CLASS (klass)->alloc_buffer = gst_sae_pool_alloc_buffer;
  GST_BUFFER_POOL_CLASS (klass)->reset_buffer = gst_sae_pool_reset_buffer;
}

static void
gst_sae_pool_init (GstSaePool *self)
{
  gst_allocation_params_init (&self->params);
}

GstBufferPool *
gst_sae_pool_new (const gsize *sizes, guint n_sizes, GstAllocator *allocator,
    const GstAllocationParams *params)
{
  GstSaePool *self;
  GstStructure *config;
  gsize total = 0;

  g_return_val_if_fail (n_sizes <= MAX_SIZES, NULL);
  self = g_object_new (GST_TYPE_SAE_POOL, NULL);
  gst_object_ref_sink (self);
  self->n_sizes = n_sizes;
  for (guint i = 0; i < n_sizes; i++) {
    self->sizes[i] = sizes[i];
    total += sizes[i];
  }
  /* Without one, that which the application may have chosen. */
  self->allocator =
      allocator ? gst_object_ref (allocator) : gst_allocator_find (NULL);
  if (params)
    self->params = *params;

  config = gst_buffer_pool_get_config (GST_BUFFER_POOL (self));
  gst_buffer_pool_config_set_params (config, NULL,
      (guint) MIN (total, G_MAXUINT), 0, 0);
  if (gst_buffer_pool_set_config (GST_BUFFER_POOL (self), config) &&
      gst_buffer_pool_set_active (GST_BUFFER_POOL (self), TRUE))
    return GST_BUFFER_POOL (self);
  gst_object_unref (self);
  return NULL;
}

GstFlowReturn
gst_sae_pool_acquire (GstBufferPool *pool, GstBuffer **buffer, GError **error)
{
  const GstSaePool *self = GST_SAE_POOL (pool);
  GstFlowReturn flow = gst_buffer_pool_acquire_buffer (pool, buffer, NULL);
  gsize size = 0;

  if (flow != GST_FLOW_ERROR)
    return flow;
  for (guint i = 0; i < self->n_sizes; i++)
    size += self->sizes[i];
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "no memory for a buffer of %" G_GSIZE_FORMAT " bytes", size);
  return flow;
}
