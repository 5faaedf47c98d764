/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * saetrainer beside the library fed with the same rows: they must write the
 * same bytes. */
#pragma once

#include "sae-trainer.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4
#define BATCH 8

typedef struct {
  gchar *folder;
  gchar *got;  /* where the element writes */
  gchar *want; /* where the library does */
} Training;

void training_set_up (Training *training, gconstpointer data);
void training_tear_down (Training *training, gconstpointer data);

/* Adds @test at @path with folders of its own. */
#define training_add(path, test)                                               \
  g_test_add (path, Training, NULL, training_set_up, test, training_tear_down)

/* An element and a library's trainer with the same options: D, F, K, BATCH,
 * seed 3 and no normalisation. */
Stream training_stream (Training *training);
SaeTrainer *training_reference (void);

/* Pushes @n rows to the library. */
void training_push (SaeTrainer *trainer, const float *x, const float *target,
    gsize n);
/* Ends and saves the library's run. */
void training_finish (Training *training, SaeTrainer *trainer);

/* Sends EOS, and asserts that the element wrote the bytes of the library. */
void training_expect_equal (Training *training, Stream *stream);
/* The same without EOS. */
void training_expect_same_files (Training *training);

/* The final sae-stats on the bus; there must be exactly one. */
GstStructure *training_final_stats (Stream *stream);
