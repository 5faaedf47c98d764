# SPDX-License-Identifier: LGPL-2.1-or-later
"""Examples of latents: the JSON beside NumPy, the page in a browser."""

import html.parser
import json
import locale
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gi
import numpy as np

import commas
import tap
from bridge import Sae, expect_error, to_bytes
from strongest import HOSTILE, expected, same

GOLDENS = pathlib.Path(os.environ["SAE_GOLDENS"])



def golden_latents(name="saelens-topk-bdec1-rescale0"):
    return np.load(GOLDENS / name / "latents.npy").astype(np.float32)  # [40, 320]


def examples_of(dense, per_latent=4, context=3, passage=0, first_row=0):
    examples = Sae.Examples.new(dense.shape[1], per_latent, context, passage)
    latents = Sae.Latents.new_from_dense(dense.shape[1], to_bytes(dense))
    assert examples.add(latents, first_row)
    return examples


@tap.test("/python/examples/json-as-numpy")
def _():
    for name in "saelens-topk-bdec1-rescale0", "saelens-standard-bdec0":
        dense = golden_latents(name)
        document = json.loads(examples_of(dense).to_json(None))
        same(document["latents"], list(expected(dense, 4, 3)))
        fired = (dense > 0).sum(axis=0)
        want, edges = np.histogram(
            np.log10(fired[fired > 0] / len(dense)), bins=np.arange(-20, 1) / 2)
        assert document["log10_histogram"]["counts"] == want.tolist()
        assert document["log10_histogram"]["edges"] == edges.tolist()
        assert document["rows"] == len(dense)
        assert document["d_sae"] == dense.shape[1]
        assert document["alive"] == (fired > 0).sum()
        assert abs(document["l0"] - fired.sum() / len(dense)) < 1e-6


@tap.test("/python/examples/json-with-tokens-as-numpy")
def _():
    dense = golden_latents()
    tokens = [f"{word}{i}" for i, word in enumerate(HOSTILE * 4)]
    document = json.loads(examples_of(dense).to_json(Sae.Tokens.new(tokens)))
    same(document["latents"], list(expected(dense, 4, 3, tokens)))


@tap.test("/python/examples/fewer-tokens-than-rows")
def _():
    dense = golden_latents()
    document = json.loads(examples_of(dense).to_json(Sae.Tokens.new(["a"] * 10)))
    for latent in document["latents"]:
        for example in latent["examples"]:
            assert example["token"] == ("a" if example["row"] < 10 else None)
            assert len(example["tokens"]) == len(example["values"])


@tap.test("/python/examples/other-latents-refused")
def _():
    dense = golden_latents()
    examples = examples_of(dense)
    latents = Sae.Latents.new_from_dense(4, to_bytes(np.zeros((2, 4))))
    with expect_error(Sae.Error.SIZE, "320", "4"):
        examples.add(latents, 0)


@tap.test("/python/examples/comma-locale")
def _():
    dense = golden_latents()
    before = examples_of(dense).to_json(None)
    usual = locale.setlocale(locale.LC_ALL)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(commas.make_locale(folder))
        locale.setlocale(locale.LC_ALL, "")
        try:
            assert locale.localeconv()["decimal_point"] == ","
            assert examples_of(dense).to_json(None) == before
        finally:
            locale.setlocale(locale.LC_ALL, usual)
            del os.environ["LOCPATH"], os.environ["LC_ALL"]


# --- the page --------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What a browser made of a page."""

    def __init__(self, text):
        super().__init__()
        self.title, self.rows, self.text = "", [], {}
        self.examples, self.fetched, self.ready = [], [], False
        self.n_scripts = 0
        self._path = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.n_scripts += tag == "script"
        self.ready |= given.get("data-ready") == "yes"
        self.fetched += [
            v for k, v in attributes if k in ("src", "href") and v != "data:,"]
        if tag not in ("meta", "link", "input", "img"):
            self._path.append((tag, given.get("id"), given.get("class") or ""))
        if "data-latent" in given:
            self.rows.append(int(given["data-latent"]))
        if tag == "tr":
            self.examples.append("")

    def handle_endtag(self, tag):
        while self._path and self._path.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tags = [tag for tag, _, _ in self._path]
        if "script" in tags:
            return
        for _, name, _ in self._path:
            if name:
                self.text[name] = self.text.get(name, "") + data
        if tags[-1:] == ["title"] and "svg" not in tags:
            self.title += data
        if "tr" in tags:
            self.examples[-1] += data


def browse(path, address=""):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        raise tap.Skip("no chromium")
    # The sanitizers of a test are not for somebody else's program.
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    with tempfile.TemporaryDirectory(prefix="sae-browser-") as profile:
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", f"--user-data-dir={profile}",
             "--window-size=1200,800", "--virtual-time-budget=4000",
             "--dump-dom", f"file://{path}{address}"],
            env=env, capture_output=True, text=True, timeout=100)
    page = Page(done.stdout)
    if not page.ready:
        raise AssertionError(f"the page did not run:\n{done.stdout[-2000:]}\n{done.stderr}")
    return page


