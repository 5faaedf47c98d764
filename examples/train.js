#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// JavaScript without a pipeline: trains a dictionary on rows that are sparse
// sums of hidden directions, and runs it.
//
//   GI_TYPELIB_PATH=build/src LD_LIBRARY_PATH=build/src gjs examples/train.js
imports.gi.versions.Sae = "1.0";
const { GLib, Sae } = imports.gi;

const D_IN = 48, D_SAE = 256, K = 8, N_ROWS = 4096;

// [n, d] numbers in [-1, 1)
const uniform = (n, d) =>
  Float32Array.from({ length: n * d }, () => 2 * Math.random() - 1);

const directions = uniform(128, D_IN);
const rows = new Float32Array(N_ROWS * D_IN); // [N_ROWS, D_IN]
for (let row = 0; row < N_ROWS; row++)
  for (let active = 0; active < 5; active++) {
    const direction = Math.floor(Math.random() * 128) * D_IN;
    for (let j = 0; j < D_IN; j++)
      rows[row * D_IN + j] += directions[direction + j];
  }

const x = GLib.Bytes.new(new Uint8Array(rows.buffer));
const trainer = Sae.Trainer.new(D_IN, D_SAE, K);
trainer.batch_size = 256;
trainer.total_rows = 20 * N_ROWS; // for the warm-up and the end of the rate
for (let epoch = 0; epoch < 20; epoch++)
  trainer.push(x, null);
trainer.flush();

const model = trainer.get_model();
const [x_hat, latents] = model.forward(x);
print(`latents of row 0: ${latents.get_row_indices(0)}`);
print(`l0 ${latents.get_nnz() / N_ROWS}, fvu ${Sae.fvu(x, x_hat, D_IN)}`);
