#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speed of the library beside others on the same work, in turns; the tables and
plots of docs/performance.md are from here.

  performance.py BUILD --results FILE [--only SECTION,…] [--data NPY]
                 [--model FOLDER] [--wide DIR] [--models DIR] [--make]
                 [--no-peers] [OPTION…]
  performance.py --write --results FILE [--doc docs/performance.md]

The sections:

  encode    exact top-k encoding beside the float32 product x·W_encᵀ alone, by
            OpenBLAS and oneDNN, and beside PyTorch's encoding
  latency   the same of a single row, beside sgemv
  step      a training step beside those of PyTorch, sparsify, SAELens and
            dictionary_learning, all by Adam
  fvu       seconds of a whole training run that ends at a held-out fvu of
            --target or better, by each
  pipeline  elements beside the library called directly
  threads   two threads beside one
  d_sae, k, batch
            how the cost of encoding and of a step grows with each

Every contender runs --turns times, in turns with the others, and is asked for
--passes passes each time. A result is a line of JSON in FILE, to which this
program only adds; --write takes the latest session of each section.

--data is a .npy file of activations and --model a dictionary trained on such,
of SAELens or sparsify; without them rows are random and dictionaries untrained,
on which encoding can take another time. --models is a folder of dictionaries
named 384x4096-k32 and so on for the section d_sae. --wide is a folder with the
shards of make-synthetic.py and a dictionary, for the wide shape of encode,
latency and step. --make makes what is not there of --models and --wide.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import performance_tables

here = pathlib.Path(__file__).resolve().parent
top = here.parent.parent

TRAINERS = ("pytorch-dense", "pytorch-gather", "sparsify", "saelens",
            "dictionary-learning")
# The best learning rates that we know of for runs of the section fvu.
RATES = {"sparsify": 2e-3, "saelens": 2e-3, "dictionary-learning": 3e-3,
         "pytorch-dense": 1.5e-3, "pytorch-gather": 1.5e-3}
# The stream of the wide shape: about 32 of 16,384 directions fire in a row.
WIDE_STREAM = ["--rows=500000", "--d-in=768", "--directions=16384",
               "--most=0.0037", "--least=0.0002"]


def integers(text):
    return [int(word) for word in text.split(",")]


def shape(text):
    d_in, d_sae = text.split("x")
    return int(d_in), int(d_sae)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("build", type=pathlib.Path, nargs="?")
    add("--results", type=pathlib.Path, required=True)
    add("--only", default=",".join(SECTIONS))
    add("--data", type=pathlib.Path)
    add("--held-out", type=pathlib.Path)
    add("--model", type=pathlib.Path)
    add("--models", type=pathlib.Path)
    add("--wide", type=pathlib.Path)
    add("--make", action="store_true")
    add("--make-rows", type=int, default=262144,
        help="that a dictionary of --models is trained on")
    add("--no-peers", action="store_true", help="only what needs no PyTorch")
    add("--threads", type=int, default=2)
    add("--turns", type=int, default=5)
    add("--passes", type=int, default=3)
    add("--shape", type=shape, default=(384, 6144))
    add("--k", type=int, default=32)
    add("--batch", type=int, default=1024)
    add("--wide-shape", type=shape, default=(768, 24576))
    add("--wide-batch", type=int, default=512)
    add("--batches", type=int, default=4, help="of a measured pass")
    add("--pipeline-rows", type=int, default=16384, help="of a file")
    add("--target", type=float, default=0.1835, help="held-out fvu")
    add("--first-rows", type=int, default=65536,
        help="of the shortest run of fvu")
    add("--most-rows", type=int, default=1048576, help="of the longest one")
    add("--many-d-sae", type=integers,
        default=[4096, 8192, 16384, 32768, 65536])
    add("--many-k", type=integers, default=[16, 32, 64, 128, 256])
    add("--many-batch", type=integers, default=[1, 4, 16, 64, 256, 1024, 4096])
    add("--write", action="store_true")
    add("--doc", type=pathlib.Path, default=top / "docs" / "performance.md")
    return parser.parse_args()


