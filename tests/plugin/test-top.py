#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""saetop from the command line, on a dictionary of SAELens', beside NumPy."""

import json
import os
import pathlib
import signal
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402
from strongest import HOSTILE, expected, same  # noqa: E402

GOLDENS = pathlib.Path(os.environ["SAE_GOLDENS"])
TOPK = GOLDENS / "saelens-topk-bdec1-rescale0"
STANDARD = GOLDENS / "saelens-standard-bdec0"


def read(path="top.json"):
    return json.loads(pathlib.Path(path).read_text())


def run(golden, codes="", top="", options=""):
    """Codes of the golden's own rows through saetop, with three rows around."""
    launch.launch(
        f"saesrc location={golden}/x.npy {options} ! saeencoder location={golden} {codes}"
        f" ! saetop model-location={golden} per-latent=4 context=3 location=top.json {top}"
        " ! fakesink")


def close(got, golden):
    """The golden's latents are of another order of sums: the last bits of ours
    differ, which may turn the order of nearly equal ones round."""
    want = list(expected(np.load(golden / "latents.npy"), 4, 3))
    assert [g["index"] for g in got] == [w["index"] for w in want]
    for g, w in zip(got, want):
        assert g["fired"] == w["fired"]
        assert abs(g["max"] - w["max"]) < 1e-5 and abs(g["mean"] - w["mean"]) < 1e-5
        values = [e["value"] for e in g["examples"]]
        assert np.allclose(values, [e["value"] for e in w["examples"]], atol=1e-5)
        if np.min(-np.diff(values), initial=1) > 1e-4:
            rows = [e["row"] for e in g["examples"]]
            assert rows == [e["row"] for e in w["examples"]], (g["index"], rows)


@tap.test("/top/golden-as-numpy")
def _():
    for golden in TOPK, STANDARD:
        with launch.folder():
            run(golden)
            document = read()
            assert document["rows"] == 40 and document["d_sae"] == 320
            close(document["latents"], golden)


@tap.test("/top/our-codes-as-numpy")
def _():
    with launch.folder():
        tokens = [f"{word}{i}" for i, word in enumerate(HOSTILE[:7] * 6)][:40]
        pathlib.Path("tokens.json").write_text(json.dumps(tokens))
        launch.launch(
            f"saesrc location={TOPK}/x.npy ! saeencoder location={TOPK} ! tee name=t"
            " t. ! queue ! saenpyenc tensor=0 ! filesink location=indices.npy"
            " t. ! queue ! saenpyenc tensor=1 ! filesink location=values.npy"
            f" t. ! queue ! saetop model-location={TOPK} per-latent=4 context=3"
            " tokens-location=tokens.json location=top.json page-location=top.html"
            " ! fakesink")
        dense = np.zeros((40, 320), np.float32)
        values = np.load("values.npy")
        rows = np.repeat(np.arange(40), values.shape[1])
        np.add.at(dense, (rows, np.load("indices.npy").ravel()), values.ravel())
        same(read()["latents"], list(expected(dense, 4, 3, tokens)))
        page = pathlib.Path("top.html").read_text()
        assert page.count("<script") == 5


@tap.test("/top/same-bytes-in-any-form-and-cut")
def _():
    texts = set()
    for codes, options in {
        ("", ""), ("", "rows-per-buffer=7"), ("codes-format=dense", ""),
        ("codes-format=dense", "rows-per-buffer=1"), ("codes-format=pairs", "rows-per-buffer=40"),
    }:
        with launch.folder():
            run(TOPK, codes=codes, options=options)
            texts.add(pathlib.Path("top.json").read_text())
    assert len(texts) == 1


@tap.test("/top/interrupt-loses-nothing")
def _():
    with launch.folder():
        x = np.load(TOPK / "x.npy")
        np.save("x.npy", np.tile(x, (50, 1)))
        # Rows that come slowly, without an end.
        with launch.start(
            f"saesrc location=x.npy rows-per-buffer=10 rate=1000/1 ! saeencoder location={TOPK}"
            f" ! saetop model-location={TOPK} location=top.json ! fakesink sync=true",
            options="-m",
        ) as process:
            launch.read_until(process, "PLAYING")
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=launch.PATIENCE)
        assert 0 < read()["rows"] <= 2000


@tap.test("/top/says-what-to-set")
def _():
    with launch.folder():
        printed = launch.fail(
            f"saesrc location={TOPK}/x.npy ! saeencoder location={TOPK} ! saetop ! fakesink",
            "model-location")
        assert "dict-size" in printed


tap.main()
