/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Codes that come into an element which has no model of its own: how many
 * latents there are follows from what was set, from the caps or from the
 * codes. */
#pragma once

#include "gstsaecodes.h"
#include "gstsaecodesreader.h"

G_BEGIN_DECLS

typedef struct {
  guint wanted; /* as set; 0: not */
  guint64 max_bytes;
  gsize latent_bytes;
  guint d_sae; /* 0: not known yet */
  gboolean have_caps;
  GstSaeTensors caps;
  GstCaps *refused; /* caps that were last reported */
  guint64 next_row; /* of rows that nobody numbered */
  GstSaeCodesReader reader;
} GstSaeCodesInput;

/* Rows of one buffer. */
typedef struct {
  guint64 first; /* its number in the stream */
  const GstSaeCodesReader *codes;
} GstSaeCodesRows;

void gst_sae_codes_input_init (GstSaeCodesInput *input);
void gst_sae_codes_input_clear (GstSaeCodesInput *input);

/* Before a stream. @dict_size 0 and @model_location NULL where they are not
 * set; the dictionary there must be of the dict-size that is. Where neither is,
 * the latents that codes tell of may take @max_bytes (0: no limit), of
 * @latent_bytes each; so may rows that sparse codes claim. */
gboolean gst_sae_codes_input_start (GstSaeCodesInput *input, guint dict_size,
    const gchar *model_location, guint64 max_bytes, gsize latent_bytes,
    GError **error);

/* Caps are looked at as far as they say; FALSE once an error of @element is
 * posted. @d_sae may change with them. */
gboolean gst_sae_codes_input_take_caps (GstSaeCodesInput *input,
    GstElement *element, const GstCaps *caps);

/* Reads a buffer. Rows have the number that the buffer's offset says, where
 * offset and offset-end count its rows, and are counted on where they do not.
 * d_sae is known then, or the error says what to set. */
gboolean gst_sae_codes_input_open (GstSaeCodesInput *input, GstBuffer *buffer,
    GstSaeCodesRows *rows, GError **error);
/* A buffer whose rows are not to be looked at, but counted. */
void gst_sae_codes_input_skip (GstSaeCodesInput *input, GstBuffer *buffer);
/* After the rows have been used. */
void gst_sae_codes_input_close (GstSaeCodesInput *input);

G_END_DECLS
