# SPDX-License-Identifier: LGPL-2.1-or-later
"""What GStreamer's own onnxinference computes is trained on and encoded.

Skipped where onnxinference or saetensormeta (GStreamer 1.26) is not there.

Usage: test-onnx.py FOLDER-OF-SYSTEM-PLUGINS
"""

import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import tap  # noqa: E402

try:
    import streams
    from gi.repository import Gst
except (ImportError, ValueError) as missing:
    tap.skip_all(f"no GStreamer for Python: {missing}")

import numpy as np  # noqa: E402

# Its plugin, which loads a large library and is loud, for this test alone.
plugin = pathlib.Path(sys.argv.pop(1), "libgstonnx.so")
if not plugin.exists():
    tap.skip_all("no onnxinference")
folder = tempfile.TemporaryDirectory(prefix="sae-onnx-")
pathlib.Path(folder.name, plugin.name).symlink_to(plugin)
os.environ["GST_PLUGIN_PATH_1_0"] += f":{folder.name}"
os.environ["GST_REGISTRY_1_0"] = f"{folder.name}/registry.bin"

Gst.init(None)
missing = streams.find_missing("onnxinference", "saetensormeta")
if missing:
    tap.skip_all(f"no {', '.join(missing)}")

WIDTH, HEIGHT, N = 4, 2, 10
ROWS, D_IN = WIDTH * HEIGHT, 3
FRAMES = (
    f"appsrc name=in format=time caps=video/x-raw,format=RGB,width={WIDTH},"
    f"height={HEIGHT},framerate=30/1 ! onnxinference model-file={{}}/model.onnx"
)


# --- an ONNX file, by the numbers of onnx.proto ---

def varint(value):
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number, value):
    """A whole number, or what has a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor_info(name, dims):
    shape = b"".join(field(1, field(1, dim)) for dim in dims)
    tensor_type = field(1, 1) + field(2, shape)  # FLOAT
    return field(1, name) + field(2, field(1, tensor_type))


def write_model(folder):
    """Pixels [1, height, width, 3] to rows [height·width, 3]."""
    axis = field(1, "axis") + field(3, 3) + field(20, 2)  # INT
    node = field(1, "pixels") + field(2, "hidden") + field(4, "Flatten") \
        + field(5, axis)
    graph = field(1, node) + field(2, "rows") \
        + field(11, tensor_info("pixels", (1, HEIGHT, WIDTH, 3))) \
        + field(12, tensor_info("hidden", (ROWS, D_IN)))
    model = field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))
    # onnxinference takes the id of a tensor from the model's metadata.
    model += field(14, field(1, "hidden") + field(2, "layer-3"))
    pathlib.Path(folder, "model.onnx").write_bytes(model)


def make_frames():
    shape = (N, HEIGHT, WIDTH, 3)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def push_frames(pipeline, frames):
    for i, frame in enumerate(frames):
        buffer = streams.wrap(frame)
        buffer.pts = i * Gst.SECOND // 30
        pipeline.push(buffer)
    pipeline.end()


@tap.test("/interop/onnx/its-output-is-a-stream-of-rows")
def _():
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder)
        frames = make_frames()
        with streams.Pipeline(
            f"{FRAMES.format(folder)} ! saetensormeta tensor-id=layer-3 ! appsink name=out sync=false"
        ) as pipeline:
            push_frames(pipeline, frames)
            samples = pipeline.pull_all()
        assert len(samples) == N, len(samples)
        for i, sample in enumerate(samples):
            assert streams.dimensions(sample) == f"{D_IN}:{ROWS}"
            want = frames[i].astype(np.float32)
            assert streams.read(sample.get_buffer()) == want.tobytes()
            assert sample.get_buffer().pts == i * Gst.SECOND // 30


@tap.test("/interop/onnx/a-dictionary-is-trained-on-it")
def _():
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder)
        with streams.Pipeline(
            f"{FRAMES.format(folder)} ! saetensormeta ! "
            f"saetrainer name=trainer dict-size=8 top-k=2 location={folder}/out ! "
            "fakesink"
        ) as pipeline:
            push_frames(pipeline, make_frames())
            pipeline.wait()
            assert pipeline["trainer"].props.rows == N * ROWS
        assert pathlib.Path(folder, "out", "cfg.json").exists()


tap.main()
