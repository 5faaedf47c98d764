/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loan.h"

#include <stdatomic.h>
#include <stdlib.h>

struct _SaeLoan {
  _Atomic guint n_holders; /* the owner and each GBytes */
  float *floats;           /* of the last holder to leave, but for the owner */
};

static gboolean
leave (SaeLoan *loan)
{
  return atomic_fetch_sub (&loan->n_holders, 1) == 1;
}

static void
give_back (gpointer data)
{
  SaeLoan *loan = data;

  if (!leave (loan))
    return;
  free (loan->floats);
  g_free (loan);
}

GBytes *
sae_loan_lend (SaeLoan **loan, float *floats, gsize n)
{
  if (!*loan) {
    *loan = g_new (SaeLoan, 1);
    atomic_init (&(*loan)->n_holders, 1);
    (*loan)->floats = floats;
  }
  atomic_fetch_add (&(*loan)->n_holders, 1);
  return g_bytes_new_with_free_func (floats, n * sizeof *floats, give_back,
      *loan);
}

gboolean
sae_loan_is_over (SaeLoan *loan)
{
  return atomic_load (&loan->n_holders) == 1;
}

gboolean
sae_loan_end (SaeLoan **loan)
{
  SaeLoan *ended = g_steal_pointer (loan);

  if (!ended)
    return TRUE;
  if (!leave (ended))
    return FALSE;
  g_free (ended);
  return TRUE;
}
