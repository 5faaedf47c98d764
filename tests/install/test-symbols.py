# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shared objects export what they mean to, and nothing else.

Usage: test-symbols.py LIBRARY LIST PLUGIN
A symbol that is added on purpose is added to LIST as well.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

library, listed, plugin = [sys.argv.pop(1) for _ in range(3)]


VERSION = "SAE_1.0"


def exported(path):
    """Names with the version that they are exported in, as nm prints them."""
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", path]
    output = subprocess.run(command, capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    symbols = (line.split()[:2] for line in output.stdout.splitlines())
    # The linker adds one of type A for each version.
    return sorted(name for name, kind in symbols if kind != "A")


def exported_names(path):
    return [name.split("@")[0] for name in exported(path)]


@tap.test("/install/symbols/the-library-exports-what-is-listed")
def _():
    want = pathlib.Path(listed).read_text().split()
    assert want == sorted(want), f"{listed} is not sorted"
    got = exported_names(library)
    missing, extra = set(want) - set(got), set(got) - set(want)
    assert not missing, f"not exported: {sorted(missing)}"
    assert not extra, f"exported and not listed: {sorted(extra)}"


@tap.test("/install/symbols/each-has-the-version-of-its-release")
def _():
    versions = dict(name.partition("@@")[::2] for name in exported(library))
    wrong = {name for name, version in versions.items() if version != VERSION}
    assert not wrong, f"not of {VERSION}: {sorted(wrong)}"


@tap.test("/install/symbols/the-plugin-exports-its-entry-points-only")
def _():
    got = exported(plugin)
    assert got == ["gst_plugin_sae_get_desc", "gst_plugin_sae_register"], got


tap.main()
