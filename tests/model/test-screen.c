/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A screen never changes a result: rows and dictionaries that try to get a
 * latent past its bounds, encoded with it in each precision and without. */
#include <math.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "../same-memory.h"
#include "expect.h"
#include "fault.h"
#include "sample.h"
#include "screen.h"

/* Sanitizers run the scalar code some 20 times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROWS 30000
#else
#define ROWS 1000000
#endif
#define ROWS_PER_NET 500
/* The reference is for testing levels, and has no speed. */
#define SLOW_SHARE 10

typedef enum {
  PLAIN,
  NEAR_TIES,      /* latents that differ in their last bits */
  HUGE_DIMENSION, /* one column a million times the others */
  DENORMAL,
  ALL_EQUAL,
  AGAINST, /* latents along what rounding takes off a row */
  UNLIKE,  /* rows and latents of all sizes */
  GRID,    /* nothing is rounded off, so that only sums are */
  N_KINDS
} Kind;

static const char *const kind_names[N_KINDS] = {"plain", "near ties",
    "a huge dimension", "denormal", "all equal", "against", "unlike", "grid"};

typedef struct {
  SaeNet net;
  float *W_enc, *b_enc, *b_dec, *threshold, *x;
  gsize n_rows;
  Kind kind;
} Trial;

static guint
count_trials (void)
{
  guint n = ROWS / ROWS_PER_NET;

  return sae_kernels () == &sae_kernels_c ? n / SLOW_SHARE : n;
}

/* --- what is tried -------------------------------------------------------- */

static void
fill_latents (Trial *t, Noise *noise)
{
  gsize d = t->net.d_in;

  for (guint i = 0; i < t->net.d_sae; i++) {
    float *w = t->W_enc + i * d;
    float size = t->kind == UNLIKE ? exp2f (40 * noise_uniform (noise)) : 1;
    for (gsize j = 0; j < d; j++) {
      w[j] = size * noise_normal (noise);
      if (t->kind == ALL_EQUAL)
        w[j] = 0.25f;
      if (i && t->kind == NEAR_TIES)
        w[j] = t->W_enc[j] * (1 + 0x1p-22f * noise_uniform (noise));
    }
    t->b_enc[i] = t->kind == UNLIKE ? noise_value (noise, NOISE_WIDE)
                                    : 0.1f * noise_normal (noise);
    if (t->kind == ALL_EQUAL || t->kind == NEAR_TIES)
      t->b_enc[i] = 0;
    t->threshold[i] = 2 * noise_uniform (noise);
  }
}

static void
fill_rows (Trial *t, Noise *noise)
{
  gsize d = t->net.d_in;

  for (gsize r = 0; r < t->n_rows; r++) {
    float *x = t->x + r * d;
    float size = t->kind == UNLIKE     ? exp2f (40 * noise_uniform (noise))
                 : t->kind == DENORMAL ? 0x1p-130f
                                       : 1;
    for (gsize j = 0; j < d; j++)
      x[j] = size * (t->kind == ALL_EQUAL ? 1 : noise_normal (noise));
    if (t->kind == HUGE_DIMENSION)
      x[r % MIN (3, d)] *= 1e6f;
    if (noise_below (noise, 50) == 0)
      memset (x, 0, d * sizeof *x);
    if (t->kind == PLAIN && noise_below (noise, 100) == 0)
      x[noise_below (noise, (guint) d)] = NAN;
    if (t->net.pre_bias && noise_below (noise, 50) == 0)
      memcpy (x, t->b_dec, d * sizeof *x);
  }
}

static float
on_grid (Noise *noise, int limit)
{
  return (float) ((int) noise_below (noise, 2 * (guint) limit + 1) - limit);
}

/* Each row and latent has the largest number, so that scales are 1. */
static void
fill_grid (Trial *t, Noise *noise)
{
  gsize d = t->net.d_in;

  for (gsize p = 0; p < t->net.d_sae * d; p++)
    t->W_enc[p] = p % d ? on_grid (noise, 127) : 127;
  for (gsize p = 0; p < t->n_rows * d; p++)
    t->x[p] = p % d ? on_grid (noise, G_MAXINT16) : G_MAXINT16;
  memset (t->b_enc, 0, t->net.d_sae * sizeof *t->b_enc);
}

/* Latent i is what rounding to integers of at most 127 or 64 takes off row i,
 * with either sign: the inequality of Cauchy and Schwarz is an equality. */
