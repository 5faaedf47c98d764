/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "workspace.h"

/* x_hat [n_rows, d_out] += x W_skipᵀ, where the net has a skip connection. */
void sae_net_skip (const SaeNet *net, SaeWorkspace *workspace, const float *x,
    gsize n_rows, float *x_hat);
