#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of the fuzz targets to corpus/<target>/.

What a fuzzer found is kept beside them under the name found-*, and is left
alone here.
"""
import io
import json
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).resolve().parent / "corpus"


def write(target, name, data):
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def npy(header, version=1):
    header = header.encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes((version, 0)) + length + header


def npy_dict(descr="<f4", order="False", shape="(3, 4)"):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}"
    return text + ", }" + " " * 20 + "\n"


def safetensors(tensors, n_data, data=None):
    header = json.dumps(tensors, separators=(",", ":")).encode()
    data = bytes(n_data) if data is None else data
    return struct.pack("<Q", len(header)) + header + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def more_weights(d_in, d_sae, names, without=()):
    """The four tensors of a dictionary but some, and vectors of d_sae more;
    a name that ends in "." is a scalar."""
    shapes = {
        "W_enc": [d_in, d_sae], "W_dec": [d_sae, d_in], "b_enc": [d_sae],
        "b_dec": [d_in],
    }
    for name in names:
        shapes[name.rstrip(".")] = [] if name.endswith(".") else [d_sae]
    tensors, end = {}, 0
    for name, shape in shapes.items():
        if name in without:
            continue
        size = 4
        for n in shape:
            size *= n
        tensors[name] = tensor("F32", shape, end, end + size)
        end += size
    values = [0.5 + i for i in range(end // 4)]
    return safetensors(tensors, 0, struct.pack(f"<{len(values)}f", *values))


def weights(d_in, d_sae, with_threshold=False):
    n = d_in * d_sae * 4
    end = 2 * n + d_sae * 4
    tensors = {
        "W_enc": tensor("F32", [d_in, d_sae], 0, n),
        "W_dec": tensor("F32", [d_sae, d_in], n, 2 * n),
        "b_enc": tensor("F32", [d_sae], 2 * n, end),
        "b_dec": tensor("F32", [d_in], end, end + d_in * 4),
    }
    end += d_in * 4
    if with_threshold:
        tensors["threshold"] = tensor("F32", [d_sae], end, end + d_sae * 4)
        end += d_sae * 4
    values = [0.5 + i for i in range(end // 4)]
    return safetensors(tensors, 0, struct.pack(f"<{len(values)}f", *values))


def config(**changes):
    values = {
        "d_in": 2, "d_sae": 3, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": "6.54.12", "hook_name": "blocks.3",
            "prepend_bos": True, "neuronpedia_id": None, "x": [1, 0.5, {}],
            "gst_sae": {"ties": "keep-all"},
        },
        "k": 2, "rescale_acts_by_decoder_norm": False, "architecture": "topk",
    }
    values.update(changes)
    values = {key: value for key, value in values.items() if value != ""}
    return json.dumps(values).encode()


def sparsify_weights(d_in, d_sae, skip=False):
    """encoder.weight, encoder.bias, W_dec, b_dec and W_skip."""
    shapes = {
        "encoder.weight": [d_sae, d_in], "encoder.bias": [d_sae],
        "W_dec": [d_sae, d_in], "b_dec": [d_in],
    }
    if skip:
        shapes["W_skip"] = [d_in, d_in]
    tensors, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * shape[0] * (shape + [1])[1]
        tensors[name] = tensor("F32", shape, begin, end)
    values = [0.5 + i for i in range(end // 4)]
    return safetensors(tensors, 0, struct.pack(f"<{len(values)}f", *values))


def sparsify_config(**changes):
    values = {
        "activation": "topk", "expansion_factor": 32,
        "normalize_decoder": True, "num_latents": 3, "k": 2,
        "multi_topk": False, "skip_connection": False, "transcode": False,
        "d_in": 2,
    }
    values.update(changes)
    return json.dumps(values).encode()


def npz(d_in, d_sae, method=zipfile.ZIP_STORED):
    shapes = {
        "W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_enc": (d_sae,),
        "b_dec": (d_in,), "threshold": (d_sae,),
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as target:
        for name, shape in shapes.items():
            n = shape[0] * (shape + (1,))[1]
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            target.writestr(info, npy(npy_dict(shape=repr(shape)))
                            + struct.pack(f"<{n}f", *range(n)))
    return data.getvalue()


def join(*files, layout=0):
    """The layout is its place in the list of layouts.c."""
    parts = [struct.pack("<I", len(file)) + file for file in files]
    return bytes([layout]) + b"".join(parts)


def tensor_header(kind, dims, form, nnz=0):
    """A flexible (form 1) or sparse (form 2) tensor's 128 bytes."""
    dims = list(dims) + [0] * (16 - len(dims))
    words = [0xFEEDCCED, 0xDE001000, kind] + dims + [form, 4, nnz]
    return struct.pack("<22I", *words).ljust(128, b"\0")


