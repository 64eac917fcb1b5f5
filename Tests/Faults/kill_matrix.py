"""A fault at every call that changes a file, for each command: killed, refused by the disk, or cut short."""

import os
import re
import struct
import sys

from harness import (SHIM, Fault, Tally, attempt, build_shim, copy, discard, in_parallel, leftovers, run,
                     scratch)
import scenarios

LIMIT = 5000
ERRORS = {"EIO", "ENOSPC", "EINTR", "EMFILE", "EROFS", "short", "eio", "enospc"}


class NotReached(Fault):
    """The command came to its end without meeting its fault."""


def check_old(scenario, case, what):
    for version in scenario.old:
        version.check(case, what)


def fsck(scenario, case, what):
    """Nothing in any store of the case is damaged, and nothing that its pointers name is missing."""
    for project in scenario.projects(case):
        if scenario.lacks and project.name == scenario.where:
            # Its pointer names what is still to come, so the store is judged by the pointer before.
            fsck_with_old_pointers(scenario, case, project, what)
        else:
            sound(project, what)


def sound(project, what):
    result = run(["fsck"], project)
    if result.returncode != 0:
        raise Fault(f"{what}: fsck ended with {result.returncode}: {result.stdout.strip()} {result.stderr.strip()}")


def fsck_with_old_pointers(scenario, case, project, what):
    probe = case / "probe"
    (probe / "registry/datasets").mkdir(parents=True)
    try:
        copy(project / ".mlops", probe / ".mlops")
        (probe / "registry/config.yaml").write_text((project / "registry/config.yaml").read_text())
        for version in scenario.old:
            if os.path.basename(version.repo) == project.name:
                (probe / version.pointer).write_text(version.text)
        sound(probe, what)
    finally:
        discard(probe)


def check_success(scenario, case, what):
    for project in scenario.projects(case):
        sound(project, what)
    for version in scenario.new:
        version.check(case, f"{what}, new version")
    scenario.checks_after(case)
    check_old(scenario, case, f"{what}, old version")


def check_error(result, action, point=None):
    """An error that a person can act on: the right code, and a path, or the failpoint `point` that made it."""
    if action in ("kill", "kill-half", "kill-after"):
        if result.returncode != -9:
            raise Fault(f"ended with {result.returncode} instead of being killed")
        return
    if result.returncode != 5:
        raise Fault(f"ended with {result.returncode} instead of 5: {result.stderr.strip()}")
    if re.search(r"`[^`]*/[^`]*`|`\.[^`]+`", result.stderr):
        return
    # A failpoint stands before the call that knows the path, so its error names the point instead.
    if not point or f"(failpoint) `{point}`" not in result.stderr:
        raise Fault(f"the message names no path: {result.stderr.strip()}")


def repeat(scenario, case):
    """The same command must now do its work, with no step by hand in between."""
    again = run(scenario.command, case / scenario.where)
    if again.returncode != 0:
        raise Fault(f"the same command again ended with {again.returncode}: {again.stderr.strip()}")
    check_success(scenario, case, "after the second run")


def one(scenario, folder, number, env, action, fired):
    """One run with the fault; false if it was not reached."""
    case = copy(scenario.template, folder / f"case-{number}")
    try:
        result = run(scenario.command, case / scenario.where, env=env(case))
        if not fired(case):
            if result.returncode != 0:
                raise Fault(f"ended with {result.returncode} without a fault: {result.stderr.strip()}")
            return False
        if result.returncode == 0:
            # The fault was of no consequence: then all of it must be there at once.
            if action.startswith("kill") and action != "kill-after":
                raise NotReached("was not killed")
            check_success(scenario, case, "after a success despite the fault")
        else:
            check_error(result, action, env(case).get("MLOPS_FAILPOINT", "").split(":")[0])
            # Where nothing can be written, nothing can be removed either; a full disk is no such place.
            if action in ERRORS and (env(case).get("FAULTS_LASTING") != "1" or action in ("ENOSPC", "EMFILE", "short")):
                left = leftovers(case)
                if left:
                    raise Fault(f"left {left[0][len(str(case)):]}")
            fsck(scenario, case, "at once")
            check_old(scenario, case, "at once")
        repeat(scenario, case)
        left = leftovers(case)
        if left:
            raise Fault(f"left after the second run: {left[0][len(str(case)):]}")
        return True
    finally:
        discard(case)


