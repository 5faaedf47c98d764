#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole path from the command line, and numpy to judge it."""

import json
import os
import pathlib
import re
import signal
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402

TRAINER = "saetrainer dict-size=128 top-k=4 batch-size=64 seed=5 location=out/"


def weights(folder):
    return (pathlib.Path(folder) / "sae_weights.safetensors").read_bytes()


def train(epochs=6):
    launch.save_activations()
    launch.launch(
        f"saesrc location=train.npy epochs={epochs} shuffle=true ! {TRAINER} ! fakesink"
    )


@tap.test("/pipelines/saesrc-trains-and-saves")
def _():
    with launch.folder():
        train()
        config = json.loads(pathlib.Path("out/cfg.json").read_text())
        assert config["d_in"] == 32 and config["d_sae"] == 128, config
        assert len(weights("out")) > 2 * 32 * 128 * 4


@tap.test("/pipelines/saeparse-trains-the-same-bytes-as-saesrc")
def _():
    with launch.folder():
        launch.save_activations()
        launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")
        by_source = weights("out")
        launch.launch(
            "filesrc location=train.npy ! saeparse rows-per-buffer=256 ! "
            f"{TRAINER} ! fakesink"
        )
        assert weights("out") == by_source
        launch.launch(
            "filesrc location=train.npy blocksize=1000 ! saeparse rows-per-buffer=7 "
            f"! queue ! {TRAINER} n-threads=1 ! fakesink"
        )
        assert weights("out") == by_source


@tap.test("/pipelines/reconstruction-is-good-and-numpy-loads-it")
def _():
    with launch.folder():
        train()
        launch.launch(
            "saesrc location=heldout.npy ! saeencoder location=out/ ! "
            "saedecoder location=out/ ! saenpyenc ! filesink location=xhat.npy"
        )
        x, x_hat = np.load("heldout.npy"), np.load("xhat.npy")
        assert x_hat.shape == (2000, 32) and x_hat.dtype == np.float32
        unexplained = launch.fvu(x, x_hat)
        # Three of 96 directions and 128 latents: an untrained one has 0.7.
        assert unexplained < 0.25, unexplained


@tap.test("/pipelines/codes-of-both-formats-are-the-same")
def _():
    with launch.folder():
        train(epochs=1)
        source = "saesrc location=heldout.npy rows-per-buffer=300 ! saeencoder location=out/"
        for tensor in 0, 1:
            launch.launch(
                f"{source} ! saenpyenc tensor={tensor} ! filesink location=pairs{tensor}.npy"
            )
        launch.launch(
            f"{source} ! 'other/tensors,format=(string)static,num_tensors=(int)1' ! "
            "saenpyenc ! filesink location=dense.npy"
        )
        index, value = np.load("pairs0.npy"), np.load("pairs1.npy")
        dense = np.load("dense.npy")
        assert index.shape == value.shape == (2000, 4), index.shape
        assert index.dtype == np.uint32 and dense.shape == (2000, 128)
        scattered = np.zeros_like(dense)
        np.add.at(scattered, (np.arange(2000)[:, None], index), value)
        assert np.array_equal(scattered, dense)


def save_wide_rows():
    """heldout.npy in float16 and float64: no edit may touch what is left."""
    x = np.load("heldout.npy")
    np.save("half.npy", x.astype(np.float16))
    np.save("double.npy", x.astype(np.float64) * (1 + 1e-12))


@tap.test("/pipelines/steering-edits-latents")
def _():
    with launch.folder():
        launch.save_activations()
        save_wide_rows()
        launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")
        source = "saesrc location={} ! {} ! saenpyenc ! filesink location=y.npy"
        launch.launch(
            source.format("heldout.npy", "saeencoder location=out codes-format=dense")
        )
        latents = np.load("y.npy")
        latent = int(np.argmax((latents > 0).sum(axis=0)))
        touched = latents[:, latent] > 0
        assert 0 < touched.sum() < len(touched)
        for name in "heldout.npy", "half.npy", "double.npy":
            x = np.load(name)
            for steer in (
                f"saesteer location=out latents='{latent}:*0'",
                f"saesteer location=out latent-{latent}::scale=0",
                f"saesteer location=out latents='{latent}:<0'",
            ):
                launch.launch(source.format(name, steer))
                y = np.load("y.npy")
                assert y.dtype == x.dtype
                changed = (y.view(np.uint8) != x.view(np.uint8)).any(axis=1)
                if name == "heldout.npy":
                    assert (changed == touched).all(), steer
                assert (changed != touched).mean() < 0.01, (name, steer)