def sparse(rows, values, places, width=8, nnz=None):
    nnz = len(values) if nnz is None else nnz
    return tensor_header(7, (width, rows), 2, nnz) + struct.pack(
        f"<{len(values)}f{len(places)}I", *values, *places)


def codes(name, form, data, cut=0):
    write("codes", name, bytes((form, cut)) + data)


for i, descr in enumerate(("<f4", "<f8", "<f2", "<u4", "|u1", ">f4")):
    write("npy", f"dtype-{i}", npy(npy_dict(descr)))
write("npy", "version-2", npy(npy_dict(), 2))
write("npy", "version-3", npy(npy_dict(), 3))
write("npy", "fortran", npy(npy_dict(order="True")))
write("npy", "rank-1", npy(npy_dict(shape="(7,)")))
write("npy", "rank-16", npy(npy_dict(shape="(" + "1, " * 16 + ")")))
write("npy", "no-rows", npy(npy_dict(shape="(0, 5L)")))
write("npy", "huge", npy(npy_dict(shape="(4294967296, 4294967295)")))
write("npy", "structured", npy("{'descr': [('x', '<f4')], 'shape': (3,)}\n"))

write("safetensors", "none", safetensors({}, 0))
write("safetensors", "scalar", safetensors({"a": tensor("F32", [], 0, 4)}, 4))
write("safetensors", "empty", safetensors({"a": tensor("F64", [0, 3], 0, 0)}, 0))
write("safetensors", "metadata", safetensors(
    {"__metadata__": {"format": "pt"}, "a": tensor("BF16", [2, 3], 0, 12)}, 12))
write("safetensors", "many", safetensors({
    "x": tensor("F16", [2, 2], 0, 8), "y": tensor("I64", [1], 8, 16),
    "z": tensor("F6_E2M3", [4], 16, 19), "w": tensor("BOOL", [1], 19, 20),
}, 20))
write("safetensors", "weights", weights(2, 3))
write("safetensors", "nan", safetensors(
    {"a": tensor("F32", [1], 0, 4)}, 0, b"\0\0\xc0\x7f"))
