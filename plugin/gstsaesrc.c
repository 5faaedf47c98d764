/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saesrc
 * @title: saesrc
 * @short_description: activations from .npy files
 *
 * Reads rows of activations from one .npy file, a folder of them, or shards
 * whose names follow a pattern, as often as wanted, in order or shuffled. The
 * innermost dimension is a row; outer ones are flattened. The order of a
 * shuffled pass is a permutation of all rows over all shards that depends only
 * on the seed, the number of the pass and the number of rows: it is the same on
 * every machine and takes no memory. A buffer may hold the last rows of a pass
 * and the first of the next one.
 *
 * The stream can be sought in rows (#GST_FORMAT_DEFAULT), counted over all
 * passes; buffer offsets are row numbers.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=shards/ epochs=8 shuffle=true seed=1 !
 *     saetrainer dict-size=6144 top-k=32 location=out/ ! fakesink
 * ]|
 */
#include "gstsaesrc.h"

#include <string.h>

#include "gstsaepermutation.h"
#include "gstsaepool.h"
#include "gstsaerows.h"
#include "gstsaeshardlist.h"
#include "gstsaeshards.h"

GST_DEBUG_CATEGORY_STATIC (sae_src_debug);
#define GST_CAT_DEFAULT sae_src_debug

#define DEFAULT_ROWS_PER_BUFFER 256
/* Of tensors in our buffers; the widest vector loads want it. */
#define MEMORY_ALIGNMENT 64

typedef struct {
  gchar *location;
  gchar **locations; /* more of the same, after it; NULL without */
  guint epochs;
  gboolean shuffle;
  guint64 seed;
  guint rows_per_buffer;
  gint rate_n, rate_d;
} Settings;

struct _GstSaeSrc {
  GstPushSrc parent;

  Settings settings; /* object lock */

  /* Constant from READY to PAUSED on and back; changed there under the object
   * lock, for the queries of other threads. */
  GstSaeNpyRows rows; /* n_rows of one pass */
  GstSaeRowUnits units;
  guint64 total_rows; /* of all passes */
  guint full_rows;    /* of a full buffer; 0 when stopped */

  /* the same, for the streaming thread */
  Settings used;
  GstSaeShards *shards;

  /* streaming thread */
  guint64 next_row;
  guint caps_rows;
  GstSaePermutation permutation;
  guint64 permutation_pass;
};

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_LOCATIONS,
  PROP_EPOCHS,
  PROP_SHUFFLE,
  PROP_SEED,
  PROP_ROWS_PER_BUFFER,
  PROP_RATE,
};

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_ROWS_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeSrc, gst_sae_src, GST_TYPE_PUSH_SRC,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saesrc, "saesrc", GST_RANK_NONE, GST_TYPE_SAE_SRC)

/* --- properties --- */

/* The texts of a GST_TYPE_ARRAY; NULL for none. */
static gchar **
strings_from_array (const GValue *array)
{
  guint n = gst_value_array_get_size (array);
  gchar **strings = n > 0 ? g_new0 (gchar *, n + 1) : NULL;

  for (guint i = 0; i < n; i++) {
    const gchar *text =
        g_value_get_string (gst_value_array_get_value (array, i));
    strings[i] = g_strdup (text ? text : "");
  }
  return strings;
}

static void
strings_to_array (gchar *const *strings, GValue *array)
{
  for (; strings && *strings; strings++) {
    GValue value = G_VALUE_INIT;
    g_value_init (&value, G_TYPE_STRING);
    g_value_set_string (&value, *strings);
    gst_value_array_append_and_take_value (array, &value);
  }
}

