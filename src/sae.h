/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_H
#define SAE_H

#include "sae-error.h"
#include "sae-checkpoint.h"
#include "sae-comparison.h"
#include "sae-edits.h"
#include "sae-enums.h"
#include "sae-examples.h"
#include "sae-latents.h"
#include "sae-metrics.h"
#include "sae-model-store.h"
#include "sae-model.h"
#include "sae-tokens.h"
#include "sae-trainer.h"

#endif /* SAE_H */
