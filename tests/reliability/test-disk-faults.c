/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Disks that fail: while a trainer writes, and while files are read. */
#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>

#include "disk-faults.h"
#include "expect.h"
#include "fault.h"
#include "rows.h"
#include "sae-checkpoint.h"
#include "sae-tokens.h"
#include "training.h"

#define ROWS 203
#define PIECE 20

/* Of reading, which is the same each time but for where a file is cut. */
static guint
rounds (int how)
{
  return how != DISK_CUT ? 1 : g_test_slow () ? 160 : 8;
}

/* --- training ------------------------------------------------------------- */

typedef struct {
  DiskCall call;
  int how;
} DiskFault;

static const DiskFault write_faults[] = {{DISK_WRITE, EIO},
    {DISK_WRITE, ENOSPC}, {DISK_WRITE, EDQUOT}, {DISK_WRITE, EINTR},
    {DISK_WRITE, DISK_SHORT}, {DISK_SYNC, EIO}, {DISK_SYNC, EINTR},
    {DISK_RENAME, EIO}, {DISK_RENAME, EROFS}, {DISK_OPEN, EIO},
    {DISK_OPEN, EMFILE}};

static gboolean
is_harmless (int how)
{
  return how == EINTR || how == DISK_SHORT;
}

static gchar *
path_of (Training *training, const gchar *name)
{
  return g_build_filename (training->folder, "disk", name, NULL);
}

/* Everything that a trainer can write is written to the disk. */
static Stream
start_training (Training *training)
{
  g_autofree gchar *checkpoint = path_of (training, "run.sae");
  g_autofree gchar *log = path_of (training, "log.jsonl");
  g_autofree gchar *metrics = path_of (training, "metrics.prom");
  Stream stream = training_stream (training);

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "location", training->got,
      "checkpoint-location", checkpoint, "checkpoint-interval", (guint64) PIECE,
      "log-location", log, "metrics-location", metrics, "stats-interval",
      (guint64) 1, "n-threads", 1u, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  gst_pad_set_active (stream.harness->srcpad, FALSE);
  gst_pad_set_active (stream.harness->srcpad, TRUE);
  stream_send_dims (&stream, "float32", "16:20");
  return stream;
}

static void
train_all (Stream *stream)
{
  g_autofree float *x = stream_rows (3, ROWS, D);

  for (gsize at = 0; at < ROWS; at += PIECE)
    g_assert_cmpint (stream_push_floats (stream, x + at * D,
                         MIN (PIECE, ROWS - at) * D),
        ==, GST_FLOW_OK);
}

static guint64
rows_in (const gchar *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeCheckpoint) checkpoint = sae_checkpoint_load (path, &error);

  g_assert_no_error (error);
  return sae_checkpoint_get_rows (checkpoint);
}

/* A dictionary and a checkpoint of another run, which those of this one are to
 * replace. */
static void
leave_old_files (Training *training)
{
  g_autofree gchar *disk = g_build_filename (training->folder, "disk", NULL);
  g_autofree float *x = stream_rows (4, PIECE, D);

  g_free (training->got);
  training->got = path_of (training, "dictionary");
  g_assert_cmpint (g_mkdir (disk, 0777), ==, 0);
  {
    g_auto (Stream) stream = start_training (training);
    g_assert_cmpint (stream_push_floats (&stream, x, PIECE * D), ==,
        GST_FLOW_OK);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    gst_element_set_state (stream.element, GST_STATE_NULL);
    stream_expect_no_error (&stream);
  }
}

static void
expect_names (Training *training, const DiskFault *fault)
{
  static const gchar *const names[] = {"dictionary", "log.jsonl",
      "metrics.prom", "run.sae", NULL};
  g_autofree gchar *disk = g_build_filename (training->folder, "disk", NULL);
  g_autoptr (GDir) folder = g_dir_open (disk, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (folder)) != NULL)
    if (!g_strv_contains (names, name))
      g_error ("%s was left (%d by %d)", name, fault->call, fault->how);
}

/* One training, whose calls fail from the @nth on, @times times. Whatever
 * happens, all rows are trained on; once the disk is well again, what is saved
 * is what it would have been. How many calls failed. */
