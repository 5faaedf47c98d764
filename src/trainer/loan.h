/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Weights that a run lends to the models made of it, so that a dictionary that
 * is saved at the end of a run takes no memory of its own: only when the run
 * goes on while a model still has them, it goes on with a copy. */
#pragma once

#include <glib.h>

typedef struct _SaeLoan SaeLoan;

/* @n floats as bytes, which stay as they are. *@loan is NULL where they were
 * not lent before; the owner keeps it. (transfer full) */
GBytes *sae_loan_lend (SaeLoan **loan, float *floats, gsize n);

/* Whether nobody else has them any more. */
gboolean sae_loan_is_over (SaeLoan *loan);

/* Before the owner changes the floats or frees them. They are its own alone,
 * or, and then it returns FALSE, the borrowers' alone, the last of whom frees
 * them. */
gboolean sae_loan_end (SaeLoan **loan);