@tap.test("/pipelines/steering-gives-the-error")
def _():
    with launch.folder():
        launch.save_activations()
        launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")
        launch.launch(
            "saesrc location=heldout.npy ! tee name=t "
            "t. ! queue ! saesteer location=out output=error ! saenpyenc ! "
            "filesink location=error.npy "
            "t. ! queue ! saeencoder location=out ! saedecoder location=out ! "
            "saenpyenc ! filesink location=x_hat.npy"
        )
        x, x_hat = np.load("heldout.npy"), np.load("x_hat.npy")
        assert (np.load("error.npy") == x - x_hat).all()
TENSORS = "other/tensors,format=(string)"
FORMS = {
    "pairs": TENSORS + "static,num_tensors=(int)2",
    "sparse": TENSORS + "sparse",
    "dense": TENSORS + "static,num_tensors=(int)1",
    "flexible": TENSORS + "flexible",
}


def has_elements(*names):
    return all(
        os.system(f"gst-inspect-1.0 --exists {name} > /dev/null") == 0 for name in names
    )


@tap.test("/pipelines/codes-of-every-form-decode-to-the-same-file")
def _():
    with launch.folder():
        train(epochs=1)
        lines = ["{0}"]
        if has_elements("gdppay", "gdpdepay"):
            lines.append("{0} ! gdppay ! gdpdepay")
        encoder = "saesrc location=heldout.npy rows-per-buffer=300 ! saeencoder location=out"
        decoder = "saedecoder location=out ! saenpyenc ! filesink location={0}.npy"
        launch.launch(f"{encoder} ! {decoder.format('auto')}")
        want = np.load("auto.npy")
        assert want.shape == (2000, 32)
        for name, caps in FORMS.items():
            for line in lines:
                way = line.format(f"'{caps}'")
                launch.launch(f"{encoder} ! {way} ! {decoder.format(name)}")
                assert np.array_equal(np.load(f"{name}.npy"), want), (name, line)


def read_sparse(data, n_rows):
    """The dense array that sparse buffers, one behind the other, stand for."""
    rows = []
    while data:
        header = np.frombuffer(data, "<u4", 32)
        assert header[:3].tolist() == [0xFEEDCCED, 0xDE001000, 7], header
        assert header[19:21].tolist() == [2, 4] and not header[22:].any(), header
        width, n, nnz = int(header[3]), int(header[4]), int(header[21])
        place = np.frombuffer(data, "<u4", nnz, 128 + 4 * nnz)
        assert (np.diff(place.astype(np.int64)) > 0).all()
        dense = np.zeros(n * width, np.float32)
        dense[place] = np.frombuffer(data, "<f4", nnz, 128)
        rows.append(dense.reshape(n, width))
        data = data[128 + 8 * nnz :]
    dense = np.concatenate(rows)
    assert len(dense) == n_rows, dense.shape
    return dense


@tap.test("/pipelines/sparse-codes-are-as-documented")
def _():
    with launch.folder():
        launch.save_activations()
        for rule in "top-k", "l1":
            launch.launch(
                "saesrc location=train.npy ! saetrainer dict-size=128 batch-size=64 "
                f"sparsity={rule} location=out ! fakesink"
            )
            encoder = "saesrc location=heldout.npy rows-per-buffer=300 ! saeencoder location=out"
            launch.launch(f"{encoder} codes-format=sparse ! filesink location=codes.bin")
            launch.launch(
                f"{encoder} codes-format=dense ! saenpyenc ! filesink location=dense.npy"
            )
            launch.launch(
                f"{encoder} codes-format=sparse ! saenpyenc ! filesink location=again.npy"
            )
            dense = np.load("dense.npy")
            data = pathlib.Path("codes.bin").read_bytes()
            assert len(data) == 7 * 128 + 8 * np.count_nonzero(dense)
            assert np.array_equal(read_sparse(data, 2000), dense), rule
            assert np.array_equal(np.load("again.npy"), dense), rule


@tap.test("/pipelines/tee-trains-and-encodes-at-once")
def _():
    with launch.folder():
        launch.save_activations()
        launch.launch(
            f"saesrc location=train.npy ! tee name=t t. ! queue ! {TRAINER} ! fakesink "
            "t. ! queue ! saeencoder dict-size=64 top-k=4 ! saenpyenc ! "
            "filesink location=index.npy"
        )
        assert np.load("index.npy").shape == (20000, 4)
        beside = weights("out")
        launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")
        assert weights("out") == beside


def final_line(path):
    """The last line of a log: all but what depends on the clock."""
    line = json.loads(pathlib.Path(path).read_text().splitlines()[-1])
    assert line["final"] is True, line
    del line["total"]["rows-per-second"]
    return line["element"], line["total"]


