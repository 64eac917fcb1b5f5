"""A wall clock that jumps by up to a year, back and forth, while commands run: nothing is lost, no change of a file is
overlooked, and what is young by the disk's own clock is not collected.
"""

import json
import os
import random
import shutil
import sys
import threading
import time

from harness import ROOT, Fault, RemoteVersion, Tally, Version, attempt, build_library, discard, run, scratch
from scenarios import POINTER, make_repo, record, write_data

CLOCK = ROOT / ".build/faults/libclock.so"
YEAR = 31_536_000


def jumping(seed):
    return {"LD_PRELOAD": str(CLOCK), "CLOCK_SEED": str(seed)}


def shifted(seconds):
    return {"LD_PRELOAD": str(CLOCK), "CLOCK_OFFSET": str(seconds)}


def clocks(rounds):
    """A clock for each round, with a word for it."""
    fixed = [(f"{seconds:+} s", shifted(seconds)) for seconds in (YEAR, -YEAR, 3600, -3600)]
    return fixed + [(f"jumps {seed}", jumping(seed)) for seed in range(1, max(1, rounds - len(fixed)) + 1)]


def must(arguments, cwd, env):
    result = run(arguments, cwd, env=env)
    if result.returncode != 0:
        raise Fault(f"`mlops {' '.join(arguments)}` ended with {result.returncode}: {result.stderr.strip()}")
    return result


def added(folder, rounds):
    """Versions that are added under such a clock are whole, and so are those before them."""
    tally = Tally("clock jumps: versions added")
    repo = make_repo(folder / "repo")
    versions = []
    for number, (name, clock) in enumerate(clocks(rounds)):
        def work():
            write_data(repo / "data", number + 1)
            must(["add", "data"], repo, clock)
            versions.append(Version(repo, "data", POINTER))
            must(["fsck"], repo, clock)
            if run(["status", "-q"], repo, env=clock).stdout:
                raise Fault("status tells changes where there are none")

        attempt(tally, name, work)
    for version in versions:
        version.check(folder, "at the end")
    discard(folder / "repo")
    return tally.report()


def rewrite(path, size, keeps_time):
    """Other bytes, as many as before; the time of the last change may be set back."""
    status = os.stat(path)
    with open(path, "r+b") as file:
        file.write(os.urandom(size))
    if keeps_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def racing(folder, rounds):
    """Files are rewritten, with the same size, while they are added and after: a status must tell what differs."""
    tally = Tally("clock jumps: changes beside an addition told by status")
    repo = make_repo(folder / "repo")
    (repo / "data").mkdir()
    names = [repo / f"data/{number}" for number in range(60)]
    for path in names:
        path.write_bytes(os.urandom(64))
    source = random.Random(1)
    for number, (name, clock) in enumerate(clocks(rounds)):
        def work():
            ends = time.monotonic() + source.uniform(0.02, 0.25)

            def write():
                while time.monotonic() < ends:
                    rewrite(source.choice(names), 64, source.random() < 0.5)

            writer = threading.Thread(target=write)
            writer.start()
            result = run(["add", "data"], repo, env=clock)
            writer.join()
            if result.returncode != 0:
                if "changed while it was read" in result.stderr:
                    return
                raise Fault(f"add ended with {result.returncode}: {result.stderr.strip()}")
            recorded = recorded_files(repo, folder / "probe")
            told = json.loads(run(["status", "--json"], repo, env=clocks(rounds)[-1 - number][1]).stdout)
            changed = {change["path"] for artifact in told["artifacts"] for change in artifact["changes"]}
            for path in names:
                if (recorded[path.name] != path.read_bytes()) != (path.name in changed):
                    raise Fault(f"status is wrong about {path.name}: it tells {sorted(changed)}")

        attempt(tally, name, work)
    discard(folder / "repo")
    return tally.report()


def recorded_files(repo, probe):
    """The files of the version that the pointer names."""
    (probe / "registry/datasets").mkdir(parents=True)
    try:
        shutil.copytree(repo / ".mlops", probe / ".mlops", symlinks=True)
        shutil.copy(repo / "registry/config.yaml", probe / "registry/config.yaml")
        shutil.copy(repo / POINTER, probe / POINTER)
        must(["checkout"], probe, None)
        return {path.name: path.read_bytes() for path in (probe / "data").iterdir()}
    finally:
        discard(probe)


