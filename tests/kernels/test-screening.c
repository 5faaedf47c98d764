/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What screens are made of: products of small integers are exact at every
 * level, and everything around them has the bits of the reference. */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "cases.h"
#include "expect.h"
#include "guarded.h"

/* --- rounding ------------------------------------------------------------- */

static void
check_largest_product (const Case *c)
{
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, c->offset);
  g_auto (NoiseArray) f = noise_array (c->noise, NOISE_UNIFORM, c->n, 0);
  float got = c->kernels->largest_product (x.values, f.values, c->n);
  float want = 0;

  if (c->kind == NOISE_ANY_BITS)
    return;
  for (gsize j = 0; j < c->n; j++)
    want = MAX (want, fabsf (x.values[j] * f.values[j]));
  expect_same_bits ("largest", &got, &want, 1);
}

static void
test_largest_product (void)
{
  cases_run (check_largest_product);
}

static gsize
padded (gsize n)
{
  return (n + SAE_BYTES_STEP - 1) / SAE_BYTES_STEP * SAE_BYTES_STEP;
}

/* Σq² and Σr² in float64, of q[j] as it is in @q. */
static void
check_sums (const Case *c, const float *x, const float *f, float inv,
    const gint16 *q, const SaeRoundedSums *sums)
{
  double q2 = 0, r2 = 0;

  for (gsize j = 0; j < c->n; j++) {
    double y = x[j] * f[j] * inv;
    g_assert_cmpfloat (fabs (y - q[j]), <=, 0.5);
    q2 += (double) q[j] * q[j];
    r2 += (y - q[j]) * (y - q[j]);
  }
  for (gsize j = c->n; j < padded (c->n); j++)
    g_assert_cmpint (q[j], ==, 0);
  expect_within ("sum of q2", (double) sums->q2, q2, 1e-4 * q2);
  expect_within ("sum of r2", (double) sums->r2, r2, 1e-4 * r2);
}

static void
check_round (const Case *c)
{
  g_auto (NoiseArray) x =
      noise_array (c->noise, NOISE_UNIFORM, c->n, c->offset);
  g_auto (NoiseArray) f = noise_array (c->noise, NOISE_UNIFORM, c->n, 0);
  gsize width = padded (c->n);
  g_auto (Guarded) narrow = guarded_new (width, sizeof (gint8), 0);
  g_auto (Guarded) wide = guarded_new (width, sizeof (gint16), 0);
  g_autofree gint16 *copy = g_new (gint16, width + 1);
  g_autofree gint8 *same8 = g_new (gint8, width + 1);
  g_autofree gint16 *same16 = g_new (gint16, width + 1);
  SaeRoundedSums sums, same;

  c->kernels->round_s8 (x.values, f.values, c->n, 127, narrow.values, &sums);
  c->reference->round_s8 (x.values, f.values, c->n, 127, same8, &same);
  assert_same_memory (narrow.values, width, same8, width);
  expect_same_bits ("q2", &sums.q2, &same.q2, 1);
  expect_same_bits ("r2", &sums.r2, &same.r2, 1);
  for (gsize j = 0; j < width; j++)
    copy[j] = ((gint8 *) narrow.values)[j];
  check_sums (c, x.values, f.values, 127, copy, &sums);
  guarded_check (&narrow, "round_s8");

  c->kernels->round_s16 (x.values, f.values, c->n, 32767, wide.values, &sums);
  c->reference->round_s16 (x.values, f.values, c->n, 32767, same16, &same);
  assert_same_memory (wide.values, 2 * width, same16, 2 * width);
  expect_same_bits ("q2", &sums.q2, &same.q2, 1);
  expect_same_bits ("r2", &sums.r2, &same.r2, 1);
  check_sums (c, x.values, f.values, 32767, wide.values, &sums);
  guarded_check (&wide, "round_s16");
}

static void
test_round (void)
{
  cases_run (check_round);
}

/* --- products ------------------------------------------------------------- */

/* Numbers of at most @limit, now and then all at a limit. */
static int
small_number (Noise *noise, int limit, guint extreme)
{
  if (extreme == 1)
    return limit;
  if (extreme == 2)
    return noise_below (noise, 2) ? limit : -limit;
  return (int) noise_below (noise, 2 * (guint) limit + 1) - limit;
}