class SavedPage:
    """The page of golden latents in a folder of its own."""

    def __init__(self, tokens=None, title=None, dense=None, **sizes):
        self.dense = golden_latents() if dense is None else dense
        self.tokens = Sae.Tokens.new(tokens) if tokens else None
        self.title = title
        self.examples = examples_of(self.dense, **sizes)

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sae-page-")
        path = pathlib.Path(self.folder.name) / "page.html"
        self.examples.save_page(self.tokens, self.title, str(path))
        self.path = path
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def in_order(keys, n_latents, sign):
    return sorted(range(n_latents), key=lambda i: (sign * keys[i], i))


@tap.test("/python/examples/page-sorts")
def _():
    with SavedPage() as saved:
        dense = saved.dense
        fired, largest = (dense > 0).sum(axis=0), dense.max(axis=0)
        n = dense.shape[1]
        for address, want in {
            "": in_order(fired, n, -1),
            "#sort=frequency&order=up": in_order(fired, n, 1),
            "#sort=max": in_order(largest, n, -1),
            "#sort=index": list(range(n)),
            "#sort=index&order=down": list(range(n))[::-1],
            "#sort=nonsense&latent=99999": in_order(fired, n, -1),
        }.items():
            got = browse(saved.path, address).rows
            assert len(got) >= 10, got
            assert got == want[: len(got)], (address, got, want[: len(got)])


@tap.test("/python/examples/page-searches")
def _():
    tokens = [f"word{i}" for i in range(40)]
    with SavedPage(tokens) as saved:
        top = {}
        for latent in expected(saved.dense, 4, 3):
            top[latent["index"]] = {e["row"] for e in latent["examples"]}
        page = browse(saved.path, "#q=WORD17&sort=index")
        assert page.rows == [i for i in sorted(top) if 17 in top[i]]
        assert f"{len(page.rows)} of 320 latents" in page.text["count"]
        assert "word17" in page.text["detail"]
        page = browse(saved.path, "#q=200")
        assert page.rows == [200], page.rows
        assert "Latent 200" in page.text["detail"]
        page = browse(saved.path, "#q=nothing")
        assert page.rows == [] and "0 of 320" in page.text["count"]


@tap.test("/python/examples/page-shows-examples")
def _():
    tokens = [f"word{i}" for i in range(40)]
    with SavedPage(tokens, title="A <title> & more") as saved:
        want = list(expected(saved.dense, 4, 3, tokens))[5]
        page = browse(saved.path, f"#latent={want['index']}")
        assert page.title == "A <title> & more", page.title
        assert len(page.examples) == 1 + len(want["examples"])  # and the head
        for line, example in zip(page.examples[1:], want["examples"]):
            assert " ".join(example["tokens"]) in line, (line, example)
        assert f"{want['fired']} rows" in page.text["detail"]


@tap.test("/python/examples/page-without-tokens")
def _():
    with SavedPage() as saved:
        want = list(expected(saved.dense, 4, 3))[3]
        page = browse(saved.path, f"#latent={want['index']}")
        assert len(page.examples) == 1 + len(want["examples"])
        for line, example in zip(page.examples[1:], want["examples"]):
            assert line.endswith(str(example["row"])), line


@tap.test("/python/examples/page-of-hostile-tokens")
def _():
    with SavedPage(HOSTILE * 4, title=HOSTILE[0], context=2) as saved:
        text = saved.path.read_text()
        assert text.count("</script>") == 5 and text.count("<script") == 5
        want = list(expected(saved.dense, 4, 2, HOSTILE * 4))[0]
        page = browse(saved.path, f"#latent={want['index']}")
        assert page.title == HOSTILE[0], page.title  # as text: nothing ran
        assert page.n_scripts == 5 and page.fetched == []
        for line, example in zip(page.examples[1:], want["examples"]):
            shown = line.replace(" ", "")
            for token in example["tokens"]:
                assert token.replace(" ", "") in shown, (token, line)


@tap.test("/python/examples/page-needs-nothing-else")
def _():
    with SavedPage(["a"] * 40) as saved:
        text = saved.path.read_text()
        assert "default-src 'none'" in text
        without_namespaces = text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in without_namespaces and "https:" not in without_namespaces


@tap.test("/python/examples/page-of-many-latents")
def _():
    random = np.random.default_rng(5)
    dense = np.maximum(random.standard_normal((60, 20000)) - 1.5, 0)
    with SavedPage([f"w{i}" for i in range(60)], dense=dense.astype(np.float32)) as saved:
        page = browse(saved.path, "#q=w7&sort=max")
        assert 10 <= len(page.rows) < 100  # those in view
        fires_most = dense.max(axis=0)
        assert page.rows == sorted(page.rows, key=lambda i: -np.float32(fires_most[i]))


tap.main()
