/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The properties of a trainer: every one goes in and out, and keeps to its
 * range. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "sample-trainer.h"

typedef void (*Check) (SaeTrainer *trainer, GParamSpec *pspec);

static void
for_each_property (Check check)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  guint n;
  g_autofree GParamSpec **list =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (trainer), &n);

  g_assert_cmpuint (n, >, 25);
  for (guint i = 0; i < n; i++) {
    expect_with ("property %s", list[i]->name);
    check (trainer, list[i]);
  }
}

/* What was set is what is got. */
static void
check_value (SaeTrainer *trainer, GParamSpec *pspec, const GValue *value)
{
  g_auto (GValue) got = G_VALUE_INIT;

  g_value_init (&got, pspec->value_type);
  g_object_set_property (G_OBJECT (trainer), pspec->name, value);
  g_object_get_property (G_OBJECT (trainer), pspec->name, &got);
  if (g_param_values_cmp (pspec, &got, value) != 0)
    g_error ("%s: what was set did not come back", pspec->name);
}

static void
check_default (SaeTrainer *trainer, GParamSpec *pspec)
{
  g_auto (GValue) got = G_VALUE_INIT;

  g_value_init (&got, pspec->value_type);
  g_object_get_property (G_OBJECT (trainer), pspec->name, &got);
  g_assert_true (g_param_value_defaults (pspec, &got));
  g_assert_nonnull (g_param_spec_get_blurb (pspec));
}

static void
test_defaults (void)
{
  for_each_property (check_default);
}

/* The ends of the range of a number; every value of an enumeration. */
static void
check_round_trip (SaeTrainer *trainer, GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;

  if (!(pspec->flags & G_PARAM_WRITABLE))
    return;
  g_value_init (&value, pspec->value_type);
  if (G_IS_PARAM_SPEC_ENUM (pspec)) {
    GEnumClass *values = G_PARAM_SPEC_ENUM (pspec)->enum_class;
    for (guint i = 0; i < values->n_values; i++) {
      g_value_set_enum (&value, values->values[i].value);
      check_value (trainer, pspec, &value);
    }
  } else if (G_IS_PARAM_SPEC_UINT (pspec)) {
    g_value_set_uint (&value, G_PARAM_SPEC_UINT (pspec)->minimum);
    check_value (trainer, pspec, &value);
    g_value_set_uint (&value, G_PARAM_SPEC_UINT (pspec)->maximum);
    check_value (trainer, pspec, &value);
  } else if (G_IS_PARAM_SPEC_UINT64 (pspec)) {
    g_value_set_uint64 (&value, G_PARAM_SPEC_UINT64 (pspec)->minimum);
    check_value (trainer, pspec, &value);
    g_value_set_uint64 (&value, G_PARAM_SPEC_UINT64 (pspec)->maximum);
    check_value (trainer, pspec, &value);
  } else if (G_IS_PARAM_SPEC_INT64 (pspec)) {
    g_value_set_int64 (&value, G_PARAM_SPEC_INT64 (pspec)->minimum);
    check_value (trainer, pspec, &value);
    g_value_set_int64 (&value, G_PARAM_SPEC_INT64 (pspec)->maximum);
    check_value (trainer, pspec, &value);
  } else if (G_IS_PARAM_SPEC_DOUBLE (pspec)) {
    g_value_set_double (&value, G_PARAM_SPEC_DOUBLE (pspec)->minimum);
    check_value (trainer, pspec, &value);
    g_value_set_double (&value, G_PARAM_SPEC_DOUBLE (pspec)->maximum);
    check_value (trainer, pspec, &value);
  } else if (G_IS_PARAM_SPEC_STRING (pspec)) {
    g_value_set_string (&value, "8,16");
    check_value (trainer, pspec, &value);
  } else {
    g_assert_true (G_IS_PARAM_SPEC_BOOLEAN (pspec));
    g_value_set_boolean (&value, TRUE);
    check_value (trainer, pspec, &value);
  }
}