static guint
train_on_a_bad_disk (Training *training, const DiskFault *fault, guint nth,
    guint times)
{
  g_autofree gchar *disk = g_build_filename (training->folder, "disk", NULL);
  g_autofree gchar *checkpoint = path_of (training, "run.sae");
  g_autoptr (GBytes) old = NULL;
  guint hit, n_errors;
  guint64 rows;

  leave_old_files (training);
  old = stream_load_file (training->got, "sae_weights.safetensors");
  {
    g_auto (Stream) stream = start_training (training);
    disk_fail (disk, fault->call, nth, times, fault->how);
    train_all (&stream);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    hit = disk_heal ();
    expect_with ("call %d fails by %d, %u times from the %u.", fault->call,
        fault->how, times, nth);
    g_object_get (stream.element, "rows", &rows, NULL);
    g_assert_cmpuint (rows, ==, ROWS);
    g_assert_cmpuint (rows_in (checkpoint) % PIECE, <=, ROWS % PIECE);
    n_errors = stream_count (&stream, GST_MESSAGE_ERROR);
    if (n_errors > 0) { /* the dictionary could not be written */
      g_autoptr (GBytes) got =
          stream_load_file (training->got, "sae_weights.safetensors");
      g_assert_cmpuint (n_errors, ==, 1);
      expect_same_bytes ("the old dictionary", got, old);
    }
    gst_element_set_state (stream.element, GST_STATE_NULL);
    g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_ERROR), ==, 0);
    if (hit == 0 || is_harmless (fault->how))
      g_assert_cmpuint (n_errors, ==, 0);
  }
  training_expect_same_files (training);
  g_assert_cmpuint (rows_in (checkpoint), ==, ROWS);
  expect_names (training, fault);
  stream_remove_folder (g_steal_pointer (&disk));
  return hit;
}

/* Each call fails once, and then all from it on; interruptions do end. */
static guint
times_of (const DiskFault *fault, gboolean once)
{
  return once ? 1 : fault->how == EINTR ? 5 : G_MAXUINT;
}

static void
test_training_goes_on (Training *training, gconstpointer data)
{
  g_autofree float *x = stream_rows (3, ROWS, D);
  g_autoptr (SaeTrainer) reference = training_reference ();
  guint tried = 0;

  training_push (reference, x, NULL, ROWS);
  training_finish (training, reference);
  for (guint i = 0; i < G_N_ELEMENTS (write_faults); i++)
    for (gint once = 1; once >= 0; once--) {
      const DiskFault *fault = &write_faults[i];
      guint nth = 1;
      for (; train_on_a_bad_disk (training, fault, nth, times_of (fault, once));
           nth += g_test_slow () ? 1 : 1 + nth)
        tried++;
    }
  g_assert_cmpuint (tried, >, 2 * G_N_ELEMENTS (write_faults));
  fault_report (19, tried, tried, 0);
}

/* --- reading -------------------------------------------------------------- */

/* What was read of @path, as bytes. */
typedef GBytes *(*Reader) (const gchar *path, GError **error);

static void
append (GByteArray *all, GBytes *bytes)
{
  gsize size;
  const guint8 *data;

  if (!bytes)
    return;
  data = g_bytes_get_data (bytes, &size);
  g_byte_array_append (all, data, (guint) size);
  g_bytes_unref (bytes);
}

static GBytes *
read_model (const gchar *path, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (path, error);
  GByteArray *all;

  if (!model)
    return NULL;
  all = g_byte_array_new ();
  append (all, sae_model_get_W_enc (model));
  append (all, sae_model_get_b_enc (model));
  append (all, sae_model_get_W_dec (model));
  append (all, sae_model_get_b_dec (model));
  return g_byte_array_free_to_bytes (all);
}

static GBytes *
read_checkpoint (const gchar *path, GError **error)
{
  g_autoptr (SaeCheckpoint) checkpoint = sae_checkpoint_load (path, error);
  guint64 rows = checkpoint ? sae_checkpoint_get_rows (checkpoint) : 0;

  /* Its checksum has told about the rest. */
  return checkpoint ? g_bytes_new (&rows, sizeof rows) : NULL;
}

static GBytes *
read_tokens (const gchar *path, GError **error)
{
  g_autoptr (SaeTokens) tokens = sae_tokens_load (path, error);
  GByteArray *all;

  if (!tokens)
    return NULL;
  all = g_byte_array_new ();
  for (guint64 i = 0; i < sae_tokens_get_n_rows (tokens); i++) {
    const gchar *token = sae_tokens_get_token (tokens, i);
    g_byte_array_append (all, (const guint8 *) token,
        (guint) strlen (token) + 1);
  }
  return g_byte_array_free_to_bytes (all);
}

static GBytes *
read_shards (const gchar *path, GError **error)
{
  g_autofree gchar *description =
      g_strdup_printf ("saesrc location=\"%s\" rows-per-buffer=3 ! appsink "
                       "name=out sync=false",
          path);
  g_autoptr (RowsTaken) taken = rows_run (description, 0, error);

  if (*error)
    return NULL;
  return g_bytes_new (taken->bytes->data, taken->bytes->len);
}

static void
copy_file (const gchar *from, const gchar *to)
{
  g_autofree gchar *bytes = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  g_file_get_contents (from, &bytes, &size, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_set_contents_full (to, bytes, (gssize) size,
      G_FILE_SET_CONTENTS_NONE, 0666, NULL));
}

/* @from, a file or a folder of files, as @to. */
static void
copy (const gchar *from, const gchar *to)
{
  g_autoptr (GDir) folder = g_dir_open (from, 0, NULL);
  const gchar *name;

  if (!folder) {
    copy_file (from, to);
    return;
  }
  g_mkdir (to, 0777);
  while ((name = g_dir_read_name (folder)) != NULL) {
    g_autofree gchar *one = g_build_filename (from, name, NULL);
    g_autofree gchar *other = g_build_filename (to, name, NULL);
    copy_file (one, other);
  }
}

