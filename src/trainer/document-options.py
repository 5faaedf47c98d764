#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes comments for the introspection from the table of options: a row there
is all that an option needs.

Usage: document-options.py OPTIONS.C OUTPUT.C
"""

import pathlib
import re
import sys

ROW = re.compile(r'\{\s*"([a-z0-9-]+)",((?:\s*"(?:[^"\\]|\\.)*")+),\s*KIND_')


def main():
    table, output = map(pathlib.Path, sys.argv[1:])
    rows = ROW.findall(table.read_text())
    assert rows, f"{table}: no table of options"
    comments = []
    for name, strings in rows:
        blurb = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', strings))
        comments.append(
            f"/**\n * SaeTrainer:{name}:\n *\n * {blurb}.\n *\n"
            " * Since: 0.1\n */\n"
        )
    output.write_text("\n".join(comments))


main()