# --- commands ---


def find_python():
    script = here / "prepare-libraries.sh"
    subprocess.run(["bash", script], check=True, stdout=sys.stderr)
    return subprocess.run(
        ["bash", script, "--path"], capture_output=True, text=True, check=True
    ).stdout.strip()


class Case:
    """What all contenders of a comparison are given."""

    def __init__(self, options, wide=False, **sizes):
        self.options = options
        self.wide = wide
        d_in, d_sae = options.wide_shape if wide else options.shape
        self.sizes = {
            "d-in": d_in, "d-sae": d_sae, "k": options.k,
            "batch": options.wide_batch if wide else options.batch,
            "threads": options.threads,
        } | {name.replace("_", "-"): size for name, size in sizes.items()}
        self.sizes.setdefault("rows", options.batches * self.sizes["batch"])
        self.data, self.model = options.data, options.model
        if wide:
            self.data = sorted((options.wide / "shards").glob("*.npy"))[0]
            self.model = options.wide / "dictionary"

    def label(self):
        s = self.sizes
        return (f"{s['d-in']} → {s['d-sae']:,}, k {s['k']}, "
                f"batch {s['batch']:,}, {s['threads']} thread"
                + "s" * (s["threads"] > 1))

    def arguments(self, model=True, **more):
        words = [f"--{name}={size}" for name, size in self.sizes.items()]
        if self.data:
            words.append(f"--data={self.data}")
        if self.model and model:
            words.append(f"--model={self.model}")
        more = {"repeat": self.options.passes} | more
        return words + [
            f"--{name.replace('_', '-')}={value}"
            for name, value in more.items()
        ]

    def ours(self, work, **more):
        program = self.options.build / "tests" / "bench" / "sae-bench"
        return [program, f"--work={work}", *self.arguments(**more)]

    def pipeline(self, work, **more):
        program = self.options.build / "tests" / "bench" / "bench-pipeline"
        return [program, f"--work={work}", *self.arguments(**more)]

    def peer(self, work, by, **more):
        script = here / "performance-peers.py"
        return [self.options.python, script, work, f"--by={by}",
                *self.arguments(**more)]


def environment(build):
    plugins = [f"{build}/plugin", os.environ.get("GST_PLUGIN_PATH_1_0")]
    return os.environ | {
        "GST_PLUGIN_PATH_1_0": ":".join(filter(None, plugins)),
        "GST_REGISTRY_1_0": f"{build}/bench-registry.bin",
        "LD_LIBRARY_PATH": f"{build}/src",
    }


