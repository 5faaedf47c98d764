#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py FILE NAME: a text file as a C string called NAME, on stdout."""

import sys


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    # What C takes for a trigraph, and bytes past ASCII in any charset.
    escaped = escaped.replace("??", "?\\?").replace("\n", "\\n")
    return '"' + "".join(
        c if ord(c) < 128 else "".join(f"\\{b:03o}" for b in c.encode())
        for c in escaped
    ) + '"'


def main():
    path, name = sys.argv[1:]
    with open(path, encoding="utf-8", newline="") as lines:
        body = "\n".join(f"    {literal(line)}" for line in lines)
    print(f"extern const char {name}[];\nconst char {name}[] =\n{body};")


main()