static void
fill_against (Trial *t)
{
  gsize d = t->net.d_in;

  for (guint i = 0; i < t->net.d_sae; i++) {
    const float *x = t->x + i % t->n_rows * d;
    float largest = 0, limit = i % 2 ? 127 : 64;
    for (gsize j = 0; j < d; j++)
      largest = MAX (largest, fabsf (x[j]));
    float scale = largest > 0 ? largest / limit : 1;
    for (gsize j = 0; j < d; j++) {
      float rest = x[j] - scale * rintf (x[j] / scale);
      t->W_enc[i * d + j] = i % 4 < 2 ? rest : -rest;
    }
  }
}

static Trial
trial_new (Noise *noise, Kind kind)
{
  Trial t = {.kind = kind, .n_rows = ROWS_PER_NET};
  gsize d, F;

  t.net.d_in = t.net.d_out = 1 + noise_below (noise, 70);
  t.net.d_sae = 1 + noise_below (noise, 300);
  t.net.k = 1 + noise_below (noise, MIN (40, t.net.d_sae));
  t.net.sparsity = SAE_SPARSITY_TOP_K;
  if (noise_below (noise, 4) == 0)
    t.net.sparsity =
        noise_below (noise, 2) ? SAE_SPARSITY_L1 : SAE_SPARSITY_JUMP_RELU;
  if (noise_below (noise, 8) == 0) {
    t.net.sparsity = SAE_SPARSITY_GROUP_MAX;
    t.net.d_sae = t.net.k * (1 + t.net.d_sae / t.net.k);
  }
  t.net.ties = noise_below (noise, 2);
  d = t.net.d_in;
  F = t.net.d_sae;
  t.W_enc = g_new0 (float, F *d);
  t.b_enc = g_new0 (float, F);
  t.threshold = g_new0 (float, F);
  t.b_dec = g_new0 (float, d);
  t.x = g_new0 (float, t.n_rows *d);
  t.net.pre_bias = kind == PLAIN && noise_below (noise, 2);
  noise_fill (noise, NOISE_UNIFORM, t.b_dec, d);
  fill_latents (&t, noise);
  fill_rows (&t, noise);
  if (kind == AGAINST)
    fill_against (&t);
  if (kind == GRID)
    fill_grid (&t, noise);
  t.net.W_enc = t.W_enc;
  t.net.b_enc = t.b_enc;
  t.net.b_dec = t.b_dec;
  if (t.net.sparsity == SAE_SPARSITY_JUMP_RELU)
    t.net.threshold = t.threshold;
  expect_with ("%s, d_in %u, d_sae %u, k %u, rule %d, ties %d, pre-bias %d, "
               "seed %u",
      kind_names[kind], t.net.d_in, t.net.d_sae, t.net.k, t.net.sparsity,
      t.net.ties, t.net.pre_bias, noise->seed);
  return t;
}

static void
trial_free (Trial *t)
{
  g_free (t->W_enc);
  g_free (t->b_enc);
  g_free (t->b_dec);
  g_free (t->threshold);
  g_free (t->x);
}

/* --- results -------------------------------------------------------------- */

static SaeSparseRows
encode (const Trial *t, SaeWorkspace *workspace, SaeScreen *screen,
    SaeScreenPrecision precision)
{
  g_autoptr (GError) error = NULL;
  SaeNet net = t->net;
  SaeSparseRows rows;

  net.screen = screen;
  workspace->choice.is_forced = TRUE;
  workspace->choice.forced = precision;
  sae_workspace_set_zero_nonfinite (workspace, TRUE);
  sae_net_encode (&net, workspace, t->x, t->n_rows, &rows, &error);
  g_assert_no_error (error);
  return rows;
}

static void
expect_same_rows (const Trial *t, const SaeSparseRows *got,
    const SaeSparseRows *want)
{
  gsize nnz = want->offsets[want->n_rows];

  for (gsize r = 0; r <= want->n_rows; r++)
    if (got->offsets[r] != want->offsets[r])
      g_error ("offset of row %" G_GSIZE_FORMAT ": expected %" G_GSIZE_FORMAT
               ", got %" G_GSIZE_FORMAT " (%s, rule %d, ties %d, %u latents)",
          r, want->offsets[r], got->offsets[r], kind_names[t->kind],
          t->net.sparsity, t->net.ties, t->net.d_sae);
  assert_same_memory (got->index, 4 * nnz, want->index, 4 * nnz);
  expect_same_bits ("values", got->value, want->value, nnz);
}

