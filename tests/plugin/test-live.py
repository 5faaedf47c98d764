#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""model-name from the command line, and pipelines of a program in Python that
share a store.

Usage: test-live.py [/path/of/a/test ...]
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("Sae", "1.0")
    from gi.repository import GLib, Gst, Sae
except (ImportError, ValueError) as missing:
    tap.skip_all(f"no GStreamer or Sae for Python: {missing}")

Gst.init(None)
SOURCE = "saesrc location=train.npy"
TRAINER = (
    "saetrainer name=trainer dict-size=128 top-k=4 batch-size=64 seed=5 "
    "normalize=none location=out/"
)
LIVE = f"{TRAINER} model-name=m publish-interval=512"


def weights():
    return pathlib.Path("out/sae_weights.safetensors").read_bytes()


def check_values(path, rows=20000):
    values = np.load(path)
    assert values.shape == (rows, 4) and np.isfinite(values).all(), values.shape
    assert (values != 0).any()


def store_of(context):
    structure = context.get_structure()
    if hasattr(structure, "__enter__"):  # python3-gst-1.0 from 1.26 on
        structure = structure.__enter__()
    return structure.get_value("store")


@tap.test("/live/gst-launch-in-any-order")
def _():
    with launch.folder():
        launch.save_activations()
        launch.launch(f"{SOURCE} ! {TRAINER} ! fakesink")
        alone = weights()
        train = f"t. ! queue ! {LIVE} ! fakesink"
        read = (
            "t. ! queue ! saeencoder model-name=m ! saenpyenc tensor=1 ! "
            "filesink location=values.npy"
        )
        for branches in f"{train} {read}", f"{read} {train}":
            launch.launch(f"{SOURCE} ! tee name=t {branches}")
            check_values("values.npy")
            assert weights() == alone, "publishing changed what was trained"
        launch.launch(
            f"{SOURCE} ! saeencoder model-name=m ! saedecoder model-name=m ! "
            f"{LIVE} ! fakesink"
        )


@tap.test("/live/gst-launch-says-what-is-wrong")
def _():
    with launch.folder():
        launch.save_activations(train=2000)
        launch.fail(
            f"{SOURCE} ! tee name=t t. ! queue ! {LIVE} ! fakesink "
            "t. ! queue ! saeencoder model-name=n ! fakesink",
            "model 'n': nobody claims this name or has published it; known: m",
        )
        launch.fail(
            f"{SOURCE} ! {LIVE} ! saetrainer model-name=m ! fakesink",
            "model 'm': expected a name that nobody claims",
        )


def run(pipeline):
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        launch.PATIENCE * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    assert message, "no end"
    if message.type == Gst.MessageType.ERROR:
        raise AssertionError(message.parse_error()[0].message)


def encode(choice, context=None):
    """Values of the held-out rows by a pipeline of its own."""
    pipeline = Gst.parse_launch(
        f"saesrc location=heldout.npy ! saeencoder name=e {choice} ! "
        "saenpyenc tensor=1 ! filesink location=values.npy"
    )
    if context:
        pipeline.set_context(context)
    run(pipeline)
    version = pipeline.get_by_name("e").get_property("model-version")
    pipeline.set_state(Gst.State.NULL)
    check_values("values.npy", 2000)
    return np.load("values.npy"), version


@tap.test("/live/another-pipeline-with-the-same-context")
def _():
    with launch.folder():
        launch.save_activations()
        train = Gst.parse_launch(f"{SOURCE} ! {LIVE} ! fakesink")
        train.set_state(Gst.State.READY)
        context = train.get_context("sae.model-store")
        store = store_of(context)
        assert store.list_names() == ["m"] and store.get_version("m") == -1
        assert store.get_holder("m") == "trainer" and not store.lookup("m")
        assert store.get_config("m").d_sae == 128
        run(train)
        last = store.get_version("m")
        assert last == 20000 // 512 + 1, last
        live, version = encode("model-name=m", context)
        saved, none = encode("location=out/")
        assert version == last and none == -1, (version, none)
        assert np.array_equal(live, saved), "the last version is not what was saved"
        train.set_state(Gst.State.NULL)
        assert store.get_holder("m") is None
        left, version = encode("model-name=m", context)
        assert version == last and np.array_equal(left, saved)


@tap.test("/live/the-application-publishes")
def _():
    with launch.folder():
        launch.save_activations(train=100)
        reader = Gst.ElementFactory.make("saeencoder")
        reader.set_property("model-name", "m")
        pipeline = Gst.Pipeline()
        pipeline.add(reader)
        pipeline.set_state(Gst.State.READY)
        context = pipeline.get_context("sae.model-store")
        pipeline.set_state(Gst.State.NULL)
        store = store_of(context)
        for seed in range(3):
            model = Sae.Model.new(Sae.Config.new(32, 64, 4), seed, Sae.Init.TIED)
            assert store.publish("m", model) == seed
            values, version = encode("model-name=m", context)
            assert version == seed
            x = GLib.Bytes.new(np.load("heldout.npy").tobytes())
            want = np.frombuffer(model.encode(x).get_values().get_data(), np.float32)
            assert np.array_equal(values[values != 0], want)
        claim = store.claim("m", "a test", None)
        try:
            store.publish("m", model)
            raise AssertionError("published under another's name")
        except GLib.Error as error:
            assert "a test" in error.message, error.message
        claim.end()
        assert store.publish("m", model) == 3


tap.main()
