/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelog.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json-text.h"

/* See make_line(). */
#define LINE_BEGIN "{\"time\": "

static gboolean
fail (const gchar *path, const gchar *verb, GError **error)
{
  int saved = errno;
  SaeError code =
      saved == ENOSPC || saved == EDQUOT ? SAE_ERROR_NO_SPACE : SAE_ERROR_WRITE;

  g_set_error (error, SAE_ERROR, (gint) code, "%s: cannot %s: %s", path, verb,
      g_strerror (saved));
  return FALSE;
}

/* Not a line's end there: somebody was killed, or the disk was full. */
static gboolean
ends_within_line (int fd, off_t size)
{
  char last = '\n';

  return size > 0 && pread (fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* As lines of ours do. The first ones may be torn so early that they do not
 * have all of it. */
static gboolean
begins_as_log (const char *text, gsize size)
{
  gsize same = 0;

  while (
      same < MIN (size, strlen (LINE_BEGIN)) && LINE_BEGIN[same] == text[same])
    same++;
  if (same == size || LINE_BEGIN[same] == '\0')
    return TRUE;
  return same > 0 && text[same] == '\n' &&
         begins_as_log (text + same + 1, size - same - 1);
}

/* A mistyped path must not add lines to somebody's data. */
static gboolean
check_is_log (int fd, const gchar *path, GError **error)
{
  char text[64];
  gssize size = pread (fd, text, sizeof text, 0);

  if (size < 0)
    return fail (path, "read", error);
  if (begins_as_log (text, (gsize) size))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "%s: expected a log of saetrainer or nothing, found another file", path);
  return FALSE;
}

/* A FIFO without a reader must not hold up the start. */
static int
open_regular (const gchar *path, struct stat *info, GError **error)
{
  int fd = open (path,
      O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);

  if (fd < 0) {
    if (errno == ELOOP)
      g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
          "%s: expected a regular file or nothing, found a symbolic link",
          path);
    else
      fail (path, "open for appending", error);
    return -1;
  }
  if (fstat (fd, info) == 0 && S_ISREG (info->st_mode))
    return fd;
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "%s: expected a regular file or nothing, found a special file", path);
  close (fd);
  return -1;
}

gboolean
gst_sae_log_open (GstSaeLog *log, const gchar *path, GError **error)
{
  struct stat info;
  int fd;

  gst_sae_log_close (log);
  fd = open_regular (path, &info, error);
  if (fd < 0)
    return FALSE;
  if (!check_is_log (fd, path, error)) {
    close (fd);
    return FALSE;
  }
  log->path = g_strdup (path);
  log->fd = fd;
  log->torn = ends_within_line (fd, info.st_size);
  return TRUE;
}

void
gst_sae_log_close (GstSaeLog *log)
{
  if (log->path)
    close (log->fd);
  g_clear_pointer (&log->path, g_free);
  log->fd = -1;
}

static json_t *structure_to_json (const GstStructure *s);

static json_t *
uint64_to_json (guint64 value)
{
  return value <= G_MAXINT64 ? json_integer ((json_int_t) value)
                             : json_real ((double) value);
}

static json_t *
value_to_json (const GValue *value)
{
  if (G_VALUE_HOLDS (value, GST_TYPE_STRUCTURE))
    return structure_to_json (gst_value_get_structure (value));
  if (G_VALUE_TYPE (value) == GST_TYPE_CLOCK_TIME &&
      !GST_CLOCK_TIME_IS_VALID (g_value_get_uint64 (value)))
    return json_null ();
  if (G_VALUE_HOLDS_UINT64 (value))
    return uint64_to_json (g_value_get_uint64 (value));
  if (G_VALUE_HOLDS_BOOLEAN (value))
    return json_boolean (g_value_get_boolean (value));
  if (G_VALUE_HOLDS_DOUBLE (value) && isfinite (g_value_get_double (value)))
    return json_real (g_value_get_double (value));
  return json_null ();
}

static gboolean
add_field (GQuark field, const GValue *value, gpointer object)
{
  return json_object_set_new (object, g_quark_to_string (field),
             value_to_json (value)) == 0;
}

static json_t *
structure_to_json (const GstStructure *s)
{
  json_t *object = json_object ();

  gst_structure_foreach (s, add_field, object);
  return object;
}

/* (transfer full) */
static gchar *
make_line (const gchar *element, const GstStructure *s)
{
  json_t *object = json_object (), *fields = structure_to_json (s);
  gchar *text;

  json_object_set_new (object, "time",
      json_real ((double) g_get_real_time () * 1e-6));
  json_object_set_new (object, "element", json_string (element));
  json_object_update (object, fields);
  text = sae_json_write (object, 0);
  json_decref (fields);
  json_decref (object);
  return text;
}

/* A file that was deleted or moved away, as rotated logs are, is begun anew. */
static gboolean
follow_path (GstSaeLog *log, GError **error)
{
  GstSaeLog anew = {NULL, -1, FALSE};
  struct stat open, there;

  if (fstat (log->fd, &open) == 0 && lstat (log->path, &there) == 0 &&
      open.st_dev == there.st_dev && open.st_ino == there.st_ino)
    return TRUE;
  if (!gst_sae_log_open (&anew, log->path, error))
    return FALSE;
  gst_sae_log_close (log);
  *log = anew;
  return TRUE;
}

gboolean
gst_sae_log_append (GstSaeLog *log, const gchar *element, const GstStructure *s,
    GError **error)
{
  g_autofree gchar *object = make_line (element, s);
  g_autofree gchar *line = NULL;
  gsize size;
  gssize n;

  if (!follow_path (log, error))
    return FALSE;
  line = g_strconcat (log->torn ? "\n" : "", object, "\n", NULL);
  size = strlen (line);
  do
    n = write (log->fd, line, size);
  while (n < 0 && errno == EINTR);
  if (n > 0)
    log->torn = line[n - 1] != '\n';
  if (n == (gssize) size)
    return TRUE;
  if (n >= 0)
    errno = ENOSPC;
  return fail (log->path, "write", error);
}
