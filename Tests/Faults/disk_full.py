"""Disks that are full, read-only or refuse large files, and processes that may open few files: for each command the error must be
one that a person can act on, nothing may be lost or left behind, and the same command must work once there is room again.

Needs to mount (root in a namespace of its own: `unshare -m`), and says so when it cannot.
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys

from harness import (Fault, Tally, attempt, build_shim, copy, discard, in_parallel, leftovers, run, scratch, snapshot)
import kill_matrix
import scenarios


def can_mount():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def tree_bytes(folder):
    return sum(max(4096, os.lstat(os.path.join(parent, name)).st_size + 4095 & ~4095)
               for parent, folders, names in os.walk(folder) for name in names + folders)


def check_refusal(result, what):
    kill_matrix.check_error(result, "ENOSPC")
    if "hint:" not in result.stderr:
        raise Fault(f"{what}: the message has no hint: {result.stderr.strip()}")


def check_few_files(result):
    """Too few open files are told as such, with what raises the limit."""
    if result.returncode != 5:
        raise Fault(f"ended with {result.returncode} instead of 5: {result.stderr.strip()}")
    if "open files" not in result.stderr or "hint:" not in result.stderr:
        raise Fault(f"the message does not tell of open files, or has no hint: {result.stderr.strip()}")


def full_disk(scenario, folder, tally, steps):
    """A disk of its own for each size, from one that just holds what is there to one that holds everything."""
    base = tree_bytes(scenario.template)
    # Steps that lead to success, however much the command writes.
    finished = copy(scenario.template, folder / "growth")
    run(scenario.command, finished / scenario.where)
    growth = tree_bytes(finished) - base
    discard(finished)
    stride = max(64 << 10, (growth + growth // 4) // steps)
    # The checks need more: a clone of what the remote holds.
    with_room = f"remount,size={8 * (base + growth) + (100 << 20)}"
    for step in range(1, steps + 1):
        size = base + step * stride
        done = []

        def work():
            case = folder / f"disk-{step}"
            case.mkdir(parents=True)
            mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(case))
            try:
                for name in os.listdir(scenario.template):
                    subprocess.run(["cp", "-a", scenario.template / name, case], check=True)
                result = run(scenario.command, case / scenario.where)
                if result.returncode == 0:
                    done.append(True)
                    mount("-o", with_room, str(case))
                    return kill_matrix.check_success(scenario, case, "on a disk just large enough")
                check_refusal(result, f"{size} bytes")
                if leftovers(case):
                    raise Fault(f"left {leftovers(case)[0]}")
                mount("-o", with_room, str(case))
                kill_matrix.fsck(scenario, case, "once there is room")
                kill_matrix.check_old(scenario, case, "once there is room")
                kill_matrix.repeat(scenario, case)
            finally:
                subprocess.run(["umount", "-l", str(case)], check=False)

        attempt(tally, f"{scenario.name}, {step * stride >> 10} KiB to spare", work)
        if done:
            return


def read_only(scenario, folder, tally):
    """Writing commands end with 5 and change nothing; reading ones work."""
    case = copy(scenario.template, folder / "read-only")
    before = snapshot(case)

    def writing():
        mount("--bind", str(case), str(case))
        mount("-o", "remount,ro,bind", str(case))
        try:
            result = run(scenario.command, case / scenario.where)
            if result.returncode == 0:
                raise Fault("succeeded on a read-only disk")
            check_refusal(result, "read-only")
            for command in (["status"], ["fsck"]):
                if scenario.lacks and command == ["fsck"]:
                    continue
                for project in scenario.projects(case):
                    reading = run(command, project)
                    if reading.returncode not in (0, 1) or "error" in reading.stderr:
                        raise Fault(f"`{command[0]}` ended with {reading.returncode}: {reading.stderr.strip()}")
        finally:
            subprocess.run(["umount", "-l", str(case)], check=False)
        if snapshot(case) != before:
            raise Fault("something changed")
        kill_matrix.repeat(scenario, case)

    attempt(tally, scenario.name, writing)
    discard(case)


def limited(scenario, folder, tally, kind, value, name):
    """With a limit of the process: RLIMIT_FSIZE makes one write short and the next one fail."""
    def limit():
        resource.setrlimit(kind, (value, value))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def work():
        case = copy(scenario.template, folder / f"limit-{value}")
        try:
            result = run(scenario.command, case / scenario.where, preexec_fn=limit)
            if result.returncode == 0:
                kill_matrix.check_success(scenario, case, "within the limit")
                return
            if kind == resource.RLIMIT_NOFILE:
                check_few_files(result)
            else:
                kill_matrix.check_error(result, "EIO")
            if leftovers(case):
                raise Fault(f"left {leftovers(case)[0]}")
            kill_matrix.fsck(scenario, case, "at once")
            kill_matrix.check_old(scenario, case, "at once")
            kill_matrix.repeat(scenario, case)
        finally:
            discard(case)

    attempt(tally, f"{scenario.name}, {name} {value}", work)


def main(arguments):
    if not can_mount():
        print("skip full and read-only disks: only root may mount")
    elif not os.environ.get("FAULTS_UNSHARED"):
        os.environ["FAULTS_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    folder = scratch()
    full, ro = Tally("full disks (tmpfs, in steps)"), Tally("read-only disks")
    sizes, files = Tally("RLIMIT_FSIZE"), Tally("RLIMIT_NOFILE")
    try:
        for kind in scenarios.ALL:
            if arguments.only and not any(part in kind.name for part in arguments.only):
                continue
            place = folder / re.sub(r"\W+", "-", kind.name)
            scenario = kind(place)
            if os.environ.get("FAULTS_UNSHARED"):
                full_disk(scenario, place, full, arguments.steps)
                read_only(scenario, place, ro)
            for size in [4096 * 3 ** n for n in range(6)]:
                limited(scenario, place, sizes, resource.RLIMIT_FSIZE, size, "files of at most")
            for count in [*range(4, 20), 24, 28, 32]:
                limited(scenario, place, files, resource.RLIMIT_NOFILE, count, "open files at most")
            discard(place)
    finally:
        discard(folder)
    return all([tally.report() for tally in (full, ro, sizes, files)])


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="part of a scenario's name; may be given several times")
    parser.add_argument("--steps", type=int, default=40)
    sys.exit(0 if main(parser.parse_args()) else 1)