static void
gst_sae_src_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeSrc *self = GST_SAE_SRC (object);
  Settings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_free (settings->location);
      settings->location = g_value_dup_string (value);
      break;
    case PROP_LOCATIONS:
      g_strfreev (settings->locations);
      settings->locations = strings_from_array (value);
      break;
    case PROP_EPOCHS:
      settings->epochs = g_value_get_uint (value);
      break;
    case PROP_SHUFFLE:
      settings->shuffle = g_value_get_boolean (value);
      break;
    case PROP_SEED:
      settings->seed = g_value_get_uint64 (value);
      break;
    case PROP_ROWS_PER_BUFFER:
      settings->rows_per_buffer = g_value_get_uint (value);
      break;
    case PROP_RATE:
      settings->rate_n = gst_value_get_fraction_numerator (value);
      settings->rate_d = gst_value_get_fraction_denominator (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_src_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeSrc *self = GST_SAE_SRC (object);
  const Settings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_value_set_string (value, settings->location);
      break;
    case PROP_LOCATIONS:
      strings_to_array (settings->locations, value);
      break;
    case PROP_EPOCHS:
      g_value_set_uint (value, settings->epochs);
      break;
    case PROP_SHUFFLE:
      g_value_set_boolean (value, settings->shuffle);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, settings->seed);
      break;
    case PROP_ROWS_PER_BUFFER:
      g_value_set_uint (value, settings->rows_per_buffer);
      break;
    case PROP_RATE:
      gst_value_set_fraction (value, settings->rate_n, settings->rate_d);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
clear_settings (Settings *settings)
{
  g_clear_pointer (&settings->location, g_free);
  g_clear_pointer (&settings->locations, g_strfreev);
}

static void
gst_sae_src_finalize (GObject *object)
{
  clear_settings (&GST_SAE_SRC (object)->settings);
  G_OBJECT_CLASS (gst_sae_src_parent_class)->finalize (object);
}

/* --- states --- */

static void
take_settings (GstSaeSrc *self)
{
  GST_OBJECT_LOCK (self);
  clear_settings (&self->used);
  self->used = self->settings;
  self->used.location = g_strdup (self->settings.location);
  self->used.locations = g_strdupv (self->settings.locations);
  GST_OBJECT_UNLOCK (self);
}

/* Adds the files that @location means. */
static gboolean
add_shards (GPtrArray *paths, const gchar *location, GError **error)
{
  GPtrArray *more;

  if (location == NULL || location[0] == '\0') {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NOT_FOUND,
        "location: expected a file, a folder or a pattern, none was set");
    return FALSE;
  }
  more = gst_sae_shard_list (location, error);
  if (more == NULL)
    return FALSE;
  g_ptr_array_extend_and_steal (paths, more);
  return TRUE;
}

static gboolean
open_shards (GstSaeSrc *self, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  gchar **more = self->used.locations;

  if ((self->used.location != NULL || more == NULL) &&
      !add_shards (paths, self->used.location, error))
    return FALSE;
  for (; more != NULL && *more != NULL; more++)
    if (!add_shards (paths, *more, error))
      return FALSE;
  self->shards = gst_sae_shards_new (paths, error);
  return self->shards != NULL;
}

/* Sizes of the stream, each checked. */
static gboolean
measure (GstSaeSrc *self, GError **error)
{
  const GstSaeNpyRows *rows = gst_sae_shards_get_rows (self->shards);
  guint64 total;
  guint full_rows;

  if (!g_uint64_checked_mul (&total, rows->n_rows, self->used.epochs) ||
      total > G_MAXINT64) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "epochs: expected fewer than 2^63 rows in all, got %u times "
        "%" G_GUINT64_FORMAT,
        self->used.epochs, rows->n_rows);
    return FALSE;
  }
  full_rows = self->used.rows_per_buffer;
  if (total > 0 && total < full_rows)
    full_rows = (guint) total;
  if (rows->row_size > G_MAXINT / full_rows) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "rows-per-buffer: expected buffers below 2^31 bytes, got %u rows of "
        "%" G_GSIZE_FORMAT " bytes",
        full_rows, rows->row_size);
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->rows = *rows;
  self->full_rows = full_rows;
  self->total_rows = total;
  self->units.row_size = rows->row_size;
  self->units.rate_n = self->used.rate_n;
  self->units.rate_d = self->used.rate_d;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static void
prepare_pass (GstSaeSrc *self, guint64 pass)
{
  gst_sae_permutation_init (&self->permutation, self->rows.n_rows,
      self->used.seed, pass);
  self->permutation_pass = pass;
}

static void
close_files (GstSaeSrc *self)
{
  GST_OBJECT_LOCK (self);
  memset (&self->units, 0, sizeof self->units);
  self->total_rows = 0;
  self->full_rows = 0;
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&self->shards, gst_sae_shards_free);
  clear_settings (&self->used);
}

