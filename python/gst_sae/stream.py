# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pipelines that take and give arrays."""

import math
import struct
import time

import numpy as np

from . import _arrays, _memory
from ._library import Error, Gst, GstApp, message_of


def _caps(widths):
    return Gst.Caps.from_string(
        f"other/tensors,format=(string)static,num_tensors=(int){len(widths)},"
        f"types=(string)\"{','.join(['float32'] * len(widths))}\","
        f"dimensions=(string)\"{','.join(f'{width}:1' for width in widths)}\","
        "framerate=(fraction)0/1"
    )


# NNStreamer's header of a flexible tensor.
_HEADER, _MAGIC = 128, 0xFEEDCCED
_TYPES = (
    "int32", "uint32", "int16", "uint16", "int8", "uint8", "float64", "float32",
    "int64", "uint64", "float16",
)
# How long a full queue is left alone before it is looked at again.
_POLL = 5 * Gst.MSECOND


class Tensors(tuple):
    """The tensors of a buffer as read-only arrays, outermost dimension first.

    They look into the buffer's own memory, which is given back when the last
    array over it is gone: copy what is kept for long, or a pool runs dry. A
    sparse tensor is two arrays, indices and values of each row with unused
    places at the end, as pairs are; these are copies.
    """

    pts = duration = offset = None


def _time(value):
    return None if value == Gst.CLOCK_TIME_NONE else value


def _shape(dimensions):
    """'384:256' → (256, 384)"""
    return tuple(int(size) for size in reversed(dimensions.split(":")))