/* Screened in each precision, and by another number of threads and rows. */
static void
check_trial (const Trial *t, SaeWorkspace *with, SaeWorkspace *without)
{
  SaeScreen *screen = sae_screen_new (t->W_enc, t->net.d_in, t->net.d_sae, t->x,
      t->n_rows, t->net.pre_bias ? t->b_dec : NULL);
  SaeSparseRows want = encode (t, without, NULL, SAE_SCREEN_NONE);

  for (guint p = 0; p < SAE_SCREEN_NONE; p++) {
    SaeSparseRows got = encode (t, with, screen, p);
    expect_same_rows (t, &got, &want);
  }
  sae_screen_free (screen);
}

static void
test_same_results (void)
{
  g_autoptr (SaeWorkspace) with = sae_workspace_new (2);
  g_autoptr (SaeWorkspace) without = sae_workspace_new (1);
  Noise noise = noise_new ();

  for (guint i = 0; i < count_trials (); i++) {
    Trial t = trial_new (&noise, i % N_KINDS);
    check_trial (&t, with, without);
    trial_free (&t);
  }
}

/* Rows that are too few for all threads share the latents. */
static void
test_few_rows (void)
{
  g_autoptr (SaeWorkspace) with = sae_workspace_new (3);
  g_autoptr (SaeWorkspace) without = sae_workspace_new (1);
  Noise noise = noise_new ();

  for (guint i = 0; i < 60; i++) {
    Trial t = trial_new (&noise, PLAIN);
    trial_free (&t);
    t.net.d_sae = 3000 + noise_below (&noise, 3000);
    t.W_enc = g_new0 (float, (gsize) t.net.d_sae *t.net.d_in);
    t.b_enc = g_new0 (float, t.net.d_sae);
    t.b_dec = g_new0 (float, t.net.d_in);
    t.threshold = g_new0 (float, t.net.d_sae);
    t.x = g_new0 (float, (gsize) ROWS_PER_NET *t.net.d_in);
    t.n_rows = 1 + noise_below (&noise, 20);
    t.kind = i % 2 ? ALL_EQUAL : PLAIN;
    fill_latents (&t, &noise);
    fill_rows (&t, &noise);
    t.net.W_enc = t.W_enc;
    t.net.b_enc = t.b_enc;
    t.net.b_dec = t.b_dec;
    t.net.threshold = t.net.threshold ? t.threshold : NULL;
    check_trial (&t, with, without);
    trial_free (&t);
  }
}

/* --- the bound itself ----------------------------------------------------- */

/* Every latent of a row, with its bounds. */
static void
check_bounds (const Trial *t, SaeScreen *screen, gsize r,
    SaeScreenPrecision precision, float *bias_error)
{
  const SaeKernels *k = sae_kernels ();
  gsize d = t->net.d_in, F = t->net.d_sae, width = screen->width;
  gsize n_blocks = (F + SAE_BYTES_LATENTS - 1) / SAE_BYTES_LATENTS;
  gboolean s8 = precision == SAE_SCREEN_S8;
  g_autofree gint16 *q = g_new (gint16, width);
  gint16 *scratch =
      g_aligned_alloc (SAE_BYTES_LATENTS * width, sizeof (gint16), 64);
  g_autofree gint32 *scores = g_new (gint32, n_blocks * SAE_BYTES_LATENTS);
  g_autofree guint32 *index = g_new (guint32, F + 16);
  g_autofree float *lower = g_new (float, F + 16);
  g_autofree float *upper = g_new (float, F + 16);
  SaeScreenedRow row;
  SaeScreenedLatents latents = {screen->scale, screen->norm, screen->error,
      t->b_enc, bias_error, NULL};
  gsize n = 0;

  if (sae_screen_round_row (screen, t->x + r * d, precision, q, &row)) {
    row.threshold = -INFINITY;
    if (s8)
      k->dots_s8 ((const gint8 *) q, width, 1, screen->bytes, n_blocks, width,
          scores, F);
    else
      k->dots_s16 (q, width, 1, screen->bytes, n_blocks, width, scratch, scores,
          F);
    n = k->select_screened (scores, &row, &latents, F, 0, index, lower, upper);
    g_assert_cmpuint (n, ==, F);
  }
  for (gsize i = 0; i < n; i++) {
    float exact = k->dot (t->x + r * d, t->W_enc + i * d, d) + t->b_enc[i];
    if (!(lower[i] <= exact && exact <= upper[i]))
      g_error ("%s, %s, row %" G_GSIZE_FORMAT ", latent %" G_GSIZE_FORMAT
               ": %a is not from %a to %a",
          kind_names[t->kind], s8 ? "s8" : "s16", r, i, exact, lower[i],
          upper[i]);
  }
  g_aligned_free (scratch);
}

