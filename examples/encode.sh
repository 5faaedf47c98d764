#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The whole way in a shell: train, encode, decode, look at it with numpy.
#
#   encode.sh train.npy heldout.npy output-folder/
#
# If the plugin isn't installed: GST_PLUGIN_PATH=build/plugin encode.sh …
set -euo pipefail
train=$1
heldout=$2
out=$3
mkdir -p "$out"

# Train. saesrc reads an array of shape [n, d_in], four times, each time in
# another order; the trainer takes d_in from the stream.
gst-launch-1.0 -q saesrc "location=$train" epochs=4 shuffle=true ! \
  saetrainer dict-size=1024 top-k=16 "location=$out/dictionary" ! fakesink

# Encode to the k latents of each row, as two tensors: index and value. tee
# gives the codes to both files; each branch takes its own tensor.
gst-launch-1.0 -q saesrc "location=$heldout" ! \
  saeencoder "location=$out/dictionary" codes-format=pairs ! tee name=codes \
  codes. ! queue ! saenpyenc tensor=0 ! filesink "location=$out/indices.npy" \
  codes. ! queue ! saenpyenc tensor=1 ! filesink "location=$out/values.npy"

# Encode and decode: the reconstruction. saeparse cuts a stream of bytes into
# rows, so the array might as well come from a pipe or a socket.
gst-launch-1.0 -q filesrc "location=$heldout" ! \
  saeparse rows-per-buffer=256 ! \
  saeencoder "location=$out/dictionary" ! \
  saedecoder "location=$out/dictionary" ! \
  saenpyenc ! filesink "location=$out/x_hat.npy"

"${PYTHON:-/usr/bin/python3}" - "$heldout" "$out" << 'EOF'
import sys
import numpy as np

heldout, out = sys.argv[1:]
x = np.load(heldout).astype(np.float32)
x_hat = np.load(f"{out}/x_hat.npy")
indices, values = np.load(f"{out}/indices.npy"), np.load(f"{out}/values.npy")
print("x_hat", x_hat.shape, "indices", indices.shape, "values", values.shape)
print("l0", (values > 0).sum(axis=1).mean())
fvu = np.square(x - x_hat).sum() / np.square(x - x.mean(axis=0)).sum()
print(f"held-out fvu {fvu:.4f}")
EOF
