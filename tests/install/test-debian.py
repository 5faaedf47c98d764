# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lists of debian/*.install have each file that is installed, once.

Usage: test-debian.py SOURCES BUILD-FOLDER
Building the packages is tests/packaging.sh's.
"""

import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

sources, build = (pathlib.Path(argument) for argument in sys.argv[1:3])
del sys.argv[1:]
debian = sources / "debian"

# What only some systems install: a list may name it in vain.
OPTIONAL = ("usr/share/doc/sae-1.0",)


def ask_meson(what):
    command = os.environ.get("MESON", "meson").split()
    out = subprocess.run(
        [*command, "introspect", str(build), what], capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def as_debian_has_it(path, options):
    """A path of this build folder's prefix as it is in a package."""
    prefix, libdir = options["prefix"], options["libdir"]
    inside = os.path.relpath(path, prefix)
    if pathlib.PurePath(inside).is_relative_to(libdir):
        inside = f"lib/x86_64-linux-gnu/{os.path.relpath(inside, libdir)}"
    elif inside.startswith(".."):
        inside = re.sub(r".*/(gstreamer-1\.0/)", r"lib/x86_64-linux-gnu/\1", path)
    return f"usr/{inside}"


def list_installed():
    options = {
        option["name"]: option["value"] for option in ask_meson("--buildoptions")
    }
    return {
        as_debian_has_it(path, options)
        for path in ask_meson("--installed").values()
    }


def read_lists():
    """The patterns of each package."""
    return {
        path.stem: [
            line.split()[0]
            for line in path.read_text().splitlines()
            if line.strip() and not line.startswith("#")
        ]
        for path in debian.glob("*.install")
    }


def takes(pattern, path):
    """As dh_install matches: a star stops at no slash, a folder takes all."""
    words, parts = pattern.split("/"), path.split("/")
    return len(parts) >= len(words) and all(
        fnmatch.fnmatchcase(part, word) for word, part in zip(words, parts)
    )


@tap.test("/install/debian/each-installed-file-is-in-one-package")
def _():
    lists = read_lists()
    for path in list_installed():
        owners = [
            package
            for package, patterns in lists.items()
            if any(takes(pattern, path) for pattern in patterns)
        ]
        assert len(owners) == 1, f"{path} is in {owners or 'no package'}"


@tap.test("/install/debian/each-line-of-a-list-has-a-file")
def _():
    installed = list_installed()
    for package, patterns in read_lists().items():
        for pattern in patterns:
            assert (
                pattern in OPTIONAL
                or (sources / pattern).exists()
                or any(takes(pattern, path) for path in installed)
            ), f"{package}: nothing is installed as {pattern}"


@tap.test("/install/debian/each-list-is-of-a-package")
def _():
    control = (debian / "control").read_text()
    packages = set(re.findall(r"^Package: (\S+)", control, re.MULTILINE))
    for path in debian.iterdir():
        package = path.name.rpartition(".")[0]
        if path.suffix in (".install", ".docs", ".examples", ".manpages",
                           ".symbols", ".links", ".doc-base"):
            assert package in packages, f"{path.name}: no package {package}"


@tap.test("/install/debian/the-version-is-the-project's")
def _():
    changelog = (debian / "changelog").read_text()
    version = ask_meson("--projectinfo")["version"]
    assert changelog.startswith(f"gst-sae ({version})"), changelog[:40]


tap.main()