def execute(command, options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True,
        env=environment(options.build.resolve()),
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"failed": lines[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def without_folders(text):
    """Those of this machine are of no use elsewhere."""
    return re.sub(r'/[^\s"\'=]*/', "", text)


def describe(command):
    words = []
    for word in map(str, command):
        name, equals, value = word.rpartition("=")
        words.append(name + equals + pathlib.Path(value).name)
    return shlex.join(words)


class Session:
    """Adds results to the file."""

    def __init__(self, options):
        self.options = options
        self.start = datetime.datetime.now().isoformat(timespec="seconds")

    def add(self, section, case, name, command, result):
        result = {
            key: without_folders(value) if isinstance(value, str) else value
            for key, value in result.items()
        }
        line = {
            "session": self.start, "section": section, "case": case.label(),
            "name": name, "command": describe(command), "result": result,
        }
        with self.options.results.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        rate = result.get("rows_per_second")
        said = f"{rate:,.0f} rows/s" if rate else result.get("failed")
        print(f"{section}, {case.label()}, {name}: {said}", file=sys.stderr,
              flush=True)

    def take_turns(self, section, case, contenders):
        for _ in range(self.options.turns):
            for name, command in contenders.items():
                result = execute(command, self.options)
                self.add(section, case, name, command, result)


# --- sections ---


def shapes(options):
    yield Case(options)
    if options.wide:
        yield Case(options, wide=True)


def encoders(case, options):
    found = {
        "gst-sae, exact top-k": case.ours("encode"),
        "product by OpenBLAS": case.ours("product", library="openblas"),
        "product by oneDNN": case.ours("product", library="onednn"),
    }
    if not options.no_peers:
        found["PyTorch, encode and top-k"] = case.peer("encode", "pytorch")
    return found


def steppers(case, options, names=TRAINERS):
    found = {"gst-sae": case.ours("step", model=False)}
    if not options.no_peers:
        for name in names:
            found[name] = case.peer("step", name, model=False)
    return found


def run_encode(session, options):
    for case in shapes(options):
        session.take_turns("encode", case, encoders(case, options))


def run_latency(session, options):
    for wide in [False, True] if options.wide else [False]:
        for threads in sorted({1, options.threads}):
            case = Case(options, wide, batch=1, threads=threads, rows=256)
            contenders = {
                "gst-sae, exact top-k": case.ours("encode"),
                "sgemv by OpenBLAS": case.ours("sgemv", library="openblas"),
            }
            session.take_turns("latency", case, contenders)


def run_step(session, options):
    for case in shapes(options):
        session.take_turns("step", case, steppers(case, options))


def run_pipeline(session, options):
    # From a file, long enough for the trainer to be past the rows that it
    # takes the scale from.
    sources = {"pushed": 1024}
    if options.data:
        sources["saesrc"] = options.pipeline_rows
    for batch in (1, 16, 256, 1024):
        case, contenders = Case(options, batch=batch), {}
        for work in ("encoder", "trainer"):
            for source, least in sources.items():
                rows = max(batch * options.batches, least)
                contenders[f"{work}, {source}"] = Case(
                    options, batch=batch, rows=rows
                ).pipeline(work, source=source, model=work == "encoder")
        session.take_turns("pipeline", case, contenders)
    # So little mathematics that what is left is the element.
    case = Case(options, batch=1, rows=2000, d_in=16, d_sae=64, k=4, threads=1)
    case.data = case.model = None
    contenders = {
        f"{work}, pushed": case.pipeline(work)
        for work in ("encoder", "trainer")
    }
    session.take_turns("pipeline", case, contenders)


def run_threads(session, options):
    works = [("encode", options.batch, True), ("step", options.batch, False),
             ("step", 256, False)]
    for work, batch, model in works:
        case = Case(options, batch=batch, rows=options.batches * batch,
                    threads=options.threads)
        contenders = {}
        for threads in sorted({1, options.threads}):
            same = Case(options, batch=batch, rows=options.batches * batch,
                        threads=threads)
            name = f"{work}, {threads} thread{'s' if threads > 1 else ''}"
            contenders[name] = same.ours(work, model=model)
        session.take_turns("threads", case, contenders)


def grow(session, section, case, options):
    contenders = {
        f"encode: {name}": command
        for name, command in encoders(case, options).items()
    }
    contenders |= {
        f"step: {name}": command
        for name, command in steppers(
            case, options, ["pytorch-dense", "sparsify"]
        ).items()
    }
    session.take_turns(section, case, contenders)


def run_d_sae(session, options):
    for d_sae in options.many_d_sae:
        case = Case(options, d_sae=d_sae, rows=options.batch)
        case.model = None
        if options.models:
            case.model = options.models / name_model(options, d_sae)
        grow(session, "d_sae", case, options)


def run_k(session, options):
    for k in options.many_k:
        case = Case(options, k=k, rows=options.batch)
        grow(session, "k", case, options)


def run_batch(session, options):
    for batch in options.many_batch:
        rows = max(batch, min(256, options.batch))
        case = Case(options, batch=batch, rows=rows)
        contenders = {
            f"encode: {name}": command
            for name, command in encoders(case, options).items()
        }
        if batch >= 64:
            contenders |= {
                f"step: {name}": command
                for name, command in steppers(
                    case, options, ["pytorch-dense", "sparsify"]
                ).items()
            }
        session.take_turns("batch", case, contenders)


def run_fvu(session, options):
    """For each, runs of growing length until one ends well enough; every length
    is a run of its own, since the schedules depend on it."""
    case = Case(options, rows=0)
    held_out = {"held_out": options.held_out}
    contenders = {"gst-sae": lambda n: Case(options, rows=0, batch=256).ours(
        "train", model=False, train_rows=n, **held_out)}
    for by in () if options.no_peers else TRAINERS:
        contenders[by] = lambda n, by=by: case.peer(
            "train", by, model=False, train_rows=n, learning_rate=RATES[by],
            **held_out,
        )
    for name, make_command in contenders.items():
        length = options.first_rows
        while length <= options.most_rows:
            command = make_command(length)
            result = execute(command, options)
            session.add("fvu", case, name, command, result)
            if result.get("held_out_fvu", 0) <= options.target:
                break
            length = int(length * 2**0.5)
    # The one that got there runs again, for its best time.
    repeat_best(session, case, contenders, options)


def repeat_best(session, case, contenders, options):
    lines = performance_tables.read(options.results)
    lines = [line for line in lines if line["session"] == session.start]
    for _ in range(options.turns - 1):
        for name, make_command in contenders.items():
            last = [line["result"] for line in lines
                    if line["section"] == "fvu" and line["name"] == name][-1]
            if last.get("held_out_fvu", 1) <= options.target:
                command = make_command(last["train_rows"])
                session.add("fvu", case, name, command,
                            execute(command, options))


SECTIONS = {
    "encode": run_encode, "latency": run_latency, "step": run_step,
    "fvu": run_fvu, "pipeline": run_pipeline, "threads": run_threads,
    "d_sae": run_d_sae, "k": run_k, "batch": run_batch,
}


# --- dictionaries and streams that are not there yet ---


def name_model(options, d_sae):
    return f"{options.shape[0]}x{d_sae}-k{options.k}"


def make_models(options):
    options.models.mkdir(parents=True, exist_ok=True)
    for d_sae in options.many_d_sae:
        folder = options.models / name_model(options, d_sae)
        if folder.exists():
            continue
        case = Case(options, d_sae=d_sae, batch=256, rows=0)
        command = case.ours(
            "train", model=False, train_rows=options.make_rows, save=folder
        )
        print(f"making {folder}", file=sys.stderr, flush=True)
        result = execute(command, options)
        if "failed" in result:
            sys.exit(result["failed"])


def make_wide(options):
    folder, shards = options.wide, options.wide / "shards"
    if not shards.exists():
        print(f"making {shards}", file=sys.stderr, flush=True)
        subprocess.run(
            [sys.executable, here / "make-synthetic.py", folder, *WIDE_STREAM],
            check=True,
        )
    if not (folder / "dictionary").exists():
        print(f"making {folder / 'dictionary'}", file=sys.stderr, flush=True)
        words = [
            "gst-launch-1.0", "-q", "saesrc", f"location={shards}",
            "shuffle=true", "!", "saetrainer",
            f"dict-size={options.wide_shape[1]}", f"top-k={options.k}",
            f"location={folder / 'dictionary'}", "!", "fakesink",
        ]
        subprocess.run(
            words, check=True, env=environment(options.build.resolve())
        )


def check(options):
    wanted = options.only.split(",")
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        sys.exit(f"--only: expected some of {', '.join(SECTIONS)}, "
                 f"got {unknown[0]}")
    if not options.build:
        sys.exit("expected the folder of a build")
    if "fvu" in wanted and not (options.data and options.held_out):
        wanted.remove("fvu")
        print("fvu is left out: it needs --data and --held-out",
              file=sys.stderr)
    return wanted


def main():
    options = parse_arguments()
    if options.write:
        performance_tables.write(options.results, options.doc)
        return
    wanted = check(options)
    options.python = None if options.no_peers else find_python()
    if options.make and options.models:
        make_models(options)
    if options.make and options.wide:
        make_wide(options)
    session = Session(options)
    for name in wanted:
        SECTIONS[name](session, options)


if __name__ == "__main__":
    main()
