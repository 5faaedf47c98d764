#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a disk may hold after a power cut while a dictionary or a checkpoint is
saved over an older one: always a whole version, and never an older one than the
last save that came back.

Usage: test-power-cut.py SAVE-VERSIONS RECORD-STORAGE

The calls of a program that saves are recorded. A disk is then cut off after
each of them, and of what was not synced until then any part may be missing:
each subset of the changes to folders, and of each file's data all, nothing, a
half, or zeros in its place. (POSIX promises no more than that: a file's data is
on disk after its fsync, a name after that of its folder.)

That the test can fail is a test too: with the records of syncing files left
out, or those of syncing folders, versions have to be lost.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import tap  # noqa: E402

VERSIONS = 4
# Of as many changes to folders that wait every subset is tried; of more, those
# that lack one or two, or all from one of them on.
MAX_WAITING = 8


class File:
    def __init__(self):
        self.data = bytearray()
        self.synced = b""

    def write(self, offset, data):
        end = offset + len(data)
        self.data.extend(bytes(max(0, end - len(self.data))))
        self.data[offset:end] = data

    def possible(self):
        """What it may hold after a power cut."""
        data = bytes(self.data)
        if data == self.synced:
            return [data]
        return [data, self.synced, data[: len(data) // 2], bytes(len(data))]


class Folder:
    pass


class Change:
    """One change of names: of folders by their object."""

    def __init__(self, op, objects):
        self.op = op
        self.touched = [objects[op[key]] for key in ("folder", "target") if key in op]
        self.object = objects.get(op.get("inode"))
        self.synced = False
        self.removed = None  # the folder that it removes

    def apply(self, names):
        """names: {folder: {name: object}}. What is not there cannot change."""
        op, source = self.op, names.setdefault(self.touched[0], {})
        name = op["name"]
        if op["op"] in ("create", "mkdir"):
            source[name] = self.object
        elif name not in source:
            return
        elif op["op"] == "unlink":
            del source[name]
        else:
            target = names.setdefault(self.touched[1], {})
            if op["op"] == "link":
                target[op["as"]] = source[name]
            elif op["op"] == "rename":
                target[op["as"]] = source.pop(name)
            elif op["as"] in target:
                source[name], target[op["as"]] = target[op["as"]], source[name]


class Disk:
    def __init__(self, root_inode):
        self.root = Folder()
        self.objects = {root_inode: self.root}
        self.changes = []

    def do(self, op):
        kind = op["op"]
        if kind == "unknown":
            raise AssertionError(f"{op['call']}: cannot be replayed")
        if kind == "create":
            self.objects[op["inode"]] = File()
        elif kind == "mkdir":
            self.objects[op["inode"]] = Folder()
        if kind == "write":
            self.objects[op["inode"]].write(op["offset"], bytes.fromhex(op["data"]))
        elif kind == "sync":
            self.sync(self.objects[op["inode"]])
        elif kind != "mark":
            change = Change(op, self.objects)
            if kind == "unlink":
                parent = self.names().get(change.touched[0], {})
                thing = parent.get(op["name"])
                change.removed = thing if isinstance(thing, Folder) else None
            self.changes.append(change)

    def sync(self, thing):
        if isinstance(thing, File):
            thing.synced = bytes(thing.data)
        for change in self.changes:
            change.synced |= thing in change.touched
        # What was done in a folder that is gone for good does not matter.
        gone = {c.removed for c in self.changes if c.synced and c.removed}
        for change in self.changes:
            change.synced |= gone.issuperset(change.touched)

    def names(self, dropped=frozenset()):
        names = {self.root: {}}
        for number, change in enumerate(self.changes):
            if number not in dropped:
                change.apply(names)
        return names

    def possible_names(self):
        waiting = [n for n, change in enumerate(self.changes) if not change.synced]
        most = len(waiting) if len(waiting) <= MAX_WAITING else 2
        for size in range(most + 1):
            for dropped in itertools.combinations(waiting, size):
                yield self.names(frozenset(dropped))
        if most < len(waiting):
            for first in range(len(waiting)):
                yield self.names(frozenset(waiting[first:]))


def find(names, root, path):
    """The object at @path, None where there is none."""
    thing = root
    for part in path.split("/"):
        thing = names.get(thing, {}).get(part)
        if thing is None:
            return None
    return thing


def files_at(names, root, path):
    """{name: file} of the folder or the one file at @path, None if nothing."""
    thing = find(names, root, path)
    if thing is None:
        return None
    if isinstance(thing, File):
        return {"": thing}
    return dict(names.get(thing, {}))


def contents(files, choose):
    return {name: choose(file) for name, file in files.items()}


def possible_contents(files):
    if files is None:
        yield None
        return
    names, choices = list(files), [file.possible() for file in files.values()]
    for data in itertools.product(*choices):
        yield dict(zip(names, data))


class Cut:
    """Cuts the power after each recorded call and counts what is then there."""

    def __init__(self, ops, root_inode, path):
        self.disk, self.path = Disk(root_inode), path
        self.versions = [None]  # 0: nothing was saved yet
        self.tried = self.lost = 0
        whole = self.whole_versions(ops, root_inode)
        for op in ops:
            self.disk.do(op)
            if op["op"] == "mark":
                self.versions.append(whole[op["version"]])
            self.look(whole)

    def whole_versions(self, ops, root_inode):
        disk, whole = Disk(root_inode), {}
        for op in ops:
            disk.do(op)
            if op["op"] == "mark":
                files = files_at(disk.names(), disk.root, self.path)
                whole[op["version"]] = contents(files, lambda file: bytes(file.data))
        return whole

    def look(self, whole):
        last = len(self.versions) - 1
        allowed = [self.versions[last], whole.get(last + 1, self.versions[last])]
        for names in self.disk.possible_names():
            files = files_at(names, self.disk.root, self.path)
            for found in possible_contents(files):
                self.tried += 1
                self.lost += found not in allowed


def record(what, path):
    """What the program does to its folder, call by call; and that folder."""
    with tempfile.TemporaryDirectory(prefix="sae-power-") as scratch:
        # By its real name, as /proc has it.
        top = pathlib.Path(scratch).resolve()
        root, log = top / "root", top / "log"
        root.mkdir()
        env = dict(
            os.environ, LD_PRELOAD=recorder, SAE_STORAGE_ROOT=str(root),
            SAE_STORAGE_LOG=str(log),
        )
        subprocess.run(
            [program, what, str(root / path), str(VERSIONS)], env=env, check=True
        )
        ops = [json.loads(line) for line in log.read_text().splitlines()]
        return ops, root.stat().st_ino


def without(ops, inode_is_file):
    """The records without the syncs of files, or of folders."""
    files = {op["inode"] for op in ops if op["op"] == "create"}
    return [
        op
        for op in ops
        if op["op"] != "sync" or (op["inode"] in files) != inode_is_file
    ]


if len(sys.argv) < 3:
    sys.exit(__doc__)
program, recorder = sys.argv[1:3]
del sys.argv[1:3]

CASES = {
    "dictionary": ("dictionary", "out"),
    "dictionary-in-new-folders": ("dictionary", "runs/today/out"),
    "checkpoint": ("checkpoint", "run.checkpoint"),
}


def add(name, what, path):
    @tap.test(f"/reliability/power-cut/{name}/leaves-a-whole-version")
    def _():
        ops, root = record(what, path)
        assert sum(op["op"] == "mark" for op in ops) == VERSIONS
        cut = Cut(ops, root, path)
        survived = cut.tried - cut.lost
        print(f"# fault 18: tried {cut.tried}, survived {survived}, lost {cut.lost}")
        assert cut.lost == 0 and cut.tried > 50

    for kind, is_file in ("files", True), ("folders", False):

        @tap.test(f"/reliability/power-cut/{name}/unsynced-{kind}-are-lost")
        def _(is_file=is_file):
            ops, root = record(what, path)
            assert Cut(without(ops, is_file), root, path).lost > 0


for name, (what, path) in CASES.items():
    add(name, what, path)
tap.main()
