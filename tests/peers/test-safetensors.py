# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that the reference reader of safetensors takes are taken, and no
others.

Usage: test-safetensors.py SAE-ACCEPTS CORPUS-FOLDER
"""

import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys

from safetensors import SafetensorError, deserialize

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

sae_accepts, corpus = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))

SLOW = bool(os.environ.get("SAE_TEST_SLOW"))
N_HEADERS = 200000 if SLOW else 20000
N_MUTATIONS = 400000 if SLOW else 20000

# What safetensors.h says is refused although the reference takes it.
STRICTER = re.compile(
    r"duplicate|begins with .\{. at offset 8|u0000 is not allowed|big integer"
    r"|expected a JSON object"
)
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16,
    "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}


def ours(files):
    stream = b"".join(struct.pack("<I", len(file)) + file for file in files)
    done = subprocess.run([sae_accepts], input=stream, capture_output=True, check=True)
    return done.stdout.decode(errors="replace").split("\n")[:-1]


def theirs(file):
    """The same line of the reference, or None."""
    try:
        tensors = deserialize(file)
    except SafetensorError:
        return None
    n_bytes = sum(len(tensor["data"]) for _, tensor in tensors)
    return f"accepted {len(tensors)} {n_bytes}"


def compare(files):
    """How many both take; the reference's are taken but for what is said."""
    n_both = 0
    answers = ours(files)
    assert len(answers) == len(files), f"{len(answers)} answers"
    for file, answer in zip(files, answers):
        reference = theirs(file)
        if answer == reference:
            n_both += 1
        elif answer.startswith("accepted"):
            raise AssertionError(f"{answer}, not by the reference: {file!r}")
        elif reference and not STRICTER.search(answer):
            raise AssertionError(f"refused ({answer}): {file!r}")
    tap.fault(25, len(files), len(files), 0)
    return n_both


def build(header, data=b"", length=None):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    length = len(header) if length is None else length
    return struct.pack("<Q", length) + header + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@tap.test("/peers/safetensors/cases-that-the-reference-tests")