typedef struct {
  gsize d, n_x, n_blocks, ld_out;
  gint8 *weights; /* [16·n_blocks, d] */
  guint8 *blocks;
  gint8 *x8;
  gint16 *x16, *scratch;
} Products;

static gpointer
aligned (gsize size)
{
  return g_aligned_alloc0 (1, MAX (size, 64), 64);
}

/* Numbers as the level wants them: all at their largest, or one far above the
 * others, or any. */
static void
round_row (const Case *c, gint8 *q, gsize d, guint extreme)
{
  g_autofree float *x = g_new (float, d), *ones = g_new (float, d);
  SaeRoundedSums sums;
  float scale;

  for (gsize j = 0; j < d; j++) {
    x[j] = (float) small_number (c->noise, 1000, extreme);
    ones[j] = 1;
  }
  if (extreme == 3)
    x[noise_below (c->noise, (guint) d)] = 1e6f;
  scale = c->kernels->scale_s8 (x, ones, d);
  c->kernels->round_s8 (x, ones, d, 1 / scale, q, &sums);
}

static Products
products_new (const Case *c, guint extreme)
{
  Products p = {
      .d = SAE_BYTES_STEP * (1 + noise_below (c->noise, 8)),
      .n_x = 1 + noise_below (c->noise, 9),
      .n_blocks = 1 + noise_below (c->noise, 9),
  };
  gsize n = p.n_blocks * SAE_BYTES_LATENTS;

  p.ld_out = n + noise_below (c->noise, 3);
  p.weights = g_new (gint8, n * p.d);
  p.blocks = aligned (n * p.d);
  p.x8 = g_new (gint8, p.n_x * p.d);
  p.x16 = g_new (gint16, p.n_x * p.d);
  p.scratch = aligned (SAE_BYTES_LATENTS * p.d * sizeof (gint16));
  for (gsize i = 0; i < n * p.d; i++)
    p.weights[i] = (gint8) small_number (c->noise, 127, extreme);
  for (gsize i = 0; i < n; i++)
    c->kernels->store_bytes (p.blocks + i / SAE_BYTES_LATENTS *
                                            SAE_BYTES_LATENTS * p.d,
        i % SAE_BYTES_LATENTS, p.weights + i * p.d, p.d);
  for (gsize i = 0; i < p.n_x * p.d; i++)
    p.x16[i] = (gint16) small_number (c->noise, 32767, extreme);
  for (gsize r = 0; r < p.n_x; r++)
    round_row (c, p.x8 + r * p.d, p.d, extreme);
  return p;
}

static void
products_free (Products *p)
{
  g_free (p->weights);
  g_aligned_free (p->blocks);
  g_free (p->x8);
  g_free (p->x16);
  g_aligned_free (p->scratch);
}

static void
check_sums_of (const Case *c, const Products *p, const Guarded *out,
    gboolean wide)
{
  const gint32 *got = out->values;

  for (gsize r = 0; r < p->n_x; r++)
    for (gsize i = 0; i < p->n_blocks * SAE_BYTES_LATENTS; i++) {
      gint64 sum = 0;
      for (gsize j = 0; j < p->d; j++)
        sum += p->weights[i * p->d + j] *
               (wide ? p->x16[r * p->d + j] : p->x8[r * p->d + j]);
      if ((guint32) got[r * p->ld_out + i] != (guint32) sum)
        g_error ("level %s, %s, d %" G_GSIZE_FORMAT ", row %" G_GSIZE_FORMAT
                 ", latent %" G_GSIZE_FORMAT ": expected %" G_GINT64_FORMAT
                 ", got %d",
            c->kernels->name, wide ? "s16" : "s8", p->d, r, i, sum,
            got[r * p->ld_out + i]);
    }
  guarded_check (out, "sums");
}