static void
test_bounds (void)
{
  Noise noise = noise_new ();

  for (guint i = 0; i < count_trials () / 10; i++) {
    Trial t = trial_new (&noise, i % N_KINDS);
    SaeScreen *screen = sae_screen_new (t.W_enc, t.net.d_in, t.net.d_sae, t.x,
        t.kind != GRID && noise_below (&noise, 2) ? t.n_rows : 1, NULL);
    g_autofree float *bias_error = g_new (float, t.net.d_sae);
    for (guint j = 0; j < t.net.d_sae; j++)
      bias_error[j] = sae_screen_bias_error (screen, t.b_enc[j]);
    for (gsize r = 0; r < 50; r++)
      for (guint p = 0; p < SAE_SCREEN_NONE; p++)
        check_bounds (&t, screen, r, p, bias_error);
    sae_screen_free (screen);
    trial_free (&t);
  }
}

/* Rows so wide that the integers of them have to be smaller, for sums of 32
 * bits. */
static void
test_wide_rows (void)
{
  const guint widths[] = {516, 517, 1000, SAE_SCREEN_MAX_D_IN};
  g_autoptr (SaeWorkspace) with = sae_workspace_new (1);
  g_autoptr (SaeWorkspace) without = sae_workspace_new (1);
  const float size[] = {-1, 0.5f, 1};
  float b_enc[3] = {0};

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++) {
    guint d = widths[i];
    Trial t = {.n_rows = 1, .W_enc = g_new (float, 3 * d)};
    t.x = g_new (float, d);
    for (gsize p = 0; p < 3 * d; p++) {
      t.W_enc[p] = size[p / d];
      t.x[p % d] = 1;
    }
    t.net = (SaeNet){.d_in = d,
        .d_out = d,
        .d_sae = 3,
        .k = 1,
        .sparsity = SAE_SPARSITY_TOP_K,
        .W_enc = t.W_enc,
        .b_enc = b_enc};
    check_trial (&t, with, without);
    trial_free (&t);
  }
}

/* The bound has room for one rounding of a reciprocal. */
static void
test_columns (void)
{
  Noise noise = noise_new ();
  Trial t = trial_new (&noise, HUGE_DIMENSION);
  SaeScreen *screen =
      sae_screen_new (t.W_enc, t.net.d_in, t.net.d_sae, t.x, t.n_rows, NULL);

  for (guint j = 0; j < t.net.d_in; j++) {
    double product = (double) screen->columns[j] * screen->inv_columns[j];
    g_assert_cmpfloat (fabs (product - 1), <=, 0x1p-24);
  }
  sae_screen_free (screen);
  trial_free (&t);
}

/* A net of two latents for 64 columns: the second's weights are so large that
 * its integers say nothing, and the first has no weights. */
typedef struct {
  float bias[2], weight, x;
  float of_screen; /* what the rows are like that the screen is made for */
  guint expected;
} Unknown;

static void
check_unknown (const Unknown *u)
{
  const guint d = 64, n = 32;
  g_autofree float *W_enc = g_new0 (float, 2 * d), *x = g_new (float, n *d);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  Trial t = {.net = {.d_in = d, .d_out = d, .d_sae = 2, .k = 1}};
  SaeScreen *screen;

  for (guint j = 0; j < d; j++)
    W_enc[d + j] = u->weight;
  for (guint j = 0; j < n * d; j++)
    x[j] = u->of_screen;
  screen = sae_screen_new (W_enc, d, 2, x, n, NULL);
  for (guint j = 0; j < d; j++)
    x[j] = u->x;
  t.net.sparsity = SAE_SPARSITY_TOP_K;
  t.net.W_enc = W_enc;
  t.net.b_enc = u->bias;
  t.x = x;
  t.n_rows = 1;
  for (guint p = 0; p <= SAE_SCREEN_NONE; p++) {
    SaeSparseRows rows = encode (&t, workspace, screen, p);
    g_assert_cmpuint (rows.offsets[1], ==, 1);
    g_assert_cmpuint (rows.index[0], ==, u->expected);
  }
  sae_screen_free (screen);
}

