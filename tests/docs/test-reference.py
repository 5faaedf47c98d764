# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything public is documented, and its reference builds without a warning.

Usage: test-reference.py BUILD-FOLDER GIR SYMBOLS NINJA GI-DOCGEN VERSION
GI-DOCGEN is empty where there is none.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "python"))
import tap  # noqa: E402

build, gir, symbols, ninja, gi_docgen, version = sys.argv[1:]
del sys.argv[1:]
gir = os.path.abspath(gir)

CORE = "{http://www.gtk.org/introspection/core/1.0}"
IN_C = "{http://www.gtk.org/introspection/c/1.0}"
NAMESPACE = xml.etree.ElementTree.parse(gir).getroot().find(CORE + "namespace")
# What a reader looks up, as opposed to what is there for the binding.
DOCUMENTED = (
    "class", "record", "enumeration", "member", "constant", "function",
    "method", "constructor", "property", "signal", "parameter",
)


def run(command, **options):
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=build, **options
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def is_structure_of_class(element):
    return element.get("{http://www.gtk.org/introspection/glib/1.0}"
                       "is-gtype-struct-for") is not None


def is_documented(element):
    """Of a function that only returns something, what it returns will do."""
    returned = element.find(CORE + "return-value")
    return any(
        part is not None and part.find(CORE + "doc") is not None
        for part in (element, returned)
    )


def list_undocumented(element, path):
    for child in element:
        kind = child.tag.replace(CORE, "")
        name = f"{path}.{child.get('name')}" if child.get("name") else path
        if is_structure_of_class(child):
            continue
        if kind in DOCUMENTED and not is_documented(child):
            yield f"{kind} {name}"
        yield from list_undocumented(child, name)


@tap.test("/docs/reference/everything-public-is-documented")
def _():
    missing = list(list_undocumented(NAMESPACE, "Sae"))
    assert not missing, "no documentation of:\n" + "\n".join(missing)


@tap.test("/docs/reference/every-exported-function-is-in-it")
def _():
    described = {
        element.get(IN_C + "identifier") for element in NAMESPACE.iter()
    }
    exported = pathlib.Path(symbols).read_text().split()
    missing = [
        name for name in exported
        if name not in described and not name.endswith("_get_type")
    ]
    assert not missing, missing


@tap.test("/docs/reference/the-scanner-has-no-warning")
def _():
    target = os.path.relpath(gir, build)
    commands = run([ninja, "-t", "commands", target]).splitlines()
    scanner = [line for line in commands if "--warn-all" in line]
    assert len(scanner) == 1, commands
    words = shlex.split(scanner[0])
    with tempfile.TemporaryDirectory(prefix="sae-gir-") as folder:
        words[words.index("--output") + 1] = f"{folder}/Sae-1.0.gir"
        run([*words, "--warn-error"])
        assert pathlib.Path(f"{folder}/Sae-1.0.gir").exists()


@tap.test("/docs/reference/gi-docgen-has-no-warning")
def _():
    if not gi_docgen:
        raise tap.Skip("no gi-docgen")
    make = TESTS.parent / "docs" / "reference" / "make-reference.py"
    with tempfile.TemporaryDirectory(prefix="sae-reference-") as folder:
        run([sys.executable, make, gi_docgen, gir, version, f"{folder}/out"])
        index = pathlib.Path(folder, "out", "index.html").read_text()
        for page in "streams.html", "class.Trainer.html", "models.html":
            assert pathlib.Path(folder, "out", page).exists(), page
            assert page in index, page


tap.main()
