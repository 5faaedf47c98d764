/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeshards.h"

#include <unistd.h>

#include "regular-file.h"

#define MAX_OPEN 128

typedef struct {
  gchar *path;
  guint64 first_row;
  guint64 n_rows;
  gsize data_offset;
  gint fd; /* -1 while it is closed */
  guint64 last_used;
} Shard;

struct _GstSaeShards {
  GstSaeNpyRows rows; /* n_rows of all shards */
  Shard *shards;
  guint n_shards;
  guint current; /* where the last row was read */

  guint open[MAX_OPEN];
  guint n_open;
  guint64 clock; /* counts uses, for last_used */
};

/* --- open files --- */

static guint
find_least_recently_used (const GstSaeShards *self)
{
  guint place = 0;

  for (guint i = 1; i < self->n_open; i++)
    if (self->shards[self->open[i]].last_used <
        self->shards[self->open[place]].last_used)
      place = i;
  return place;
}

static void
keep_open (GstSaeShards *self, guint index, gint fd)
{
  guint place = self->n_open;

  if (self->n_open == MAX_OPEN) {
    Shard *closed;
    place = find_least_recently_used (self);
    closed = &self->shards[self->open[place]];
    close (closed->fd);
    closed->fd = -1;
  } else {
    self->n_open++;
  }
  self->open[place] = index;
  self->shards[index].fd = fd;
}

static gint
open_shard (const Shard *shard, SaeNpyHeader *header, GstSaeNpyRows *rows,
    GError **error)
{
  gint fd = sae_npy_open (shard->path, header, error);

  if (fd >= 0 && !gst_sae_npy_rows_from_header (rows, header, error)) {
    g_prefix_error (error, "%s: ", shard->path);
    close (fd);
    return -1;
  }
  return fd;
}

static gboolean
reopen_shard (GstSaeShards *self, guint index, GError **error)
{
  Shard *shard = &self->shards[index];
  SaeNpyHeader header;
  GstSaeNpyRows rows;
  gint fd = open_shard (shard, &header, &rows, error);

  if (fd < 0)
    return FALSE;
  if (rows.type != self->rows.type || rows.width != self->rows.width ||
      rows.n_rows != shard->n_rows ||
      header.header_size != shard->data_offset) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_READ,
        "%s: expected %" G_GUINT64_FORMAT " rows of %u %s as at the start, the "
        "file now has %" G_GUINT64_FORMAT " of %u %s",
        shard->path, shard->n_rows, self->rows.width,
        gst_sae_type_name (self->rows.type), rows.n_rows, rows.width,
        gst_sae_type_name (rows.type));
    close (fd);
    return FALSE;
  }
  keep_open (self, index, fd);
  return TRUE;
}

/* --- the list --- */

static gboolean
check_agreement (const GstSaeShards *self, const Shard *shard,
    const GstSaeNpyRows *rows, GError **error)
{
  if (rows->type == self->rows.type && rows->width == self->rows.width)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected rows of %u %s as in %s, got %u %s", shard->path,
      self->rows.width, gst_sae_type_name (self->rows.type),
      self->shards[0].path, rows->width, gst_sae_type_name (rows->type));
  return FALSE;
}

static gboolean
add_shard (GstSaeShards *self, const gchar *path, GError **error)
{
  guint index = self->n_shards++;
  Shard *shard = &self->shards[index];
  SaeNpyHeader header;
  GstSaeNpyRows rows;
  gint fd;

  shard->path = g_strdup (path);
  shard->fd = -1;
  shard->first_row = self->rows.n_rows;
  fd = open_shard (shard, &header, &rows, error);
  if (fd < 0)
    return FALSE;
  keep_open (self, index, fd);
  shard->n_rows = rows.n_rows;
  shard->data_offset = header.header_size;
  if (index == 0)
    self->rows = rows;
  else if (!check_agreement (self, shard, &rows, error))
    return FALSE;
  self->rows.n_rows = shard->first_row + shard->n_rows;
  if (self->rows.n_rows <= G_MAXINT64)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected fewer than 2^63 rows in all", path);
  return FALSE;
}

GstSaeShards *
gst_sae_shards_new (const GPtrArray *paths, GError **error)
{
  g_autoptr (GstSaeShards) self = g_new0 (GstSaeShards, 1);

  self->shards = g_new0 (Shard, paths->len);
  for (guint i = 0; i < paths->len; i++)
    if (!add_shard (self, g_ptr_array_index (paths, i), error))
      return NULL;
  return g_steal_pointer (&self);
}

void
gst_sae_shards_free (GstSaeShards *self)
{
  for (guint i = 0; i < self->n_open; i++)
    close (self->shards[self->open[i]].fd);
  for (guint i = 0; i < self->n_shards; i++)
    g_free (self->shards[i].path);
  g_free (self->shards);
  g_free (self);
}

const GstSaeNpyRows *
gst_sae_shards_get_rows (const GstSaeShards *self)
{
  return &self->rows;
}

/* --- reading --- */

static gboolean
holds (const Shard *shard, guint64 row)
{
  return row >= shard->first_row && row - shard->first_row < shard->n_rows;
}

/* The last shard that begins at @row or before: shards without rows share
 * their first row with the one behind them. */
static guint
find_shard (const GstSaeShards *self, guint64 row)
{
  guint low = 0, high = self->n_shards;

  if (holds (&self->shards[self->current], row))
    return self->current;
  while (high - low > 1) {
    guint middle = low + (high - low) / 2;
    if (self->shards[middle].first_row <= row)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static gboolean
read_from_shard (GstSaeShards *self, guint index, guint64 row, gsize n,
    guint8 *dst, GError **error)
{
  Shard *shard = &self->shards[index];
  gsize size = self->rows.row_size;

  if (shard->fd < 0 && !reopen_shard (self, index, error))
    return FALSE;
  shard->last_used = ++self->clock;
  return sae_regular_file_read (shard->fd,
      shard->data_offset + (row - shard->first_row) * size, dst, n * size,
      shard->path, error);
}

gboolean
gst_sae_shards_read (GstSaeShards *self, guint64 first, gsize n, guint8 *dst,
    GError **error)
{
  gsize done = 0;

  while (done < n) {
    guint index = find_shard (self, first + done);
    const Shard *shard = &self->shards[index];
    guint64 left = shard->first_row + shard->n_rows - (first + done);
    gsize count = (gsize) MIN (left, n - done);

    if (!read_from_shard (self, index, first + done, count,
            dst + done * self->rows.row_size, error))
      return FALSE;
    self->current = index;
    done += count;
  }
  gst_sae_swap_file_elements (dst, n * self->rows.width,
      gst_sae_type_size (self->rows.type));
  return TRUE;
}
