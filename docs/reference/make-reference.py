#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the reference of the library from its GIR, with the pages of docs/.

Usage: make-reference.py GI-DOCGEN GIR VERSION OUTPUT-FOLDER
       make-reference.py --list     names the files that it reads

A warning of gi-docgen is an error.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent


def read_pages():
    """The pages by name; the first line of each is its title."""
    return {page.name: page.read_text() for page in sorted(DOCS.glob("*.md"))}


def convert_link(match, pages):
    """A page of ours has another name here, and files of the sources none."""
    text, target = match["text"], match["target"]
    name, _, anchor = target.partition("#")
    if name in pages:
        return f"[{text}]({name[:-3]}.html{'#' + anchor if anchor else ''})"
    if "://" in target or target.startswith("#") or target.endswith(".png"):
        return match[0]
    return text


def convert(text, pages):
    """A page as gi-docgen takes it."""
    first, _, rest = text.partition("\n")
    assert first.startswith("# "), first
    rest = re.sub(
        r"(?<!!)\[(?P<text>[^]\[]*)\]\((?P<target>[^)\s]+)\)",
        lambda match: convert_link(match, pages),
        rest,
    )
    return f"Title: {first[2:].replace('`', '')}\n\n{rest}"


def write_pages(folder):
    pages = read_pages()
    for name, text in pages.items():
        (folder / name).write_text(convert(text, pages))
    images = sorted(image.name for image in DOCS.glob("*.png"))
    for image in images:
        shutil.copy(DOCS / image, folder)
    return list(pages), images


def write_project(folder, version, pages, images):
    text = (HERE / "reference.toml.in").read_text()
    quoted = {
        "version": version,
        "pages": ", ".join(f'"{page}"' for page in pages),
        "images": ", ".join(f'"{image}"' for image in images),
    }
    for name, value in quoted.items():
        text = text.replace(f"@{name}@", value)
    path = folder / "reference.toml"
    path.write_text(text)
    return path


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(path.name for path in sorted(DOCS.glob("*.[mp][dn]*"))))
        return 0
    gi_docgen, gir, version, output = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="sae-reference-") as folder:
        folder = pathlib.Path(folder)
        project = write_project(folder, version, *write_pages(folder))
        shutil.rmtree(output, ignore_errors=True)
        return subprocess.run([
            gi_docgen, "generate", "--quiet", "--fatal-warnings",
            f"--config={project}", f"--content-dir={folder}",
            f"--output-dir={output}", "--no-namespace-dir", gir,
        ]).returncode


sys.exit(main())
