/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sae-error.h"
#include "sae-checkpoint.h"
<<<<<<< HEAD
#include "sae-edits.h"
=======
#include "sae-comparison.h"
>>>>>>> 3b1c14b (model: sae_model_compare(), the best cosine of each latent in another dictionary)
#include "sae-enums.h"
#include "sae-examples.h"
#include "sae-latents.h"
#include "sae-metrics.h"
#include "sae-model.h"
<<<<<<< HEAD
#include "sae-model-store.h"
=======
#include "sae-tokens.h"
>>>>>>> 69959da (model: the strongest examples of each latent, as JSON and as one page of HTML)
#include "sae-trainer.h"
