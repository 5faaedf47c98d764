# SPDX-License-Identifier: LGPL-2.1-or-later
"""NNStreamer's own elements before and behind ours.

Skipped where there are none (nnstreamer.py says where they may be). Judges are
numpy and what our elements do alone.

Usage: test-nnstreamer.py FOLDER-OF-SYSTEM-PLUGINS
"""

import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "python"))
sys.path.insert(0, str(HERE.parent / "plugin"))
import nnstreamer  # noqa: E402
import tap  # noqa: E402

if not nnstreamer.use(sys.argv.pop(1)):
    tap.skip_all("no NNStreamer (tests/interop/prepare-nnstreamer.sh builds it)")

import launch  # noqa: E402
import numpy as np  # noqa: E402

inspected = subprocess.run(
    ["gst-inspect-1.0", "nnstreamer"], capture_output=True, text=True
).stdout
codes_formats = subprocess.run(
    ["gst-inspect-1.0", "saeencoder"], capture_output=True, text=True
).stdout

D_IN, D_SAE, K, N = 32, 128, 4, 1000
TRAINER = f"saetrainer dict-size={D_SAE} top-k={K} batch-size=64 seed=5"
CONVERT = (
    "filesrc location=heldout.raw blocksize=3200 ! application/octet-stream ! "
    "tensor_converter input-dim=32:25 input-type=float32"
)
DECODE = "saedecoder location=out ! saenpyenc ! filesink location="
# tensor_sparse_enc says no caps, and tensor_sparse_dec takes those that follow.
SPARSE = "'other/tensors,format=(string)sparse,framerate=(fraction)0/1'"
DENSE = (
    "'other/tensors,format=(string)static,num_tensors=(int)1,types=(string)float32,"
    f"dimensions=(string){D_SAE}:100,framerate=(fraction)0/1'"
)
SOURCE = "saesrc location=heldout.npy rows-per-buffer=100"


def need(*elements):
    missing = [name for name in elements if f" {name}:" not in inspected]
    if missing:
        raise tap.Skip(f"this NNStreamer has no {', '.join(missing)}")


def need_codes(name):
    if not re.search(rf"\(\d+\): {name} ", codes_formats):
        raise tap.Skip(f"saeencoder has no codes-format={name}")


class Trained:
    """A folder with rows, a dictionary, and its own reconstruction of them."""

    def __enter__(self):
        self.folder = launch.folder()
        self.folder.__enter__()
        launch.save_activations(D_IN, train=4000, heldout=N)
        np.load("heldout.npy").tofile("heldout.raw")
        launch.launch(f"saesrc location=train.npy ! {TRAINER} location=out ! fakesink")
        launch.launch(f"{SOURCE} ! saeencoder location=out ! {DECODE}straight.npy")
        launch.launch(f"{SOURCE} ! saeencoder location=out codes-format=dense ! "
                      "saenpyenc ! filesink location=codes.npy")
        return self

    def __exit__(self, *error):
        self.folder.__exit__(*error)


def same_file(a, b):
    a, b = np.load(a), np.load(b)
    assert a.dtype == b.dtype and a.shape == b.shape, (a.shape, b.shape)
    assert a.tobytes() == b.tobytes()