def _():
    refused = {
        "nothing": b"",
        "too short for a length": b"\0" * 7,
        "length of 0": build(b""),
        "length beyond the file": build(b"{}", length=3),
        "length beyond any file": build(b"{}", length=2**64 - 1),
        "header too large": build(b"{}", length=100_000_001),
        "no UTF-8": build(b"\xff"),
        "no JSON": build(b"{"),
        "a NUL": build(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1\0]}}', b"x"),
        "no object": build(b"[]"),
        "begins with a space": build(b" {}"),
        "not covered": build({"a": tensor("I32", [2, 2], 0, 16)}, bytes(20)),
        "incomplete": build({"a": tensor("I32", [2, 2], 0, 16)}, bytes(15)),
        "too few bytes for its shape": build({"a": tensor("I32", [2, 3], 0, 16)}, bytes(16)),
        "the same bytes twice": build({
            f"t{i}": tensor("F32", [2, 2], 0, 16) for i in range(10)}, bytes(16)),
        "a hole": build({
            "a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, bytes(3)),
        "backwards": build({"a": tensor("U8", [0], 4, 0)}, bytes(4)),
        "a shape that overflows": build({"a": tensor(
            "I32", [2, 18446744073709551614], 0, 16)}, bytes(16)),
        "bytes that overflow": build({"a": tensor(
            "I32", [2, 9223372036854775807], 0, 16)}, bytes(16)),
        "half a byte": build({"a": tensor("F4", [1], 0, 1)}, bytes(1)),
        "another dtype": build({"a": tensor("F33", [1], 0, 4)}, bytes(4)),
        "metadata of numbers": build({"__metadata__": {"a": 1}}),
    }
    accepted = {
        "no tensors": build({}),
        "padded": build(b"{}" + b" " * 8),
        "metadata": build({"__metadata__": {"framework": "pt"}}),
        "a scalar": build({"a": tensor("I32", [], 0, 4)}, bytes(4)),
        "an empty tensor": build({"a": tensor("I32", [2, 0], 0, 0)}),
        "four bits": build({"a": tensor("F4", [2], 0, 1)}, bytes(1)),
        "any order": build({
            "a": tensor("U8", [1], 1, 2), "b": tensor("U8", [1], 0, 1)}, bytes(2)),
    }
    for name, file in refused.items():
        if name != "begins with a space":
            assert theirs(file) is None, f"{name}: the reference takes it"
        assert not ours([file])[0].startswith("accepted"), name
    for name, file in accepted.items():
        assert theirs(file), f"{name}: the reference refuses it"
        assert ours([file])[0].startswith("accepted"), name
    n = len(refused) + len(accepted)
    tap.fault(25, n, n, 0)


@tap.test("/peers/safetensors/what-is-stricter")
def _():
    one = json.dumps(tensor("U8", [1], 0, 1)).encode()
    files = [
        build(b" {}"),
        build(b'{"a":%b,"a":%b}' % (one, one), b"x"),
        build(b'{"a":["U8",[1],[0,1]]}', b"x"),
        build(b'{"__metadata__":{"a":"\\u0000"}}'),
        build(b'{"a":{"dtype":"U8","shape":[0,9223372036854775808],"data_offsets":[0,0]}}'),
    ]
    for file in files:
        assert theirs(file), f"the reference refuses {file}"
    assert compare(files) == 0


# --- headers of which every part is right mostly -----------------------------

def draw_number(draw, usual):
    return usual if draw.random() < 0.97 else draw.choice(
        (0, -1, usual + 1, usual * 2, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 1.0, "1", None))


def draw_tensor(draw, begin):
    dtype = draw.choice(list(BITS))
    shape = [draw.choice((0, 1, 2, 3, 4, 8)) for _ in range(draw.randrange(4))]
    n = BITS[dtype]
    for size in shape:
        n *= size
    end = begin + n // 8
    info = {
        "dtype": dtype if draw.random() < 0.98 else draw.choice(("f32", "F128", 1, None)),
        "shape": [draw_number(draw, size) for size in shape],
        "data_offsets": [draw_number(draw, begin), draw_number(draw, end)],
    }
    if draw.random() < 0.03:
        info[draw.choice(("x", "shape2"))] = 1
    if draw.random() < 0.02:
        del info[draw.choice(("dtype", "shape", "data_offsets"))]
    if draw.random() < 0.02:
        info["data_offsets"] = draw.choice(([0], [0, 1, 2], "", {}))
    return info, end


def draw_file(draw):
    tensors, end = {}, 0
    for i in range(draw.randrange(4)):
        tensors[f"t{i}"], end = draw_tensor(draw, end)
    names = list(tensors)
    draw.shuffle(names)
    tensors = {name: tensors[name] for name in names}
    if draw.random() < 0.1:
        tensors["__metadata__"] = draw.choice(({"a": "b"}, {}, None, [], {"a": 1}))
    text = json.dumps(tensors).encode() + b" " * draw.choice((0, 0, 1, 7))
    end += draw.choice((-1, 1)) if draw.random() < 0.02 else 0
    return build(text, bytes(max(end, 0)))


@tap.test("/peers/safetensors/random-headers")
def _():
    draw = random.Random(25)
    files = [draw_file(draw) for _ in range(N_HEADERS)]
    n = compare(files)
    assert n > len(files) / 10, f"only {n} are taken by both"


# --- bytes --------------------------------------------------------------------

def mutate(draw, file):
    file = bytearray(file)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(file)) if file else 0
        how = draw.randrange(4)
        if how == 0:
            file[at:at + 1] = bytes((draw.choice(b'\0 019-.,:"{}[]\\eE\x80\xff'),))
        elif how == 1:
            del file[at:at + draw.randrange(1, 8)]
        elif how == 2:
            file[at:at] = file[draw.randrange(len(file) + 1):][:draw.randrange(16)]
        elif file:
            file[at] ^= 1 << draw.randrange(8)
    if draw.random() < 0.8 and len(file) >= 8:  # most have a length that fits
        header = file[8:].rfind(b"}") + 1
        file[:8] = struct.pack("<Q", header)
    return bytes(file)


@tap.test("/peers/safetensors/mutated-files")
def _():
    draw = random.Random(26)
    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())]
    n = compare([mutate(draw, draw.choice(seeds)) for _ in range(N_MUTATIONS)])
    assert n > N_MUTATIONS / 100, f"only {n} are taken by both"


tap.main()