static gboolean
open_files (GstSaeSrc *self)
{
  GError *error = NULL;

  take_settings (self);
  if (open_shards (self, &error) && measure (self, &error)) {
    GST_INFO_OBJECT (self,
        "%" G_GUINT64_FORMAT " rows of %" G_GSIZE_FORMAT " bytes, %u passes",
        self->rows.n_rows, self->units.row_size, self->used.epochs);
    return TRUE;
  }
  close_files (self);
  gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
  return FALSE;
}

/* Files are opened here and not in start: when that fails, the base class
 * posts a second error that says nothing. */
static GstStateChangeReturn
gst_sae_src_change_state (GstElement *element, GstStateChange transition)
{
  GstSaeSrc *self = GST_SAE_SRC (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !open_files (self))
    return GST_STATE_CHANGE_FAILURE;
  result = GST_ELEMENT_CLASS (gst_sae_src_parent_class)
               ->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED &&
          result == GST_STATE_CHANGE_FAILURE))
    close_files (self);
  return result;
}

static gboolean
gst_sae_src_start (GstBaseSrc *src)
{
  GstSaeSrc *self = GST_SAE_SRC (src);

  if (!self->shards)
    return FALSE;
  self->next_row = 0;
  self->caps_rows = 0;
  prepare_pass (self, 0);
  gst_base_src_set_format (src,
      self->used.rate_n > 0 ? GST_FORMAT_TIME : GST_FORMAT_DEFAULT);
  gst_base_src_set_blocksize (src,
      (guint) (self->full_rows * self->units.row_size));
  return TRUE;
}

/* --- caps and buffers --- */

static GstCaps *
make_caps (GstSaeSrc *self, guint n_rows)
{
  gint fps_n, fps_d;

  /* The nominal rate: a short last buffer does not come any faster. */
  gst_sae_row_units_get_framerate (&self->units, self->full_rows, &fps_n,
      &fps_d);
  return gst_sae_npy_rows_to_caps (&self->rows, n_rows, fps_n, fps_d);
}

static GstCaps *
gst_sae_src_get_caps (GstBaseSrc *src, GstCaps *filter)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  GstCaps *caps = NULL, *filtered;

  GST_OBJECT_LOCK (self);
  if (self->full_rows > 0)
    caps = make_caps (self, self->full_rows);
  GST_OBJECT_UNLOCK (self);
  if (caps == NULL)
    caps = gst_pad_get_pad_template_caps (GST_BASE_SRC_PAD (src));
  if (filter == NULL)
    return caps;
  filtered = gst_caps_intersect_full (filter, caps, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref (caps);
  return filtered;
}

static gboolean
gst_sae_src_set_caps (GstBaseSrc *src, GstCaps *caps)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  GstSaeTensors tensors;
  GError *error = NULL;

  if (!gst_sae_tensors_from_caps (&tensors, caps, &error)) {
    gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
    return FALSE;
  }
  self->caps_rows = tensors.tensors[0].dims[1];
  return TRUE;
}

static gboolean
gst_sae_src_decide_allocation (GstBaseSrc *src, GstQuery *query)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  gsize size = self->full_rows * self->units.row_size;
  GstAllocator *allocator = NULL;
  GstAllocationParams params;
  GstBufferPool *pool;

  gst_allocation_params_init (&params);
  if (gst_query_get_n_allocation_params (query) > 0)
    gst_query_parse_nth_allocation_param (query, 0, &allocator, &params);
  params.align |= MEMORY_ALIGNMENT - 1;
  pool = gst_sae_pool_new (&size, 1, allocator, &params);
  gst_clear_object (&allocator);
  if (!pool)
    return FALSE;
  if (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_set_nth_allocation_pool (query, 0, pool, (guint) size, 0, 0);
  else
    gst_query_add_allocation_pool (query, pool, (guint) size, 0, 0);
  gst_object_unref (pool);
  return TRUE;
}

static GstFlowReturn
gst_sae_src_alloc (GstBaseSrc *src, guint64 offset, guint size,
    GstBuffer **buffer)
{
  GstFlowReturn flow = GST_BASE_SRC_CLASS (gst_sae_src_parent_class)
                           ->alloc (src, offset, size, buffer);

  if (flow == GST_FLOW_ERROR)
    gst_sae_element_post_error (GST_ELEMENT (src), NULL,
        g_error_new (SAE_ERROR, SAE_ERROR_NO_SPACE,
            "no memory for a buffer of %u rows", GST_SAE_SRC (src)->full_rows));
  return flow;
}

