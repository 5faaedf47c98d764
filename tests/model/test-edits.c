/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Edits of latents as values and as text. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "expect.h"
#include "noise.h"
#include "sae-edits.h"

static SaeEdits *
read_text (const char *text)
{
  g_autoptr (GError) error = NULL;
  SaeEdits *edits = sae_edits_new_from_text (text, &error);

  g_assert_no_error (error);
  return edits;
}

static void
expect_edit (const SaeEdits *edits, guint latent, double scale, double offset,
    double min, double max)
{
  double got[4];

  g_assert_true (
      sae_edits_get (edits, latent, &got[0], &got[1], &got[2], &got[3]));
  g_assert_true (got[0] == scale && got[1] == offset);
  g_assert_true (got[2] == min && got[3] == max);
}

/* --- values --------------------------------------------------------------- */

static void
test_set_get_remove (void)
{
  g_autoptr (SaeEdits) edits = sae_edits_new ();
  static const guint order[] = {5, 1, 9, 3, 0};
  static const guint ascending[] = {0, 1, 3, 5, 9};
  double scale, offset, min, max;

  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    sae_edits_set (edits, order[i], 0.5, order[i]);
  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 5);
  for (guint i = 0; i < G_N_ELEMENTS (order); i++) {
    g_assert_cmpuint (sae_edits_get_latent (edits, i), ==, ascending[i]);
    expect_edit (edits, order[i], 0.5, order[i], -INFINITY, INFINITY);
  }
  sae_edits_set (edits, 3, 2, 1);
  sae_edits_set_range (edits, 3, -1, 4);
  expect_edit (edits, 3, 2, 1, -1, 4);
  sae_edits_set (edits, 3, 7, 8); /* bounds stay */
  expect_edit (edits, 3, 7, 8, -1, 4);
  g_assert_true (sae_edits_remove (edits, 3));
  g_assert_false (sae_edits_remove (edits, 3));
  g_assert_false (sae_edits_get (edits, 3, &scale, &offset, &min, &max));
  g_assert_true (scale == 1 && offset == 0);
  g_assert_true (min == -INFINITY && max == INFINITY);
  g_assert_false (sae_edits_get (edits, 3, NULL, NULL, NULL, NULL));
  sae_edits_clear (edits);
  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 0);
}

/* What changes nothing is no edit. */
static void
test_nothing_is_no_edit (void)
{
  g_autoptr (SaeEdits) edits = sae_edits_new ();
  g_autoptr (SaeEdits) text = read_text ("17:*1,2:+0,3:-0,4:*1+0");

  sae_edits_set (edits, 4, 1, 0);
  sae_edits_set_range (edits, 4, -INFINITY, INFINITY);
  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 0);
  sae_edits_set_range (edits, 4, 0, INFINITY);
  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 1);
  sae_edits_set_range (edits, 4, -INFINITY, INFINITY);
  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 0);
  g_assert_cmpuint (sae_edits_get_n_latents (text), ==, 0);
}

static void
test_copy (void)
{
  g_autoptr (SaeEdits) edits = read_text ("1:*0,2:+3");
  g_autoptr (SaeEdits) copy = sae_edits_copy (edits);

  sae_edits_remove (edits, 1);
  sae_edits_set (edits, 2, 5, 5);
  expect_edit (copy, 1, 0, 0, -INFINITY, INFINITY);
  expect_edit (copy, 2, 1, 3, -INFINITY, INFINITY);
}

static void
test_too_large_is_the_largest (void)
{
  g_autoptr (SaeEdits) edits = sae_edits_new ();

  sae_edits_set (edits, 1, 1e300, -1e300);
  expect_edit (edits, 1, FLT_MAX, -FLT_MAX, -INFINITY, INFINITY);
}

/* --- text ----------------------------------------------------------------- */

static void
test_forms (void)
{
  static const struct {
    const char *text;
    double scale, offset, min, max;
  } cases[] = {
      {"17:*0", 0, 0, -INFINITY, INFINITY},
      {"17:+3.5", 1, 3.5, -INFINITY, INFINITY},
      {"17:-3.5", 1, -3.5, -INFINITY, INFINITY},
      {"17:*2+1", 2, 1, -INFINITY, INFINITY},
      {"17:*-2-1", -2, -1, -INFINITY, INFINITY},
      {"17:*.5-1e-3", 0.5, (double) -1e-3f, -INFINITY, INFINITY},
      {"17:=4", 0, 4, -INFINITY, INFINITY},
      {"17:=-4", 0, -4, -INFINITY, INFINITY},
      {"17:=0", 0, 0, -INFINITY, INFINITY},
      {"17:>0.5", 1, 0, 0.5, INFINITY},
      {"17:<8", 1, 0, -INFINITY, 8},
      {"17:>-1<8", 1, 0, -1, 8},
      {"17:<8>-1", 1, 0, -1, 8},
      {"17:>2<2", 1, 0, 2, 2},
      {"17:*2+1>0<8", 2, 1, 0, 8},
      {" 17 : * 2 + 1 > 0 < 8 ", 2, 1, 0, 8},
      {"017:*2", 2, 0, -INFINITY, INFINITY},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (SaeEdits) edits = read_text (cases[i].text);
    g_test_message ("%s", cases[i].text);
    g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 1);
    expect_edit (edits, 17, cases[i].scale, cases[i].offset, cases[i].min,
        cases[i].max);
  }
}