@tap.test("/pipelines/four-trainers-on-a-tee-train-the-same-bytes-as-alone")
def _():
    with launch.folder():
        launch.save_activations()
        trainers = {
            "a": "top-k=2",
            "b": "top-k=8",
            "c": "top-k=4 seed=9",
            "d": "sparsity=l1 l1-coeff=0.5 decoder-norm=unit",
        }
        source = "saesrc location=train.npy shuffle=true"
        trainer = (
            "saetrainer name={0} dict-size=128 batch-size=64 {1} "
            "location={2}{0} log-location={2}{0}.jsonl ! fakesink"
        )
        branches = (
            "t. ! queue ! " + trainer.format(name, options, "side-")
            for name, options in trainers.items()
        )
        launch.launch(f"{source} ! tee name=t {' '.join(branches)}")
        for name, options in trainers.items():
            launch.launch(f"{source} ! {trainer.format(name, options, 'alone-')}")
            assert weights(f"side-{name}") == weights(f"alone-{name}"), name
            alone = final_line(f"alone-{name}.jsonl")
            assert final_line(f"side-{name}.jsonl") == alone, name
            assert alone[0] == name and alone[1]["rows"] == 20000, alone


@tap.test("/pipelines/messages-tell-the-metrics")
def _():
    with launch.folder():
        launch.save_activations()
        printed = launch.launch(
            f"saesrc location=train.npy ! {TRAINER} ! fakesink", options="-m"
        )
        finals = re.findall(r"sae-stats.*final=\(boolean\)true.*", printed)
        assert len(finals) == 1, printed
        assert "total-rows=(guint64)20000" in finals[0], finals[0]


def interrupt(pipeline, options):
    """Starts it, and presses Ctrl-C when it has trained for a while."""
    with launch.start(pipeline, "-m " + options) as process:
        printed = launch.read_until(process, "sae-stats")
        process.send_signal(signal.SIGINT)
        return printed + launch.read_until(process, "Freeing pipeline")


@tap.test("/pipelines/ctrl-c-loses-nothing")
def _():
    with launch.folder():
        launch.save_activations()
        trainer = TRAINER + " stats-interval=200000000"
        n = 0
        for source in (
            "saesrc location=train.npy epochs=100000",
            "multifilesrc location=train.npy loop=true ! saeparse rows-per-buffer=256",
        ):
            for options in "", "-e":
                printed = interrupt(f"{source} ! {trainer} ! fakesink", options)
                assert weights("out"), printed
                assert "ERROR" not in printed, printed
                launch.launch(
                    "saesrc location=heldout.npy ! saeencoder location=out/ ! fakesink"
                )
                launch.run("rm -r out")
                n += 1
        tap.fault(15, n, n)


@tap.test("/pipelines/what-is-wrong-is-said")
def _():
    with launch.folder():
        launch.save_activations()
        np.save("wide.npy", launch.activations(10, 48))
        launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")
        cases = (
            ("saesrc location=gone.npy ! fakesink", "gone.npy"),
            ("saesrc location=heldout.npy ! saeencoder location=gone ! fakesink", "gone"),
            (
                "saesrc location=heldout.npy ! saesteer location=out latents=3 ! fakesink",
                "expected ':' after the index",
            ),
            (
                "saesrc location=heldout.npy ! saesteer location=out "
                "latents='128:*0' ! fakesink",
                "expected indices below dict-size 128, got 128",
            ),
            (
                "saesrc location=wide.npy ! saeencoder location=out ! fakesink",
                "expected rows of 32 (input-size), got rows of 48",
            ),
            (
                "saesrc location=wide.npy ! saeencoder ! saedecoder location=out ! fakesink",
                "expected indices below dict-size 128",
            ),
            (
                "saesrc location=train.npy ! saetrainer location=train.npy ! fakesink",
                "train.npy",
            ),
            (
                "fakesrc sizetype=fixed sizemax=64 ! "
                "other/tensors,format=static,num_tensors=1,types=float32,dimensions=16 "
                "! saetrainer ! fakesink",
                "dimensions=(string)",
            ),
        )
        for pipeline, part in cases:
            printed = launch.fail(pipeline, part)
            assert "CRITICAL" not in printed, printed


@tap.test("/pipelines/killed-while-it-writes-leaves-a-whole-dictionary")
def _():
    with launch.folder():
        launch.save_activations(train=2000)
        for wait in range(6):
            with launch.start(f"saesrc location=train.npy ! {TRAINER} ! fakesink") as process:
                time.sleep(0.05 * wait)
                process.kill()
            if os.path.exists("out"):
                launch.launch(
                    "saesrc location=heldout.npy ! saeencoder location=out ! fakesink"
                )


tap.main()
