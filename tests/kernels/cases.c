/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"

#include "expect.h"

/* Around every width of register and strip, and two real widths. */
static const guint16 lengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 23,
    24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 95, 96, 97, 127, 128, 129,
    191, 255, 256, 257, 383, 384, 385, 768};
static const guint8 offsets[] = {0, 1, 2, 3, 5, 8, 13};

static void
run_case (void (*check) (const Case *c), Case *c)
{
  expect_with ("level %s, length %" G_GSIZE_FORMAT ", offset %" G_GSIZE_FORMAT
               ", %s numbers, seed %" G_GUINT32_FORMAT,
      c->kernels->name, c->n, c->offset, noise_kind_name (c->kind),
      c->noise->seed);
  check (c);
}

static void
run_level (const SaeKernels *kernels, void (*check) (const Case *c))
{
  Noise noise = noise_new ();
  Case c = {.kernels = kernels, .reference = &sae_kernels_c, .noise = &noise};

  for (guint kind = 0; kind < NOISE_N_KINDS; kind++) {
    c.kind = kind;
    for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
      c.n = lengths[i];
      c.offset = offsets[i % G_N_ELEMENTS (offsets)];
      run_case (check, &c);
      c.offset = 0;
      run_case (check, &c);
    }
    for (guint i = 0; i < 10; i++) {
      c.n = 1000 + noise_below (&noise, 2000);
      c.offset = noise_below (&noise, 16);
      run_case (check, &c);
    }
  }
}

void
cases_run (void (*check) (const Case *c))
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    run_level (*k, check);
}
