/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * save-versions dictionary|checkpoint PATH N: trains a little and saves to
 * PATH, N times over; each save is another version of the same thing. Tells
 * record-storage.c, where that is preloaded, when a save has come back. */
#include <dlfcn.h>
#include <sae.h>
#include <stdlib.h>
#include <string.h>

#define D_IN 20
#define D_SAE 40

static GBytes *
make_rows (guint seed)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  float *x = g_new (float, 64 * D_IN);

  for (guint i = 0; i < 64 * D_IN; i++)
    x[i] = (float) g_rand_double_range (random, -1, 1);
  return g_bytes_new_take (x, 64 * D_IN * sizeof *x);
}

static gboolean
save (SaeTrainer *trainer, const char *what, const char *path, GError **error)
{
  if (strcmp (what, "checkpoint") == 0) {
    g_autoptr (SaeCheckpoint) now = sae_trainer_checkpoint (trainer, error);
    return now && sae_checkpoint_save (now, path, error);
  }
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, error);
  return model && sae_trainer_save (trainer, model, path, error);
}

int
main (int argc, char **argv)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D_IN, D_SAE, 2);
  void (*mark) (int) = (void (*) (int)) dlsym (RTLD_DEFAULT, "sae_record_mark");
  g_autoptr (GError) error = NULL;

  if (argc != 4) {
    g_printerr ("usage: save-versions dictionary|checkpoint PATH N\n");
    return 2;
  }
  for (int version = 1; version <= atoi (argv[3]); version++) {
    g_autoptr (GBytes) rows = make_rows ((guint) version);
    if (!sae_trainer_step (trainer, rows, NULL, &error) ||
        !save (trainer, argv[1], argv[2], &error)) {
      g_printerr ("%s\n", error->message);
      return 1;
    }
    if (mark)
      mark (version);
  }
  return 0;
}
