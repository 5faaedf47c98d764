/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SaeCheckpoint, for the trainer. */
#pragma once

#include "batch.h"
#include "sae-checkpoint.h"

/* Copies the state. @received: rows that ever came in. */
SaeCheckpoint *sae_checkpoint_new (SaeRun *run, SaeBatch *batch,
    guint64 received, GError **error);

/* A new @run and @batch in the state of the checkpoint. @options, as they were
 * set, must not contradict it. On failure nothing is made. */
gboolean sae_checkpoint_restore (SaeCheckpoint *checkpoint,
    const SaeTrainerOptions *options, SaeRun **run, SaeBatch *batch,
    GError **error);

/* sae_checkpoint_load() over bytes in memory. Without @verify the checksum is
 * not looked at, so that a fuzzer gets past it. */
SaeCheckpoint *sae_checkpoint_load_bytes (GBytes *bytes, const char *label,
    gboolean verify, GError **error);
