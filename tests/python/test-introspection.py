# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything public is callable from a binding, unless it says (skip).

Usage: test-introspection.py Sae-1.0.gir SOURCE-FOLDER
"""

import pathlib
import re
import sys
import tempfile
import xml.etree.ElementTree as xml

import gi

import tap

gi.require_version("Sae", "1.0")
from gi.repository import GLib, Sae  # noqa: E402

CORE = "{http://www.gtk.org/introspection/core/1.0}"
C = "{http://www.gtk.org/introspection/c/1.0}"
CALLABLES = [CORE + tag for tag in ("function", "method", "constructor")]

gir = xml.parse(sys.argv.pop(1)).getroot().find(CORE + "namespace")
sources = pathlib.Path(sys.argv.pop(1))


def callables():
    for parent in gir.iter():
        for child in parent:
            if child.tag in CALLABLES:
                yield parent, child


def skipped_in_sources():
    text = "".join(p.read_text() for p in sources.rglob("*.[ch]"))
    return set(re.findall(r"\* (sae_\w+): \(skip\)", text))


def holder_of(parent):
    return Sae if parent is gir else getattr(Sae, parent.get("name"))


@tap.test("/python/introspection/only-what-says-skip-is-hidden")
def _():
    hidden = {
        call.get(C + "identifier")
        for _, call in callables()
        if call.get("introspectable") == "0"
    }
    assert hidden == skipped_in_sources(), hidden ^ skipped_in_sources()


@tap.test("/python/introspection/every-visible-call-is-found")
def _():
    visible = [
        (parent, call)
        for parent, call in callables()
        if call.get("introspectable") != "0" and not call.get("moved-to")
    ]
    assert len(visible) > 40, len(visible)
    for parent, call in visible:
        assert hasattr(holder_of(parent), call.get("name")), call.get("name")


@tap.test("/python/introspection/every-visible-call-is-documented")
def _():
    for _, call in callables():
        name = call.get(C + "identifier")
        if name.endswith("_get_type") or call.get("introspectable") == "0":
            continue
        documented = call.find(CORE + "doc") is not None
        returns = call.find(CORE + "return-value")
        assert documented or returns.find(CORE + "doc") is not None, name
        assert call.get("version"), f"{name} lacks Since:"


@tap.test("/python/introspection/every-path-may-have-any-bytes")
def _():
    paths = [
        (call.get(C + "identifier"), parameter.find(CORE + "type").get("name"))
        for _, call in callables()
        for parameter in call.iter(CORE + "parameter")
        if parameter.get("name") == "path"
    ]
    assert len(paths) > 8, paths
    assert all(kind == "filename" for _, kind in paths), paths
    # and so they have
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/caf\udce9.txt"
        pathlib.Path(path).write_text("a\nb\n")
        assert Sae.Tokens.load(path).get_n_rows() == 2
        examples = Sae.Examples.new(4, 2, 0, 0)
        assert examples.save_json(None, path) and examples.save_page(None, None, path)
        # in errors too, which are UTF-8
        model = Sae.Model.new(Sae.Config.new(4, 8, 2), 1, Sae.Init.TIED)
        for call in (
            lambda: Sae.Model.load(f"{path}/x"), lambda: model.save(f"{path}/x"),
            lambda: Sae.Tokens.load(f"{path}/x"), lambda: Sae.Checkpoint.load(f"{path}/x"),
            lambda: examples.save_json(None, f"{path}/x"),
            lambda: examples.save_page(None, None, f"{path}/x"),
        ):
            try:
                call()
            except GLib.Error as error:
                assert "caf\ufffd.txt" in error.message, error.message
            else:
                raise AssertionError("expected an error")


@tap.test("/python/introspection/the-error-domain-is-known")
def _():
    assert int(Sae.Error.NOT_FOUND) == 0
    enumeration = gir.find(f"{CORE}enumeration[@name='Error']")
    domain = "{http://www.gtk.org/introspection/glib/1.0}error-domain"
    assert enumeration.get(domain) == "sae-error-quark"


tap.main()
