"""Whether the fault library sees every call that changes a file: the same run is watched by strace, and each kind must count the
same. What strace alone sees would be a hole in all other proofs."""

import collections
import re
import sys

from harness import BASE, MLOPS, SHIM, Tally, attempt, build_shim, copy, discard, fail, scratch, Fault
import os
import shutil
import subprocess
import scenarios

# What the library calls a system call.
NAMES = {
    "open": "open", "openat": "open", "openat2": "open", "creat": "open", "write": "write", "pwrite64": "pwrite",
    "writev": "writev", "pwritev": "writev", "pwritev2": "writev", "copy_file_range": "copy_file_range",
    "sendfile": "sendfile", "fallocate": "fallocate", "ftruncate": "ftruncate", "truncate": "ftruncate",
    "rename": "rename", "renameat": "rename", "renameat2": "rename", "link": "link", "linkat": "link",
    "symlink": "symlink", "symlinkat": "symlink", "unlink": "unlink", "unlinkat": "unlink", "mkdir": "mkdir",
    "mkdirat": "mkdir", "rmdir": "rmdir", "fsync": "fsync", "fdatasync": "fsync", "sync_file_range": "sync_file_range",
    "syncfs": "syncfs", "sync": "sync", "fchmod": "chmod", "fchmodat": "chmod", "chmod": "chmod", "fchown": "chown",
    "chown": "chown", "fchownat": "chown", "lchown": "chown", "utimensat": "utimens", "utime": "utimens",
    "utimes": "utimens", "ioctl": "clone", "mknod": "mknod", "mknodat": "mknod", "setxattr": "xattr",
    "fsetxattr": "xattr", "lsetxattr": "xattr", "removexattr": "xattr", "fremovexattr": "xattr", "splice": "splice",
}
LINE = re.compile(r"^(?:\[pid\s+)?\d*\]?\s*(\w+)\((.*)$")


def counted_by_strace(path, root):
    counts = collections.Counter()
    for line in path.read_text(errors="replace").splitlines():
        line = re.sub(r"^\d+\s+", "", line)
        match = LINE.match(line)
        if not match or match.group(1) not in NAMES or root not in match.group(2):
            continue
        call, rest = match.groups()
        # What was written may itself hold the path; what counts is the descriptor's or the named file.
        if call in ("write", "pwrite64", "writev") and root not in rest.split(",")[0]:
            continue
        if call in ("open", "openat", "openat2", "creat") and not re.search(r"O_CREAT|O_TRUNC|O_TMPFILE", rest):
            continue
        # The folder of the process stands before every path that it opens.
        named = re.search(r'"(/[^"]*)"', rest)
        if named and call.startswith("open") and not named.group(1).startswith((root, "/proc/self/fd/")):
            continue
        if call == "ioctl" and "FICLONE" not in rest:
            continue
        name = "rmdir" if call == "unlinkat" and "AT_REMOVEDIR" in rest else NAMES[call]
        counts[name] += 1
    return counts


def compare(scenario, folder, tally):
    case = copy(scenario.template, folder / "watched")
    trace, names = folder / "trace", folder / "names"
    for old in (trace, names):
        old.unlink(missing_ok=True)
    root = str(case)
    environment = {"LD_PRELOAD": str(SHIM), "FAULTS_ROOT": root, "FAULTS_NAMES": str(names)}
    settings = [part for key, value in environment.items() for part in ("-E", f"{key}={value}")]
    subprocess.run(
        ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", "trace=" + ",".join(sorted(NAMES)), *settings,
         MLOPS, *scenario.command],
        cwd=case / scenario.where, env=BASE, check=True, stdout=subprocess.DEVNULL)
    kernel = counted_by_strace(trace, root)
    library = collections.Counter(line.split()[1] for line in names.read_text().splitlines())
    discard(case)

    def check(kind):
        def work():
            if kernel[kind] != library[kind]:
                raise Fault(f"strace saw {kernel[kind]}, the library {library[kind]}")
        return work

    for kind in sorted(kernel.keys() | library.keys()):
        attempt(tally, f"{scenario.name}: {kind}", check(kind))
    return sum(kernel.values())


def main(arguments):
    if not shutil.which("strace"):
        fail("strace is missing: run Scripts/bootstrap")
    build_shim()
    folder = scratch()
    total = 0
    tally = Tally("the fault library counts what strace counts, by command and kind of call")
    try:
        for kind in scenarios.ALL:
            if arguments.only and not any(part in kind.name for part in arguments.only):
                continue
            place = folder / kind.__name__
            total += compare(kind(place), place, tally)
            discard(place)
    finally:
        discard(folder)
    good = tally.report(20)
    print(f"     {total} calls that change files")
    return good


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="part of a scenario's name; may be given several times")
    sys.exit(0 if main(parser.parse_args()) else 1)
