# SPDX-License-Identifier: LGPL-2.1-or-later
"""A locale whose decimal point is a comma, made where there is localedef."""

import pathlib
import subprocess

import tap

NAME = "de_DE.UTF-8"


def make_locale(folder):
    """Environment of a process that is to be in it."""
    path = pathlib.Path(folder) / NAME
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(path)]
    try:
        made = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise tap.Skip("no localedef") from None
    if not path.exists():
        raise tap.Skip(f"no locale with commas: {made.stderr[:80]}")
    return {"LOCPATH": str(folder), "LC_ALL": NAME}
