/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-error.h"

/* The name is text: bindings look the domain up by it. */
/* clang-format off */
G_DEFINE_QUARK (sae-error-quark, sae_error)
/* clang-format on */
