# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains a dictionary as a run of quality.py says, by the library (through
GObject introspection) or by gst-launch-1.0, and measures it."""

import math
import subprocess
import time

import gi
import numpy as np

import measure
import rows

gi.require_version("Sae", "1.0")
from gi.repository import GLib, GObject, Sae  # noqa: E402

# Rows of a push, or of a buffer at most; any number gives the same bytes.
PUSH_ROWS = 4096


class Stream:
    """The rows that a run trains on: those of a path, in passes, until `total`
    have gone by."""

    def __init__(self, path, passes, share, shuffle):
        self.path, self.shuffle = path, shuffle
        self.x = rows.load(path)
        self.total = int(len(self.x) * passes * share)
        self.passes = math.ceil(self.total / len(self.x))
        self.ends_within_pass = self.total % len(self.x) != 0


# --- the library ---


def parse_value(pspec, text):
    """The value of a property from its text, as gst-launch-1.0 reads it."""
    kind = pspec.value_type
    if kind.is_a(GObject.TYPE_ENUM):
        values = pspec.enum_class.__enum_values__.values()
        return next(value for value in values if value.value_nick == text)
    if kind == GObject.TYPE_BOOLEAN:
        return text == "true"
    if kind == GObject.TYPE_STRING:
        return text
    return float(text) if kind == GObject.TYPE_DOUBLE else int(text)


def make_trainer(d_in, d_sae, k, properties):
    trainer = Sae.Trainer.new(d_in, d_sae, k)
    for name, text in properties.items():
        pspec = trainer.find_property(name)
        if pspec is None:
            raise LookupError(f'no property "{name}" in SaeTrainer')
        trainer.set_property(name, parse_value(pspec, str(text)))
    return trainer


def train_by_library(run, stream, seed, properties, folder):
    """Rows per second of pushing, flushing and taking the model."""
    if run.told:
        properties = properties | {"total-rows": stream.total}
    trainer = make_trainer(
        stream.x.shape[1], run.d_sae, run.k, properties | {"seed": seed}
    )
    seconds = 0
    for batch in rows.stream(
        stream.x, stream.total, PUSH_ROWS, seed, stream.shuffle
    ):
        data = GLib.Bytes.new(batch.tobytes())
        start = time.perf_counter()
        trainer.push(data)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    trainer.flush()
    model = trainer.get_model()
    seconds += time.perf_counter() - start
    model.save(str(folder))
    return stream.total / seconds


# --- gst-launch-1.0 ---


def divide(total):
    """Rows of a buffer and number of buffers that make just the total."""
    size = next(n for n in range(PUSH_ROWS, 0, -1) if total % n == 0)
    return size, total // size


def describe_source(stream, seed):
    words = ["saesrc", f"location={stream.path}", f"epochs={stream.passes}"]
    if stream.shuffle:
        words += ["shuffle=true", f"seed={seed}"]
    if stream.ends_within_pass:
        size, number = divide(stream.total)
        words += [f"rows-per-buffer={size}", f"num-buffers={number}"]
    return words


def describe_trainer(run, stream, seed, properties, folder):
    words = [
        "saetrainer", f"dict-size={run.d_sae}", f"top-k={run.k}",
        f"seed={seed}", f"location={folder}",
    ]
    # Else saesrc says how long it is.
    if run.told and stream.ends_within_pass:
        words.append(f"total-rows={stream.total}")
    return words + [f"{name}={text}" for name, text in properties.items()]


def launch(*elements, **how):
    """gst-launch-1.0 of elements, each a list of words."""
    words = ["gst-launch-1.0", "-q", *elements[0]]
    for element in elements[1:]:
        words += ["!", *element]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **how)


def finish(process):
    _, text = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(text.strip())


def train_by_launch(run, stream, seed, properties, folder):
    """Rows per second of the whole program."""
    source = describe_source(stream, seed)
    trainer = describe_trainer(run, stream, seed, properties, folder)
    start = time.perf_counter()
    if run.told:
        finish(launch(source, trainer, ["fakesink"]))
    else:
        # Raw numbers through a pipe say nothing of how many will come.
        parse = [
            "saeparse", f"input-size={stream.x.shape[1]}",
            f"dtype={stream.x.dtype}",
        ]
        writer = launch(source, ["fdsink"], stdout=subprocess.PIPE)
        reader = launch(
            ["fdsrc"], parse, trainer, ["fakesink"], stdin=writer.stdout
        )
        writer.stdout.close()
        finish(reader)
        writer.stdout = None
        finish(writer)
    return stream.total / (time.perf_counter() - start)


TRAINERS = {"library": train_by_library, "launch": train_by_launch}


# --- measuring ---


def to_array(data, dtype=np.float32):
    return np.frombuffer(data.get_data() or b"", dtype)


def measure_recovery(folder, directions):
    model = Sae.Model.load(str(folder))
    W_dec = to_array(model.get_W_dec()).reshape(model.get_d_sae(), -1)
    return measure.recovery(directions, W_dec)


def measure_quality(folder, held_out, train):
    model = Sae.Model.load(str(folder))

    def forward(x):
        x_hat, latents = model.forward(GLib.Bytes.new(x.tobytes()))
        indices = to_array(latents.get_indices(), np.uint32)
        active = indices[to_array(latents.get_values()) != 0]
        return to_array(x_hat).reshape(x.shape), active

    return measure.quality(forward, model.get_d_sae(), held_out, train)
