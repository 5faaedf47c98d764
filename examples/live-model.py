#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains in one pipeline and reads in another.

    live-model.py TRAIN.npy HELDOUT.npy

While the first pipeline trains on TRAIN.npy, the second sends HELDOUT.npy
through the dictionary as it is by then, again and again: how well it does on
rows that it has not seen is printed as it gets better.
"""

import sys

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("Sae", "1.0")
from gi.repository import GLib, Gst, Sae  # noqa: E402

Gst.init(None)
train_npy, heldout_npy = sys.argv[1:]
heldout = np.load(heldout_npy).astype(np.float32)
rows = GLib.Bytes.new(heldout.tobytes())

train = Gst.parse_launch(
    "saesrc name=source epochs=6 shuffle=true ! "
    "saetrainer name=trainer model-name=live dict-size=1024 top-k=32 "
    "batch-size=256 ! fakesink"
)
train.get_by_name("source").set_property("location", train_npy)
read = Gst.parse_launch(
    "saesrc name=source rows-per-buffer=512 ! saeencoder model-name=live ! "
    "saedecoder name=decoder model-name=live ! fakesink name=sink"
)
read.get_by_name("source").set_property("location", heldout_npy)

# The trainer's pipeline makes the store of live models; the other one gets it.
train.set_state(Gst.State.READY)
context = train.get_context("sae.model-store")
read.set_context(context)
structure = context.get_structure()
if hasattr(structure, "__enter__"):  # python3-gst-1.0 from 1.26 on
    structure = structure.__enter__()
store = structure.get_value("store")


def wait_for(pipeline):
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    if message.type == Gst.MessageType.ERROR:
        sys.exit(message.parse_error()[0].message)


def encode_heldout():
    """A pass through the second pipeline; returns when it is over."""
    read.set_state(Gst.State.PLAYING)
    wait_for(read)
    version = read.get_by_name("decoder").get_property("model-version")
    read.set_state(Gst.State.READY)
    return version


def report(version):
    # The application reads as the elements do, and may be a version ahead.
    model, latest = store.request("live", heldout.shape[1])
    x_hat = model.forward(rows)[0]
    fvu = Sae.fvu(rows, x_hat, model.get_d_out())
    print(f"read with version {version}; {latest} has a held-out fvu {fvu:.4f}")


train.set_state(Gst.State.PLAYING)
bus = train.get_bus()
while not bus.pop_filtered(Gst.MessageType.EOS | Gst.MessageType.ERROR):
    report(encode_heldout())
report(encode_heldout())
train.set_state(Gst.State.NULL)
read.set_state(Gst.State.NULL)
