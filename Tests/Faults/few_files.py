#!/usr/bin/env python3
"""Every verb with few open files: it works, or ends with one clear error, and nothing is lost or left behind.

    few_files.py                      each verb with limits of 3 to 64
    few_files.py --only "run diff"    verbs whose words contain the text

With fewer than four the loader cannot open the program's libraries, which it says itself.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys

from harness import (BASE, REMOTE_CONFIG, Fault, Tally, attempt, copy, discard, in_parallel, leftovers, must, run,
                     scratch)
import scenarios

PIPELINE = """version: 1
name: few
stages:
  count:
    run: wc -c data/large.bin > out.txt; echo '{"count":7}' > metrics.json
    deps: [data/large.bin]
    outs: [out.txt]
    metrics: [metrics.json]
"""

#: Where each verb is run, and its words.
VERBS = [
    ("empty", "init"),
    ("repo", "add data"),
    ("repo", "add --in-place data"),
    ("repo", "add --explain data"),
    ("repo", "status"),
    ("repo", "diff"),
    ("repo", "diff HEAD~1 HEAD"),
    ("repo", "checkout --force"),
    ("repo", "log"),
    ("repo", "fsck"),
    ("repo", "fsck --remote origin"),
    ("repo", "fsck --heal"),
    ("repo", "fsck --rebuild-index"),
    ("repo", "gc"),
    ("repo", "gc --yes --grace 0s"),
    ("repo", "push"),
    ("clone", "pull"),
    ("clone", "pull datasets/data --path deep"),
    ("empty", "get ../remote datasets/data@v1 target"),
    ("repo", "remote add other ../other"),
    ("repo", "remote list"),
    ("repo", "remote remove origin"),
    ("repo", "pipeline run pipelines/few.yaml --force"),
    ("repo", "pipeline status pipelines/few.yaml"),
    ("repo", "pipeline graph pipelines/few.yaml"),
    ("repo", "pipeline lint pipelines/few.yaml"),
    ("repo", "pipeline steps"),
    ("repo", "pipeline export pipelines/few.yaml --to kubernetes --image debian --volume claim --repository https://git.example/p"),
    ("repo", "pipeline schema"),
    ("repo", "pipeline comment"),
    ("dvc", "pipeline import-dvc dvc.yaml"),
    ("repo", "run list"),
    ("repo", "run show last"),
    ("repo", "run diff RUN1 RUN2"),
    ("repo", "run compare RUN1 RUN2"),
    ("repo", "run reproduce RUN2"),
    ("repo", "run rm RUN1"),
    ("repo", "registry push datasets/data"),
    ("clone", "registry pull datasets/data@v1"),
    ("repo", "registry list"),
    ("repo", "registry show datasets/data@v1"),
    ("repo", "registry log datasets/data"),
    ("repo", "registry promote datasets/data@v1 staging"),
    ("repo", "registry rollback datasets/data production"),
    ("repo", "install"),
    ("repo", "uninstall"),
    ("dvc", "import-dvc"),
    ("repo", "import-lfs"),
    ("repo", "completion bash"),
    ("repo", "--help"),
    ("repo", "--version"),
    ("repo", "no-such-verb"),
]


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=prover", "-c", "user.email=prover@localhost", "-c", "init.defaultBranch=main",
         *arguments], cwd=folder, env=BASE, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepare(folder):
    """A project with two versions, runs, a remote and a published history; a clone that lacks the data; a DVC project."""
    (folder / "empty").mkdir(parents=True)
    repo = scenarios.make_repo(folder / "repo", has_remote=True)
    git(repo, "init", "-q")
    (repo / ".gitignore").write_text("/.mlops/\n/data/\n/out.txt\n/metrics.json\n")
    (repo / "pipelines").mkdir()
    (repo / "pipelines/few.yaml").write_text(PIPELINE)
    for seed in (1, 2):
        scenarios.record(repo, seed)
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", f"version {seed}")
        must(["push"], repo)
        must(["registry", "push", "datasets/data"], repo)
        must(["registry", "promote", f"datasets/data@v{seed}", "production"], repo)
        must(["pipeline", "run", "pipelines/few.yaml", "--force"], repo)
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "--allow-empty", "-m", "publish")
    clone = scenarios.make_repo(folder / "clone", has_remote=True)
    (clone / "registry/datasets").mkdir()
    shutil.copy(repo / scenarios.POINTER, clone / scenarios.POINTER)
    scenarios.write_data(repo / "data", 3)
    dvc = folder / "dvc"
    dvc.mkdir()
    git(dvc, "init", "-q")
    must(["init"], dvc)
    (dvc / ".dvc").mkdir()
    (dvc / ".dvc/config").write_text("")
    (dvc / "a.txt").write_text("hello\n")
    (dvc / "a.txt.dvc").write_text("outs:\n- md5: b1946ac92492d2347c6235b4d2611184\n  size: 6\n  path: a.txt\n")
    (dvc / "dvc.yaml").write_text("stages:\n  copy:\n    cmd: cp a.txt b.txt\n    deps: [a.txt]\n    outs: [b.txt]\n")
    git(dvc, "add", "-A")
    git(dvc, "commit", "-q", "-m", "data of DVC")
    return re.findall(r"^ *(\S+)", run(["run", "list", "--quiet"], repo).stdout, re.M)


def check_error(result, limit):
    if result.returncode == 127 and limit < 4 and "shared libraries" in result.stderr:
        return
    if result.returncode != 5:
        raise Fault(f"ended with {result.returncode} instead of 5: {result.stderr.strip()}")
    if len(re.findall("^error:", result.stderr, re.M)) != 1 or "hint:" not in result.stderr:
        raise Fault(f"not one error with a hint: {result.stderr.strip()}")
    if "open files" not in result.stderr and "ulimit" not in result.stderr:
        raise Fault(f"the message does not tell of open files: {result.stderr.strip()}")


def check_store(project):
    """What is there is sound. What the clone's pointer names is there after a pull only, so it is put aside for that."""
    pointer, aside = project / scenarios.POINTER, project / "pointer"
    is_to_come = project.name == "clone" and pointer.exists()
    if is_to_come:
        pointer.rename(aside)
    sound = run(["fsck"], project)
    if is_to_come:
        aside.rename(pointer)
    if sound.returncode != 0:
        raise Fault(f"fsck of {project.name} ended with {sound.returncode}: {sound.stdout}{sound.stderr}")


