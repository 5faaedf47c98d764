# SPDX-License-Identifier: LGPL-2.1-or-later
"""numpy and pipelines in one process: arrays that are views of buffers."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import tap  # noqa: E402

try:
    import streams
    from gi.repository import Gst

    import bridge  # of the library: needs its typelib
except (ImportError, ValueError) as missing:
    tap.skip_all(f"no GStreamer or Sae for Python: {missing}")

import launch  # noqa: E402
import numpy as np  # noqa: E402

Gst.init(None)
if not hasattr(Gst, "MapInfo") or not hasattr(Gst.MapInfo, "__enter__"):
    tap.skip_all("no python3-gst-1.0: without it a map is a copy")

D_IN, D_SAE, K, N = 16, 64, 4, 32


def address(array):
    return array.__array_interface__["data"][0]


def saved_model(folder):
    model = bridge.random_model(bridge.make_config(D_IN, D_SAE, K), seed=3)
    assert model.save(f"{folder}/model")
    return model, f"location={folder}/model"


def new_buffer(rows):
    """A buffer that numpy writes into: nothing is copied on the way."""
    buffer = Gst.Buffer.new_allocate(None, rows * D_IN * 4, None)
    with buffer.map(Gst.MapFlags.WRITE) as info:
        view = np.frombuffer(info.data, np.float32).reshape(rows, D_IN)
        view[:] = launch.activations(rows, D_IN, seed=rows)
        return buffer, address(view), view.copy()


def rows_in():
    caps = streams.static_caps(np.zeros((N, D_IN), np.float32))
    return f"appsrc name=in format=time block=true max-bytes=100000 caps={caps}"


@tap.test("/interop/numpy/a-trainer-passes-on-the-very-memory")
def _():
    with streams.Pipeline(
        f"{rows_in()} ! saetrainer dict-size={D_SAE} top-k={K} batch-size=32 ! "
        "appsink name=out sync=false"
    ) as pipeline:
        for n in 1, 7, N, 3 * N:
            buffer, where, rows = new_buffer(n)
            pipeline.push(buffer)
            with pipeline.pull().get_buffer().map(Gst.MapFlags.READ) as info:
                seen = np.frombuffer(info.data, np.float32).reshape(n, D_IN)
                assert address(seen) == where
                assert seen.tobytes() == rows.tobytes()


def views(buffer, dtypes, n):
    """Each tensor as an array that is a view of its own memory."""
    for i, dtype in enumerate(dtypes):
        with buffer.peek_memory(i).map(Gst.MapFlags.READ) as info:
            yield np.frombuffer(info.data, dtype).reshape(n, -1).copy()


@tap.test("/interop/numpy/codes-are-read-as-the-library-computes-them")
def _():
    with tempfile.TemporaryDirectory() as folder:
        model, location = saved_model(folder)
        with streams.Pipeline(
            f"{rows_in()} ! saeencoder {location} codes-format=pairs ! "
            "appsink name=out sync=false"
        ) as pipeline:
            for n in 5, N, 2 * N:
                buffer, _, rows = new_buffer(n)
                pipeline.push(buffer)
                sample = pipeline.pull()
                index, value = views(sample.get_buffer(), (np.uint32, np.float32), n)
                assert index.shape == value.shape == (n, K)
                text = streams.dimensions(sample)
                assert text == f"{K}:{n},{K}:{n}", text
                latents = model.encode(bridge.to_bytes(rows))
                want = bridge.to_array(latents.to_dense(), (n, D_SAE))
                got = np.zeros_like(want)
                np.add.at(got, (np.arange(n)[:, None], index), value)
                assert got.tobytes() == want.tobytes()


@tap.test("/interop/numpy/reconstructions-come-back-in-order")
def _():
    with tempfile.TemporaryDirectory() as folder:
        model, location = saved_model(folder)
        with streams.Pipeline(
            f"{rows_in()} ! saeencoder {location} ! queue ! saedecoder {location} ! "
            "appsink name=out sync=false"
        ) as pipeline:
            sent = []
            for n in range(1, 20):
                buffer, _, rows = new_buffer(n)
                buffer.pts = n * Gst.MSECOND
                pipeline.push(buffer)
                sent.append(rows)
            pipeline.end()
            for rows, sample in zip(sent, pipeline.pull_all(), strict=True):
                x_hat, _ = model.forward(bridge.to_bytes(rows))
                assert streams.read(sample.get_buffer()) == x_hat.get_data()
                assert sample.get_buffer().pts == len(rows) * Gst.MSECOND


@tap.test("/interop/numpy/half-a-row-is-an-error-that-says-so")
def _():
    with streams.Pipeline(
        f"{rows_in()} ! saetrainer dict-size={D_SAE} ! appsink name=out sync=false"
    ) as pipeline:
        pipeline.push(Gst.Buffer.new_allocate(None, 4 * D_IN + 2, None))
        try:
            pipeline.wait()
        except streams.Failed as failed:
            assert "64" in str(failed) and "66" in str(failed), failed
        else:
            raise AssertionError("no error")


@tap.test("/interop/numpy/outer-dimensions-of-a-batch-are-kept")
def _():
    caps = (
        "other/tensors,format=(string)static,num_tensors=(int)1,"
        f"types=(string)float32,dimensions=(string){D_IN}:4:8,"
        "framerate=(fraction)0/1"
    )
    with streams.Pipeline(
        f"appsrc name=in format=time caps={caps} ! "
        f"saetrainer dict-size={D_SAE} top-k={K} ! "
        "appsink name=out sync=false"
    ) as pipeline:
        buffer, _, _ = new_buffer(N)
        pipeline.push(buffer)
        text = streams.dimensions(pipeline.pull())
        assert text == f"{D_IN}:4:8", text


tap.main()
