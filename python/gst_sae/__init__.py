# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sparse autoencoders on streams of activations.

    with gst_sae.Trainer(768, dict_size=16384, top_k=32, location="out") as trainer:
        trainer.hook(model.layers[3])
        for batch in batches:
            model(batch)
    indices, values = trainer.dictionary.encode(x)

Trainer and Stream are pipelines of GStreamer; Dictionary is the C library
without one. Arrays are numpy's or torch's, of any floating type.
"""

from ._library import Gst, GLib, Sae, Error
from .dictionary import Comparison, Dictionary
from .stream import Sink, Source, Stream, Tensors
from .trainer import Trainer

__all__ = [
    "Comparison", "Dictionary", "Error", "GLib", "Gst", "Sae", "Sink", "Source",
    "Stream", "Tensors", "Trainer",
]
__version__ = "0.1.0"