def try_verb(template, folder, place, words, usual, limit):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    case = copy(template, folder / f"limit-{limit}")
    try:
        result = run(words, case / place, preexec_fn=lower)
        if result.returncode != usual or limit < 4:
            check_error(result, limit)
            if leftovers(case):
                raise Fault(f"left {leftovers(case)[0]}")
        for project in ("repo", "clone", "dvc"):
            check_store(case / project)
        if result.returncode != usual:
            again = run(words, case / place)
            if again.returncode != usual:
                raise Fault(f"then ended with {again.returncode}, not {usual}: {again.stderr.strip()}")
    finally:
        discard(case)


def main(arguments):
    folder = scratch()
    good = True
    total = Tally("every verb with every limit of open files")
    try:
        template = folder / "template"
        runs = prepare(template)
        for place, text in VERBS:
            if arguments.only and not any(part in text for part in arguments.only):
                continue
            words = text.replace("RUN1", runs[-1]).replace("RUN2", runs[0]).split()
            case = copy(template, folder / "usual")
            usual = run(words, case / place)
            discard(case)
            if usual.returncode not in (0, 1, 64) or usual.returncode == 64 and text != "no-such-verb":
                raise Fault(f"`{text}` ends with {usual.returncode}: {usual.stderr.strip()}")
            tally = Tally(f"{text}: limits of 3 to {arguments.most}")

            def body(number):
                limit = number + 2
                attempt(tally, f"limit {limit}", lambda: try_verb(
                    template, folder, place, words, usual.returncode, limit))
                return True

            in_parallel(arguments.most - 2, body)
            good = tally.report() and good
            total.tried += tally.tried
            total.held += tally.held
    finally:
        discard(folder)
    return total.report() and good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="part of a verb's words; may be given several times")
    parser.add_argument("--most", type=int, default=64)
    sys.exit(0 if main(parser.parse_args()) else 1)
