# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrays of numpy into pipelines and out of them, by appsrc and appsink."""

import contextlib
import re
import socket
import subprocess
import time

import gi
import numpy as np

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PATIENCE = 60
NAMES = {
    np.dtype(name): name
    for name in ("float32", "float64", "float16", "uint32", "int32", "uint8")
}


def has(*elements):
    return all(Gst.ElementFactory.find(element) for element in elements)


def find_missing(*elements):
    return [name for name in elements if not Gst.ElementFactory.find(name)]


def static_caps(*arrays):
    """Caps of one static tensor for each array [n, d]."""
    dims = ",".join(f"{array.shape[1]}:{array.shape[0]}" for array in arrays)
    types = ",".join(NAMES[array.dtype] for array in arrays)
    return (
        f"other/tensors,format=(string)static,num_tensors=(int){len(arrays)},"
        f'types=(string)"{types}",dimensions=(string)"{dims}",'
        "framerate=(fraction)0/1"
    )


def wrap(*arrays):
    """(transfer full) a buffer with one memory an array; copies."""
    buffer = Gst.Buffer.new()
    for array in arrays:
        data = GLib.Bytes.new(np.ascontiguousarray(array).tobytes())
        buffer = buffer.append(Gst.Buffer.new_wrapped_bytes(data))
    return buffer


def list_codes():
    """Nicks of the forms that codes have, less auto."""
    text = subprocess.run(
        ["gst-inspect-1.0", "saeencoder"], capture_output=True, text=True
    ).stdout
    values = text.partition("codes-format")[2].partition("\n\n")[0]
    values = values.partition("GstSaeCodesFormat")[2].splitlines()[1:]
    nicks = []
    for line in values:
        match = re.match(r"\s+\(\d+\): (\S+)", line)
        if not match:
            break
        nicks.append(match[1])
    assert {"auto", "pairs", "dense"} <= set(nicks), text
    return [nick for nick in nicks if nick != "auto"]


def dimensions(sample):
    """What the caps say; bindings differ in how they show a structure."""
    text = sample.get_caps().to_string().replace("\\", "")
    return re.search(r'dimensions=\(string\)"?([0-9:,]+?)"?(?:, |;|$)', text)[1]


def read(buffer):
    """The bytes of all of a buffer's memories."""
    return buffer.extract_dup(0, buffer.get_size())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Failed(Exception):
    """The ERROR of a pipeline."""


class Pipeline:
    """A pipeline that ends with the block; `in` and `out` are its ends."""

    def __init__(self, description):
        self.pipeline = Gst.parse_launch(description)
        self.source = self.pipeline.get_by_name("in")
        self.sink = self.pipeline.get_by_name("out")

    def __enter__(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        return self

    def __exit__(self, *_):
        self.pipeline.set_state(Gst.State.NULL)

    def __getitem__(self, name):
        return self.pipeline.get_by_name(name)

    def push(self, buffer):
        flow = self.source.emit("push-buffer", buffer)
        assert flow == Gst.FlowReturn.OK, flow

    def end(self):
        self.source.emit("end-of-stream")

    def pull(self):
        """The next sample, or None at the end."""
        sample = self.sink.emit("try-pull-sample", PATIENCE * Gst.SECOND)
        if sample is None:
            self.check()
            assert self.sink.props.eos, "nothing came"
        return sample

    def pull_all(self):
        samples = []
        while (sample := self.pull()) is not None:
            samples.append(sample)
        return samples

    def check(self):
        message = self.pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        if message:
            error, debug = message.parse_error()
            raise Failed(f"{error.message}\n{debug}")

    def wait(self):
        """Until EOS; an ERROR is raised."""
        message = self.pipeline.get_bus().timed_pop_filtered(
            PATIENCE * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
        )
        assert message is not None, "neither EOS nor ERROR came"
        if message.type == Gst.MessageType.ERROR:
            error, debug = message.parse_error()
            raise Failed(f"{error.message}\n{debug}")


@contextlib.contextmanager
def patience(what):
    """Calls in the block may be repeated until the time is up."""
    deadline = time.monotonic() + PATIENCE

    def wait():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)

    yield wait
