"""Runs whole programs and says what they cost."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cost:
    """What one run of a program cost, its children included."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Seconds of processor time of the whole process tree, in user and system mode."""
    peak: float
    """The most memory that one process of the tree held, in MiB."""


class Failure(Exception):
    """A program did not do what it was asked to."""


def run(command, folder, environment=None) -> Cost:
    """Runs `command` (a list of words) in `folder` to its end."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        # The usage of a process that was waited for holds that of all it waited for itself.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            text = output.read()[-4000:].decode(errors="replace")
            raise Failure(f"`{' '.join(map(str, command))}` ended with {process.returncode}:\n{text}")
        return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@dataclass
class Side:
    """One of the two programs that do the same work."""

    command: list
    folder: Path
    prepare: object = None
    """Brings the folder into the state before the work; not timed."""
    check: object = None
    """Raises `Failure` unless the work was done; not timed."""
    environment: dict = None

    def measure(self) -> Cost:
        if self.prepare:
            self.prepare()
        # What was written before must not be flushed at the expense of what is timed.
        os.sync()
        cost = run(self.command, self.folder, self.environment)
        if self.check:
            self.check()
        return cost


@dataclass
class Summary:
    """The medians of several runs, and the highest peak."""

    wall: float
    cpu: float
    peak: float
    spread: tuple
    """The shortest and the longest wall time."""

    @staticmethod
    def of(costs) -> "Summary":
        return Summary(
            statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs),
            max(cost.peak for cost in costs), (min(cost.wall for cost in costs), max(cost.wall for cost in costs)))


def alternate(sides: dict, runs: int) -> dict:
    """Measures all sides in turn, `runs` times, after one round that does not count: name → Summary."""
    costs = {name: [] for name in sides}
    for number in range(-1, runs):
        for name, side in sides.items():
            cost = side.measure()
            print(f"    {name:<12} {cost.wall:9.3f} s {cost.cpu:9.3f} CPU s {cost.peak:7.0f} MiB"
                  + ("   (does not count)" if number < 0 else ""), flush=True)
            if number >= 0:
                costs[name].append(cost)
    return {name: Summary.of(list_) for name, list_ in costs.items()}


def say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
