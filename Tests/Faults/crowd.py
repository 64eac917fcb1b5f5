"""Many processes at once in one repository: nothing is lost, version numbers have no gaps, readers never see half a version,
and locks of killed processes hold nobody up."""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

from harness import (BASE, MLOPS, REMOTE_CONFIG, Fault, Tally, attempt, discard, leftovers, must, run, scratch,
                     snapshot)
from scenarios import make_repo, write_data


def together(count, body):
    """Calls `body(0…count-1)` in threads of their own and hands on the first error."""
    errors = []

    def guarded(number):
        try:
            body(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def patiently(arguments, cwd):
    """Runs `mlops` until it does not say that others were faster: exit code 11 is an answer, not a fault."""
    for _ in range(200):
        result = run(arguments, cwd)
        if result.returncode == 0:
            return result
        if result.returncode != 11:
            raise Fault(f"`mlops {' '.join(arguments)}` ended with {result.returncode}: {result.stderr.strip()}")
        time.sleep(random.random() / 50)
    raise Fault(f"`mlops {' '.join(arguments)}` lost 200 races")


def adds(folder, tally, processes, rounds):
    """Processes that add different and shared files, while readers look on."""
    repo = make_repo(folder / "repo")
    write_data(repo / "steady", 1)
    must(["add", "steady"], repo)
    steady = snapshot(repo / "steady")
    shared = random.Random(3).randbytes(50_000)
    stop = threading.Event()
    looks = [0]

    def add(number):
        own = repo / f"data-{number}"
        own.mkdir()
        for turn in range(rounds):
            (own / f"{turn}.bin").write_bytes(random.Random(number * 1000 + turn).randbytes(2000))
            (own / "shared.bin").write_bytes(shared + bytes([turn]))
            patiently(["add", own.name], repo)

    def look():
        while not stop.is_set():
            result = run(["fsck"], repo)
            if result.returncode != 0:
                raise Fault(f"fsck beside writers ended with {result.returncode}: {result.stdout}{result.stderr}")
            result = run(["checkout", "datasets/steady"], repo)
            if result.returncode != 0 or snapshot(repo / "steady") != steady:
                raise Fault(f"checkout beside writers ended with {result.returncode}: {result.stderr}")
            (repo / "steady/a.txt").unlink()
            looks[0] += 1

    def work():
        reader_errors = []

        def guarded():
            try:
                look()
            except BaseException as error:
                reader_errors.append(error)

        reader = threading.Thread(target=guarded)
        reader.start()
        try:
            together(processes, add)
        finally:
            stop.set()
            reader.join()
        if reader_errors:
            raise reader_errors[0]
        must(["checkout", "datasets/steady"], repo)
        must(["fsck"], repo)
        for number in range(processes):
            name = f"data-{number}"
            before = snapshot(repo / name)
            if len(before) != rounds + 2:
                raise Fault(f"{name} holds {len(before)} entries")
            discard(repo / name)
            must(["checkout", f"datasets/{name}"], repo)
            if snapshot(repo / name) != before:
                raise Fault(f"{name} came back with other bytes")
        if leftovers(repo):
            raise Fault(f"left {leftovers(repo)[0]}")

    attempt(tally, f"{processes} processes × {rounds} adds", work)
    print(f"     {processes} × {rounds} adds, {looks[0]} times fsck and checkout beside them", flush=True)


def events(folder, tally, processes, rounds):
    """Clones that publish versions of one artifact through one remote."""
    clones = []
    for number in range(processes):
        clone = make_repo(folder / f"clone-{number}")
        (clone / "registry/config.yaml").write_text(REMOTE_CONFIG)
        clones.append(clone)

    def publish(number):
        clone = clones[number]
        for turn in range(rounds):
            (clone / "model.bin").write_bytes(f"{number} {turn}".encode() * 50)
            must(["add", "model.bin"], clone)
            patiently(["registry", "push", "datasets/model"], clone)

    def work():
        together(processes, publish)
        found = sorted(int(name.removesuffix(".json")) for name in os.listdir(folder / "remote/events/datasets/model")
                       if name.endswith(".json"))
        wanted = list(range(1, processes * rounds + 1))
        if found != wanted:
            raise Fault(f"events are {found[:3]}…{found[-3:]} ({len(found)}), not 1…{wanted[-1]}")
        probe = make_repo(folder / "probe")
        (probe / "registry/config.yaml").write_text(REMOTE_CONFIG)
        for version in wanted:
            if version % max(1, len(wanted) // 16) == 0:
                must(["registry", "pull", f"datasets/model@v{version}"], probe)
        shown = must(["registry", "log", "datasets/model"], probe).stdout
        versions = {int(number) for number in re.findall(r"\bv(\d+)\b", shown)}
        if not set(wanted) <= versions:
            raise Fault(f"the log shows {len(versions)} of {len(wanted)} versions")
        for clone in [*clones, probe]:
            must(["fsck"], clone)

    attempt(tally, f"{processes} clones × {rounds} versions", work)


def killed(folder, tally, count):
    """Processes killed at random moments while they hold locks; the next one goes on at once."""
    repo = make_repo(folder / "killed")
    (repo / "registry/config.yaml").write_text(REMOTE_CONFIG)
    write_data(repo / "data", 1)
    must(["add", "data"], repo)
    chance = random.Random(11)
    for turn in range(count):
        def work():
            (repo / "data/change").write_bytes(chance.randbytes(30_000))
            command = [["add", "data"], ["registry", "push", "datasets/data"]][turn % 2]
            process = subprocess.Popen(
                [MLOPS, *command], cwd=repo, env=BASE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.random() * 0.08)
            process.send_signal(signal.SIGKILL)
            process.wait()
            start = time.monotonic()
            must(command, repo)
            if time.monotonic() - start > 20:
                raise Fault("the lock of a dead process was waited for")
            must(["fsck"], repo)

        attempt(tally, f"kill {turn}", work)


def main(arguments):
    folder = scratch()
    good = []
    try:
        tally = Tally("many processes add")
        adds(folder / "adds", tally, arguments.processes, arguments.rounds)
        good.append(tally.report())
        tally = Tally("many clones publish")
        events(folder / "events", tally, arguments.processes, arguments.versions)
        good.append(tally.report())
        tally = Tally("killed holders of locks")
        killed(folder / "killed", tally, arguments.kills)
        good.append(tally.report())
    finally:
        discard(folder)
    return all(good)


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--versions", type=int, default=4)
    parser.add_argument("--kills", type=int, default=100)
    sys.exit(0 if main(parser.parse_args()) else 1)
