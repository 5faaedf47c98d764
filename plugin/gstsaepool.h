/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A buffer pool whose buffers have one memory for each tensor. */
#pragma once

#include <gst/gst.h>

#include "sae-error.h"

G_BEGIN_DECLS

/* An active pool of buffers with @n_sizes memories of those sizes; NULL when
 * it cannot be activated. To change the sizes make another one: buffers that
 * are still out keep theirs alive. @allocator and @params may be NULL. */
GstBufferPool *gst_sae_pool_new (const gsize *sizes, guint n_sizes,
    GstAllocator *allocator, const GstAllocationParams *params);

/* A buffer; GST_FLOW_ERROR with @error set where there is no memory. */
GstFlowReturn
gst_sae_pool_acquire (GstBufferPool *pool, GstBuffer **buffer, GError **error);

G_END_DECLS
