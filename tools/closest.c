/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "closest.h"

#include <string.h>

/* Words that are longer are not compared. */
#define MAX_LENGTH 64

/* Levenshtein's distance (1966), a row of the table at a time. */
static guint
distance (const char *a, const char *b)
{
  gsize n_a = strlen (a), n_b = strlen (b);
  guint row[MAX_LENGTH + 1];

  if (n_a > MAX_LENGTH || n_b > MAX_LENGTH)
    return G_MAXUINT;
  for (guint j = 0; j <= n_b; j++)
    row[j] = j;
  for (guint i = 1; i <= n_a; i++) {
    guint diagonal = row[0];
    row[0] = i;
    for (guint j = 1; j <= n_b; j++) {
      guint changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = MIN (MIN (row[j], row[j - 1]) + 1, changed);
    }
  }
  return row[n_b];
}

const char *
sae_closest_word (const char *text, const char *const *words)
{
  const char *closest = NULL;
  guint least = (guint) MIN (strlen (text), MAX_LENGTH) / 3 + 1;

  for (; *words; words++) {
    guint d = distance (text, *words);
    if (d >= least)
      continue;
    least = d;
    closest = *words;
  }
  return closest;
}