static void
test_unknown (void)
{
  /* more than its share of the largest float, by adding up */
  check_unknown (&(Unknown){{3e38f, 0}, 1.6e38f, 1 / 32.0f, 1, 1});
  /* a row that only its columns' factors have made zeros */
  check_unknown (&(Unknown){{0x1p-60f, 0}, 0x1p100f, 0x1p-149f, 0x1p120f, 1});
  /* NaN is nothing that others have to be above */
  check_unknown (&(Unknown){{0x1p-60f, 1}, INFINITY, 0, 1, 0});
}

/* Where the thread flushes denormal results, as other libraries may have it,
 * more underflows: here the products of a row with its columns' factors. */
static void
test_flush_to_zero (void)
{
#ifdef __SSE__
  unsigned int normal = _mm_getcsr ();

  _mm_setcsr (normal | 0x8040u);
  check_unknown (&(Unknown){{0x1p-90f, 0}, 0x1p19f, 0x1p-110f, 0x1p54f, 1});
  _mm_setcsr (normal);
#else
  g_test_skip ("no MXCSR");
#endif
}

/* A latent that is set again is screened as in a screen made of it. */
static void
test_set_latent (void)
{
  Noise noise = noise_new ();
  Trial t = trial_new (&noise, PLAIN), u = trial_new (&noise, PLAIN);
  SaeScreen *screen, *fresh;
  gsize d = t.net.d_in, F = t.net.d_sae;

  u.W_enc = g_realloc (u.W_enc, F * d * sizeof *u.W_enc);
  u.net.d_in = t.net.d_in;
  u.net.d_sae = t.net.d_sae;
  u.b_enc = g_realloc (u.b_enc, F * sizeof *u.b_enc);
  u.threshold = g_realloc (u.threshold, F * sizeof *u.threshold);
  fill_latents (&u, &noise);
  screen = sae_screen_new (t.W_enc, t.net.d_in, t.net.d_sae, t.x, 1, NULL);
  fresh = sae_screen_new (u.W_enc, t.net.d_in, t.net.d_sae, t.x, 1, NULL);
  for (guint i = 0; i < F; i++)
    sae_screen_set_latent (screen, i, u.W_enc + i * d);
  assert_same_memory (screen->bytes, F * screen->width, fresh->bytes,
      F * fresh->width);
  expect_same_bits ("scale", screen->scale, fresh->scale, 3 * F);
  sae_screen_free (screen);
  sae_screen_free (fresh);
  trial_free (&t);
  trial_free (&u);
}

/* --- which precision ------------------------------------------------------ */

static void
test_choice (void)
{
  SaeScreen screen = {.d_in = 384, .d_sae = 6000};
  SaeScreenChoice choice = {0};
  guint n_none = 0, n_cheap = 0;

  /* the cheapest first, and on with it while it leaves little */
  for (guint i = 0; i < 100; i++) {
    g_assert_cmpint (sae_screen_choice_make (&choice, &screen), ==,
        SAE_SCREEN_S8);
    sae_screen_choice_learn (&choice, SAE_SCREEN_S8, 100 * 40, 100);
  }
  /* where every precision leaves all latents, none is used but now and then */
  for (guint i = 0; i < 1000; i++) {
    SaeScreenPrecision p = sae_screen_choice_make (&choice, &screen);
    n_none += p == SAE_SCREEN_NONE;
    sae_screen_choice_learn (&choice, p, 100 * 6000, 100);
  }
  g_assert_cmpuint (n_none, >, 950);
  /* and it comes back when that changes */
  for (guint i = 0; i < 1000; i++) {
    SaeScreenPrecision p = sae_screen_choice_make (&choice, &screen);
    n_cheap += p == SAE_SCREEN_S8;
    sae_screen_choice_learn (&choice, p, 100 * 40, 100);
  }
  g_assert_cmpuint (n_cheap, >, 700);
}

/* Were a bound wrong, a latent would be lost and nothing else. */
static void
test_wrong_bounds (void)
{
  enum { D = 8, N = 200, K = 3 };
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  float W_enc[N * D], b_enc[N] = {0}, x[D];
  Trial t = {.x = x, .n_rows = 1};
  SaeScreen *screen;

  for (guint p = 0; p < N * D; p++)
    W_enc[p] = x[p % D] = 1;
  t.net = (SaeNet){.d_in = D,
      .d_out = D,
      .d_sae = N,
      .k = K,
      .sparsity = SAE_SPARSITY_TOP_K,
      .W_enc = W_enc,
      .b_enc = b_enc};
  screen = sae_screen_new (W_enc, D, N, x, 1, NULL);
  for (guint i = 0; i < N; i++)
    screen->scale[i] *= 1000;
  for (guint p = 0; p < SAE_SCREEN_NONE; p++) {
    SaeSparseRows rows = encode (&t, workspace, screen, p);
    g_assert_cmpuint (rows.offsets[1], ==, K);
  }
  sae_screen_free (screen);
}

