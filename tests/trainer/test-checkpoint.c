/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The file of a checkpoint: whole or refused, whatever happens to it. */
#include "../same-memory.h"
#include "checkpoint.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "expect.h"
#include "fault.h"
#include "faults.h"
#include "sample-trainer.h"
#include "scratch.h"
#include "set-options.h"

#define D 4
#define BATCH 5

/* With rows in batch and mixer. */
static SaeTrainer *
small_trainer (void)
{
  SaeTrainer *trainer = sae_trainer_new (D, 6, 2);

  set_options (trainer,
      "batch-size=" G_STRINGIFY (
          BATCH) " shuffle-rows=3 normalize=none n-threads=1");
  return trainer;
}

static GBytes *
the_rows (gsize n, guint d)
{
  Noise noise = {.state = 88};

  return sparse_rows (&noise, n, d, 1);
}

static SaeCheckpoint *
small_checkpoint (gsize n_rows)
{
  g_autoptr (SaeTrainer) trainer = small_trainer ();
  g_autoptr (GBytes) x = the_rows (n_rows, D);
  g_autoptr (GError) error = NULL;
  SaeCheckpoint *checkpoint;

  push_all (trainer, x);
  checkpoint = sae_trainer_checkpoint (trainer, &error);
  g_assert_no_error (error);
  return checkpoint;
}

static void
save (SaeCheckpoint *checkpoint, const char *path)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sae_checkpoint_save (checkpoint, path, &error));
  g_assert_no_error (error);
}

static GByteArray *
bytes_of (const char *path)
{
  g_autofree char *data = NULL;
  GByteArray *bytes = g_byte_array_new ();
  gsize size;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  return g_byte_array_append (bytes, (guint8 *) data, (guint) size);
}

static void
expect_damaged (const guint8 *data, gsize size, const char *what)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size); /* its size for ASan */
  g_autoptr (GError) error = NULL;
  SaeCheckpoint *checkpoint =
      sae_checkpoint_load_bytes (bytes, "the/path", TRUE, &error);

  if (checkpoint)
    g_error ("%s was taken", what);
  g_assert_nonnull (error);
  g_assert_true (g_str_has_prefix (error->message, "the/path"));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_every_length (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (11);
  g_autoptr (GByteArray) bytes = NULL;

  save (checkpoint, path);
  bytes = bytes_of (path);
  for (gsize size = 0; size < bytes->len; size++) {
    g_autofree char *what = g_strdup_printf ("%u bytes", (guint) size);
    expect_damaged (bytes->data, size, what);
  }
  g_byte_array_append (bytes, (const guint8 *) "", 1);
  expect_damaged (bytes->data, bytes->len, "a byte more");
}

static void
test_every_bit (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (11);
  g_autoptr (GByteArray) bytes = NULL;

  save (checkpoint, path);
  bytes = bytes_of (path);
  for (gsize i = 0; i < 8 * (gsize) bytes->len; i++) {
    g_autofree char *what = g_strdup_printf ("bit %u", (guint) i);
    bytes->data[i / 8] ^= (guint8) (1u << i % 8);
    expect_damaged (bytes->data, bytes->len, what);
    bytes->data[i / 8] ^= (guint8) (1u << i % 8);
  }
}

static void
expect_not_loaded (const char *path, gint code, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_checkpoint_load (path, &error));
  g_assert_nonnull (strstr (error->message, path));
  scratch_assert_error (&error, code, part);
}

static void
test_other_files (Scratch *scratch, gconstpointer data)
{
  g_autofree char *missing = scratch_path (scratch, "missing");
  g_autofree char *text = scratch_path (scratch, "text");
  g_autofree char *folder = scratch_path (scratch, "dictionary");
  g_autofree char *weights =
      g_build_filename (folder, "sae_weights.safetensors", NULL);
  g_autoptr (SaeTrainer) trainer = small_trainer ();
  g_autoptr (SaeModel) model = NULL;

  g_assert_true (sae_trainer_start (trainer, NULL));
  model = model_of (trainer);
  g_assert_true (sae_model_save (model, folder, NULL));
  scratch_write_text (text, "not a checkpoint at all");
  expect_not_loaded (missing, SAE_ERROR_NOT_FOUND, "No such file");
  expect_not_loaded (text, SAE_ERROR_FORMAT, "header length");
  expect_not_loaded (folder, SAE_ERROR_READ, "found a folder");
  expect_not_loaded (weights, SAE_ERROR_FORMAT,
      "format: expected gst-sae checkpoint, found none");
}