static void
check_products (const Case *c, guint extreme)
{
  Products p = products_new (c, extreme);
  gsize size = (p.n_x - 1) * p.ld_out + p.n_blocks * SAE_BYTES_LATENTS;
  g_auto (Guarded) out8 = guarded_new (size, sizeof (gint32), 0);
  g_auto (Guarded) out16 = guarded_new (size, sizeof (gint32), 0);

  c->kernels->dots_s8 (p.x8, p.d, p.n_x, p.blocks, p.n_blocks, p.d, out8.values,
      p.ld_out);
  check_sums_of (c, &p, &out8, FALSE);
  c->kernels->dots_s16 (p.x16, p.d, p.n_x, p.blocks, p.n_blocks, p.d, p.scratch,
      out16.values, p.ld_out);
  check_sums_of (c, &p, &out16, TRUE);
  products_free (&p);
}

static void
test_products (void)
{
  Noise noise = noise_new ();

  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
    Case c = {.kernels = *k, .reference = &sae_kernels_c, .noise = &noise};
    for (guint i = 0; i < 300; i++)
      check_products (&c, i % 5);
  }
}

/* --- picking -------------------------------------------------------------- */

#define N_ARRAYS 6

static void
check_select (const Case *c)
{
  NoiseArray a[N_ARRAYS];
  g_autofree gint32 *scores = g_new (gint32, c->n + 1);
  gsize room = (c->n + 15) / 16 * 16;
  g_auto (Guarded) index = guarded_new (room, sizeof (guint32), 0);
  g_auto (Guarded) lower = guarded_new (room, sizeof (float), 0);
  g_auto (Guarded) upper = guarded_new (room, sizeof (float), 0);
  g_autofree guint32 *index_c = g_new (guint32, room + 1);
  g_autofree float *lower_c = g_new (float, room + 1);
  g_autofree float *upper_c = g_new (float, room + 1);
  SaeScreenedRow row = {0.01f, 0.5f, 0.1f, 0.25f * noise_uniform (c->noise)};
  gsize n, n_c;

  for (guint i = 0; i < N_ARRAYS; i++)
    a[i] = noise_array (c->noise, i ? c->kind : NOISE_UNIFORM, c->n,
        i ? 0 : c->offset);
  for (gsize i = 0; i < c->n; i++)
    scores[i] = (gint32) noise_bits (c->noise) >> noise_below (c->noise, 31);
  SaeScreenedLatents latents = {a[0].values, a[1].values, a[2].values,
      a[3].values, a[4].values, noise_below (c->noise, 2) ? a[5].values : NULL};

  n = c->kernels->select_screened (scores, &row, &latents, c->n, 77,
      index.values, lower.values, upper.values);
  n_c = c->reference->select_screened (scores, &row, &latents, c->n, 77,
      index_c, lower_c, upper_c);
  g_assert_cmpuint (n, ==, n_c);
  assert_same_memory (index.values, 4 * n, index_c, 4 * n);
  expect_same_bits ("lower", lower.values, lower_c, n);
  expect_same_bits ("upper", upper.values, upper_c, n);
  guarded_check (&index, "index");
  guarded_check (&lower, "lower");
  guarded_check (&upper, "upper");
  for (guint i = 0; i < N_ARRAYS; i++)
    noise_array_clear (&a[i]);
}

static void
test_select (void)
{
  cases_run (check_select);
}

/* --- rows anywhere -------------------------------------------------------- */

static void
check_dots_at (const Case *c)
{
  const guint n_rows = 9, n = noise_below (c->noise, 14);
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, c->offset);
  g_auto (NoiseArray) rows = noise_array (c->noise, c->kind, n_rows * c->n, 0);
  g_auto (Guarded) out = guarded_new (n, sizeof (float), 0);
  guint32 index[14];

  for (gsize i = 0; i < n; i++)
    index[i] = noise_below (c->noise, n_rows);
  c->kernels->dots_at (x.values, rows.values, c->n, index, n, c->n, out.values);
  for (gsize i = 0; i < n; i++) {
    float want =
        c->reference->dot (x.values, rows.values + index[i] * c->n, c->n);
    expect_same_bits ("dots_at", (float *) out.values + i, &want, 1);
  }
  guarded_check (&out, "dots_at");
}

static void
test_dots_at (void)
{
  cases_run (check_dots_at);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/screening/largest-product", test_largest_product);
  g_test_add_func ("/kernels/screening/round", test_round);
  g_test_add_func ("/kernels/screening/products", test_products);
  g_test_add_func ("/kernels/screening/select", test_select);
  g_test_add_func ("/kernels/screening/dots-at", test_dots_at);
  return g_test_run ();
}