write("safetensors", "overlap", safetensors(
    {"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, 3))
write("safetensors", "overlap-of-a-hole", safetensors(
    {"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, 4))
write("safetensors", "huge", safetensors(
    {"a": tensor("F32", [2**32, 2**32], 0, 2**62)}, 0))

write("saelens-config", "topk", config())
write("saelens-config", "rescale", config(rescale_acts_by_decoder_norm=True))
write("saelens-config", "standard", config(
    architecture="standard", k="", rescale_acts_by_decoder_norm=""))
write("saelens-config", "training", config(
    decoder_init_norm=0.1, aux_loss_coefficient=1.0,
    use_sparse_activations=False))
write("saelens-config", "layer-norm", config(normalize_activations="layer_norm"))
write("saelens-config", "jumprelu", config(
    architecture="jumprelu", k="", rescale_acts_by_decoder_norm="",
    jumprelu_bandwidth=0.05, target_l0=None))
write("saelens-config", "gated", config(
    architecture="gated", k="", rescale_acts_by_decoder_norm=""))
TRANSCODER = {"k": "", "rescale_acts_by_decoder_norm": "",
              "apply_b_dec_to_input": False}
write("saelens-config", "before-6", json.dumps({
    "d_in": 2, "d_sae": 3, "activation_fn_str": "topk",
    "activation_fn_kwargs": {"k": 2}, "hook_point": "blocks.0.attn.hook_z",
    "hook_point_layer": 0, "normalize_activations": True, "lr": 1e-3,
    "finetuning_scaling_factor": False, "sae_lens_version": "3.1.0",
}).encode())
write("saelens-config", "transcoder", config(
    architecture="jumprelu_transcoder", d_out=4, **TRANSCODER))
write("saelens-config", "matryoshka", config(
    architecture="matryoshka_batchtopk", k=1.5, matryoshka_widths=[1, 3],
    topk_threshold_lr=0.01, use_matryoshka_aux_loss=False))
write("saelens-config", "hook-z", config(reshape_activations="hook_z"))
write("saelens-config", "encoded", config(
    metadata={"a": "json:1", "b": "json:x", "c": "json:\"json:1\""}))

write("layouts", "topk", join(config(), weights(2, 3)))
write("layouts", "rescale", join(
    config(rescale_acts_by_decoder_norm=True), weights(2, 3)))
write("layouts", "standard", join(
    config(architecture="standard", k="", rescale_acts_by_decoder_norm=""),
    weights(2, 3)))
write("layouts", "jumprelu", join(
    config(architecture="jumprelu", k="", rescale_acts_by_decoder_norm=""),
    weights(2, 3, with_threshold=True)))
write("layouts", "gated", join(
    config(architecture="gated", k="", rescale_acts_by_decoder_norm=""),
    more_weights(2, 3, ("b_gate", "r_mag", "b_mag"), without=("b_enc",))))
write("layouts", "batchtopk", join(
    config(architecture="batchtopk", k=1.5, rescale_acts_by_decoder_norm=True),
    more_weights(2, 3, ("topk_threshold.",))))
write("layouts", "finetuned", join(
    config(architecture="standard", k="", rescale_acts_by_decoder_norm="",
           finetuning_scaling_factor=True),
    more_weights(2, 3, ("scaling_factor",))))
write("layouts", "transcoder", join(
    config(architecture="transcoder", d_out=2, **TRANSCODER), weights(2, 3)))
BEFORE_6 = {
    "d_in": 2, "d_sae": 3, "activation_fn": "topk",
    "activation_fn_kwargs": {"k": 2}, "hook_name": "blocks.0.attn.hook_z",
    "normalize_activations": "layer_norm", "sae_lens_version": "5.1.0",
}
write("layouts", "before-6", join(json.dumps(BEFORE_6).encode(), weights(2, 3)))
write("layouts", "turned", join(config(), weights(3, 2)))

PAIRS = (2, 7, 0, 0, 0, 0), (1.5, -2.0, 0.0, 0.0, 0.25, 0.0)
INDICES, VALUES = struct.pack("<6I", *PAIRS[0]), struct.pack("<6f", *PAIRS[1])
DENSE = struct.pack("<24f", *(1.5 if i == 2 else 0.0 for i in range(24)))
codes("sparse", 0, sparse(3, (1.5, -2.0, 0.25), (2, 7, 16)))
codes("sparse-cut", 0, sparse(3, (1.5, -2.0, 0.25), (2, 7, 16)), cut=141)
codes("sparse-unsorted", 0, sparse(3, (1, 2, 3, 4), (16, 7, 16, 2)))
codes("sparse-none", 0, sparse(5, (), ()))
codes("sparse-out", 0, sparse(3, (1.0,), (24,)))
codes("sparse-lies", 0, sparse(3, (1.0,), (2,), nnz=0x20000001))
codes("sparse-many", 0, sparse(2**12, (1.0,), (2**15 - 1,)))
codes("sparse-wraps", 0, sparse(0x20000001, (1.0,), (2,)))
codes("sparse-inf", 0, sparse(3, (float("inf"),), (2,)))
codes("sparse-overflow", 0, sparse(3, (3e38, 3e38), (2, 2)))
codes("flexible-pairs", 1, tensor_header(1, (2, 3), 1) + INDICES
      + tensor_header(7, (2, 3), 1) + VALUES)
codes("flexible-dense", 1, tensor_header(7, (8, 3), 1) + DENSE)
codes("flexible-none", 1, tensor_header(7, (8, 3), 1))
codes("flexible-ranks", 1, tensor_header(7, (8, 1, 3, 1), 0) + DENSE, cut=130)
codes("static-pairs", 2, INDICES + VALUES)
codes("static-pairs-cut", 2, INDICES + VALUES, cut=5)
codes("static-dense", 3, DENSE)
codes("empty", 0, b"")
SPARSIFY, GEMMA_SCOPE = 1, 2
write("layouts", "sparsify", join(
    sparsify_config(), sparsify_weights(2, 3), layout=SPARSIFY))
write("layouts", "sparsify-groups", join(
    sparsify_config(activation="groupmax", k=3, metadata={"a": "b"}),
    sparsify_weights(2, 3), layout=SPARSIFY))
write("layouts", "sparsify-skip", join(
    sparsify_config(transcode=True, skip_connection=True, num_latents=0,
                    expansion_factor=2), sparsify_weights(2, 4, skip=True),
    layout=SPARSIFY))
write("layouts", "gemma-scope", join(npz(2, 3), layout=GEMMA_SCOPE))

write("npz", "stored", npz(2, 3))
write("npz", "deflated", npz(2, 3, zipfile.ZIP_DEFLATED))


def shards(**files):
    return json.dumps({"metadata": {"total_size": 8},
                       "weight_map": files}).encode()


write("shards", "two", shards(x="a.safetensors", y="b.safetensors"))
write("shards", "one", shards(x="a.safetensors"))
write("shards", "swapped", shards(x="b.safetensors", y="a.safetensors"))
write("shards", "outside", shards(x="../a.safetensors"))


HEADER = tensor_header(1, (2, 3), 1), tensor_header(7, (2, 3), 1)


def header(name, caps, data, *cuts):
    write("header", name, bytes((caps, len(cuts)))
          + struct.pack(f">{len(cuts)}H", *cuts) + data)


header("flexible", 0, HEADER[0] + INDICES + HEADER[1] + VALUES, 128, 152)
header("flexible-cut", 0, HEADER[0] + INDICES + HEADER[1] + VALUES,
       0, 1, 127, 129, 151, 153, 279, 281, 304)
header("flexible-none", 0, HEADER[0], 5)
header("flexible-16", 0, (tensor_header(5, (1,), 1) + b"x") * 16, 2000, 2064)
header("flexible-17", 0, (tensor_header(5, (1,), 1) + b"x") * 17)
header("sparse", 1, sparse(3, (1.5, -2.0, 0.25), (2, 7, 16)), 130)
header("static", 5 * 7 + 2, VALUES, 3)
header("static-none", 5 * 7 + 2, b"", 0)
header("static-more-rows", 5 * 7 + 2, VALUES * 5, *range(3, 100, 6))
header("static-two", 5 * 1 + 3, INDICES + VALUES, 24)
header("static-three", 5 * 5 + 4, bytes(6 + 24 + 120), 29, 31)

for i, text in enumerate((
        "17:*0", "42:+3.5", "42:-3.5", "7:*2+1", "7:=4", "7:>0.5", "7:<8",
        "7:*2+1>0<8", " 1 : * 1e-3 + .5 , 0:=-0 ", "4294967294:*3.4028234e38",
        "1:=0,2:*0>1", "1:>2<1", "1:+1,1:+2", "\u00e4:*0", "")):
    write("latents", f"{i:02}", text.encode())

for name, data in {
        "lines": b"\0one\ntwo\r\n\n four", "mark": b"\0\xef\xbb\xbfa\nb",
        "bytes": b"\0a\xff\xfe\0b\nc", "nothing": b"\0", "array": b'\1["a","\\n","\xc3\xa4"]',
        "closed": b'\1["a"],"b":1', "mixed": b'\1["a",1]', "object": b'\1{"a":"b"}',
        "marked-array": b'\1\xef\xbb\xbf["\\ud834\\udd1e"]'}.items():
    write("tokens", name, data)

TYPES, DIMS, FORMAT, COUNT, RATE = 1, 2, 4, 8, 16
for name, there, n, text in (
        ("one", TYPES | DIMS, 1, "float32\n768:32"),
        ("two", TYPES | DIMS | COUNT | RATE, 2, "float32,uint32\n8:4,2:4"),
        ("dots", TYPES | DIMS, 1, "float16.uint8\n3:1:2.5"),
        ("spaces", TYPES | DIMS | FORMAT, 1, " float64 \n 3 : 2 \nstatic"),
        ("flexible", FORMAT, 1, "\n\nflexible"),
        ("sparse", FORMAT | RATE, 38, "\n\nsparse"),
        ("rank-16", TYPES | DIMS, 1, "float32\n" + ":".join("2" * 16)),
        ("overflow", TYPES | DIMS, 1, "int64\n" + ":".join(["65536"] * 5)),
        ("many", TYPES | DIMS, 1, ",".join(["int8"] * 17) + "\n1"),
        ("unlike", TYPES | DIMS | COUNT, 3, "int8,int8\n1,1"),
        ("zero", TYPES | DIMS, 1, "int16\n0:1")):
    write("caps", name, bytes((there, n)) + text.encode())

ONES = struct.pack("<12f", *range(12))
ARRAY = npy(npy_dict()) + ONES
for name, properties, block, data in (
        ("array", 0, 0, ARRAY), ("arrays", 0x20, 36, ARRAY * 2),
        ("arrays-in-bytes", 0x10, 0, ARRAY * 2), ("missing", 0, 6, ARRAY[:-9]),
        ("more", 0, 62, ARRAY + b"123456"), ("raw", 3, 4, ONES),
        ("raw-part", 3, 4, ONES[:-1]), ("bfloat16", 0x32 | 2 << 2, 2, ONES),
        ("float16", 1 | 1 << 2, 2, ONES), ("nothing", 0, 0, b""),
        ("nothing-raw", 1, 0, b""), ("no-array", 0, 3, b"PK\3\4" * 3),
        ("half-array", 0, 1, npy(npy_dict("<f2")) + ONES[:24]),
        ("rank-3", 0, 9, npy(npy_dict(shape="(1, 3, 4)")) + ONES),
        ("no-rows", 0, 1, npy(npy_dict(shape="(0, 4)")))):
    write("parse", name, bytes((properties, block)) + data)

for name, changes in {
        "plain": {}, "groups": {"activation": "groupmax", "k": 3},
        "transcoder": {"transcode": True, "skip_connection": True},
        "expansion": {"num_latents": 0, "expansion_factor": 2},
        "metadata": {"metadata": {"a": "b"}}, "multi": {"multi_topk": True},
        "signed": {"signed": False, "d_out": 2}, "unknown": {"x": 1}}.items():
    write("sparsify-config", name, sparsify_config(**changes))


def latent_stats(rows, fired, mean=(1, 2, 3), most=(4, 5, 6)):
    names = "fired_fraction", "mean_when_active", "max_when_active"
    tensors = {"__metadata__": {"rows": rows}}
    for i, name in enumerate(names):
        tensors[name] = tensor("F32", [3], 12 * i, 12 * i + 12)
    return safetensors(tensors, 0, struct.pack("<9f", *fired, *mean, *most))


write("latent-stats", "some", latent_stats("8", (0, 0.5, 1)))
write("latent-stats", "most", latent_stats(str(2**63 - 1), (0, 0.3, 1)))
write("latent-stats", "large", latent_stats("3", (1, 1, 1), (3e38,) * 3))
write("latent-stats", "beyond", latent_stats("3", (0, 1.5, 1)))
write("latent-stats", "none", latent_stats("0", (0, 0, 0)))
write("latent-stats", "words", latent_stats("many", (0, 0, 0)))

# Those of a checkpoint, which make-checkpoints.py wrote.
checkpoint = (HERE / "checkpoint" / "top-k").read_bytes()
(size,) = struct.unpack("<Q", checkpoint[:8])
OPTIONS = json.loads(checkpoint[8:8 + size])["__metadata__"]["options"].encode()
write("options", "options", b"\1" + OPTIONS)
write("options", "options-of-model", b"\3" + OPTIONS)
for i, prefixes in enumerate(("", "64,256", "1", " 8 , 16", "256", "2,1", "1,",
                              ",".join(map(str, range(1, 18))))):
    write("options", f"prefixes-{i}", b"\x20" + prefixes.encode())
