/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Models share the weights of the run that made them until it goes on. */
#include "loan.h"

#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "sample-trainer.h"

#define D 10

static void
test_owner_first (void)
{
  SaeLoan *loan = NULL;
  float *floats = malloc (sizeof *floats);
  GBytes *bytes, *more;

  *floats = 7;
  bytes = sae_loan_lend (&loan, floats, 1);
  more = sae_loan_lend (&loan, floats, 1);
  g_assert_true (g_bytes_get_data (bytes, NULL) == floats);
  g_assert_false (sae_loan_is_over (loan));
  g_assert_false (sae_loan_end (&loan));
  g_assert_null (loan);
  g_bytes_unref (bytes);
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (more, NULL), ==, 7);
  g_bytes_unref (more); /* frees them */
}

static void
test_borrower_first (void)
{
  SaeLoan *loan = NULL;
  float *floats = malloc (sizeof *floats);

  g_assert_true (sae_loan_end (&loan)); /* never lent */
  g_bytes_unref (sae_loan_lend (&loan, floats, 1));
  g_assert_true (sae_loan_is_over (loan));
  g_bytes_unref (sae_loan_lend (&loan, floats, 1));
  g_assert_true (sae_loan_end (&loan));
  free (floats);
}

static SaeTrainer *
trainer_new (void)
{
  SaeTrainer *trainer = sae_trainer_new (D, 40, 4);

  g_object_set (trainer, "batch-size", 50u, "normalize", SAE_NORMALIZE_NONE,
      "average", (gint64) 0, NULL);
  return trainer;
}

static GBytes *
copy_of (GBytes *bytes)
{
  return g_bytes_new (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

/* A model that somebody has stays as it is, and the run learns the same as one
 * that nobody looks at. */
static void
test_models_stay (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = trainer_new (), alone = trainer_new ();
  g_autoptr (SaeModel) kept = NULL;
  g_autoptr (GBytes) weights = NULL, weights_alone = NULL;

  for (guint i = 0; i < 8; i++) {
    g_autoptr (GBytes) x = sparse_rows (&noise, 50, D, 1);
    g_autoptr (SaeModel) model = i ? model_of (trainer) : NULL;
    g_autoptr (GBytes) W_enc = i ? sae_model_get_W_enc (model) : NULL;
    g_autoptr (GBytes) before = i ? copy_of (W_enc) : NULL;
    if (i % 3 == 2) /* the run can have it back */
      g_clear_pointer (&model, sae_model_unref);
    push_all (trainer, x);
    push_all (alone, x);
    if (i)
      expect_same_bytes ("W_enc of a model", W_enc, before);
    if (i == 4)
      kept = g_steal_pointer (&model);
  }
  weights = weights_of (trainer);
  weights_alone = weights_of (alone);
  expect_same_bytes ("weights", weights, weights_alone);
  g_clear_object (&trainer);
  g_assert_cmpuint (sae_model_get_d_sae (kept), ==, 40); /* outlives the run */
}

/* Two models of the same step have the same bytes in the same place. */
static void
test_no_copy (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = trainer_new ();
  g_autoptr (GBytes) x = sparse_rows (&noise, 50, D, 1);
  g_autoptr (SaeModel) one = NULL, other = NULL, later = NULL;
  g_autoptr (GBytes) W_dec = NULL, same = NULL, new = NULL;

  push_all (trainer, x);
  one = model_of (trainer);
  other = model_of (trainer);
  push_all (trainer, x);
  later = model_of (trainer);
  W_dec = sae_model_get_W_dec (one);
  same = sae_model_get_W_dec (other);
  new = sae_model_get_W_dec (later);
  g_assert_true (
      g_bytes_get_data (W_dec, NULL) == g_bytes_get_data (same, NULL));
  g_assert_false (
      g_bytes_get_data (W_dec, NULL) == g_bytes_get_data (new, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/loan/owner-leaves-first", test_owner_first);
  g_test_add_func ("/trainer/loan/borrower-leaves-first", test_borrower_first);
  g_test_add_func ("/trainer/loan/models-stay-as-they-are", test_models_stay);
  g_test_add_func ("/trainer/loan/models-of-a-step-share", test_no_copy);
  return g_test_run ();
}