static void
test_several (void)
{
  g_autoptr (SaeEdits) edits = read_text ("42:+3.5, 17:*0 ,4294967294:=1");
  g_autoptr (SaeEdits) none = read_text ("");
  g_autoptr (SaeEdits) spaces = read_text ("  ");

  g_assert_cmpuint (sae_edits_get_n_latents (edits), ==, 3);
  expect_edit (edits, 17, 0, 0, -INFINITY, INFINITY);
  expect_edit (edits, 42, 1, 3.5, -INFINITY, INFINITY);
  expect_edit (edits, 4294967294u, 0, 1, -INFINITY, INFINITY);
  g_assert_cmpuint (sae_edits_get_n_latents (none), ==, 0);
  g_assert_cmpuint (sae_edits_get_n_latents (spaces), ==, 0);
}

static void
test_refusals (void)
{
  static const struct {
    const char *text, *part;
  } cases[] = {
      {"x", "the index of a latent at character 1 of \"x\", got 'x'"},
      {"-1:*0", "the index of a latent at character 1"},
      {",", "the index of a latent at character 1"},
      {"17", "':' after the index at the end of \"17\""},
      {"17*0", "':' after the index at character 3"},
      {"17:", "'*', '+', '-', '=', '>' or '<' at the end"},
      {"17:0", "'*', '+', '-', '=', '>' or '<' at character 4"},
      {"17:*", "a number at the end"},
      {"17:*x", "a number at character 5 of \"17:*x\", got 'x'"},
      {"17:+-3", "a number at character 5"},
      {"17:++3", "a number at character 5"},
      {"17:*inf", "a number at character 5"},
      {"17:=nan", "a number at character 5"},
      {"17:=-inf", "a number at character 5"},
      {"17:*0x10", "a decimal number at character 5"},
      {"17:*1e39", "a number of at most 3.4e38 at character 5"},
      {"17:*1e999", "a number of at most 3.4e38 at character 5"},
      {"17:*2*3", "each of *, + or -, > and < once at character 6"},
      {"17:+2-3", "each of *, + or -, > and < once at character 6"},
      {"17:>2>3", "each of *, + or -, > and < once at character 6"},
      {"17:+2*3", "the scale first at character 6"},
      {"17:>2*3", "the scale first at character 6"},
      {"17:>2+3", "the offset before bounds at character 6"},
      {"17:=2+3", "',' (a value stands alone) at character 6"},
      {"17:=2<3", "',' (a value stands alone) at character 6"},
      {"17:*2=3", "',' (a value stands alone) at character 6"},
      {"17:>3<2", "a range of latent 17, got at least 3 and at most 2"},
      {"17:*2,", "the index of a latent at the end"},
      {"17:*2,,", "the index of a latent at character 7"},
      {"17:*2 18:*2", "',' or another term at character 7"},
      {"17:*2;18:*2", "',' or another term at character 6"},
      {"17:*2,17:*3", "each latent once, got 17 twice"},
      {"17:*1,17:*1", "each latent once, got 17 twice"},
      {"4294967295:*0", "below 2^32 - 1, at character 1"},
      {"99999999999999999999999:*0", "below 2^32 - 1, at character 1"},
      {"17:*2,\xc3\xa4:*0", "at character 7 of \"17:*2,\xc3\xa4:*0\", got "
                            "'\xc3\xa4'"},
      {"17:*2\xc3\xa4", "at character 6"},
      {"1\xc3\xa4:*0;", "':' after the index at character 2"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_test_message ("%s", cases[i].text);
    g_assert_null (sae_edits_new_from_text (cases[i].text, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT, cases[i].part);
  }
}

/* Any bytes are read or refused, and never more than there are. */
static void
test_any_text (void)
{
  static const char alphabet[] = "0179:*+-=<>., e\xc3\xa4\xff";
  Noise noise = noise_new ();

  for (guint i = 0; i < 100000; i++) {
    gsize n = noise_below (&noise, 14);
    g_autofree char *text = g_malloc (n + 1);
    g_autoptr (SaeEdits) edits = NULL;
    g_autoptr (GError) error = NULL;
    for (gsize j = 0; j < n; j++)
      text[j] = alphabet[noise_below (&noise, sizeof alphabet - 1)];
    text[n] = '\0';
    edits = sae_edits_new_from_text (text, &error);
    g_assert_true ((edits == NULL) == (error != NULL));
  }
}

static void
expect_same_edits (const SaeEdits *a, const SaeEdits *b)
{
  g_assert_cmpuint (sae_edits_get_n_latents (a), ==,
      sae_edits_get_n_latents (b));
  for (guint i = 0; i < sae_edits_get_n_latents (a); i++) {
    guint latent = sae_edits_get_latent (a, i);
    double v[4];
    g_assert_true (sae_edits_get (a, latent, &v[0], &v[1], &v[2], &v[3]));
    expect_edit (b, latent, v[0], v[1], v[2], v[3]);
  }
}

/* Every float32 comes back from its text. */
static void
test_round_trip (void)
{
  Noise noise = noise_new ();

  for (guint i = 0; i < 20000; i++) {
    g_autoptr (SaeEdits) edits = sae_edits_new (), again = NULL;
    g_autofree char *text = NULL;
    for (guint j = noise_below (&noise, 4); j > 0; j--) {
      NoiseKind kind = noise_below (&noise, NOISE_ANY_BITS);
      guint latent = noise_below (&noise, 100);
      double min = noise_value (&noise, kind), max = noise_value (&noise, kind);
      if (noise_below (&noise, 2))
        sae_edits_set (edits, latent, noise_value (&noise, kind),
            noise_value (&noise, kind));
      if (noise_below (&noise, 2))
        sae_edits_set_range (edits, latent, MIN (min, max),
            noise_below (&noise, 2) ? MAX (min, max) : INFINITY);
    }
    text = sae_edits_to_text (edits);
    again = read_text (text);
    expect_same_edits (edits, again);
  }
}

/* What setters take can be written so that it is read: the largest numbers, and
 * bounds of which the upper one holds. */
static void
test_extremes_are_read_again (void)
{
  static const double values[][4] = {
      {1e300, -1e300, -INFINITY, INFINITY},
      {1, 0, INFINITY, INFINITY},
      {1, 0, -INFINITY, -INFINITY},
      {1, 0, -1e300, 1e300},
  };
  g_autoptr (SaeEdits) crossed = sae_edits_new (), again = NULL;
  g_autofree char *text = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    g_autoptr (SaeEdits) edits = sae_edits_new (), same = NULL;
    g_autofree char *shown = NULL;
    sae_edits_set (edits, 5, values[i][0], values[i][1]);
    sae_edits_set_range (edits, 5, values[i][2], values[i][3]);
    shown = sae_edits_to_text (edits);
    same = read_text (shown);
    expect_same_edits (edits, same);
  }
  sae_edits_set (crossed, 7, 2, 3);
  sae_edits_set_range (crossed, 7, 0, -1);
  sae_edits_set_range (crossed, 8, 4, 0);
  text = sae_edits_to_text (crossed);
  again = read_text (text);
  expect_edit (again, 7, 0, -1, -INFINITY, INFINITY);
  expect_edit (again, 8, 0, 0, -INFINITY, INFINITY);
}

static void
test_shown_as_written (void)
{
  static const char *const texts[] = {"", "17:*0", "17:+3.5", "17:-3.5",
      "17:*2+1", "17:=4", "17:=-4", "17:>0.5", "17:*0.1-0.3>0<8",
      "2:*0,17:*1e-10,300:+1e+20", "1:*0+2<3"};

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (SaeEdits) edits = read_text (texts[i]);
    g_autofree char *text = sae_edits_to_text (edits);
    g_assert_cmpstr (text, ==, texts[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/edits/set-get-remove", test_set_get_remove);
  g_test_add_func ("/edits/nothing-is-no-edit", test_nothing_is_no_edit);
  g_test_add_func ("/edits/copy", test_copy);
  g_test_add_func ("/edits/too-large-is-the-largest",
      test_too_large_is_the_largest);
  g_test_add_func ("/edits/text/forms", test_forms);
  g_test_add_func ("/edits/text/several", test_several);
  g_test_add_func ("/edits/text/refusals-say-where", test_refusals);
  g_test_add_func ("/edits/text/any-text", test_any_text);
  g_test_add_func ("/edits/text/round-trip", test_round_trip);
  g_test_add_func ("/edits/text/extremes-are-read-again",
      test_extremes_are_read_again);
  g_test_add_func ("/edits/text/shown-as-written", test_shown_as_written);
  return g_test_run ();
}
