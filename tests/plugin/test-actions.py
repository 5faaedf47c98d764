# SPDX-License-Identifier: LGPL-2.1-or-later
"""saetrainer's actions as a program in Python calls them.

Usage: test-actions.py [/path/of/a/test ...]
"""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))

import tap

try:
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst
except (ImportError, ValueError) as missing:
    tap.skip_all(f"no GStreamer for Python: {missing}")

import numpy as np

Gst.init(None)
CAPS = (
    "other/tensors,format=(string)static,num_tensors=(int)1,"
    "types=(string)float32,dimensions=(string)16:64,framerate=(fraction)0/1"
)


class Playing:
    """A pipeline that trains on what is pushed."""

    def __enter__(self):
        self.pipeline = Gst.parse_launch(
            f"appsrc name=in format=time caps={CAPS} ! "
            "saetrainer name=t dict-size=64 top-k=4 batch-size=32 "
            "normalize=none ! fakesink sync=false"
        )
        self.trainer = self.pipeline.get_by_name("t")
        self.source = self.pipeline.get_by_name("in")
        self.pipeline.set_state(Gst.State.PLAYING)
        return self

    def __exit__(self, *_):
        self.pipeline.set_state(Gst.State.NULL)

    def train(self, seed):
        rows = np.random.default_rng(seed).normal(size=(64, 16))
        before = self.trainer.props.rows
        buffer = Gst.Buffer.new_wrapped(rows.astype(np.float32).tobytes())
        self.source.emit("push-buffer", buffer)
        deadline = time.monotonic() + 60
        while self.trainer.props.rows == before:
            assert time.monotonic() < deadline, "no rows were trained on"
            time.sleep(0.001)

    def warning(self):
        bus = self.pipeline.get_bus()
        message = bus.timed_pop_filtered(5 * Gst.SECOND, Gst.MessageType.WARNING)
        return message.parse_warning()[0].message


def weights(folder):
    with open(os.path.join(folder, "sae_weights.safetensors"), "rb") as file:
        return file.read()


@tap.test("/python/actions/save-load-reset")
def _():
    with tempfile.TemporaryDirectory() as folder, Playing() as playing:
        first, second, third, fourth = (
            os.path.join(folder, name) for name in "abcd"
        )
        playing.train(1)
        assert playing.trainer.emit("save", first) is True
        playing.train(2)
        assert playing.trainer.emit("save", second) is True
        assert weights(first) != weights(second)
        assert playing.trainer.emit("load", first) is True
        assert playing.trainer.emit("save", third) is True
        assert weights(third) == weights(first)
        playing.trainer.emit("reset")
        assert playing.trainer.props.steps == 0
        playing.train(1)
        assert playing.trainer.emit("save", fourth) is True
        assert weights(fourth) == weights(first)


@tap.test("/python/actions/false-and-a-warning")
def _():
    with tempfile.TemporaryDirectory() as folder, Playing() as playing:
        nowhere = os.path.join(folder, "nothing")
        playing.train(1)
        assert playing.trainer.emit("load", nowhere) is False
        assert nowhere in playing.warning()


tap.main()
