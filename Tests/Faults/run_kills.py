#!/usr/bin/env python3
"""Kills `mlops` at random moments of a run of 20 stages: nothing is left running, and the next run finishes the work.

    run_kills.py                  50 moments
    run_kills.py --moments 10     as many

The moments are spread over the whole run, from its first system call to its last, and drawn from a seed that is printed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time

from harness import BASE, Fault, MLOPS, Tally, attempt, discard, must, run, scratch, snapshot

STAGES = 20
#: A number of seconds that no other sleep of the machine has, so that what is left running can be told.
MARK = f"{random.SystemRandom().randrange(100_000, 999_999)}.5"


def specification():
    """Twenty stages in four rows: each reads two of the row before, works for a moment beside a child that would outlive it."""
    lines = ["version: 1", "name: kills", "stages:"]
    for number in range(STAGES):
        row, place = divmod(number, 5)
        deps = ["source.txt"] if row == 0 else [f"out/s{(row - 1) * 5 + place}.txt", f"out/s{(row - 1) * 5 + (place + 1) % 5}.txt"]
        command = (f"(setsid sleep {MARK} &) ; cat {' '.join(deps)} | sha256sum > out/s{number}.part ; sleep 0.03 ; "
                   f"mv out/s{number}.part out/s{number}.txt")
        lines += [f"  s{number}:", f"    run: {command!r}", f"    deps: [{', '.join(deps)}]", f"    outs: [out/s{number}.txt]"]
    return "\n".join(lines) + "\n"


def project(folder):
    folder.mkdir(parents=True)
    (folder / "pipelines").mkdir()
    (folder / "out").mkdir()
    (folder / "source.txt").write_text("the source\n")
    (folder / "pipelines/kills.yaml").write_text(specification())
    must(["init"], folder)


def outputs(folder):
    return {name: value for name, value in snapshot(folder / "out").items() if not name.endswith(".part")}


def leftovers(folder):
    """Processes of the case that still run: its sleepers, and its commands."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            place = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if place == str(folder) and int(pid) != os.getpid():
            found.append(b" ".join(words).decode(errors="replace").strip())
    return found


def kill_once(folder, delay):
    """Starts a run, and kills it after `delay` seconds; whether it was still running."""
    process = subprocess.Popen(
        [MLOPS, "pipeline", "run", "pipelines/kills.yaml", "--jobs", "4"], cwd=folder, env=BASE,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    is_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return is_running


def check(folder, expected):
    end = time.monotonic() + 5
    # The kernel needs a moment to end what lost its parent.
    while (left := leftovers(folder)) and time.monotonic() < end:
        time.sleep(0.01)
    if left:
        raise Fault(f"still running: {left[:3]}")
    finished = sum(1 for entry in (folder / ".mlops/cache/stages").glob("*.json")) if (folder / ".mlops/cache/stages").exists() else 0
    result = run(["pipeline", "run", "pipelines/kills.yaml", "--json"], folder)
    if result.returncode != 0:
        raise Fault(f"the next run ended with {result.returncode}: {result.stderr.strip()[-300:]}")
    cached = result.stdout.count('"cached":true')
    # Each stage is told twice: as it ends, and in the record at the end.
    if cached // 2 < finished:
        raise Fault(f"{finished} stages had been finished, but only {cached // 2} were not run again")
    if outputs(folder) != expected:
        raise Fault("the outputs are not those of an undisturbed run")
    if left := leftovers(folder):
        raise Fault(f"the next run left running: {left[:3]}")
    fsck = run(["fsck"], folder)
    if fsck.returncode != 0:
        raise Fault(f"fsck ended with {fsck.returncode}: {fsck.stderr.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moments", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    base = scratch()
    try:
        whole = base / "whole"
        project(whole)
        start = time.monotonic()
        must(["pipeline", "run", "pipelines/kills.yaml", "--jobs", "4"], whole)
        duration = time.monotonic() - start
        expected = outputs(whole)
        if len(expected) != STAGES + 1:
            sys.exit(f"error: an undisturbed run made {len(expected) - 1} outputs")
        source = random.Random(options.seed)
        tally = Tally(f"kill -9 at a random moment of a run of {STAGES} stages ({duration:.1f} s, seed {options.seed})")
        number = 0
        while tally.tried < options.moments and number < options.moments * 3:
            number += 1
            folder = base / f"case-{number}"
            project(folder)
            # A run that had ended before the kill proves nothing: it is not counted.
            if kill_once(folder, source.uniform(0, duration)):
                attempt(tally, f"moment {number}", lambda: check(folder, expected))
            discard(folder)
        return tally.report() and tally.tried == options.moments
    finally:
        discard(base)


if not main():
    sys.exit(1)
