# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training on what a program has in its hands, in a thread of its own."""

import contextlib
import difflib
import numbers
import os
import shutil
import tempfile
import warnings

from . import _arrays
from ._library import Error, Gst, make_element, message_of
from .dictionary import Dictionary
from .stream import Source, _Bus


def _text(value):
    """A property's value as GStreamer reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        for key, entry in value.items():
            if "," in f"{key}{entry}" or "=" in str(key):
                raise ValueError(f"expected an entry without a comma, got {key}={entry}")
        return ",".join(f"{key}={entry}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _number(name, pspec, value):
    """Of the kind that the property has, or an error: no bool of any text, no
    half of an integer left out. total_rows=1e6 is whole."""
    kind = pspec.value_type.name
    if kind == "gboolean":
        if str(value) not in ("True", "False", "1", "0") or isinstance(value, str):
            raise ValueError(f"{name}: expected True or False, got {value!r}")
        return bool(value)
    if not hasattr(pspec, "minimum"):
        return value
    if not isinstance(value, numbers.Real):
        raise ValueError(f"{name}: expected a number, got {value!r}")
    if not pspec.minimum <= value <= pspec.maximum:
        raise ValueError(
            f"{name}: expected {pspec.minimum} to {pspec.maximum}, got {value!r}"
        )
    if kind in ("gdouble", "gfloat"):
        return value
    if value != int(value):
        raise ValueError(f"{name}: expected a whole number, got {value!r}")
    return int(value)


def _fields(structure):
    """Of a Gst.Structure, as a dict; a structure in it as another."""
    fields = {}
    for place in range(structure.n_fields()):
        name = structure.nth_field_name(place)
        value = structure.get_value(name)
        fields[name.replace("-", "_")] = (
            _fields(value) if isinstance(value, Gst.Structure) else value
        )
    return fields


# Pipelines that a child of a fork has no threads to stop.
_of_parents = []


class Trainer:
    """Trains a dictionary on rows of d_in activations.

        with gst_sae.Trainer(768, dict_size=16384, top_k=32, location="out") as trainer:
            trainer.hook(model.layers[3])
            for batch in batches:
                model(batch)
        trainer.dictionary

    Every property of the element saetrainer is an option, with _ for -:
    `gst-inspect-1.0 saetrainer` tells of them. Set total_rows where you know
    the length of the run: the learning rate falls to 0 at its end then, and
    shuffle_rows where neighbouring rows are alike.

    Rows are trained on in another thread; push() waits where that is
    max_bytes behind. When the with block ends, so does the training: the last
    rows are trained on and the dictionary is written to location, also when an
    exception ends it, Ctrl-C for one.
    """

    def __init__(self, d_in, *, max_bytes=1 << 24, on_stats=None, **options):
        self.d_in, self.on_stats = _arrays.whole("d_in", d_in, 1), on_stats
        max_bytes = _arrays.whole("max_bytes", max_bytes, 0)
        #: Where it is not None, hooks leave out rows where it is 0: padding.
        self.mask = None
        #: The last sae-stats message, as a dict; None before the first.
        self.last_stats = None
        self._hooks, self._dictionary, self._temporary = [], None, None
        self._process = os.getpid()
        self.element = make_element("saetrainer")
        self._set(options)
        self.pipeline = Gst.Pipeline.new(None)
        source, self._sink = make_element("appsrc"), make_element("fakesink")
        for element in source, self.element, self._sink:
            self.pipeline.add(element)
        source.link(self.element)
        self.element.link(self._sink)
        self._bus = _Bus(self.pipeline, self._take_message)
        d_out = options.get("output_size") or self.d_in
        self._source = Source(
            source, self.d_in, max_bytes, self._bus, d_out if "output_size" in options else 0
        )
        self._start()

    def _set(self, options):
        if options.get("location") is None:
            options.pop("location", None)
            self._temporary = tempfile.mkdtemp(prefix="gst-sae-")
            options["location"] = os.path.join(self._temporary, "dictionary")
        names = {pspec.name for pspec in self.element.list_properties()}
        for option, value in options.items():
            name = option.replace("_", "-")
            if name not in names:
                close = difflib.get_close_matches(name, names, 1)
                hint = f"; is {close[0].replace('-', '_')} meant?" if close else ""
                raise TypeError(f"saetrainer has no property {name}{hint}")
            if value is not None:
                self._set_one(name, value)
        self.location = os.path.abspath(options["location"])

    def _set_one(self, name, value):
        pspec = self.element.find_property(name)
        # Not the default value of the pspec, which PyGObject 3.50 has as an int.
        now = self.element.get_property(name)
        nicks = getattr(now, "__enum_values__", None)
        if pspec.value_type.name == "gchararray":
            value = _text(value)
        elif nicks is not None and isinstance(value, str):
            values = {entry.value_nick: entry for entry in nicks.values()}
            if value not in values:
                raise ValueError(f"{name}: expected one of {', '.join(values)}, got {value!r}")
            value = values[value]
        else:
            value = _number(name, pspec, value)
        self.element.set_property(name, value)

    def _start(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        try:
            self._bus.look()
        except Error:
            self._stop()
            raise

    def _check_process(self):
        """A child of a fork has none of the threads that train."""
        if os.getpid() != self._process:
            raise Error("this is a child of the process that trains: push there")

    # --- rows ---

    def push(self, rows, mask=None, target=None):
        """rows [..., d_in] of numpy or torch; where mask is 0 they are left
        out. One copy is made, and the rows are yours again.

        With output_size=d_out it is a transcoder that is trained, and each row
        has a target [..., d_out]. Where that is not d_in, it needs
        layout="sparsify": SAELens' folder has no place for it."""
        if self.pipeline is None:
            raise Error("the training has ended")
        self._check_process()
        self._source.push(rows, mask, target=target)

    def train(self, arrays):
        """Pushes all of an iterable."""
        for rows in arrays:
            self.push(rows)
        return self

    def hook(self, module, select=None):
        """Pushes what a torch module puts out, whenever it does. Of a tuple
        the first element is taken; select(module, inputs, output) gives
        another tensor [..., d_in]. Returns torch's handle, for remove()."""

        def take(module, inputs, output):
            if select:
                output = select(module, inputs, output)
            elif isinstance(output, (tuple, list)):
                output = output[0]
            self.push(output, self.mask)

        handle = module.register_forward_hook(take)
        self._hooks.append(handle)
        return handle

    # --- figures ---

    def _take_message(self, message):
        if message.type == Gst.MessageType.WARNING:
            warnings.warn(message_of(message), RuntimeWarning, stacklevel=4)
        structure = message.get_structure()
        if structure and structure.get_name() == "sae-stats":
            self.last_stats = _fields(structure)
            if self.on_stats:
                self.on_stats(self.last_stats)

    @property
    def stats(self):
        """Of the whole run so far: rows, loss, fvu, l0, dead_fraction, …"""
        return _fields(self.element.get_property("stats"))

    # --- the end ---

    def save(self, path):
        """The dictionary as it is, in the middle of the run, once all that was
        pushed before has been taken."""
        self._check_process()
        if self.pipeline is not None:
            self._source.wait_for(self._sink)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            saved = self.element.emit("save", os.fspath(path))
            self._bus.look()
        if not saved:
            reason = "; ".join(str(warning.message) for warning in told)
            raise Error(f"{path}: could not be written: {reason}")
        for warning in told:
            warnings.warn(warning.message, stacklevel=2)

    def _end(self):
        """Waits until the last row is trained on and all is saved."""
        self._remove_hooks()
        self._source.end()
        while not self._bus.ended:
            self._bus.look(100 * Gst.MSECOND)

    def finish(self):
        """Trains on what is left, saves, and gives the Dictionary."""
        if self.pipeline is not None:
            self._check_process()
            try:
                self._end()
                self._check_trained()
                if self.element.get_property("steps") == 0:  # it has measured
                    self.location = self.element.get_property("init-location")
            finally:
                self._stop()
        return self.dictionary

    def _check_trained(self):
        if self.element.get_property("steps") > 0 or self.element.props.frozen:
            return
        if skipped := self.stats["skipped_rows"]:
            raise Error(
                f"nothing was trained: all {skipped} rows were skipped because of a "
                "NaN or an infinity or a gradient too large for float32"
            )
        raise Error("nothing was trained: no rows to train on were pushed")

    @property
    def dictionary(self):
        """What was trained, once it has ended."""
        if self._dictionary is None:
            if self.pipeline is not None:
                raise Error("the training has not ended: finish() ends it")
            if self.location is None:  # frozen, and from no dictionary
                return None
            self._dictionary = Dictionary.load(self.location)
            self._remove_temporary()
        return self._dictionary

    def _remove_hooks(self):
        for handle in self._hooks:
            handle.remove()
        self._hooks = []

    def _stop(self):
        """Saves what was trained, when it has not been."""
        self._remove_hooks()
        if self.pipeline is not None:
            pipeline, self.pipeline = self.pipeline, None
            if os.getpid() == self._process:
                pipeline.set_state(Gst.State.NULL)
            else:
                _of_parents.append(pipeline)

    def _remove_temporary(self):
        if self._temporary and os.getpid() == self._process:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self.finish()
            except Error:
                self._remove_temporary()
                raise
        else:
            try:
                if not isinstance(error, Error) and self.pipeline is not None:
                    self._end_quietly()
            finally:
                self._stop()
                self._remove_temporary()

    def _end_quietly(self):
        """What ended the block is told, and nothing that comes after it."""
        self.on_stats = None
        if os.getpid() == self._process:
            with contextlib.suppress(Error):
                self._end()

    def __del__(self):
        if getattr(self, "pipeline", None) is not None:
            self._stop()
        if getattr(self, "_temporary", None):
            self._remove_temporary()