/* Rows up to the end of the segment or of all passes. */
static guint64
count_rows_left (GstSaeSrc *self)
{
  const GstSegment *segment = &GST_BASE_SRC (self)->segment;
  guint64 end = self->total_rows;
  gint64 stop;

  if (segment->stop != (guint64) -1 &&
      gst_sae_row_units_convert (&self->units, segment->format,
          (gint64) segment->stop, GST_FORMAT_DEFAULT, &stop))
    end = MIN (end, (guint64) stop);
  return end > self->next_row ? end - self->next_row : 0;
}

/* Rows of a pass in the order of its permutation. */
static gboolean
read_shuffled (GstSaeSrc *self, guint64 first, gsize n, guint8 *dst,
    GError **error)
{
  for (gsize i = 0; i < n; i++) {
    guint64 row = gst_sae_permutation_map (&self->permutation, first + i);
    if (!gst_sae_shards_read (self->shards, row, 1,
            dst + i * self->units.row_size, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_rows (GstSaeSrc *self, guint64 first, gsize n, guint8 *dst, GError **error)
{
  while (n > 0) {
    guint64 pass = first / self->rows.n_rows, place = first % self->rows.n_rows;
    gsize count = (gsize) MIN (self->rows.n_rows - place, n);

    if (pass != self->permutation_pass)
      prepare_pass (self, pass);
    if (self->used.shuffle
            ? !read_shuffled (self, place, count, dst, error)
            : !gst_sae_shards_read (self->shards, place, count, dst, error))
      return FALSE;
    first += count;
    n -= count;
    dst += count * self->units.row_size;
  }
  return TRUE;
}

static gboolean
fill_buffer (GstSaeSrc *self, GstBuffer *buffer, guint n_rows, GError **error)
{
  GstMapInfo map;
  gboolean ok;

  gst_buffer_set_size (buffer, (gssize) (n_rows * self->units.row_size));
  if (!gst_buffer_map (buffer, &map, GST_MAP_WRITE)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "the buffer of %u rows cannot be mapped for writing", n_rows);
    return FALSE;
  }
  ok = read_rows (self, self->next_row, n_rows, map.data, error);
  gst_buffer_unmap (buffer, &map);
  return ok;
}

static void
stamp_buffer (GstSaeSrc *self, GstBuffer *buffer, guint n_rows)
{
  guint64 end = self->next_row + n_rows;

  GST_BUFFER_OFFSET (buffer) = self->next_row;
  GST_BUFFER_OFFSET_END (buffer) = end;
  GST_BUFFER_PTS (buffer) =
      gst_sae_row_units_get_time (&self->units, self->next_row);
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    GST_BUFFER_DURATION (buffer) =
        gst_sae_row_units_get_time (&self->units, end) -
        GST_BUFFER_PTS (buffer);
}

/* A refusal comes back from the push of the buffer. While the pad flushes the
 * caps are lost, so they are sent again with the next one. */
static void
update_caps (GstSaeSrc *self, guint n_rows)
{
  GstCaps *caps;

  if (n_rows == self->caps_rows)
    return;
  caps = make_caps (self, n_rows);
  if (!gst_base_src_set_caps (GST_BASE_SRC (self), caps))
    self->caps_rows = 0;
  gst_caps_unref (caps);
}

static GstFlowReturn
gst_sae_src_fill (GstPushSrc *src, GstBuffer *buffer)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  guint n_rows = (guint) MIN (count_rows_left (self), self->full_rows);
  GError *error = NULL;

  if (n_rows == 0)
    return GST_FLOW_EOS;
  update_caps (self, n_rows);
  if (!fill_buffer (self, buffer, n_rows, &error)) {
    gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
    return GST_FLOW_ERROR;
  }
  stamp_buffer (self, buffer, n_rows);
  self->next_row += n_rows;
  return GST_FLOW_OK;
}

/* --- seeks and queries --- */

static gboolean
gst_sae_src_is_seekable (GstBaseSrc *src)
{
  return TRUE;
}

/* Limits that cannot be had are refused before they get here. */
static gboolean
gst_sae_src_do_seek (GstBaseSrc *src, GstSegment *segment)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  gint64 row;

  if (!gst_sae_row_units_convert (&self->units, segment->format,
          (gint64) segment->position, GST_FORMAT_DEFAULT, &row) ||
      row < 0)
    return FALSE;
  GST_DEBUG_OBJECT (self, "to row %" G_GINT64_FORMAT, row);
  self->next_row = MIN ((guint64) row, self->total_rows);
  segment->time = segment->start;
  return TRUE;
}

/* Makes a limit of a seek one in @to, counted from the beginning; with
 * GST_SEEK_TYPE_NONE *@limit stays as it is. */
static gboolean
resolve_limit (const GstSaeRowUnits *units, gint64 n_rows, GstFormat from,
    GstFormat to, GstSeekType *type, gint64 value, gint64 *limit)
{
  gint64 end;

  if (*type == GST_SEEK_TYPE_NONE)
    return TRUE;
  if (*type == GST_SEEK_TYPE_END) {
    if (!gst_sae_row_units_convert (units, GST_FORMAT_DEFAULT, n_rows, from,
            &end))
      return FALSE;
    value = value < 0 ? MAX (end + value, 0) : end;
    *type = GST_SEEK_TYPE_SET;
  }
  return gst_sae_row_units_convert (units, from, value, to, limit);
}

static gboolean
is_backward (GstSeekType start_type, gint64 start, GstSeekType stop_type,
    gint64 stop)
{
  return stop_type == GST_SEEK_TYPE_SET && stop >= 0 &&
         start_type == GST_SEEK_TYPE_SET && stop < start;
}

/* The same seek in the unit of the stream and counted from the beginning, or
 * NULL when it cannot be done: the base class flushes before it looks. */
static GstEvent *
resolve_seek (GstSaeSrc *self, GstEvent *event)
{
  const GstSegment *segment = &GST_BASE_SRC (self)->segment;
  gint64 n_rows, start, stop, from_start, from_stop;
  GstSeekType start_type, stop_type;
  GstFormat from, to;
  GstSaeRowUnits units;
  GstSeekFlags flags;
  GstEvent *seek;
  gdouble rate;

  gst_event_parse_seek (event, &rate, &from, &flags, &start_type, &from_start,
      &stop_type, &from_stop);
  GST_OBJECT_LOCK (self);
  units = self->units;
  n_rows = (gint64) self->total_rows;
  to = segment->format;
  start = (gint64) segment->start;
  stop = (gint64) segment->stop;
  GST_OBJECT_UNLOCK (self);
  if (rate <= 0.0)
    return NULL;
  if (units.row_size == 0) /* it waits for the files to be opened */
    return start_type == GST_SEEK_TYPE_END || stop_type == GST_SEEK_TYPE_END ||
                   is_backward (start_type, from_start, stop_type, from_stop)
               ? NULL
               : gst_event_ref (event);
  if (!resolve_limit (&units, n_rows, from, to, &start_type, from_start,
          &start) ||
      !resolve_limit (&units, n_rows, from, to, &stop_type, from_stop, &stop))
    return NULL;
  start = MAX (start, 0);
  if (stop >= 0 && stop < start)
    return NULL;
  seek =
      gst_event_new_seek (rate, to, flags, start_type, start, stop_type, stop);
  gst_event_set_seqnum (seek, gst_event_get_seqnum (event));
  return seek;
}

static gboolean
gst_sae_src_event (GstBaseSrc *src, GstEvent *event)
{
  g_autoptr (GstEvent) seek = NULL;

  if (GST_EVENT_TYPE (event) == GST_EVENT_SEEK) {
    event = seek = resolve_seek (GST_SAE_SRC (src), event);
    if (!seek)
      return FALSE;
  }
  return GST_BASE_SRC_CLASS (gst_sae_src_parent_class)->event (src, event);
}

/* The base class takes a seek that is sent to the element as it is. */
static gboolean
gst_sae_src_send_event (GstElement *element, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_SEEK) {
    GstEvent *seek = resolve_seek (GST_SAE_SRC (element), event);
    gst_event_unref (event);
    if (!seek)
      return FALSE;
    event = seek;
  }
  return GST_ELEMENT_CLASS (gst_sae_src_parent_class)
      ->send_event (element, event);
}

