/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gradients against central differences of the loss, both in float64, of an
 * implementation of the loss that knows nothing of the library's. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "gemm.h"
#include "gradients.h"
#include "noise.h"

#define MAX_SIZE 4096
/* Central differences are off by h²·f‴/6 and by 2^−53·f/h: 1e-9 here. */
#define H 1e-5
/* No pre-activation may be this close to where the loss has a kink. */
#define CLEARANCE 1e-3
/* float32 roundings of sums of some 30 products, relative to the largest. */
#define TOLERANCE 5e-6

/* Sizes, parameters and a batch: everything that the loss depends on. */
typedef struct {
  SaeNet net;
  SaeReduction reduction;
  double l1_coeff;
  guint n;
  double W_enc[MAX_SIZE], b_enc[MAX_SIZE], W_dec[MAX_SIZE], b_dec[MAX_SIZE];
  double x[MAX_SIZE], target[MAX_SIZE];
} Problem;

static double
pre_activation (const Problem *p, const double *x, guint i)
{
  double sum = p->b_enc[i];

  for (guint j = 0; j < p->net.d_in; j++)
    sum += (x[j] - (p->net.pre_bias ? p->b_dec[j] : 0)) *
           p->W_enc[i * p->net.d_in + j];
  return sum;
}

/* How many pre-activations exceed @value. */
static guint
count_above (const double *pre, guint n, double value)
{
  guint count = 0;

  for (guint i = 0; i < n; i++)
    count += pre[i] > value;
  return count;
}

/* latents of one row: relu, and with top-k those that fewer than k exceed */
static void
encode_row (const Problem *p, const double *x, double *latents)
{
  double pre[MAX_SIZE];
  guint F = p->net.d_sae;

  for (guint i = 0; i < F; i++)
    pre[i] = pre_activation (p, x, i);
  for (guint i = 0; i < F; i++) {
    gboolean kept = p->net.sparsity == SAE_SPARSITY_L1 ||
                    count_above (pre, F, pre[i]) < p->net.k;
    latents[i] = pre[i] > 0 && kept ? pre[i] : 0;
  }
}

static double
decoder_norm (const Problem *p, guint i)
{
  double sum = 0;

  for (guint j = 0; j < p->net.d_out; j++)
    sum += pow (p->W_dec[i * p->net.d_out + j], 2);
  return sqrt (sum);
}

static double
row_loss (const Problem *p, guint row)
{
  double latents[MAX_SIZE], error2 = 0, l1 = 0;
  gboolean sum = p->reduction == SAE_REDUCTION_SUM;
  guint F = p->net.d_sae, d = p->net.d_out;

  encode_row (p, p->x + row * p->net.d_in, latents);
  for (guint j = 0; j < d; j++) {
    double x_hat = p->b_dec[j];
    for (guint i = 0; i < F; i++)
      x_hat += latents[i] * p->W_dec[i * d + j];
    error2 += pow (p->target[row * d + j] - x_hat, 2);
  }
  for (guint i = 0; i < F; i++)
    l1 += latents[i] * (sum ? decoder_norm (p, i) : 1);
  return sum ? error2 + p->l1_coeff * l1 : error2 / d + p->l1_coeff * l1 / F;
}

static double
loss (const Problem *p)
{
  double sum = 0;

  for (guint row = 0; row < p->n; row++)
    sum += row_loss (p, row);
  return sum / p->n;
}

static double
slope (const Problem *p, double *parameter)
{
  double was = *parameter, above, below;

  *parameter = was + H;
  above = loss (p);
  *parameter = was - H;
  below = loss (p);
  *parameter = was;
  return (above - below) / (2 * H);
}

/* float32 numbers, so that both sides start from the same ones. */
static void
fill (Noise *noise, double *values, guint n, double scale)
{
  for (guint i = 0; i < n; i++)
    values[i] = (float) (scale * noise_normal (noise));
}

/* Whether relu and the choice of the k largest stay what they are nearby. */
static gboolean
is_clear (const Problem *p, const double *x)
{
  double pre[MAX_SIZE];
  guint F = p->net.d_sae;

  for (guint i = 0; i < F; i++)
    pre[i] = pre_activation (p, x, i);
  for (guint i = 0; i < F; i++) {
    if (fabs (pre[i]) < CLEARANCE)
      return FALSE;
    if (count_above (pre, F, pre[i] - CLEARANCE) !=
        count_above (pre, F, pre[i] + CLEARANCE) + 1)
      return FALSE;
  }
  return TRUE;
}

static void
problem_init (Problem *p, Noise *noise)
{
  const SaeNet *net = &p->net;

  fill (noise, p->W_enc, net->d_sae * net->d_in, 0.6);
  fill (noise, p->b_enc, net->d_sae, 0.2);
  fill (noise, p->W_dec, net->d_sae * net->d_out, 0.6);
  fill (noise, p->b_dec, net->d_out, 0.2);
  fill (noise, p->target, p->n * net->d_out, 1);
  for (guint row = 0; row < p->n; row++)
    do
      fill (noise, p->x + row * net->d_in, net->d_in, 1);
    while (!is_clear (p, p->x + row * net->d_in));
}

static float *
to_floats (const double *values, guint n)
{
  float *floats = g_new (float, n);

  for (guint i = 0; i < n; i++)
    floats[i] = (float) values[i];
  return floats;
}