static void
test_round_trip (void)
{
  for_each_property (check_round_trip);
}

/* The largest numbers there are, in the wider types too. */
static void
test_wide (void)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  guint64 seed, total;
  gint64 warmup;

  g_object_set (trainer, "seed", G_MAXUINT64, "total-rows", G_MAXUINT64,
      "warmup-rows", G_MAXINT64, NULL);
  g_object_get (trainer, "seed", &seed, "total-rows", &total, "warmup-rows",
      &warmup, NULL);
  g_assert_cmpuint (seed, ==, G_MAXUINT64);
  g_assert_cmpuint (total, ==, G_MAXUINT64);
  g_assert_cmpint (warmup, ==, G_MAXINT64);
}

static void
test_new (void)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (12, 34, 5);
  guint d_in, d_sae, k;
  guint64 steps, rows;

  g_object_get (trainer, "input-size", &d_in, "dict-size", &d_sae, "top-k", &k,
      "steps", &steps, "rows", &rows, NULL);
  g_assert_cmpuint (d_in, ==, 12);
  g_assert_cmpuint (d_sae, ==, 34);
  g_assert_cmpuint (k, ==, 5);
  g_assert_cmpuint (steps, ==, 0);
  g_assert_cmpuint (rows, ==, 0);
}

/* Trains with one number at an end of its range: weights stay finite. Latents
 * that have not fired for a row are dead, for aux-k to find some. */
static void
check_trains (GParamSpec *pspec, const GValue *value)
{
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (8, 20, 3);
  g_autoptr (GBytes) x = sparse_rows (&noise, 60, 8, 1);
  g_autoptr (SaeModel) model = NULL;
  g_autofree char *text = g_strdup_value_contents (value);
  gboolean sgd = g_str_equal (pspec->name, "momentum");

  g_object_set (trainer, "batch-size", 20u, "learning-rate", 1e-3, "normalize",
      SAE_NORMALIZE_NONE, "optimizer",
      sgd ? SAE_OPTIMIZER_SGD : SAE_OPTIMIZER_ADAM, "warmup-rows", (gint64) 0,
      "dead-after", (guint64) 1, NULL);
  g_object_set_property (G_OBJECT (trainer), pspec->name, value);
  expect_with ("%s %s", pspec->name, text);
  push_all (trainer, x);
  model = model_of (trainer); /* refuses weights that are not finite */
}

/* Also what 32 bits would take for 0. */
static void
check_ends (SaeTrainer *trainer, GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;

  if (!G_IS_PARAM_SPEC_DOUBLE (pspec) && !G_IS_PARAM_SPEC_INT64 (pspec))
    return;
  g_value_init (&value, pspec->value_type);
  if (G_IS_PARAM_SPEC_DOUBLE (pspec)) {
    g_value_set_double (&value, G_PARAM_SPEC_DOUBLE (pspec)->minimum);
    check_trains (pspec, &value);
    g_value_set_double (&value, G_PARAM_SPEC_DOUBLE (pspec)->maximum);
  } else {
    g_value_set_int64 (&value, G_PARAM_SPEC_INT64 (pspec)->minimum);
    check_trains (pspec, &value);
    g_value_set_int64 (&value, G_GINT64_CONSTANT (1) << 32);
    g_param_value_validate (pspec, &value);
    check_trains (pspec, &value);
    g_value_set_int64 (&value, G_PARAM_SPEC_INT64 (pspec)->maximum);
  }
  check_trains (pspec, &value);
}

static void
test_ends_of_ranges (void)
{
  for_each_property (check_ends);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/options/start-at-their-defaults", test_defaults);
  g_test_add_func ("/trainer/options/come-back-as-set", test_round_trip);
  g_test_add_func ("/trainer/options/wide-numbers-come-back", test_wide);
  g_test_add_func ("/trainer/options/sizes-of-new", test_new);
  g_test_add_func ("/trainer/options/ends-of-ranges-train-finite-weights",
      test_ends_of_ranges);
  return g_test_run ();
}
