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


def exported(path):
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", path]
    output = subprocess.run(command, capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    return sorted(line.split()[0] for line in output.stdout.splitlines())


@tap.test("/install/symbols/the-library-exports-what-is-listed")
def _():
    want = pathlib.Path(listed).read_text().split()
    assert want == sorted(want), f"{listed} is not sorted"
    got = exported(library)
    missing, extra = set(want) - set(got), set(got) - set(want)
    assert not missing, f"not exported: {sorted(missing)}"
    assert not extra, f"exported and not listed: {sorted(extra)}"


@tap.test("/install/symbols/the-plugin-exports-its-entry-points-only")
def _():
    got = exported(plugin)
    assert got == ["gst_plugin_sae_get_desc", "gst_plugin_sae_register"], got


tap.main()
