/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tensor streams: other/tensors caps, the header of flexible tensors, and
 * buffers of either read as rows. Caps and bytes only, no maths. */
#pragma once

#include <gst/gst.h>

#include "dtype.h"

G_BEGIN_DECLS

#define GST_SAE_MAX_RANK 16
#define GST_SAE_MAX_TENSORS 16
#define GST_SAE_HEADER_SIZE 128

/* Element types with NNStreamer's numbers, as the flexible header has them. */
typedef enum {
  GST_SAE_INT32,
  GST_SAE_UINT32,
  GST_SAE_INT16,
  GST_SAE_UINT16,
  GST_SAE_INT8,
  GST_SAE_UINT8,
  GST_SAE_FLOAT64,
  GST_SAE_FLOAT32,
  GST_SAE_INT64,
  GST_SAE_UINT64,
  GST_SAE_FLOAT16,
} GstSaeType;

/* One tensor: dims innermost first, rank without trailing ones (at least 1),
 * so that "768:32", "768:32:1" and "768:32:1:1" are equal. dims past the rank
 * are 1. */
typedef struct {
  GstSaeType type;
  guint rank;
  guint32 dims[GST_SAE_MAX_RANK];
} GstSaeTensor;

typedef enum {
  GST_SAE_FORMAT_STATIC,
  GST_SAE_FORMAT_FLEXIBLE,
  GST_SAE_FORMAT_SPARSE,
} GstSaeFormat;

/* What caps say. For flexible and sparse, tensors[] is unknown (n_tensors 0)
 * until a buffer's headers are read. */
typedef struct {
  GstSaeFormat format;
  guint n_tensors;
  GstSaeTensor tensors[GST_SAE_MAX_TENSORS];
  gint fps_n, fps_d; /* 0/1 when absent */
} GstSaeTensors;

const gchar *gst_sae_format_name (GstSaeFormat format);
gsize gst_sae_type_size (GstSaeType type);
const gchar *gst_sae_type_name (GstSaeType type);
gboolean gst_sae_type_from_name (const gchar *name, GstSaeType *type);
/* The floating types as a SaeDtype; FALSE for the others. */
gboolean gst_sae_type_to_dtype (GstSaeType type, SaeDtype *dtype);

/* "D:N:…" to dims; refuses empty, zero, overflowing and over-long strings. */
gboolean gst_sae_tensor_parse_dims (GstSaeTensor *tensor, const gchar *dims,
    GError **error);
/* (transfer full) "D:N", always at least two dimensions ("768:1"). */
gchar *gst_sae_tensor_dims_to_string (const GstSaeTensor *tensor);
gboolean gst_sae_tensor_equal (const GstSaeTensor *a, const GstSaeTensor *b);
/* Product of the dims past the first; FALSE on overflow of gsize. */
gboolean gst_sae_tensor_n_rows (const GstSaeTensor *tensor, gsize *n_rows);
/* Bytes of the whole tensor; FALSE on overflow. */
gboolean gst_sae_tensor_size (const GstSaeTensor *tensor, gsize *size);

/* Reads fixed caps. Missing framerate is 0/1; static caps without types or
 * dimensions, contradictory counts and unknown types are refused with
 * GST_CORE_ERROR-free SAE_ERROR_FORMAT errors naming the field. */
gboolean gst_sae_tensors_from_caps (GstSaeTensors *tensors, const GstCaps *caps,
    GError **error);
/* (transfer full) fixed caps, with framerate. */
GstCaps *gst_sae_tensors_to_caps (const GstSaeTensors *tensors);

/* The header of a flexible or sparse tensor. */
typedef struct {
  GstSaeTensor tensor;
  GstSaeFormat format; /* as written; not to be trusted */
  guint32 nnz;
} GstSaeHeader;
gboolean gst_sae_header_read (GstSaeHeader *header, const guint8 *data,
    gsize size, GError **error);
/* Writes GST_SAE_HEADER_SIZE bytes. */
void gst_sae_header_write (const GstSaeHeader *header, guint8 *data);

/* What sparse tensors are read and written up to: a flat index is a uint32,
 * and a header of 128 bytes may claim any number of rows. */
#define GST_SAE_SPARSE_MAX_ELEMENTS (G_GUINT64_CONSTANT (1) << 32)
#define GST_SAE_SPARSE_MAX_ROWS (1u << 24)

/* A buffer of tensors, opened for reading. Works for any cut into memories:
 * one memory a tensor (the usual case, mapped without a copy), everything in
 * one, or cut anywhere. Reuse one reader for all buffers of a pad: its scratch
 * grows once and is kept. */
typedef struct {
  GstSaeFormat format; /* as the caps said */
  guint n_tensors;
  GstSaeTensor tensors[GST_SAE_MAX_TENSORS];
  const guint8 *data[GST_SAE_MAX_TENSORS]; /* first element of each tensor */
  gsize size[GST_SAE_MAX_TENSORS];         /* its bytes, headers excluded */
  gsize n_rows[GST_SAE_MAX_TENSORS];       /* rows: product of outer dims */
  guint32 nnz; /* sparse: data[0] has values[nnz], then flat indices[nnz] */
  /*< private >*/
  GstMapInfo maps[GST_SAE_MAX_TENSORS];
  GstMemory *memories[GST_SAE_MAX_TENSORS];
  guint n_maps;
  guint8 *scratch;
  gsize scratch_size;
} GstSaeReader;

void gst_sae_reader_init (GstSaeReader *reader);
void gst_sae_reader_clear (GstSaeReader *reader);

/* Opens @buffer as @tensors says. Static: the bytes of each tensor must be
 * whole rows of its dims[0], the number of rows may be any (also 0) but is the
 * same multiple of the caps' for every tensor; outer dims in
 * reader->tensors[] are then adjusted (dims kept where the count matches,
 * else the outermost scaled when it divides, else "D:N" flat). Flexible:
 * headers are read and checked against the bytes that follow. An error is
 * SAE_ERROR_FORMAT with expected and got, and nothing stays mapped. */
gboolean gst_sae_reader_open (GstSaeReader *reader, GstBuffer *buffer,
    const GstSaeTensors *tensors, GError **error);
/* The same, and sparse tensors too: one of them, whose header must fit the
 * bytes behind it. The indices are not looked at. */
gboolean gst_sae_reader_open_any (GstSaeReader *reader, GstBuffer *buffer,
    const GstSaeTensors *tensors, GError **error);
void gst_sae_reader_close (GstSaeReader *reader);

/* Posts @error (transfer full) as an element ERROR with the domain and code
 * that fit its SaeError: NOT_FOUND, READ, WRITE, NO_SPACE -> RESOURCE;
 * FORMAT -> STREAM/FORMAT; SIZE -> LIBRARY/SETTINGS; UNSUPPORTED ->
 * STREAM/WRONG_TYPE; NON_FINITE -> STREAM/FAILED; else LIBRARY/FAILED. The
 * text is @context followed by the error's own message. */
void gst_sae_element_post_error (GstElement *element, const gchar *context,
    GError *error);
/* The same as a WARNING: the element goes on. */
void gst_sae_element_post_warning (GstElement *element, const gchar *context,
    GError *error);
/* That, the first time that it happens; @warned remembers. */
void gst_sae_element_warn_once (GstElement *element, gboolean *warned,
    const gchar *context, GError *error);

G_END_DECLS
