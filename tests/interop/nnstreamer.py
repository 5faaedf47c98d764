# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where NNStreamer's elements are: in the folder that SAE_NNSTREAMER names (a
prefix), in that of prepare-nnstreamer.sh, or among the system's plugins."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


def list_prefixes():
    if "SAE_NNSTREAMER" in os.environ:
        return [os.environ["SAE_NNSTREAMER"]]
    cached = subprocess.run(
        ["bash", str(HERE / "prepare-nnstreamer.sh"), "--prefix"],
        capture_output=True, text=True,
    )
    return [cached.stdout.strip()]


def find_plugin(system_plugins):
    found = [
        path for prefix in list_prefixes()
        for path in pathlib.Path(prefix).glob("**/gstreamer-1.0/libnnstreamer.so")
    ]
    there = pathlib.Path(system_plugins, "libnnstreamer.so")
    return found[0] if found else there if there.exists() else None


def prepend(name, value):
    os.environ[name] = f"{value}:{os.environ.get(name, '')}".rstrip(":")


def use(system_plugins):
    """Programs that are started from now on find them; FALSE if there are none."""
    plugin = find_plugin(system_plugins)
    if plugin is None:
        return False
    prepend("GST_PLUGIN_PATH_1_0", plugin.parent)
    prepend("LD_LIBRARY_PATH", plugin.parent.parent)
    os.environ["GST_REGISTRY_1_0"] += ".nnstreamer"
    # It warns of caps that it then takes.
    os.environ["G_DEBUG"] = ""
    return True