/* The same state, the same bytes; loaded and saved again, too. */
static void
test_same_bytes (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (11), loaded = NULL;
  g_autoptr (SaeCheckpoint) same = small_checkpoint (11);
  g_autoptr (GByteArray) first = NULL, second = NULL, third = NULL;

  save (checkpoint, path);
  first = bytes_of (path);
  save (same, path);
  second = bytes_of (path);
  loaded = sae_checkpoint_load (path, NULL);
  save (loaded, path);
  third = bytes_of (path);
  assert_same_memory (first->data, first->len, second->data, second->len);
  assert_same_memory (first->data, first->len, third->data, third->len);
}

/* --- lies that the checksum is right about -------------------------------- */

/* @bytes with @from, which is there once, replaced by the equally long @to. */
static void
replace (GByteArray *bytes, const char *from, const char *to)
{
  guint8 *place = memmem (bytes->data, bytes->len, from, strlen (from));

  g_assert_nonnull (place);
  g_assert_cmpuint (strlen (from), ==, strlen (to));
  memcpy (place, to, strlen (to));
}

static void
expect_lie (GByteArray *bytes, gint code, const char *part)
{
  g_autoptr (GBytes) file = g_bytes_new (bytes->data, bytes->len);
  g_autoptr (SaeTrainer) trainer = small_trainer ();
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeCheckpoint) checkpoint =
      sae_checkpoint_load_bytes (file, "the/path", FALSE, &error);

  if (checkpoint)
    g_assert_false (
        sae_trainer_resume (trainer, checkpoint, SAE_RESUME_CONTINUE, &error));
  scratch_assert_error (&error, code, part);
}

/* The bytes of tensor @name, of a file whose header is @bytes' own. */
static guint8 *
tensor_data (GByteArray *bytes, const char *name)
{
  g_autofree char *key = g_strdup_printf ("\"%s\":{", name);
  const char *at = memmem (bytes->data, bytes->len, key, strlen (key));
  guint64 header;

  g_assert_nonnull (at);
  at = strstr (at, "offsets\":[") + strlen ("offsets\":[");
  memcpy (&header, bytes->data, 8);
  return bytes->data + 8 + header + g_ascii_strtoull (at, NULL, 10);
}

