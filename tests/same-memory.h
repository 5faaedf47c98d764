/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

/* As g_assert_cmpmem(), whose sizes are of type int. */
#define assert_same_memory(got, n_got, want, n_want)                           \
  do {                                                                         \
    g_assert_cmpuint (n_got, ==, n_want);                                      \
    g_assert_true ((n_got) == 0 || memcmp (got, want, n_got) == 0);            \
  } while (0)
