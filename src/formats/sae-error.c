/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-error.h"

G_DEFINE_QUARK (sae - error - quark, sae_error)
