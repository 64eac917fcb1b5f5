"""Power cuts: from a log of the calls of a command, the states that the disk may be left in, each opened and checked.

The model is the strict one of ALICE (OSDI 2014): what was written to a file is safe once the file was flushed, an entry of a folder
once the folder was flushed, and until then each may be there or not, whatever the order. For every prefix of the calls these
states are made:

- everything is there (the process died, the machine did not);
- nothing that was not flushed is there;
- each unflushed change is missing alone, and each is there alone;
- all names are there but no unflushed bytes (files of zero length or old content after a rename);
- all bytes are there but no unflushed names;
- the last unflushed write is torn: its first half is there.

States that are equal to one that was checked are not checked again. SQLite's files are treated as all others, but for its `-shm`,
which is mapped memory and never flushed: it is there, absent or zero.
"""

import os
import pathlib
import re
import shutil
import struct
import sys

from harness import (SHIM, Fault, Tally, attempt, build_shim, copy, discard, in_parallel, run, scratch)
import kill_matrix
import scenarios

RECORD = struct.Struct("<IIQqQqQIIII")
BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
ANOTHER_BOOT = b"0" * len(BOOT)


class Call:
    __slots__ = ("name", "path", "other", "inode", "offset", "result", "flags", "data", "number")


def read_log(path):
    """The successful calls, in the order in which they happened."""
    raw = path.read_bytes()
    at, calls = 0, []
    while at < len(raw):
        magic, flags, number, result, inode, offset, data_length, error, name_length, path_length, other_length = \
            RECORD.unpack_from(raw, at)
        assert magic == 0x6C746166, "the log is broken"
        at += RECORD.size
        call = Call()
        call.number, call.flags, call.result, call.inode, call.offset = number, flags, result, inode, offset
        parts = []
        for length in (name_length, path_length, other_length, data_length):
            parts.append(raw[at:at + length])
            at += length
        call.name, call.path, call.other = (part.decode() for part in parts[:3])
        call.path = call.path.removesuffix(" (deleted)")
        call.data = parts[3]
        if result >= 0:
            calls.append(call)
    return calls


class Effect:
    """One change of the disk: of a file's bytes, or of one name in a folder."""

    __slots__ = ("kind", "inode", "path", "node", "parents", "offset", "data", "size", "safe_from", "number")

    def __init__(self, kind, number, **rest):
        self.kind, self.number, self.safe_from = kind, number, None
        self.inode = self.path = self.node = self.parents = self.offset = self.data = self.size = None
        for key, value in rest.items():
            setattr(self, key, value)

    def is_name(self):
        return self.kind in ("name", "gone")


