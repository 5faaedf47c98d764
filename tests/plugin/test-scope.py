#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""saescope from the command line: pictures in files."""

import os
import pathlib
import struct
import sys
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402

GOLDEN = pathlib.Path(os.environ["SAE_GOLDENS"]) / "saelens-topk-bdec1-rescale0"
CODES = f"saesrc location={GOLDEN}/x.npy ! saeencoder location={GOLDEN}"
SCOPE = f"saescope model-location={GOLDEN}"


def read_png(path):
    """Pixels [height, width, 3] of a PNG of 8 bits a colour, not interlaced."""
    data, at, packed = pathlib.Path(path).read_bytes(), 8, b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and colour in (2, 6) and not interlaced
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    n = 3 if colour == 2 else 4
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    pixels, above = np.zeros((height, width * n), np.uint8), np.zeros(width * n, np.uint8)
    for y, line in enumerate(lines):
        above = pixels[y] = undo_filter(line[0], line[1:], above, n)
    return pixels.reshape(height, width, n)[:, :, :3]


def undo_filter(kind, line, above, n):
    """PNG (third edition), 9.2"""
    if kind == 0:
        return line
    if kind == 2:
        return line + above
    out = np.zeros(len(line) + n, np.uint8)
    up = np.concatenate([np.zeros(n, np.uint8), above]).astype(int)
    for i in range(n, len(out)):
        a, b, c = int(out[i - n]), up[i], up[i - n]
        if kind == 1:
            predicted = a
        elif kind == 3:
            predicted = (a + b) // 2
        else:
            p = a + b - c
            predicted = min((a, b, c), key=lambda v: abs(p - v))
        out[i] = (int(line[i - n]) + predicted) & 255
    return out[n:]


def golden_raster(height):
    """Which lines each row of the golden's latents lights."""
    dense = np.load(GOLDEN / "latents.npy")
    lit = np.zeros((height, len(dense)), bool)
    for row, latent in zip(*np.nonzero(dense > 0)):
        lit[latent * height // dense.shape[1], row] = True
    return lit


@tap.test("/scope/png-of-all-rows-as-numpy")
def _():
    with launch.folder():
        launch.launch(
            f"{CODES} ! {SCOPE} rows-per-frame=1000 rows-per-column=1"
            " ! video/x-raw,width=40,height=160 ! pngenc ! filesink location=codes.png")
        pixels = read_png("codes.png")
        assert pixels.shape == (160, 40, 3), pixels.shape
        want = golden_raster(160)
        dark = pixels[tuple(np.argwhere(~want)[0])]
        assert ((pixels != dark).any(axis=2) == want).all()


@tap.test("/scope/files-by-time")
def _():
    with launch.folder():
        launch.launch(
            f"saesrc location={GOLDEN}/x.npy rate=1000/1 rows-per-buffer=7"
            f" ! saeencoder location={GOLDEN} ! {SCOPE}"
            " ! video/x-raw,framerate=100/1 ! videoconvert ! pngenc"
            " ! multifilesink location=%02d.png")
        files = sorted(pathlib.Path(".").glob("*.png"))
        assert [f.name for f in files] == ["00.png", "01.png", "02.png", "03.png"]
        assert read_png(files[-1]).shape == (540, 960, 3)


@tap.test("/scope/other-colours")
def _():
    with launch.folder():
        launch.launch(f"{CODES} ! {SCOPE} ! videoconvert ! video/x-raw,format=I420 ! fakesink")


@tap.test("/scope/loss-comes-through-an-encoder")
def _():
    with launch.folder():
        for name, trainer in {
            "without": "identity",
            "with": "saetrainer dict-size=64 top-k=4 batch-size=8",
        }.items():
            launch.launch(
                f"saesrc location={GOLDEN}/x.npy ! {trainer} ! saeencoder location={GOLDEN}"
                f" ! {SCOPE} rows-per-frame=1000 ! pngenc ! filesink location={name}.png")
        before, after = read_png("without.png"), read_png("with.png")
        y, x = np.nonzero((before != after).any(axis=2))
        assert len(y) > 50
        assert x.min() > 600 and y.min() > 200  # its plot, nothing else


@tap.test("/scope/says-what-to-set")
def _():
    with launch.folder():
        assert "dict-size" in launch.fail(f"{CODES} ! saescope ! fakesink", "model-location")


tap.main()