def counter(case):
    try:
        return struct.unpack("<Q", (case / "count").read_bytes())[0]
    except (OSError, struct.error):
        return 0


def shim_env(case, number, action, lasting=False, calls="changes", log=None):
    env = {"LD_PRELOAD": str(SHIM), "FAULTS_ROOT": ":".join(str(case / n) for n in ("repo", "clone", "remote")),
           "FAULTS_COUNTER": str(case / "count"), "FAULTS_CALLS": calls}
    if number:
        env |= {"FAULTS_AT": str(number), "FAULTS_ACTION": action, "FAULTS_LASTING": "1" if lasting else "0"}
    if os.environ.get("FAULTS_NAMES"):
        env["FAULTS_NAMES"] = str(case.parent.parent / f"names-{case.parent.name}-{case.name}-{action}")
    return env


def every_call(scenario, folder, action, lasting=False, calls="changes", step=1, offset=0):
    """The fault at every call of the command, until it runs to its end unharmed."""
    label = action + (", lasting" if lasting else "") + (" of a read" if calls == "reads" else "")
    tally = Tally(f"{scenario.name}: {label} at every call")

    def body(index):
        number = 1 + offset + (index - 1) * step
        reached = [True]

        def work():
            reached[0] = one(
                scenario, folder, f"{action}-{lasting}-{number}",
                lambda case: shim_env(case, number, action, lasting, calls), action,
                lambda case: counter(case) >= number)

        before = tally.tried
        attempt_reached(tally, f"call {number}", work, reached)
        return reached[0]

    in_parallel(LIMIT, body)
    return tally.report()


def attempt_reached(tally, label, work, reached):
    probe = Tally("")
    attempt(probe, label, work)
    if probe.failures:
        tally.add(label, probe.failures[0][1])
        reached[0] = True
    elif reached[0]:
        tally.add(label, None)


def failpoints(scenario, folder, actions):
    """Every failpoint that the command reaches, each time that it does, with every action."""
    case = copy(scenario.template, folder / "list")
    listing = case / "points"
    must_env = {"MLOPS_FAILPOINT": f"list:{listing}"}
    result = run(scenario.command, case / scenario.where, env=must_env)
    if result.returncode != 0:
        print(f"FAIL {scenario.name}: listing the failpoints: {result.stderr.strip()}")
        return False
    names = listing.read_text().split()
    discard(case)
    good = True
    for action in actions:
        tally = Tally(f"{scenario.name}: {action} at every failpoint ({len(set(names))} kinds)")
        points = [(name, names[:index + 1].count(name)) for index, name in enumerate(names)]

        def body(index):
            name, count = points[index - 1]

            def work():
                # What arrives first differs from run to run, and with it the names of packs: of the folders of two digits that
                # they need, there may be one less than in the listing. Then the last of such points is not reached.
                for attempt_number in range(20 if name.startswith("directory.") else 1):
                    try:
                        one(scenario, folder, f"{action}-{index}-{attempt_number}",
                            lambda case: {"MLOPS_FAILPOINT": f"{name}:{count}:{action}"}, action, lambda case: True)
                        return
                    except NotReached:
                        continue
                raise Fault("was not killed")

            attempt(tally, f"{name}:{count}:{action}", work)
            return True

        in_parallel(len(points), body)
        good = tally.report() and good
    return good


def main(arguments):
    build_shim()
    folder = scratch()
    names = {s.name for s in scenarios.ALL}
    # `pull` is a command of its own, and a part of the names of others.
    chosen = [s for s in scenarios.ALL if not arguments.only
              or any(o == s.name or o not in names and o in s.name for o in arguments.only)]
    good = True
    try:
        for kind in chosen:
            place = folder / re.sub(r"\W+", "-", kind.name)
            scenario = kind(place)
            for action in arguments.actions:
                lasting = action.endswith("+")
                reads = action.startswith("read-")
                name = action.removesuffix("+").removeprefix("read-")
                if name == "failpoints":
                    good = failpoints(scenario, place, ["kill", "eio", "enospc", "short"]) and good
                else:
                    good = every_call(
                        scenario, place, name, lasting, "reads" if reads else "changes", arguments.step) and good
            discard(place)
    finally:
        discard(folder)
    return good


if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="a scenario's name, or a part of the names of several; may be given several times")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("actions", nargs="*", default=["kill", "kill-half"])
    sys.exit(0 if main(parser.parse_args()) else 1)