static gboolean
answer_seeking (GstQuery *query, const GstSaeRowUnits *units, gint64 n_rows)
{
  GstFormat format;
  gint64 end;

  gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
  if (format != GST_FORMAT_DEFAULT && format != GST_FORMAT_TIME)
    return FALSE;
  if (!gst_sae_row_units_convert (units, GST_FORMAT_DEFAULT, n_rows, format,
          &end))
    return FALSE;
  gst_query_set_seeking (query, format, TRUE, 0, end);
  return TRUE;
}

static gboolean
gst_sae_src_query (GstBaseSrc *src, GstQuery *query)
{
  GstSaeSrc *self = GST_SAE_SRC (src);
  GstSaeRowUnits units;
  gint64 n_rows;

  GST_OBJECT_LOCK (self);
  units = self->units;
  n_rows = (gint64) self->total_rows;
  GST_OBJECT_UNLOCK (self);
  if (units.row_size == 0)
    return GST_BASE_SRC_CLASS (gst_sae_src_parent_class)->query (src, query);
  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_CONVERT:
      return gst_sae_row_units_answer_convert (&units, query);
    case GST_QUERY_DURATION:
      return gst_sae_row_units_answer_duration (&units, query, n_rows);
    case GST_QUERY_SEEKING:
      return answer_seeking (query, &units, n_rows);
    default:
      return GST_BASE_SRC_CLASS (gst_sae_src_parent_class)->query (src, query);
  }
}