static void
test_lies (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (11);
  const guint64 many = G_MAXUINT64, nearly = 100, full = BATCH;
  const float nan = NAN;
  const double zero = 0, infinity = INFINITY;
  const guint8 two = 2, off = 0, on = 1;
  const struct {
    const char *name;
    gconstpointer value;
    gsize size;
    gint code;
    const char *part;
  } lies[] = {
      {"batch.n", &many, 8, SAE_ERROR_FORMAT, "batch.n"},
      {"batch.n", &nearly, 8, SAE_ERROR_FORMAT, "batch.n"},
      {"batch.n", &full, 8, SAE_ERROR_FORMAT, "batch.n"},
      {"mixer.n", &many, 8, SAE_ERROR_FORMAT, "mixer.n"},
      {"mixer.n", &nearly, 8, SAE_ERROR_FORMAT, "mixer.n"},
      {"mixer.has_target", &on, 1, SAE_ERROR_FORMAT, "mixer.target"},
      {"batch.has_target", &on, 1, SAE_ERROR_FORMAT, "batch.target"},
      {"W_enc", &nan, 4, SAE_ERROR_NON_FINITE, "W_enc"},
      {"W_dec.moment1", &nan, 4, SAE_ERROR_NON_FINITE, "W_dec.moment1"},
      {"mixer.x", &nan, 4, SAE_ERROR_NON_FINITE, "mixer.x"},
      {"scale", &zero, 8, SAE_ERROR_FORMAT, "scale"},
      {"l1_coeff", &infinity, 8, SAE_ERROR_NON_FINITE, "l1_coeff"},
      {"calibrated", &two, 1, SAE_ERROR_FORMAT, "calibrated"},
      {"calibrated", &off, 1, SAE_ERROR_FORMAT, "calibrated"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (lies); i++) {
    g_autoptr (GByteArray) bytes = NULL;
    save (checkpoint, path);
    bytes = bytes_of (path);
    memcpy (tensor_data (bytes, lies[i].name), lies[i].value, lies[i].size);
    expect_lie (bytes, lies[i].code, lies[i].part);
  }
}

static void
test_lies_of_the_header (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (11);
  const struct {
    const char *from, *to;
    gint code;
    const char *part;
  } lies[] = {
      {"\"b_enc\":{", "\"B_enc\":{", SAE_ERROR_FORMAT, "'b_enc'"},
      {"\"mixer.n\":{\"dtype\":\"U64\"", "\"mixer.n\":{\"dtype\":\"F64\"",
          SAE_ERROR_FORMAT, "expected U64, file has F64"},
      {"\"mixer.n\":{\"dtype\":\"U64\"", "\"mixer.n\":{\"dtype\":\"I64\"",
          SAE_ERROR_UNSUPPORTED, "file has I64"},
      {"\"version\":\"1\"", "\"version\":\"2\"", SAE_ERROR_UNSUPPORTED,
          "version: expected 1, found 2"},
      {"dict-size\\\":\\\"6\\\"", "dict-size\\\":\\\"7\\\"", SAE_ERROR_SIZE,
          "dict-size: expected the checkpoint's 7, got 6"},
      {"\\\"adam\\\"", "\\\"Adam\\\"", SAE_ERROR_SIZE, "optimizer"},
      {"\\\"optimizer\\\"", "\\\"Optimizer\\\"", SAE_ERROR_FORMAT,
          "optimizer: expected a string"},
      {"{\\\"input-size", "[\\\"input-size", SAE_ERROR_FORMAT, "JSON"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (lies); i++) {
    g_autoptr (GByteArray) bytes = NULL;
    save (checkpoint, path);
    bytes = bytes_of (path);
    replace (bytes, lies[i].from, lies[i].to);
    expect_lie (bytes, lies[i].code, lies[i].part);
  }
}

/* Sizes in the options that nothing in the file has: refused before anything
 * of that size is made. */
static void
test_huge_sizes (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GBytes) x = the_rows (8, D), file = NULL;
  g_autoptr (SaeCheckpoint) checkpoint = NULL, loaded = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;

  set_options (trainer, "input-size=4 dict-size=100000000 top-k=1");
  g_object_set (trainer, "dict-size", 100u, NULL);
  push_all (trainer, x);
  checkpoint = sae_trainer_checkpoint (trainer, NULL);
  save (checkpoint, path);
  bytes = bytes_of (path);
  replace (bytes, "dict-size\\\":\\\"100\\\"", "dict-size\\\":\\\"9e8\\\"");
  file = g_bytes_new (bytes->data, bytes->len);
  loaded = sae_checkpoint_load_bytes (file, path, FALSE, &error);
  g_assert_no_error (error);
  set_options (trainer, "dict-size=0");
  g_assert_false (
      sae_trainer_resume (trainer, loaded, SAE_RESUME_CONTINUE, &error));
  scratch_assert_error (&error, SAE_ERROR_FORMAT, "dict-size");
  replace (bytes, "dict-size\\\":\\\"9e8\\\"", "dict-size\\\":\\\"999\\\"");
  g_bytes_unref (file);
  file = g_bytes_new (bytes->data, bytes->len);
  g_clear_pointer (&loaded, sae_checkpoint_unref);
  loaded = sae_checkpoint_load_bytes (file, path, FALSE, &error);
  g_assert_false (
      sae_trainer_resume (trainer, loaded, SAE_RESUME_CONTINUE, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "W_enc");
}

/* Half the latents of twice the width are as many weights, but W_skip, which is
 * as wide as it is long, would be four times what the file has. */
static void
test_huge_skip (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (40, 10, 2);
  g_autoptr (SaeTrainer) other = sae_trainer_new (0, 0, 0);
  g_autoptr (GBytes) x = the_rows (8, 40), file = NULL;
  g_autoptr (SaeCheckpoint) checkpoint = NULL, loaded = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;

  set_options (trainer, "skip-connection=true");
  push_all (trainer, x);
  checkpoint = sae_trainer_checkpoint (trainer, &error);
  g_assert_no_error (error);
  save (checkpoint, path);
  bytes = bytes_of (path);
  replace (bytes, "dict-size\\\":\\\"10\\\"", "dict-size\\\":\\\"05\\\"");
  replace (bytes, "input-size\\\":\\\"40\\\"", "input-size\\\":\\\"80\\\"");
  replace (bytes, "output-size\\\":\\\"40\\\"", "output-size\\\":\\\"80\\\"");
  file = g_bytes_new (bytes->data, bytes->len);
  loaded = sae_checkpoint_load_bytes (file, path, FALSE, &error);
  g_assert_no_error (error);
  set_options (other, "skip-connection=true");
  g_assert_false (
      sae_trainer_resume (other, loaded, SAE_RESUME_CONTINUE, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE,
      "'W_skip': expected [80, 80], file has 6400 bytes");
}

/* --- writing -------------------------------------------------------------- */

static void
test_failing_writes (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) old = small_checkpoint (11);
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (22);
  const struct {
    FaultCall call;
    int error_number;
    gint code;
  } faults[] = {
      {FAULT_WRITE, EIO, SAE_ERROR_WRITE},
      {FAULT_WRITE, ENOSPC, SAE_ERROR_NO_SPACE},
      {FAULT_FSYNC, EIO, SAE_ERROR_WRITE},
      {FAULT_RENAMEAT, EROFS, SAE_ERROR_WRITE},
  };
  guint tried = 0;

  save (old, path);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    for (int nth = 1; nth <= (faults[i].call == FAULT_WRITE ? 20 : 1);
         nth++, tried++) {
      g_autoptr (GError) error = NULL;
      g_autoptr (SaeCheckpoint) loaded = NULL;
      fault_set (faults[i].call, nth, 1, faults[i].error_number);
      g_assert_false (sae_checkpoint_save (checkpoint, path, &error));
      fault_clear ();
      scratch_assert_error (&error, faults[i].code, path);
      loaded = sae_checkpoint_load (path, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (sae_checkpoint_get_rows (loaded), ==, 11);
      g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
    }
  fault_report (19, tried, tried, 0);
}

static void
test_interrupted_writes (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (SaeCheckpoint) checkpoint = small_checkpoint (22), loaded = NULL;

  fault_set (FAULT_WRITE, 2, 5, EINTR);
  save (checkpoint, path);
  fault_clear ();
  loaded = sae_checkpoint_load (path, NULL);
  g_assert_cmpuint (sae_checkpoint_get_rows (loaded), ==, 22);
}

/* --- kills ---------------------------------------------------------------- */

#define KILL_D 32
#define KILL_ROWS 60000

static SaeTrainer *
kill_trainer (void)
{
  SaeTrainer *trainer = sae_trainer_new (KILL_D, 256, 4);

  set_options (trainer,
      "batch-size=8 shuffle-rows=50 normalize=none n-threads=1");
  return trainer;
}

static void
push_some (SaeTrainer *trainer, GBytes *x, gsize from, gsize n)
{
  gsize row = KILL_D * sizeof (float);
  g_autoptr (GBytes) part = g_bytes_new_from_bytes (x, from * row, n * row);

  push_all (trainer, part);
}

/* Resumes, trains and writes checkpoints until it is killed. */
static void
be_killed (const char *path, GBytes *x)
{
  g_autoptr (SaeTrainer) trainer = kill_trainer ();
  g_autoptr (SaeCheckpoint) last = sae_checkpoint_load (path, NULL);

  g_autoptr (GError) error = NULL;

  if (last && !sae_trainer_resume (trainer, last, SAE_RESUME_CONTINUE, &error))
    g_error ("%s", error->message);
  for (;;) {
    g_autoptr (SaeCheckpoint) checkpoint = NULL;
    gsize at = sae_trainer_get_received (trainer);
    if (at + 11 < KILL_ROWS)
      push_some (trainer, x, at, 11);
    checkpoint = sae_trainer_checkpoint (trainer, NULL);
    if (!sae_checkpoint_save (checkpoint, path, &error))
      g_error ("%s", error->message);
  }
}

static guint64
rows_in (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeCheckpoint) checkpoint = sae_checkpoint_load (path, &error);

  if (g_error_matches (error, SAE_ERROR, SAE_ERROR_NOT_FOUND))
    return 0;
  g_assert_no_error (error);
  return sae_checkpoint_get_rows (checkpoint);
}

/* What all the killed processes trained together is what one does. */
static void
expect_same_run (const char *path, GBytes *x, guint64 rows)
{
  g_autoptr (SaeTrainer) resumed = kill_trainer (), whole = kill_trainer ();
  g_autoptr (SaeCheckpoint) last = sae_checkpoint_load (path, NULL);
  g_autoptr (GBytes) got = NULL, want = NULL;

  g_assert_true (sae_trainer_resume (resumed, last, SAE_RESUME_CONTINUE, NULL));
  push_some (whole, x, 0, rows);
  got = weights_of (resumed);
  want = weights_of (whole);
  expect_same_bytes ("weights", got, want);
}

static void
test_kills (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (KILL_ROWS, KILL_D);
  guint n = g_test_slow () ? 1000 : 60, moved = 0;
  guint most = 40000; /* µs; about half of them end after a new checkpoint */
  Noise noise = noise_new ();
  guint64 rows = 0;

  for (guint i = 0; i < n; i++) {
    guint64 now;
    int status;
    pid_t child = fork ();
    g_assert_cmpint (child, >=, 0);
    if (child == 0)
      be_killed (path, x);
    g_usleep (1 + noise_below (&noise, most));
    kill (child, SIGKILL);
    g_assert_cmpint (waitpid (child, &status, 0), ==, child);
    if (!WIFSIGNALED (status) || WTERMSIG (status) != SIGKILL)
      g_error ("kill %u of %u: the process ended by itself, status %x", i, n,
          (guint) status);
    now = rows_in (path);
    g_assert_cmpuint (now, >=, rows);
    moved += now > rows;
    most = CLAMP (now > rows ? most * 4 / 5 : most * 5 / 4, 1000, 2000000);
    rows = now;
  }
  g_test_message ("%u kills, %u of them after a new checkpoint, %u rows", n,
      moved, (guint) rows);
  g_assert_cmpuint (moved, >, n / 8);
  expect_same_run (path, x, rows);
  fault_report (17, n, n, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) scratch_add ("/trainer/checkpoint/" name, test)
  ADD ("every-shorter-length-is-refused", test_every_length);
  ADD ("every-flipped-bit-is-refused", test_every_bit);
  ADD ("other-files-are-refused", test_other_files);
  ADD ("same-state-same-bytes", test_same_bytes);
  ADD ("lying-tensors-are-refused", test_lies);
  ADD ("lying-headers-are-refused", test_lies_of_the_header);
  ADD ("huge-sizes-are-refused", test_huge_sizes);
  ADD ("huge-skip-is-refused", test_huge_skip);
  ADD ("failing-writes-leave-the-old-file", test_failing_writes);
  ADD ("short-and-interrupted-writes-go-on", test_interrupted_writes);
  ADD ("kills-leave-a-whole-file", test_kills);
  return g_test_run ();
}
