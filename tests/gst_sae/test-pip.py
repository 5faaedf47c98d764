# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package as pip installs it.

Usage: test-pip.py FOLDER
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "python"))
import tap  # noqa: E402

package = pathlib.Path(sys.argv.pop(1))


def run(*command, **more):
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need(module):
    if subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True
    ).returncode:
        raise tap.Skip(f"no {module}")


@tap.test("/gst_sae/pip/installs-and-imports")
def _():
    need("pip")
    need("setuptools.build_meta, wheel")
    with tempfile.TemporaryDirectory(prefix="sae-pip-") as scratch:
        # A build writes beside the sources.
        source = shutil.copytree(
            package, pathlib.Path(scratch, "source"),
            ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"),
        )
        target = pathlib.Path(scratch, "target")
        run("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
            "--disable-pip-version-check", "--target", target, source)
        assert (target / "gst_sae" / "py.typed").exists()
        said = run(
            "-c", "import gst_sae; print(gst_sae.__file__, gst_sae.__version__)",
            env={**os.environ, "PYTHONPATH": str(target)}, cwd=scratch,
        )
        assert said.startswith(str(target)) and said.split()[1] == "0.1.0", said


@tap.test("/gst_sae/pip/has-the-version-of-the-project")
def _():
    text = (package.parent / "meson.build").read_text()
    version = text.split("version: '")[1].split("'")[0]
    assert f'version = "{version}"' in (package / "pyproject.toml").read_text()
    assert f'__version__ = "{version}"' in (package / "gst_sae/__init__.py").read_text()


@tap.test("/gst_sae/pip/says-what-is-missing")
def _():
    done = subprocess.run(
        [sys.executable, "-c", "import gst_sae"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(package), "GI_TYPELIB_PATH": "/nowhere"},
    )
    if done.returncode == 0:
        raise tap.Skip("gst-sae is installed here")
    assert "GI_TYPELIB_PATH" in done.stderr and "python3-gi" in done.stderr, done.stderr


tap.main()
