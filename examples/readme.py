# SPDX-License-Identifier: LGPL-2.1-or-later
import sys
import gi
import numpy as np

gi.require_version("Sae", "1.0")
from gi.repository import GLib, Sae

x = np.load(sys.argv[1]).astype(np.float32)  # [n, d_in], any .npy
rows = GLib.Bytes.new(x.tobytes())
trainer = Sae.Trainer.new(x.shape[1], 1024, 16)  # d_in, d_sae, k
trainer.props.total_rows = 4 * len(x)
for epoch in range(4):
    trainer.push(rows)
model = trainer.get_model()
x_hat, latents = model.forward(rows)
print("l0", latents.get_nnz() / len(x), "fvu", Sae.fvu(rows, x_hat, x.shape[1]))