def _static_tensors(buffer, structure):
    types = structure.get_string("types").split(",")
    shapes = [_shape(text) for text in structure.get_string("dimensions").split(",")]
    memories = buffer.n_memory()
    if memories == len(types):
        parts = [_memory.view_memory(buffer, place) for place in range(memories)]
    else:  # cut in another way: the sizes say where
        whole = _memory.view_buffer(buffer)
        sizes = [int(np.prod(s)) * np.dtype(t).itemsize for s, t in zip(shapes, types)]
        if len(whole) * sizes[0] % sum(sizes):
            raise Error(f"expected tensors in ratios of {sizes} bytes, got {len(whole)}")
        ends = [len(whole) * end // sum(sizes) for end in np.cumsum(sizes)[:-1].tolist()]
        parts = np.split(whole, ends)
    return [
        # A buffer may hold another number of rows than the caps say.
        part.view(kind).reshape(-1, *shape[1:])
        for part, kind, shape in zip(parts, types, shapes)
    ]


def _read_header(part):
    """dtype, shape and number of values of a flexible or sparse tensor"""
    if len(part) < _HEADER:
        raise Error(f"expected a tensor's header of {_HEADER} bytes, got {len(part)}")
    magic, _, kind, *sizes = struct.unpack("=III16I", part[:76].tobytes())
    if magic != _MAGIC or kind >= len(_TYPES):
        raise Error("expected the header of a tensor, got something else")
    shape = tuple(reversed(sizes[: sizes.index(0) if 0 in sizes else 16]))
    return np.dtype(_TYPES[kind]), shape, int(part[84:88].view(np.uint32)[0])


def _flexible_tensor(part):
    dtype, shape, _ = _read_header(part)
    expected = math.prod(shape) * dtype.itemsize
    if len(part) - _HEADER != expected:
        raise Error(f"expected {expected} bytes of {shape}, got {len(part) - _HEADER}")
    return part[_HEADER:].view(dtype).reshape(shape)


def _sparse_tensor(part):
    """indices and values of each row, as pairs have them: copies."""
    dtype, shape, n = _read_header(part)
    if len(part) - _HEADER != n * (dtype.itemsize + 4) or not shape:
        raise Error(f"expected {n} values and places, got {len(part) - _HEADER} bytes")
    end = _HEADER + n * dtype.itemsize
    values, places = part[_HEADER:end].view(dtype), part[end:].copy().view(np.uint32)
    n_rows, width = math.prod(shape[:-1]), shape[-1]
    if n and int(places.max()) >= n_rows * width:
        raise Error(f"expected places below {n_rows * width}, got {places.max()}")
    if n_rows > max(len(part), 1 << 24):
        raise Error(f"expected at most 2^24 rows, got {n_rows}")
    order = np.argsort(places, kind="stable")
    rows, indices = np.divmod(places[order], np.uint32(width))
    counts = np.bincount(rows, minlength=n_rows)
    pairs = _arrays.pad_rows(counts, indices, values[order])
    return [array.reshape(*shape[:-1], array.shape[1]) for array in pairs]


def _structure_of(caps):
    """With python3-gst-1.0 1.26 caps give a manager of a context for it."""
    structure = caps.get_structure(0)
    return structure.__enter__() if hasattr(structure, "__enter__") else structure


def _tensors(sample):
    buffer, caps = sample.get_buffer(), sample.get_caps()
    structure = _structure_of(caps)
    if structure.get_name() != "other/tensors":
        raise Error(f"expected tensors, got {caps.to_string()}")
    form = structure.get_string("format")
    if form == "static":
        arrays = _static_tensors(buffer, structure)
    elif form == "sparse":
        arrays = _sparse_tensor(_memory.view_buffer(buffer))
    else:
        arrays = [
            _flexible_tensor(_memory.view_memory(buffer, place))
            for place in range(buffer.n_memory())
        ]
    tensors = Tensors(arrays)
    tensors.pts, tensors.duration = _time(buffer.pts), _time(buffer.duration)
    tensors.offset = None if buffer.offset == Gst.BUFFER_OFFSET_NONE else buffer.offset
    return tensors


class _Bus:
    """Errors become exceptions, wherever they are met."""

    def __init__(self, pipeline, on_message=None):
        self.bus, self.on_message = pipeline.get_bus(), on_message
        self.ended = False

    def look(self, wait=0):
        """Takes what is there; waits for the first one at most @wait ns."""
        while message := self.bus.timed_pop_filtered(wait, Gst.MessageType.ANY):
            wait = 0
            if message.type == Gst.MessageType.ERROR:
                raise Error(message_of(message))
            if message.type == Gst.MessageType.EOS:
                self.ended = True
            if self.on_message:
                self.on_message(message)


def _new_buffer(tensors):
    """One memory a tensor [n, d], float32."""
    buffers = [
        _memory.new_buffer(
            tuple(tensor.shape), np.float32,
            lambda view, tensor=tensor: _arrays.copy_into(view, tensor),
        )
        for tensor in tensors
    ]
    whole = buffers[0]
    for buffer in buffers[1:]:
        whole = whole.append(buffer)
    return whole


class Source:
    """Pushes arrays into an appsrc; each has rows of @width numbers. With a
    @target_width, rows have targets beside them, as a second tensor.

    The rows are copied once, into the buffer, and are yours again when push()
    returns.
    """

    def __init__(self, element, width, max_bytes=1 << 24, bus=None, target_width=0):
        self.element, self.width = element, _arrays.whole("width", width, 1)
        self.max_bytes = _arrays.whole("max_bytes", max_bytes, 0)
        #: Buffers that were pushed.
        self.n_pushed = 0
        self.target_width, self._bus, self.ended = target_width, bus, False
        element.set_property("caps", _caps([width] + [target_width] * (target_width > 0)))
        element.set_property("format", Gst.Format.TIME)
        # Waiting is done here, where an error of the pipeline is seen.
        element.set_property("block", False)
        element.set_property("max-bytes", 0)

    def push(self, rows, mask=None, pts=None, target=None):
        """rows [..., width]; those where mask is 0 are left out."""
        if self.ended:
            raise Error("expected no more rows after end()")
        if (target is None) != (self.target_width == 0):
            raise ValueError(
                f"expected a target [..., {self.target_width}] with the rows, got none"
                if target is None else "expected no target: output_size is not set"
            )
        tensors = [_arrays.as_rows(rows, self.width)]
        if target is not None:
            tensors.append(_arrays.as_rows(target, self.target_width))
            if len(tensors[1]) != len(tensors[0]):
                raise ValueError(
                    f"expected a target for each of {len(tensors[0])} rows, got "
                    f"{len(tensors[1])}"
                )
        if mask is not None:
            tensors = [_arrays.keep_rows(tensor, mask) for tensor in tensors]
        self._wait()
        if len(tensors[0]) == 0:
            return
        buffer = _new_buffer(tensors)
        if pts is not None:
            buffer.pts = pts
        flow = self.element.emit("push-buffer", buffer)
        if flow != Gst.FlowReturn.OK:
            self._look()
            raise Error(f"the pipeline takes no more rows: {flow.value_nick}")
        self.n_pushed += 1

    def wait_for(self, sink):
        """Until what was pushed before has come as far as sink."""
        n = self.n_pushed
        while sink.get_property("stats").get_value("rendered") < n:
            self._look(_POLL)

    def _look(self, wait=0):
        if self._bus:
            self._bus.look(wait)
        elif wait:
            time.sleep(wait / Gst.SECOND)

    def _wait(self):
        self._look()
        while self.element.get_property("current-level-bytes") > self.max_bytes:
            self._look(_POLL)

    def end(self):
        self.ended = True
        self.element.emit("end-of-stream")


class Sink:
    """Iterates over the buffers of an appsink, as Tensors."""

    def __init__(self, element, bus=None):
        self.element, self._bus = element, bus

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            sample = self.element.emit("try-pull-sample", _POLL)
            if sample is not None:
                return _tensors(sample)
            if self._bus:
                self._bus.look()
            if self.element.get_property("eos"):
                raise StopIteration


class Stream:
    """A pipeline in the notation of gst-launch-1.0 whose end gives arrays.

        with gst_sae.Stream("saesrc location=x.npy ! saeencoder location=out") as stream:
            for indices, values in stream:
                ...

    With width=…, its beginning takes arrays, too: push(rows), then end().
    """

    def __init__(self, description, width=None, max_buffers=4):
        if width is not None:
            width = _arrays.whole("width", width, 1)
        begin = "appsrc name=gst_sae_source ! " if width else ""
        end = f" ! appsink name=gst_sae_sink sync=false max-buffers={max_buffers}"
        try:
            self.pipeline = Gst.parse_launch(begin + description + end)
        except Exception as error:
            raise Error(getattr(error, "message", str(error))) from None
        self._bus = _Bus(self.pipeline)
        self.sink = Sink(self.pipeline.get_by_name("gst_sae_sink"), self._bus)
        self.source, self._is_running = None, False
        if width:
            element = self.pipeline.get_by_name("gst_sae_source")
            self.source = Source(element, width, bus=self._bus)

    def __enter__(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        self._is_running = True
        return self

    def __exit__(self, *_):
        self._is_running = False
        self.pipeline.set_state(Gst.State.NULL)
        if self.source:
            self.source.ended = False

    def _check_running(self):
        """Its appsink would say that it has ended, and its appsrc keep all."""
        if not self._is_running:
            raise Error("the stream is not running: use it in a with block")

    def __iter__(self):
        self._check_running()
        return self.sink

    def __next__(self):
        self._check_running()
        return next(self.sink)

    def push(self, rows, mask=None, pts=None):
        self._check_running()
        self.source.push(rows, mask, pts)

    def end(self):
        self.source.end()
