#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPUs with less than this one has, emulated: no AVX-512, no AVX2, none with
FMA, no AVX. The level that they have is run, its tests pass, and a dictionary
that is trained there has the bytes of one that is trained here.

Usage: test-other-cpus.py SAVE-VERSIONS LEVELS-TEST TEST...
"""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import tap  # noqa: E402

QEMU = "qemu-x86_64"
SLOW = bool(os.environ.get("SAE_TEST_SLOW"))
# The levels that each has.
CPUS = {
    "Nehalem": ["c"],
    "SandyBridge": ["c"],
    "Haswell,-fma": ["c"],
    "Haswell": ["c", "avx2"],
}

if len(sys.argv) < 3:
    sys.exit(__doc__)
save_versions, levels_test, *tests = (a for a in sys.argv[1:] if a[:4] != "/rel")
sys.argv[1:] = [a for a in sys.argv[1:] if a[:4] == "/rel"]
if platform.machine() != "x86_64":
    tap.skip_all("no programs of x86-64")
if not shutil.which(QEMU):
    tap.skip_all(f"no {QEMU} (Debian: qemu-user)")


def run(cpu, *command):
    """What a program prints on @cpu, or on this machine's own."""
    emulator = [QEMU, "-cpu", cpu] if cpu else []
    environment = {k: v for k, v in os.environ.items() if k != "SAE_KERNELS"}
    done = subprocess.run(
        [*emulator, *command], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{cpu}: {command}: {done.returncode}\n{done.stderr}"
    return done.stdout


def run_tests(cpu, *command):
    """How many tests passed, of those that were not skipped."""
    printed = run(cpu, *command, "--tap")
    assert "not ok" not in printed, printed
    passed = re.findall(r"^ *ok (?!.*# SKIP)", printed, re.MULTILINE)
    return len(passed), printed


def train(cpu):
    with tempfile.TemporaryDirectory(prefix="sae-cpu-") as folder:
        out = pathlib.Path(folder) / "out"
        run(cpu, save_versions, "dictionary", str(out), "3")
        return {path.name: path.read_bytes() for path in out.iterdir()}


def add(cpu, levels):
    @tap.test(f"/reliability/other-cpus/{cpu}")
    def _():
        n, printed = run_tests(cpu, levels_test, "-p", "/kernels/levels/reference-first")
        assert re.findall(r"this CPU runs (\w+)", printed) == levels, printed
        if SLOW or cpu == "Nehalem":
            n += sum(run_tests(cpu, test)[0] for test in tests)
        assert train(cpu) == train(None)
        tap.fault(40, n + 1, n + 1)


for cpu, levels in CPUS.items():
    add(cpu, levels)

tap.main()
