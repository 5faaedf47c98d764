#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the .npz files of fixtures/: a dictionary of d_in 3, d_sae 5 as Gemma
Scope has them, and what could be in its place."""
import io
import pathlib
import struct
import warnings
import zipfile

import numpy as np

folder = pathlib.Path(__file__).parent / "fixtures"
warnings.simplefilter("ignore")  # two files of one name are wanted


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def arrays(**changes):
    """Elements count up; names with None are left out."""
    values = {
        "W_enc": np.arange(15, dtype="<f4").reshape(3, 5) + 0.25,
        "W_dec": np.arange(15, dtype="<f4").reshape(5, 3) - 7.5,
        "b_enc": np.arange(5, dtype="<f4"),
        "b_dec": -np.arange(3, dtype="<f4"),
        "threshold": np.arange(5, dtype="<f4") - 1.5,
    }
    values.update(changes)
    return [(f"{name}.npy", npy(value)) for name, value in values.items()
            if value is not None]


def archive(files, method=zipfile.ZIP_STORED, zip64=False):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as target:
        for name, content in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            with target.open(info, "w", force_zip64=zip64) as file:
                file.write(content)
    return bytearray(data.getvalue())


def write(name, data):
    (folder / f"{name}.npz").write_bytes(data)


def spoil(data, at, value):
    """One byte at @at, from the end where negative, xor @value."""
    data[at] ^= value
    return data


plain = arrays()
write("plain", archive(plain))
write("deflated", archive(plain, zipfile.ZIP_DEFLATED))
write("zip64", archive(plain, zip64=True))
write("half", archive(arrays(
    W_enc=(np.arange(15).reshape(3, 5) + 0.25).astype("<f2"))))
write("double", archive(arrays(b_enc=np.arange(5, dtype="<f8"))))
write("transcoder", archive(arrays(
    W_dec=np.arange(10, dtype="<f4").reshape(5, 2), b_dec=np.zeros(2, "<f4"))))

write("bzip2", archive(plain, zipfile.ZIP_BZIP2))
write("no-threshold", archive(arrays(threshold=None)))
write("one-more", archive(arrays(scale=np.zeros(3, "<f4"))))
write("not-npy", archive(plain + [("README", b"text")]))
write("twice", archive(plain + plain[:1]))
write("too-many", archive([(f"{i}.npy", npy(np.zeros(1))) for i in range(65)]))
write("turned", archive(arrays(W_dec=np.zeros((3, 5), "<f4"))))
write("integers", archive(arrays(b_dec=np.zeros(3, "<u4"))))
write("row", archive(arrays(W_enc=np.zeros(15, "<f4"))))
write("fortran", archive(arrays(W_enc=np.zeros((3, 5), "<f4", order="F"))))
write("nan", archive(arrays(W_dec=np.full((5, 3), np.nan, "<f4"))))
write("empty", archive([]))
short = dict(plain)["W_enc.npy"][:-4]
write("short-array", archive([("W_enc.npy", short)] + plain[1:]))
write("long-array", archive([("W_enc.npy", short + bytes(8))] + plain[1:]))
write("short-header", archive([("W_enc.npy", short[:40])] + plain[1:]))
# 80 MiB of zeros in 80 KB, and 20 that are declared only
write("bomb", archive(arrays(W_enc=np.zeros((4096, 5120), "<f4")),
                      zipfile.ZIP_DEFLATED))
huge = npy(np.zeros((1, 1), "<f4"))[:-4].replace(
    b"(1, 1), }      ", b"(1024, 5120), }")
size = struct.pack("<I", len(huge))
declared = struct.pack("<I", len(huge) + 4 * 1024 * 5120)
write("declared", archive([("W_enc.npy", huge)] + plain[1:],
                          zipfile.ZIP_DEFLATED).replace(size, declared))
# a byte of the last array
data = archive(plain)
write("spoilt", spoil(data, data.index(b"PK\x01\x02") - 1, 1))
