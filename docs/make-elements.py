#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes docs/elements.md from the elements themselves: each one's
description, every property in one table, and what gst-inspect-1.0 prints.

  ninja -C BUILD docs-elements                      writes it
  meson devenv -C BUILD docs/make-elements.py --check   says what is out of date

Needs PyGObject with GStreamer's typelib, and GStreamer has to find the plugin.
"""

import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GObject, Gst  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent
TARGET = TOP / "docs" / "elements.md"

START = """# Elements

<!-- Made by docs/make-elements.py from the elements; do not edit. -->

All elements have rank none and are in the plugin `sae`.

{contents}

## Properties

Those that every GStreamer element has (`name`, `parent`) and those of the base
classes are left out. "Changeable" says in which states a new value takes
effect; a property that is controllable can be animated by a control source.

| element | property | type | default | range | changeable | meaning |
|---|---|---|---|---|---|---|
"""

TYPES = {
    "gboolean": "boolean", "gchararray": "string", "gint": "int",
    "guint": "uint", "gint64": "int64", "guint64": "uint64",
    "gfloat": "float", "gdouble": "double", "GstFraction": "fraction",
}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def show_integer(value):
    """2³² − 1 and its like are easier on the eye than their digits."""
    for text, power in (("", value), (" − 1", value + 1)):
        if power >= 2**20 and power & (power - 1) == 0:
            exponent = str(power.bit_length() - 1).translate(SUPERSCRIPTS)
            return f"2{exponent}{text}"
    return f"{value:,}"


def show_number(value):
    if value < 0:
        return "−" + show_number(-value)
    return f"{value:g}" if isinstance(value, float) else show_integer(value)


def show_default(pspec):
    value = getattr(pspec, "default_value", None)
    kind = pspec.value_type
    if GObject.type_is_a(kind, GObject.TYPE_ENUM):
        return f"`{value.value_nick}`"
    if kind == GObject.TYPE_BOOLEAN:
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (int, float)):
        return show_number(value)
    return ""


def show_range(pspec):
    kind = pspec.value_type
    if GObject.type_is_a(kind, GObject.TYPE_ENUM):
        values = pspec.enum_class.__enum_values__.values()
        return ", ".join(f"`{value.value_nick}`" for value in values)
    if hasattr(pspec, "minimum"):
        ends = show_number(pspec.minimum), show_number(pspec.maximum)
        return " … ".join(ends)
    return ""


def show_type(pspec):
    kind = pspec.value_type
    if GObject.type_is_a(kind, GObject.TYPE_ENUM):
        return "enum"
    return TYPES.get(kind.name, f"`{kind.name}`")


def show_mutability(pspec):
    flags = int(pspec.flags)
    if not flags & GObject.ParamFlags.WRITABLE:
        return "read-only"
    states = "always"
    if flags & Gst.PARAM_MUTABLE_READY:
        states = "NULL, READY"
    elif flags & Gst.PARAM_MUTABLE_PAUSED:
        states = "up to PAUSED"
    if flags & Gst.PARAM_CONTROLLABLE:
        states += "; controllable"
    return states


def show_fraction(name, pspec):
    """Default and range, from gst-inspect: bindings cannot ask for them."""
    found = re.search(
        rf"^  {pspec.name} .*?Range: (\S+) - (\S+) Default: (\S+)",
        inspect(name), re.M | re.S,
    )
    return found[3], f"{found[1]} … {found[2]}"


def own_properties(element):
    return [
        pspec
        for pspec in sorted(element.list_properties(), key=lambda p: p.name)
        if pspec.owner_type.name.startswith("GstSae")
    ]


def property_rows(name, element):
    for pspec in own_properties(element):
        default, limits = show_default(pspec), show_range(pspec)
        if pspec.value_type.name == "GstFraction":
            default, limits = show_fraction(name, pspec)
        # The value of a read-only property is no default.
        if not int(pspec.flags) & GObject.ParamFlags.WRITABLE:
            default = ""
        cells = (
            f"`{name}`", f"`{pspec.name}`", show_type(pspec), default,
            limits, show_mutability(pspec), pspec.blurb,
        )
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def describe(name):
    """The text of the element's SECTION comment, as Markdown."""
    source = (TOP / "plugin" / f"gst{name}.c").read_text()
    comment = re.search(
        rf"/\*\*\n \* SECTION:element-{name}\n(.*?) \*/", source, re.S
    )
    if not comment:
        sys.exit(f"plugin/gst{name}.c has no SECTION:element-{name}")
    lines = [line[3:] for line in comment[1].splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("@"))
    text = re.sub(r"^## (.*)$", r"### \1\n", text, flags=re.M)
    text = re.sub(r"^\|\[.*?^\]\|$", show_example, text, flags=re.M | re.S)
    return text.strip()


def show_example(block):
    """A command for the shell: its indented lines continue those above."""
    lines = block[0].splitlines()[1:-1]
    command = re.sub(r"\n(?= )", " \\\\\n", "\n".join(lines))
    return f"```sh\n{command}\n```"


def inspect(name):
    env = dict(os.environ, LC_ALL="C.UTF-8", GST_INSPECT_NO_COLORS="1")
    out = subprocess.run(
        ["gst-inspect-1.0", name], env=env, check=True, capture_output=True,
        text=True,
    ).stdout
    out = re.sub(r"(Filename +).*/", r"\1", out)
    return "\n".join(line.rstrip() for line in out.strip().splitlines())


def generate():
    features = Gst.Registry.get().get_feature_list_by_plugin("sae")
    names = sorted(feature.get_name() for feature in features)
    if not names:
        sys.exit("GStreamer does not find the plugin sae")
    contents = "\n".join(
        f"- [`{name}`](#{name}): "
        + Gst.ElementFactory.find(name).get_metadata("description")
        for name in names
    )
    parts = [START.format(contents=contents)]
    for name in names:
        rows = property_rows(name, Gst.ElementFactory.make(name))
        parts += [row + "\n" for row in rows]
    for name in names:
        parts.append(
            f"\n## {name}\n\n{describe(name)}\n\n"
            f"`gst-inspect-1.0 {name}`:\n\n```\n{inspect(name)}\n```\n"
        )
    return "".join(parts)


def check(text):
    committed = TARGET.read_text() if TARGET.exists() else ""
    changes = list(
        difflib.unified_diff(
            committed.splitlines(), text.splitlines(), "docs/elements.md",
            "the elements", lineterm="", n=1,
        )
    )
    print("\n".join(changes) or f"{TARGET} is up to date")
    return 1 if changes else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    Gst.init(None)
    text = generate()
    if options.check:
        return check(text)
    TARGET.write_text(text)
    print(f"{TARGET} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
