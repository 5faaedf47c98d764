# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `meson install` puts down works from there, without the build folder.

Usage: test-installed.py BUILD-FOLDER PREFIX LIBDIR INCLUDEDIR PYTHON
           CC CXX MESON…
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "python"))
import tap  # noqa: E402

build, prefix, libdir, includedir, python, cc, cxx, *meson = sys.argv[1:]
del sys.argv[1:]

ELEMENTS = (
    "saeencoder", "saedecoder", "saetrainer", "saesrc", "saeparse",
    "saenpyenc", "saetop",
)
scratch = pathlib.Path(tempfile.mkdtemp(prefix="sae-install-"))
root = scratch / "root"
installed = root / prefix.lstrip("/")
headers = installed / includedir / "sae-1.0"
libraries = installed / libdir

PRINT_SIZE = """
import gi
gi.require_version("Sae", "1.0")
from gi.repository import Sae
model = Sae.Model.new(Sae.Config.new(8, 16, 2), 1, Sae.Init.TIED)
print("d_sae", model.get_d_sae())
"""


def environment(**more):
    """This process's, less what points into the build folder."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GST_", "GI_TYPELIB_PATH", "LD_LIBRARY_PATH"))
    }
    clean["GST_REGISTRY_1_0"] = str(scratch / "registry.bin")
    clean.update({name: str(value) for name, value in more.items()})
    return clean


def run(command, env=None, cwd=scratch, text=None):
    result = subprocess.run(
        [str(word) for word in command], env=env or environment(), cwd=cwd,
        input=text or "", capture_output=True, text=True,
    )
    assert result.returncode == 0, (
        f"{command}: exit status {result.returncode}\n{result.stdout}"
        f"{result.stderr}"
    )
    return result.stdout


def own_environment():
    return environment(
        LD_LIBRARY_PATH=libraries,
        GI_TYPELIB_PATH=libraries / "girepository-1.0",
        GST_PLUGIN_PATH_1_0=libraries / "gstreamer-1.0",
        GST_PLUGIN_SYSTEM_PATH_1_0="",
    )


def pkg_config(*what):
    """Asks a copy of sae-1.0.pc whose prefix is where the files lie now."""
    folder = scratch / "pkgconfig"
    folder.mkdir(exist_ok=True)
    text = (libraries / "pkgconfig" / "sae-1.0.pc").read_text()
    assert f"prefix={prefix}\n" in text, text
    text = text.replace(f"prefix={prefix}\n", f"prefix={installed}\n")
    (folder / "sae-1.0.pc").write_text(text)
    env = environment(PKG_CONFIG_PATH=folder)
    return run(["pkg-config", *what, "sae-1.0"], env).split()


def installed_headers():
    names = sorted(path.name for path in headers.iterdir())
    assert "sae.h" in names and "sae-model.h" in names, names
    return names


def check_headers(compiler, language, *flags):
    for name in installed_headers():
        run(
            [compiler, "-x", language, *flags, "-Wall", "-Wextra",
             "-Wpedantic", "-Werror", "-fsyntax-only",
             *pkg_config("--cflags"), "-"],
            text=f"#include <{name}>\n",
        )


@tap.test("/install/goes-to-a-staging-folder")
def _():
    run([*meson, "install", "-C", build, "--no-rebuild", "--quiet",
         "--destdir", root])
    library = libraries / "libsae-1.0.so.0"
    assert library.exists()
    assert (libraries / "libsae-1.0.so").resolve() == library.resolve()
    assert (installed / "share/gir-1.0/Sae-1.0.gir").exists()


@tap.test("/install/a-c-program-builds-and-runs")
def _():
    program = scratch / "program"
    run([cc, "-Wall", "-Werror", here / "program.c", "-o", program,
         *pkg_config("--cflags", "--libs")])
    assert run([program], own_environment()) == "d_sae 16\n"


@tap.test("/install/each-header-compiles-alone-in-c")
def _():
    check_headers(cc, "c", "-std=c99")
    check_headers(cc, "c", "-std=c11")


@tap.test("/install/each-header-compiles-alone-in-c++")
def _():
    if not shutil.which(cxx):
        raise tap.Skip("no C++ compiler")
    check_headers(cxx, "c++", "-std=c++11")


@tap.test("/install/no-header-of-the-inside-is-installed")
def _():
    names = installed_headers()
    text = "".join((headers / name).read_text() for name in names)
    for line in text.splitlines():
        if line.startswith('#include "'):
            assert line.split('"')[1] in names, line


@tap.test("/install/python-imports-the-typelib")
def _():
    out = run([python, "-c", PRINT_SIZE], own_environment())
    assert out == "d_sae 16\n", out


@tap.test("/install/gst-inspect-lists-every-element")
def _():
    listed = run(["gst-inspect-1.0", "sae"], own_environment())
    for element in ELEMENTS:
        assert f"  {element}: " in listed, listed
        run(["gst-inspect-1.0", element], own_environment())


def write_rows(path, n, d):
    """A .npy file of n rows of d small numbers, without numpy."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {d}), }}"
    head = head.ljust(117) + "\n"
    values = [(7 * i % 23 - 11) / 11 for i in range(n * d)]
    path.write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
        + struct.pack(f"<{n * d}f", *values)
    )


@tap.test("/install/commands-train-and-inspect")
def _():
    rows, out = scratch / "rows.npy", scratch / "out"
    write_rows(rows, 400, 8)
    env = own_environment()
    del env["GST_PLUGIN_SYSTEM_PATH_1_0"]  # fakesink is GStreamer's own
    run([installed / "bin/sae-train", rows, "-o", out, "-d", 32, "-k", 4], env)
    told = run([installed / "bin/sae-inspect", out], env)
    assert "8 -> 32 latents" in told, told
    for page in "sae-train", "sae-inspect":
        assert (installed / f"share/man/man1/{page}.1").exists()
        assert (installed / "share/bash-completion/completions" / page).exists()


@tap.test("/install/devenv-needs-no-installation")
def _():
    devenv = [*meson, "devenv", "-C", build]
    assert "d_sae 16" in run([*devenv, python, "-c", PRINT_SIZE])
    for element in ELEMENTS:
        run([*devenv, "gst-inspect-1.0", element])


try:
    tap.main()
finally:
    shutil.rmtree(scratch)