/* Rows that cannot be screened cost more than without a screen, and count. */
static void
test_counts (void)
{
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  Noise noise = noise_new ();
  Trial t = trial_new (&noise, DENORMAL);
  SaeScreen *screen =
      sae_screen_new (t.W_enc, t.net.d_in, t.net.d_sae, t.x, t.n_rows, NULL);
  gsize n_zero = 0, d = t.net.d_in;

  for (gsize p = 0; p < t.n_rows * d; p++)
    t.x[p] = t.x[p] * 0x1p120f * 0x1p60f;
  for (gsize r = 0; r < t.n_rows; r++)
    n_zero += t.x[r * d] == 0;
  for (guint p = 0; p < SAE_SCREEN_NONE; p++) {
    workspace->choice.scored[p] = -1;
    encode (&t, workspace, screen, p);
    g_assert_cmpfloat (workspace->choice.scored[p] * (double) t.n_rows + 0.5, >,
        (double) t.net.d_sae * (double) (t.n_rows - n_zero));
  }
  sae_screen_free (screen);
  trial_free (&t);
}

/* Without one from the first rows on, and then with the same for good. */
static void
test_model_makes_one (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 64, .d_sae = 4096, .k = 8};
  SaeConfig small = {.d_in = 8, .d_sae = 64, .k = 8};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeModel) none = sample_model (&noise, &small);
  g_autoptr (GBytes) bytes = sample_rows (&noise, 100, 64);
  const float *x = g_bytes_get_data (bytes, NULL);
  SaeNet net = sae_model_get_net_for (model, x, 63);

  g_assert_null (net.screen);
  net = sae_model_get_net_for (model, x, 1);
  g_assert_nonnull (net.screen);
  g_assert_true (sae_model_get_net_for (model, x, 100).screen == net.screen);
  g_assert_null (sae_model_get_net_for (none, x, 100).screen);
}

/* How many latents of 200 rows, times @size, are scored exactly. */
static gsize
count_scored (float size)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 64, .d_sae = 4096, .k = 8};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) bytes = sample_rows (&noise, 200, 64);
  g_autofree float *x =
      g_memdup2 (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autoptr (GError) error = NULL;
  const gsize *offsets;
  const guint32 *indices;
  const float *values;
  gsize n_scored = 0;

  for (gsize p = 0; p < 200 * 64; p++)
    x[p] *= size;
  sae_model_encode_rows (model, workspace, x, 200, &offsets, &indices, &values,
      &error);
  g_assert_no_error (error);
  for (gsize t = 0; t < workspace->n_tasks; t++)
    n_scored += workspace->tasks[t].n_scored;
  g_assert_cmpuint (n_scored, >=, offsets[200]);
  return n_scored;
}

/* What it is for: only a few latents of a stream are scored exactly, as well
 * where all its numbers are denormal. */
static void
test_stream_is_screened (void)
{
  static const float sizes[] = {1, 1e-20f, 1e-40f, 1e10f};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    expect_with ("rows times %g", (double) sizes[i]);
    g_assert_cmpuint (count_scored (sizes[i]), <, 200 * 4096 / 4);
  }
  fault_report (6, 2 * 200, 2 * 200, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/screen/bounds", test_bounds);
  g_test_add_func ("/model/screen/same-results", test_same_results);
  g_test_add_func ("/model/screen/few-rows", test_few_rows);
  g_test_add_func ("/model/screen/wide-rows", test_wide_rows);
  g_test_add_func ("/model/screen/columns", test_columns);
  g_test_add_func ("/model/screen/unknown", test_unknown);
  g_test_add_func ("/model/screen/flush-to-zero", test_flush_to_zero);
  g_test_add_func ("/model/screen/set-latent", test_set_latent);
  g_test_add_func ("/model/screen/wrong-bounds", test_wrong_bounds);
  g_test_add_func ("/model/screen/counts", test_counts);
  g_test_add_func ("/model/screen/choice", test_choice);
  g_test_add_func ("/model/screen/model-makes-one", test_model_makes_one);
  g_test_add_func ("/model/screen/stream-is-screened", test_stream_is_screened);
  return g_test_run ();
}