@tap.test("/interop/nnstreamer/tensor-converter-gives-rows")
def _():
    need("tensor_converter")
    with Trained():
        launch.launch(f"{CONVERT} ! saeencoder location=out ! {DECODE}behind.npy")
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-converter-gives-flexible-rows")
def _():
    need("tensor_converter")
    with Trained():
        printed = launch.launch(
            f"{CONVERT} ! 'other/tensors,format=(string)flexible' ! "
            f"saeencoder location=out ! {DECODE}behind.npy", "-v")
        assert "GstSaeEncoder:saeencoder0.GstPad:sink: caps = " \
            "other/tensors, format=(string)flexible" in printed, printed
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-converter-takes-flexible-to-static")
def _():
    need("tensor_converter")
    with Trained():
        launch.launch(
            f"{CONVERT} ! 'other/tensors,format=(string)flexible' ! "
            "tensor_converter input-dim=32:25 input-type=float32 ! "
            f"saeencoder location=out ! {DECODE}behind.npy")
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-aggregator-gathers-rows")
def _():
    need("tensor_converter", "tensor_aggregator")
    with Trained():
        printed = launch.launch(
            f"{CONVERT} ! tensor_aggregator frames-in=25 frames-out=100 "
            "frames-flush=100 frames-dim=1 concat=true ! "
            f"saeencoder location=out ! {DECODE}behind.npy", "-v")
        assert "saeencoder0.GstPad:sink: caps" in printed, printed
        assert f"dimensions=(string){D_IN}:100" in printed, printed
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-transform-changes-type-and-scale")
def _():
    need("tensor_converter", "tensor_transform")
    with Trained():
        np.save("scaled.npy", np.load("heldout.npy").astype(np.float64) * 0.5)
        launch.launch(f"saesrc location=scaled.npy ! saeencoder location=out ! "
                      f"{DECODE}straight.npy")
        launch.launch(
            f"{CONVERT} ! tensor_transform mode=arithmetic "
            "option=typecast:float64,mul:0.5 ! "
            f"saeencoder location=out ! {DECODE}behind.npy")
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-mux-gives-input-and-target")
def _():
    need("tensor_mux", "tensor_transform")
    with Trained():
        launch.launch(
            f"tensor_mux name=mux ! {TRAINER} location=transcoder total-rows={N} "
            "log-location=log.jsonl ! fakesink "
            f"{SOURCE} ! tee name=t t. ! queue ! mux.sink_0 "
            "t. ! queue ! tensor_transform mode=arithmetic option=mul:2.0 ! mux.sink_1")
        last = json.loads(pathlib.Path("log.jsonl").read_text().splitlines()[-1])
        assert last["total"]["rows"] == N, last
        # The target is twice the input: so is its mean, which b_dec starts at.
        config = json.loads(pathlib.Path("transcoder/cfg.json").read_text())
        assert config["d_in"] == D_IN, config
        launch.launch(f"{SOURCE} ! saeencoder location=transcoder ! "
                      "saedecoder location=transcoder ! saenpyenc ! "
                      "filesink location=twice.npy")
        twice, x = np.load("twice.npy"), np.load("heldout.npy")
        assert launch.fvu(2 * x, twice) < launch.fvu(x, twice), "learnt no target"


@tap.test("/interop/nnstreamer/tensor-demux-and-mux-keep-pairs")
def _():
    need("tensor_demux", "tensor_mux")
    with Trained():
        launch.launch(
            f"tensor_mux name=mux ! {DECODE}behind.npy "
            f"{SOURCE} ! saeencoder location=out codes-format=pairs ! "
            "tensor_demux name=d d.src_0 ! queue ! mux.sink_0 "
            "d.src_1 ! queue ! mux.sink_1")
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/tensor-sparse-dec-reads-our-codes")
def _():
    need("tensor_sparse_dec")
    need_codes("sparse")
    with Trained():
        launch.launch(
            f"{SOURCE} ! saeencoder location=out codes-format=sparse ! "
            f"tensor_sparse_dec ! {DENSE} ! saenpyenc ! filesink location=behind.npy")
        same_file("behind.npy", "codes.npy")


@tap.test("/interop/nnstreamer/saedecoder-reads-tensor-sparse-enc")
def _():
    need("tensor_sparse_enc")
    need_codes("sparse")
    with Trained():
        launch.launch(
            f"{SOURCE} ! saeencoder location=out codes-format=dense ! "
            f"tensor_sparse_enc ! {SPARSE} ! {DECODE}behind.npy")
        same_file("behind.npy", "straight.npy")


@tap.test("/interop/nnstreamer/both-sparse-forms-are-the-same-bytes")
def _():
    need("tensor_sparse_enc")
    need_codes("sparse")
    with Trained():
        encoder = f"{SOURCE} ! saeencoder location=out codes-format="
        launch.launch(f"{encoder}sparse ! filesink location=ours.raw")
        launch.launch(f"{encoder}dense ! tensor_sparse_enc ! filesink location=theirs.raw")
        ours = pathlib.Path("ours.raw").read_bytes()
        theirs = pathlib.Path("theirs.raw").read_bytes()
        assert len(ours) == len(theirs), (len(ours), len(theirs))
        assert ours == theirs


@tap.test("/interop/nnstreamer/tensor-sink-takes-each-kind-of-codes")
def _():
    need("tensor_sink")
    with Trained():
        for nick in "pairs", "dense", "sparse", "flexible":
            try:
                need_codes(nick)
            except tap.Skip:
                continue
            launch.launch(f"{SOURCE} ! saeencoder location=out "
                          f"codes-format={nick} ! tensor_sink")


tap.main()