/* Reads @from with something wrong with the @nth read: an error that names the
 * file, or what stands in it. */
static gboolean
read_badly (Training *training, Reader reader, const gchar *from, GBytes *want,
    guint nth, int how)
{
  g_autofree gchar *disk = g_build_filename (training->folder, "disk", NULL);
  g_autofree gchar *base = g_path_get_basename (from);
  g_autofree gchar *path = g_build_filename (disk, base, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) got = NULL;
  guint hit;

  g_assert_cmpint (g_mkdir (disk, 0777), ==, 0);
  copy (from, path);
  disk_fail (disk, DISK_READ, nth, 1, how);
  got = reader (path, &error);
  hit = disk_heal ();
  if (got) {
    g_assert_no_error (error);
    expect_same_bytes (base, got, want);
  } else if (!error || !strstr (error->message, base)) {
    g_error ("expected %s in '%s'", base, error ? error->message : "nothing");
  }
  if (how == EIO && hit)
    g_assert_null (got);
  else if (how != DISK_CUT)
    g_assert_nonnull (got);
  stream_remove_folder (g_steal_pointer (&disk));
  return hit > 0;
}

/* How many reads were hit. */
static guint
read_each (Training *training, Reader reader, const gchar *from, int how)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) want = reader (from, &error);
  guint tried = 0;

  g_assert_no_error (error);
  for (guint round = 0; round < rounds (how); round++)
    for (guint nth = 1; read_badly (training, reader, from, want, nth, how);
         nth++)
      tried++;
  g_assert_cmpuint (tried, >, 0);
  return tried;
}

static gchar *
golden (const gchar *folder, const gchar *name)
{
  return g_build_filename (g_getenv ("SAE_GOLDENS"), folder, name, NULL);
}

static gchar *
save_checkpoint (Training *training)
{
  gchar *path = g_build_filename (training->folder, "run.sae", NULL);
  g_autofree float *x = stream_rows (3, ROWS, D);
  g_autoptr (SaeTrainer) trainer = training_reference ();
  g_autoptr (SaeCheckpoint) checkpoint = NULL;

  training_push (trainer, x, NULL, ROWS);
  checkpoint = sae_trainer_checkpoint (trainer, NULL);
  g_assert_true (sae_checkpoint_save (checkpoint, path, NULL));
  return path;
}

static gchar *
save_shards (Training *training)
{
  gchar *path = g_build_filename (training->folder, "shards", NULL);

  g_mkdir (path, 0777);
  for (guint i = 0; i < 3; i++) {
    g_autofree gchar *name = g_strdup_printf ("%u.npy", i);
    g_autofree gchar *shard = g_build_filename (path, name, NULL);
    rows_save_npy (shard, "<f4", 10 * i, 10, 5);
  }
  return path;
}

static guint
read_everything (Training *training, int how)
{
  static const gchar *const models[] = {"saelens-topk-bdec0-rescale0",
      "saelens-gated", "sparsify-topk"};
  static const gchar *const tokens[] = {"tokens.txt", "tokens.json"};
  guint tried = 0;

  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree gchar *path = golden (models[i], NULL);
    tried += read_each (training, read_model, path, how);
  }
  {
    g_autofree gchar *path = save_checkpoint (training);
    tried += read_each (training, read_checkpoint, path, how);
  }
  {
    g_autofree gchar *path = save_shards (training);
    tried += read_each (training, read_shards, path, how);
  }
  for (guint i = 0; i < G_N_ELEMENTS (tokens); i++) {
    g_autofree gchar *path =
        g_build_filename (training->folder, tokens[i], NULL);
    g_assert_true (g_file_set_contents (path,
        i ? "[\"one\", \"two\", \"three\", \"four\"]" : "one\ntwo\nthree\n", -1,
        NULL));
    tried += read_each (training, read_tokens, path, how);
  }
  return tried;
}

/* Never a signal, as of a mapped file, and never half of what was there. */
static void
test_cut (Training *training, gconstpointer data)
{
  guint tried = read_everything (training, DISK_CUT);

#ifdef HAVE_NPZ
  {
    g_autofree gchar *path = golden ("gemma-scope", "params.npz");
    tried += read_each (training, read_model, path, DISK_CUT);
  }
#endif
  g_assert_cmpuint (tried, >, 1000);
  fault_report (27, tried, tried, 0);
}

/* A bad sector is an error, and a read that is interrupted goes on. */
static void
test_read_errors (Training *training, gconstpointer data)
{
  read_everything (training, EIO);
  read_everything (training, EINTR);
  read_everything (training, DISK_SHORT);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/reliability/disk-faults/" name, test)
  ADD ("training-goes-on", test_training_goes_on);
  ADD ("files-cut-while-they-are-read", test_cut);
  ADD ("read-errors-are-errors", test_read_errors);
  return stream_run_tests ();
}