/* --- class --- */

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                            (GParamFlags) GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (object_class, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "A .npy file, a folder of them, or a pattern such as "
          "shard-%05d.npy",
          NULL, flags));
  g_object_class_install_property (object_class, PROP_LOCATIONS,
      gst_param_spec_array ("locations", "Locations",
          "More of what location takes, read after it as one array, as in "
          "<a.npy,b.npy>",
          g_param_spec_string ("location", "Location", "As location", NULL,
              flags),
          flags));
  g_object_class_install_property (object_class, PROP_EPOCHS,
      g_param_spec_uint ("epochs", "Epochs", "Passes over all rows", 1,
          G_MAXUINT, 1, flags));
  g_object_class_install_property (object_class, PROP_SHUFFLE,
      g_param_spec_boolean ("shuffle", "Shuffle",
          "Send the rows of each pass in an order of their own, a permutation "
          "of all rows of all files",
          FALSE, flags));
  g_object_class_install_property (object_class, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
          "Seed of the shuffled orders; the same seed gives the same orders on "
          "every machine",
          0, G_MAXUINT64, 0, flags));
  g_object_class_install_property (object_class, PROP_ROWS_PER_BUFFER,
      g_param_spec_uint ("rows-per-buffer", "Rows per buffer",
          "Rows of each buffer; the last one may have fewer", 1, G_MAXINT,
          DEFAULT_ROWS_PER_BUFFER, flags));
  g_object_class_install_property (object_class, PROP_RATE,
      gst_param_spec_fraction ("rate", "Rate",
          "Rows per second of the timestamps; 0/1 for none", 0, 1, G_MAXINT, 1,
          0, 1, flags));
}

static void
gst_sae_src_class_init (GstSaeSrcClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_src_debug, "saesrc", 0, "rows from .npy files");
  object_class->set_property = gst_sae_src_set_property;
  object_class->get_property = gst_sae_src_get_property;
  object_class->finalize = gst_sae_src_finalize;
  install_properties (object_class);
  gst_element_class_set_static_metadata (element_class,
      "Activations from .npy files", "Source/File/Tensor",
      "Reads rows of activations from .npy files, in order or shuffled",
      "The gst-sae developers");
  gst_element_class_add_static_pad_template (element_class, &src_template);
  element_class->change_state = gst_sae_src_change_state;
  element_class->send_event = gst_sae_src_send_event;
  src_class->start = gst_sae_src_start;
  src_class->get_caps = gst_sae_src_get_caps;
  src_class->set_caps = gst_sae_src_set_caps;
  src_class->decide_allocation = gst_sae_src_decide_allocation;
  src_class->alloc = gst_sae_src_alloc;
  src_class->is_seekable = gst_sae_src_is_seekable;
  src_class->do_seek = gst_sae_src_do_seek;
  src_class->event = gst_sae_src_event;
  src_class->query = gst_sae_src_query;
  GST_PUSH_SRC_CLASS (klass)->fill = gst_sae_src_fill;
}

static void
gst_sae_src_init (GstSaeSrc *self)
{
  self->settings.epochs = 1;
  self->settings.rows_per_buffer = DEFAULT_ROWS_PER_BUFFER;
  self->settings.rate_d = 1;
}
