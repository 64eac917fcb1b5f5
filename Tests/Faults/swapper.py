"""A folder of the workspace changes places with a link to a folder outside, as fast as the kernel can, while commands run:
nothing may be written, changed or removed outside.
"""

import ctypes
import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import time

from harness import Fault, Tally, attempt, discard, must, run, scratch, snapshot
from scenarios import POINTER, make_repo

RENAME_EXCHANGE = 2
AT_FDCWD = -100


def swap(folder, link, outside, ends, count):
    """Exchanges the two until the time is over; the link, which a command may replace by a folder, is made anew."""
    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(folder), os.fsencode(link)
    while time.monotonic() < ends:
        for _ in range(64):
            if libc.renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0:
                count.value += 1
        if not os.path.islink(first) and not os.path.islink(second):
            try:
                if os.path.isdir(second):
                    shutil.rmtree(second)
                os.symlink(outside, second)
            except OSError:
                # The command writes there at this moment.
                continue
    if os.path.islink(first) and os.path.isdir(second):
        libc.renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE)


def write_tree(folder, seed):
    source = random.Random(seed)
    for number in range(40):
        path = folder / f"sub/deep/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(600))


class Attack:
    """A command, and what becomes a link while it runs."""

    def __init__(self, name, command, swapped="data/sub"):
        self.name, self.command, self.swapped = name, command, swapped


ATTACKS = [
    Attack("checkout", ["checkout", "--force"]),
    Attack("checkout --path", ["checkout", "datasets/data", "--path", "sub", "--force"]),
    Attack("pull", ["pull", "--force"]),
    Attack("pull --path", ["pull", "datasets/data", "--path", "sub/deep", "--force"]),
    Attack("registry pull", ["registry", "pull", "datasets/data", "--force"]),
    Attack("get", ["get", "../remote", "datasets/data", "data", "--force"]),
    Attack("add", ["add", "data"]),
    Attack("add, its pointer", ["add", "data"], swapped="registry/datasets"),
    Attack("registry pull, its pointer", ["registry", "pull", "datasets/data", "--force"], swapped="registry/datasets"),
    Attack("import-dvc", ["import-dvc"], swapped="registry/datasets"),
]


def attack_once(folder, attack, seconds, tally):
    outside, repo = folder / "outside", folder / "repo"
    before = snapshot(outside), times(outside)
    link = folder / "link"
    target = repo / attack.swapped
    os.symlink(outside, link)
    count = multiprocessing.Value("q", 0, lock=False)
    ends = time.monotonic() + seconds
    swapper = multiprocessing.Process(target=swap, args=(target, link, outside, ends, count))
    swapper.start()
    codes = {}
    try:
        while time.monotonic() < ends:
            result = None

            def work():
                nonlocal result
                result = run(attack.command, repo)
                codes[result.returncode] = codes.get(result.returncode, 0) + 1
                if result.returncode < 0:
                    raise Fault(f"was ended by signal {-result.returncode}: {result.stderr.strip()}")
                if (snapshot(outside), times(outside)) != before:
                    raise Fault(f"changed what is outside: {sorted(snapshot(outside))}")

            attempt(tally, attack.name, work)
            # The test itself must not follow the link either.
            if not os.path.islink(target):
                spoil(target)
    finally:
        swapper.join()
    told = ", ".join(f"{count} ended with {code}" for code, count in sorted(codes.items()))
    print(f"     {attack.name}: {count.value} exchanges; {told}", flush=True)
    if count.value < 100:
        tally.add(attack.name, f"only {count.value} exchanges")


def times(folder):
    return sorted((name, os.lstat(os.path.join(parent, name)).st_mtime_ns) for parent, folders, names in os.walk(folder)
                  for name in names + folders)


def spoil(target):
    """Gives the next command something to write and to remove, below an open folder that is no link, whatever its path is by
    now."""
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        for name in os.listdir(descriptor):
            if os.path.isdir(f"/proc/self/fd/{descriptor}/{name}") and name == "deep":
                deep = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                for number in range(0, 40, 2):
                    try:
                        os.unlink(str(number), dir_fd=deep)
                    except OSError:
                        pass
                try:
                    os.close(os.open("extra", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644, dir_fd=deep))
                except OSError:
                    pass
                os.close(deep)
    finally:
        os.close(descriptor)


def prepare(folder):
    """A project with a data set that a remote has too, and a folder outside that looks as the data set does."""
    repo = make_repo(folder / "repo", has_remote=True)
    write_tree(repo / "data", 1)
    must(["add", "data"], repo)
    must(["registry", "push", "datasets/data"], repo)
    outside = folder / "outside"
    write_tree(outside, 2)
    (outside / "deep").mkdir()
    # What would be overwritten or removed if the link were followed.
    for number in range(40):
        (outside / f"deep/{number}").write_text("precious")
    boot = open("/proc/sys/kernel/random/boot_id").read()[:8]
    (outside / f".{boot}-999999999-abc.mlops-tmp").write_text("precious")
    (outside / f"deep/.{boot}-999999999-abc.mlops-tmp").write_text("precious")
    (outside / "data.yaml").write_text((repo / POINTER).read_text())
    content = b"from elsewhere"
    digest = hashlib.md5(content).hexdigest()
    cache = repo / f".dvc/cache/files/md5/{digest[:2]}"
    cache.mkdir(parents=True)
    (cache / digest[2:]).write_bytes(content)
    (repo / ".dvc/config").write_text("")
    (repo / "other.dvc").write_text(f"outs:\n- {{md5: {digest}, hash: md5, path: other}}\n")


def main(arguments):
    folder = scratch()
    tally = Tally("swapped folders: commands that wrote nothing outside")
    try:
        for number, attack in enumerate(ATTACKS):
            if arguments.only and attack.name not in arguments.only:
                continue
            place = folder / str(number)
            place.mkdir()
            prepare(place)
            attack_once(place, attack, arguments.seconds, tally)
            discard(place)
    finally:
        discard(folder)
    return tally.report()


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="the name of an attack; may be given several times")
    parser.add_argument("--seconds", type=float, default=10)
    sys.exit(0 if main(parser.parse_args()) else 1)