def grace(folder, rounds):
    """What was added a moment ago is named by nothing but its use, and stays within the grace period."""
    tally = Tally("clock jumps: collections that keep what is young or in use")
    repo = make_repo(folder / "repo")
    young = [record(repo, seed) for seed in (1, 2, 3)]
    for name, clock in clocks(rounds):
        def work():
            must(["gc", "--yes"], repo, clock)
            for version in young:
                version.check(folder, "within the grace period")

        attempt(tally, name, work)
    # Added once more under a clock that is behind: its packs are old, its use is not.
    for path in (repo / ".mlops/store/packs").rglob("*.pack"):
        os.utime(path, (time.time() - YEAR, time.time() - YEAR))
    (repo / ".mlops/store/uses").unlink()

    def again():
        write_data(repo / "data", 1)
        must(["add", "data"], repo, shifted(-YEAR))
        used = Version(repo, "data", POINTER)
        (repo / POINTER).write_text(young[2].text)
        must(["gc", "--yes"], repo, None)
        used.check(folder, "used under a clock that is behind")
        young[2].check(folder, "named by the pointer")

    attempt(tally, "a use under a clock that is behind", again)
    discard(repo)

    repo = make_repo(folder / "repo")
    for name, clock in clocks(rounds):
        def beside():
            done = threading.Event()
            problems = []

            def collect():
                while not done.is_set():
                    result = run(["gc", "--yes", "--grace", "0s"], repo, env=clock)
                    if result.returncode not in (0, 11):
                        problems.append(result.stderr.strip())

            collector = threading.Thread(target=collect)
            collector.start()
            try:
                for seed in range(4):
                    write_data(repo / "data", random.getrandbits(30))
                    must(["add", "data"], repo, jumping(seed))
                    version = Version(repo, "data", POINTER)
                    # Not `check`: a copy of a store taken file by file while a collection changes it is no store.
                    discard(repo / "data")
                    must(["checkout"], repo, clock)
                    version.check_workspace(folder)
            finally:
                done.set()
                collector.join()
            if problems:
                raise Fault(f"gc: {problems[0]}")

        attempt(tally, f"{name}, beside additions", beside)
    discard(repo)
    return tally.report()


def shared(folder, rounds):
    """Versions that two clones publish in turn have the numbers 1, 2, 3 …, whatever their clocks say."""
    tally = Tally("clock jumps: versions published")
    places = [make_repo(folder / name, has_remote=True) for name in ("repo", "clone")]
    versions = []
    for number, (name, clock) in enumerate(clocks(rounds)):
        def work():
            place = places[number % 2]
            write_data(place / "data", number + 1)
            must(["add", "data"], place, clock)
            told = must(["registry", "push", "datasets/data"], place, clock).stdout
            if f"datasets/data@v{len(versions) + 1}" not in told:
                raise Fault(f"published {told.strip()} instead of version {len(versions) + 1}")
            versions.append(RemoteVersion(place, "data", POINTER))

        attempt(tally, name, work)
    for version in versions:
        version.check(folder, "at the end")
    events = sorted(os.listdir(folder / "remote/events/datasets/data"), key=lambda name: int(name.split(".")[0]))
    if events != [f"{number}.json" for number in range(1, len(versions) + 1)]:
        tally.add("the remote's events", f"have a gap: {events}")
    must(["registry", "log", "datasets/data"], places[0], jumping(5))
    return tally.report()


def main(arguments):
    build_library(CLOCK, ["clock.c"])
    folder = scratch()
    good = True
    try:
        for part in (added, racing, grace, shared):
            if arguments.only and not any(name in part.__name__ for name in arguments.only):
                continue
            place = folder / part.__name__
            place.mkdir()
            rounds = arguments.rounds * (5 if part is racing else 1)
            good = part(place, rounds) and good
    finally:
        discard(folder)
    return good


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="added, racing, grace, shared; may be given several times")
    parser.add_argument("--rounds", type=int, default=12)
    sys.exit(0 if main(parser.parse_args()) else 1)