class Disk:
    """The tree before the command, and the effects of its calls."""

    def __init__(self, root):
        self.root = str(root)
        self.names, self.files, self.modes, self.times = {}, {}, {}, {}
        for parent, folders, names in os.walk(root):
            for name in folders + names:
                path = os.path.join(parent, name)
                status = os.lstat(path)
                key = ("old", status.st_ino)
                self.names[path] = key
                if os.path.islink(path):
                    self.files[key] = ("link", os.readlink(path))
                elif os.path.isdir(path):
                    self.files[key] = ("folder", None)
                else:
                    self.files[key] = ("file", pathlib.Path(path).read_bytes())
                    self.modes[key] = status.st_mode & 0o777
                    self.times[key] = status.st_mtime_ns
        self.effects, self.nodes, self.current = [], {}, dict(self.names)
        self.original = {key[1]: key for key in self.files}
        self.created = 0

    def node(self, inode, fresh=False):
        """What stands for an inode number: numbers are used again after a file is gone."""
        if fresh or (inode not in self.nodes and inode not in self.original):
            self.created += 1
            self.nodes[inode] = ("new", self.created)
        return self.nodes.get(inode) or self.original[inode]

    def add(self, kind, number, **rest):
        effect = Effect(kind, number, **rest)
        # The folders whose flush keeps it, whatever they are called then.
        if kind in ("name", "gone", "rename"):
            effect.parents = [self.folder(path) for path in (effect.path, effect.inode) if path]
        self.effects.append(effect)

    def folder(self, path):
        """What stands for the folder that a path is in; its own path where it is not of the tree."""
        parent = os.path.dirname(path)
        return self.current.get(parent, parent)

    def set_name(self, number, path, node):
        self.current[path] = node
        self.add("name", number, path=path, node=node)

    def remove_name(self, number, path):
        self.current.pop(path, None)
        self.add("gone", number, path=path)

    def apply(self, position, call):
        name = call.name
        if name in ("open", "mkstemp", "fopen"):
            if (call.flags & os.O_TMPFILE) == os.O_TMPFILE:
                self.files[self.node(call.inode, fresh=True)] = ("file", b"")
            elif call.path not in self.current:
                node = self.node(call.inode, fresh=True)
                self.files[node] = ("file", b"")
                self.set_name(position, call.path, node)
            elif call.flags & os.O_TRUNC:
                self.add("size", position, node=self.current[call.path], size=0)
        elif name in ("write", "pwrite", "writev", "copy_file_range", "sendfile"):
            self.add("write", position, node=self.node(call.inode), offset=call.offset, data=call.data)
        elif name == "clone":
            raise Fault("the model does not know clones: run it on a file system without them")
        elif name == "ftruncate":
            self.add("size", position, node=self.node(call.inode), size=call.offset)
        elif name == "rename":
            node = self.current[call.path]
            # Within one folder a rename is one change; both names never stand. What is below a folder goes with it.
            self.add("rename", position, path=call.path, inode=call.other, node=node)
            move(self.current, call.path, call.other)
        elif name == "link":
            node = self.current.get(call.path) or self.node(call.inode)
            self.set_name(position, call.other, node)
        elif name == "symlink":
            node = self.node(call.inode, fresh=True)
            self.files[node] = ("link", call.data.decode())
            self.set_name(position, call.path, node)
        elif name in ("unlink", "rmdir"):
            self.remove_name(position, call.path)
        elif name == "mkdir":
            node = self.node(call.inode, fresh=True)
            self.files[node] = ("folder", None)
            self.set_name(position, call.path, node)
        elif name == "fsync":
            self.flush(position, call)

    def flush(self, position, call):
        node = self.current.get(call.path)
        is_folder = node is not None and self.files[node][0] == "folder"
        for effect in self.effects:
            if effect.safe_from is not None:
                continue
            if is_folder or node is None:
                if effect.kind in ("name", "gone", "rename") and (node or call.path) in effect.parents:
                    effect.safe_from = position
            elif effect.kind in ("write", "size") and effect.node == self.node(call.inode):
                effect.safe_from = position

    def state(self, kept, torn=None):
        """The tree when exactly the effects `kept` have reached the disk."""
        names, files = dict(self.names), dict(self.files)
        for effect in kept:
            if effect.kind == "name":
                names[effect.path] = effect.node
            elif effect.kind == "gone":
                names.pop(effect.path, None)
            elif effect.kind == "rename":
                if names.get(effect.path) == effect.node:
                    move(names, effect.path, effect.inode)
                names[effect.inode] = effect.node
            else:
                kind, bytes_ = files[effect.node]
                if effect.kind == "size":
                    bytes_ = bytes_[:effect.size].ljust(effect.size, b"\0")
                else:
                    data = effect.data[:len(effect.data) // 2] if effect is torn else effect.data
                    bytes_ = bytes_[:effect.offset].ljust(effect.offset, b"\0") + data + \
                        bytes_[effect.offset + len(data):]
                files[effect.node] = (kind, bytes_)
        # A name below a folder that is not there cannot be reached.
        tree = {}
        for path in sorted(names):
            parent = os.path.dirname(path)
            if parent == self.root or tree.get(parent, ("",))[0] == "folder":
                node = names[path]
                tree[path] = files[node] + (self.modes.get(node, 0o644), self.times.get(node))
        return tree


def move(names, old, new):
    """Gives `old` and all below it the name `new`; what had that name is gone."""
    for path in [path for path in names if path == old or path.startswith(old + "/")]:
        names[new + path[len(old):]] = names.pop(path)


def materialise(tree, root, target):
    target.mkdir()
    for path, (kind, content, mode, time) in tree.items():
        place = target / os.path.relpath(path, root)
        if kind == "folder":
            place.mkdir()
        elif kind == "link":
            os.symlink(content, place)
        else:
            # After a power cut the machine is started anew, which the kernel tells by another name.
            place.write_bytes(content.replace(BOOT, ANOTHER_BOOT) if place.name == "checkouts" else content)
            place.chmod(mode)
            if time is not None:
                os.utime(place, ns=(time, time))


def crash_states(disk, count):
    """For each prefix of the calls, the states that a power cut may leave, each with what it is."""
    for prefix in range(count + 1):
        done = [effect for effect in disk.effects if effect.number <= prefix]
        loose = [effect for effect in done if effect.safe_from is None or effect.safe_from > prefix]
        safe = [effect for effect in done if effect not in loose]
        in_order = {id(effect): place for place, effect in enumerate(done)}

        def kept(chosen):
            return sorted(safe + chosen, key=lambda effect: in_order[id(effect)])

        yield prefix, "all", done, None
        yield prefix, "only what was flushed", safe, None
        for effect in loose:
            label = f"{effect.kind} {os.path.basename(effect.path or '') or effect.node} of call {effect.number}"
            yield prefix, f"without {label}", [other for other in done if other is not effect], None
            yield prefix, f"with nothing but {label}", kept([effect]), None
        yield prefix, "names without bytes", kept([e for e in loose if e.kind not in ("write", "size")]), None
        yield prefix, "bytes without names", kept([e for e in loose if e.kind in ("write", "size")]), None
        writes = [effect for effect in loose if effect.kind == "write" and len(effect.data) > 1]
        if writes:
            yield prefix, "the last write torn", done, writes[-1]


def record(scenario, folder):
    """Runs the command with the log; the case after it, its disk, and the count of its calls."""
    case = copy(scenario.template, folder / "recorded")
    before = {name: case / name for name in ("repo", "clone", "remote")}
    disk = Disk(case)
    log = folder / "log"
    env = {"LD_PRELOAD": str(SHIM), "FAULTS_ROOT": ":".join(map(str, before.values())), "FAULTS_LOG": str(log)}
    result = run(scenario.command, case / scenario.where, env=env)
    if result.returncode != 0:
        raise Fault(f"the recorded run ended with {result.returncode}: {result.stderr}")
    calls = read_log(log)
    for position, call in enumerate(calls, 1):
        disk.apply(position, call)
    compare_model(disk, case)
    discard(case)
    return disk, len(calls)


def compare_model(disk, case):
    """The model's end must be what really lies there, or the model proves nothing."""
    tree = disk.state(disk.effects)
    for parent, folders, names in os.walk(case):
        for name in folders + names:
            path = os.path.join(parent, name)
            found = tree.pop(path, None)
            if found is None:
                raise Fault(f"the model lacks {path}")
            if found[0] == "file" and not path.endswith("-shm") and pathlib.Path(path).read_bytes() != found[1]:
                raise Fault(f"the model has other bytes in {path}")
            # The log tells no times: those at the end stand for all.
            if found[0] == "file":
                disk.times[disk.current[path]] = os.lstat(path).st_mtime_ns
    if tree:
        raise Fault(f"the model has {sorted(tree)[0]} too much")


def prove(scenario, folder, is_brief):
    disk, count = record(scenario, folder)
    # The message of success is printed after the last call before the index is closed; what counts is what was flushed then.
    tally = Tally(f"{scenario.name}: power cut after each of {count} calls")
    states, seen = [], set()
    for prefix, label, kept, torn in crash_states(disk, count):
        key = (frozenset(map(id, kept)), id(torn) if torn else None)
        if key in seen or is_brief and label.startswith("with"):
            continue
        seen.add(key)
        states.append((prefix, label, kept, torn))

    def body(index):
        prefix, label, kept, torn = states[index - 1]

        def work():
            case = folder / f"state-{index}"
            try:
                materialise(disk.state(kept, torn), disk.root, case)
                kill_matrix.fsck(scenario, case, "after the power cut")
                kill_matrix.check_old(scenario, case, "after the power cut")
                if prefix == count:
                    for version in scenario.new:
                        version.check(case, "after the power cut, new version")
                kill_matrix.repeat(scenario, case)
            finally:
                discard(case)

        attempt(tally, f"after call {prefix}, {label}", work)
        return True

    in_parallel(len(states), body)
    return tally.report()


def main(arguments):
    build_shim()
    folder = scratch()
    good = True
    try:
        for kind in scenarios.ALL:
            if arguments.only and not any(part in kind.name for part in arguments.only):
                continue
            place = folder / re.sub(r"\W+", "-", kind.name)
            good = prove(kind(place), place, arguments.brief) and good
            discard(place)
    finally:
        discard(folder)
    return good


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="part of a scenario's name; may be given several times")
    parser.add_argument("--brief", action="store_true", help="leave out the states that differ in one change")
    sys.exit(0 if main(parser.parse_args()) else 1)
