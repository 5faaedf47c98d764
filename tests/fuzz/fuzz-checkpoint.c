/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a checkpoint, the checksum aside, which no mutation gets past.
 * What is accepted trains on, and is copied and accepted again. */
#include "fuzz.h"

#include "checkpoint.h"
#include "sae-trainer.h"

#define D 2

static SaeTrainer *
make_trainer (void)
{
  return g_object_new (SAE_TYPE_TRAINER, "input-size", D, "batch-size", 3u,
      "shuffle-rows", (guint64) 2, "n-threads", 1u, NULL);
}

/* Weights near the largest float end in steps that are skipped, or in an
 * error; but not in a crash. */
static void
train_on (SaeTrainer *trainer)
{
  static const float rows[8 * D] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  g_autoptr (SaeCheckpoint) copy = sae_trainer_checkpoint (trainer, NULL);
  g_autoptr (SaeTrainer) again = make_trainer ();
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (copy);
  g_assert_true (sae_trainer_resume (again, copy, SAE_RESUME_CONTINUE, &error));
  if (sae_trainer_push_rows (again, rows, NULL, 8, &error))
    sae_trainer_flush (again, &error);
  metrics = sae_trainer_get_metrics (again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (SaeTrainer) trainer = make_trainer ();
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeCheckpoint) checkpoint =
      sae_checkpoint_load_bytes (bytes, "input", FALSE, &error);

  gboolean resumed = checkpoint && sae_trainer_resume (trainer, checkpoint,
                                       SAE_RESUME_CONTINUE, &error);

  fuzz_check_error (resumed, error);
  if (resumed)
    train_on (trainer);
  return 0;
}
