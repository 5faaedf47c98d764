#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the .npy files of fixtures/ with numpy (1.24 made those here).

Elements count up from 0; the file's name gives dtype and shape.
"""
import pathlib

import numpy as np

folder = pathlib.Path(__file__).parent / "fixtures"
folder.mkdir(exist_ok=True)


def write(name, array, version=None):
    with open(folder / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


for dtype in ("f4", "f8", "f2", "u4", "u1"):
    for shape in ((3, 4), (7,), (0, 5), (2, 3, 4)):
        array = np.arange(np.prod(shape)).reshape(shape).astype("<" + dtype)
        write(f"{dtype}-{'x'.join(map(str, shape))}", array)

rows = np.arange(12, dtype="<f4").reshape(3, 4)
write("version-2", rows, (2, 0))
write("version-3", rows, (3, 0))
write("fortran-order", np.asfortranarray(rows))
write("big-endian", rows.astype(">f4"))
write("int64", rows.astype("<i8"))
write("scalar", np.float32(1))
write("no-columns", rows[:, :0])
write("structured", np.zeros(3, dtype=[("x", "<f4"), ("y", "<f4")]))
