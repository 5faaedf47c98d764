# SPDX-License-Identifier: LGPL-2.1-or-later
"""That performance.py measures every section, and that its tables say what was
measured.

  test-performance.py BUILD
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
top = here.parent.parent
build = sys.argv.pop(1)
sys.path += [str(here), str(here.parent / "python")]

import performance_tables  # noqa: E402
import tap  # noqa: E402

SMALL = [
    "--no-peers", "--turns=1", "--passes=2", "--shape=384x64", "--k=4",
    "--batch=32", "--batches=2", "--threads=1", "--many-d-sae=64,128",
    "--many-k=4,8", "--many-batch=1,64", "--pipeline-rows=9000",
    "--first-rows=1024", "--most-rows=2048", "--target=0.99", "--make",
    "--make-rows=9000",
]


def run(*words):
    done = subprocess.run(
        [sys.executable, str(here / "performance.py"), *map(str, words)],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def copy_doc(scratch):
    return pathlib.Path(
        shutil.copy(top / "docs" / "performance.md", scratch / "copy.md")
    )


def prose(text):
    return re.sub(r"(<!-- table:\w+ -->\n).*?(<!-- end -->)", r"\1\2", text,
                  flags=re.DOTALL)


@tap.test("/bench/performance/every-section-runs-and-fills-its-table")
def _():
    data = top / "examples" / "data" / "heldout.npy"
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        results = scratch / "results.jsonl"
        words = [build, f"--results={results}", f"--data={data}",
                 f"--held-out={data}", f"--models={scratch / 'models'}", *SMALL]
        run(*words)
        # Two at once are slow where others work, so only where it has to be.
        run(*words, "--only=threads", "--threads=2")
        lines = performance_tables.read(results)
        failed = [
            line for line in lines if "failed" in line["result"]
            and "not in this build" not in line["result"]["failed"]
        ]
        assert not failed, failed
        assert folder not in results.read_text() and str(top) not in (
            results.read_text()
        )
        doc = copy_doc(scratch)
        before = doc.read_text()
        run("--write", f"--results={results}", f"--doc={doc}")
        text = doc.read_text()
        assert prose(text) == prose(before)
        sections = re.findall(r"<!-- table:(\w+) -->\n(.*?)<!-- end -->", text,
                              re.DOTALL)
        assert len(sections) == 9, [name for name, _ in sections]
        for name, content in sections:
            assert "gst-sae" in content or "encode" in content, name
        for link in re.findall(r"\((copy-.*?png)\)", text):
            assert (scratch / link).stat().st_size > 1000, link
        assert text.count("copy-") == 6


def line(name, seconds, rows=100, session="2026-01-01T00:00:00", **more):
    return {
        "session": session, "section": "encode", "case": "a case",
        "name": name, "command": f"command of {name}",
        "result": {
            "rows": rows, "seconds": seconds, "cpu_seconds": seconds,
            "peak_rss_kib": 2048,
        } | more,
    }


MACHINE = {"cpu": "a machine", "processors": 2, "flags": ["avx2"],
           "kernels": "avx2"}


@tap.test("/bench/performance/a-table-has-best-and-median-of-all-turns")
def _():
    text = performance_tables.speed_table([
        line("gst-sae", [2.0, 1.0], **MACHINE), line("other", [4.0, 6.0]),
        line("gst-sae", [4.0], **MACHINE), line("other", [8.0]),
    ])
    assert "| gst-sae | 100 | 50 | 10,000.0 | 2 |  |" in text, text
    assert "| other | 25 | 17 | 40,000.0 | 2 | 4.00 × |" in text, text
    assert "a machine, 2 processors; avx2" in text, text
    assert "`command of gst-sae`" in text, text


@tap.test("/bench/performance/the-latest-session-of-a-section-counts")
def _():
    lines = [
        line("gst-sae", [1.0]), line("gst-sae", [2.0], session="2026-01-02"),
        line("gst-sae", [3.0]) | {"section": "step"},
    ]
    found = performance_tables.latest(lines)
    assert [x["result"]["seconds"] for x in found["encode"]] == [[2.0]]
    assert [x["result"]["seconds"] for x in found["step"]] == [[3.0]]


@tap.test("/bench/performance/what-failed-is-in-the-table-as-that")
def _():
    broken = line("other", [1.0])
    broken["result"] = {"failed": "no such thing"}
    text = performance_tables.speed_table([line("gst-sae", [1.0]), broken])
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1, text
    assert "no such thing" in rows[-1], text


@tap.test("/bench/performance/writing-again-changes-nothing")
def _():
    with tempfile.TemporaryDirectory() as folder:
        doc = copy_doc(pathlib.Path(folder))
        results = pathlib.Path(folder) / "results.jsonl"
        results.write_text(json.dumps(line("gst-sae", [1.0])) + "\n")
        texts = []
        for _ in range(2):
            run("--write", f"--results={results}", f"--doc={doc}")
            texts.append(doc.read_text())
        assert texts[0] == texts[1]
        assert "gst-sae | 100" in texts[0]


try:
    import matplotlib  # noqa: F401
except ImportError:
    tap.skip_all("no matplotlib")
tap.main()
