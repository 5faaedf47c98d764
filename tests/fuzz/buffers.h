/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * For targets of buffers. */
#pragma once

#include <gst/gst.h>

static inline void
fuzz_init_gst (void)
{
  if (gst_is_initialized ())
    return;
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  gst_init (NULL, NULL);
}

/* The next @size bytes, without a copy, as one more memory of @buffer. */
static inline void
fuzz_append (GstBuffer *buffer, const guint8 *data, gsize size)
{
  gst_buffer_append_memory (buffer,
      gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY, (gpointer) data, size,
          0, size, NULL, NULL));
}