/* Every slope of an array of parameters against @got. */
static void
check_slopes (Problem *p, const char *what, double *values, const float *got,
    guint n)
{
  g_autofree double *slopes = g_new (double, n);

  for (guint i = 0; i < n; i++)
    slopes[i] = slope (p, values + i);
  expect_close_to_doubles (what, got, slopes, n, TOLERANCE);
}

static void
check_bound (const SaeGradients *gradients, const float *values, guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat (fabs (values[i]), <=, gradients->bound);
}

static void
check_rows (Problem *p, const SaeGradients *gradients)
{
  guint F = p->net.d_sae, d_in = p->net.d_in, d_out = p->net.d_out;
  g_autofree float *W_enc = g_new (float, F *d_in);
  g_autofree float *W_dec = g_new (float, F *d_out);

  for (guint i = 0; i < F; i++)
    sae_gradients_row (gradients, i, W_enc + i * d_in, W_dec + i * d_out);
  check_slopes (p, "W_enc", p->W_enc, W_enc, F * d_in);
  check_slopes (p, "W_dec", p->W_dec, W_dec, F * d_out);
  check_bound (gradients, W_enc, F * d_in);
  check_bound (gradients, W_dec, F * d_out);
  check_bound (gradients, gradients->b_enc, F);
  check_bound (gradients, gradients->b_dec, d_out);
}

/* Runs the library on the problem in float32. */
static void
check_problem (Problem *p, gboolean dense)
{
  SaeNet net = p->net;
  guint F = net.d_sae, n = p->n;
  g_autofree float *W_enc = to_floats (p->W_enc, F * net.d_in);
  g_autofree float *b_enc = to_floats (p->b_enc, F);
  g_autofree float *W_dec = to_floats (p->W_dec, F * net.d_out);
  g_autofree float *b_dec = to_floats (p->b_dec, net.d_out);
  g_autofree float *x = to_floats (p->x, n * net.d_in);
  g_autofree float *target = to_floats (p->target, n * net.d_out);
  g_autofree float *x_hat = g_new (float, n *net.d_out);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autoptr (GError) error = NULL;
  SaeGradients gradients = {.net = &net,
      .workspace = workspace,
      .x = x,
      .n = n,
      .reduction = p->reduction,
      .error_weight = sae_gradients_error_weight (p->reduction, n, net.d_out),
      .l1_coeff = p->l1_coeff,
      .dense = dense};
  SaeSparseRows latents;

  net.W_enc = W_enc, net.b_enc = b_enc, net.W_dec = W_dec, net.b_dec = b_dec;
  sae_net_encode (&net, workspace, x, n, &latents, &error);
  sae_net_decode (&net, workspace, &latents, x_hat, &error);
  for (guint i = 0; net.pre_bias && i < n * net.d_in; i++)
    x[i] -= b_dec[i % net.d_in];
  sae_gradients_compute (&gradients, &latents, target, x_hat, &error);
  g_assert_no_error (error);
  expect_within ("loss", gradients.loss, loss (p), 2e-6 * loss (p));
  check_slopes (p, "b_enc", p->b_enc, gradients.b_enc, F);
  check_slopes (p, "b_dec", p->b_dec, gradients.b_dec, net.d_out);
  check_rows (p, &gradients);
  sae_gradients_clear (&gradients);
}

typedef struct {
  SaeSparsity sparsity;
  SaeReduction reduction;
  gboolean pre_bias, transcoder, dense;
} Kind;

static void
test_kind (gconstpointer data)
{
  const Kind *kind = data;
  g_autofree Problem *p = g_new0 (Problem, 1);
  Noise noise = noise_new ();

  if (kind->dense && !sae_gemm_is_there ()) {
    g_test_skip ("no OpenBLAS");
    return;
  }
  for (guint round = 0; round < 4; round++) {
    guint d_in = 2 + noise_below (&noise, 8), F = 3 + noise_below (&noise, 15);
    p->net = (SaeNet){.d_in = d_in,
        .d_out = kind->transcoder ? d_in + 3 : d_in,
        .d_sae = F,
        .k = 1 + noise_below (&noise, F),
        .sparsity = kind->sparsity,
        .pre_bias = kind->pre_bias};
    p->reduction = kind->reduction;
    p->l1_coeff = round == 3 ? 1000 : 0.1 + noise_below (&noise, 10) / 5.0;
    p->n = 1 + noise_below (&noise, 9);
    problem_init (p, &noise);
    expect_with ("d_in %u, d_out %u, d_sae %u, k %u, n %u, seed %u", d_in,
        p->net.d_out, F, p->net.k, p->n, noise.seed);
    check_problem (p, kind->dense);
  }
}

static void
add_kinds (SaeSparsity sparsity, const char *rule, gboolean dense)
{
  for (guint i = 0; i < 6; i++) {
    Kind kind = {sparsity, i % 2 ? SAE_REDUCTION_SUM : SAE_REDUCTION_MEAN,
        i / 2 == 1, i / 2 == 2, dense};
    g_autofree char *path = g_strdup_printf ("/trainer/gradients/%s%s/%s%s",
        rule, dense ? "-dense" : "", i % 2 ? "sum" : "mean",
        kind.pre_bias     ? "-pre-bias"
        : kind.transcoder ? "-transcoder"
                          : "");
    g_test_add_data_func_full (path, g_memdup2 (&kind, sizeof kind), test_kind,
        g_free);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_kinds (SAE_SPARSITY_TOP_K, "top-k", FALSE);
  add_kinds (SAE_SPARSITY_L1, "l1", FALSE);
  add_kinds (SAE_SPARSITY_L1, "l1", TRUE);
  return g_test_run ();
}
