"""The commands that are put to the proof, each in a small project in which something is at stake."""

import os
import pathlib
import random
import shutil
import subprocess

from harness import BASE, REMOTE_CONFIG, Fault, RemoteVersion, Version, copy, must, run

LARGE = 700_000
POINTER = "registry/datasets/data.yaml"


def write_data(folder, seed):
    """A folder with nested files, an empty one, a link, a program, a large file; versions share most of their bytes."""
    source = random.Random(1)
    change = random.Random(seed)
    folder = pathlib.Path(folder)
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "deep/er").mkdir(parents=True)
    (folder / "a.txt").write_bytes(source.randbytes(3000))
    (folder / "b.txt").write_bytes(change.randbytes(4000))
    (folder / "deep/c.csv").write_text("".join(f"{n},{n * seed}\n" for n in range(2000)))
    (folder / "deep/er/empty").write_bytes(b"")
    (folder / f"deep/er/only-{seed}").write_bytes(change.randbytes(100))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    os.symlink("../a.txt", folder / "deep/link")
    large = bytearray(source.randbytes(LARGE))
    large[LARGE // 2:LARGE // 2] = change.randbytes(50)
    (folder / "large.bin").write_bytes(large)


def make_repo(path, has_remote=False):
    path.mkdir(parents=True)
    must(["init"], path)
    if has_remote:
        (path / "registry/config.yaml").write_text(REMOTE_CONFIG)
    return path


def record(repo, seed):
    """Records the data of `seed` as a version."""
    write_data(repo / "data", seed)
    must(["add", "data"], repo)
    return Version(repo, "data", POINTER)


class Scenario:
    """A command, the state it starts from, and what must hold before and after."""

    name = ""
    command = []
    where = "repo"
    #: Whether a pointer names content that is not in the store before the command has run.
    lacks = False

    def prepare(self, folder):
        """Makes the starting state in `folder`."""

    def __init__(self, folder):
        self.template = folder / "template"
        self.template.mkdir(parents=True)
        self.old, self.new = [], []
        self.prepare(self.template)
        # What the command makes of it undisturbed.
        done = copy(self.template, folder / "done")
        must(self.command, done / self.where)
        self.outcome(done)
        shutil.rmtree(done)

    def outcome(self, done):
        """Notes the new versions from the finished state `done`."""
        self.new = [Version(done / self.where, "data", POINTER)]

    def checks_after(self, case):
        """Further checks when the command has succeeded."""

    def projects(self, case):
        return [case / name for name in ("repo", "clone") if (case / name / "registry").exists()]


class AddFirst(Scenario):
    name, command = "add, first version", ["add", "data"]

    def prepare(self, folder):
        write_data(make_repo(folder / "repo") / "data", 1)


class AddSecond(Scenario):
    name, command = "add, second version", ["add", "data"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo")
        self.old = [record(repo, 1)]
        write_data(repo / "data", 2)


class AddFile(Scenario):
    name, command = "add, one large file", ["add", "big.bin"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo")
        source = random.Random(5)
        (repo / "big.bin").write_bytes(source.randbytes(9_000_000))
        must(["add", "big.bin"], repo)
        self.old = [Version(repo, "big.bin", "registry/datasets/big.yaml")]
        with open(repo / "big.bin", "r+b") as file:
            file.seek(4_000_000)
            file.write(source.randbytes(300))

    def outcome(self, done):
        self.new = [Version(done / "repo", "big.bin", "registry/datasets/big.yaml")]


class Push(Scenario):
    name, command = "push", ["push"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        record(repo, 1)
        must(["push"], repo)
        self.old = [RemoteVersion(repo, "data", POINTER)]
        self.old += [record(repo, 2)]
        self.pushed = RemoteVersion(repo, "data", POINTER)

    def outcome(self, done):
        self.new = [self.pushed]


class PushFirst(Push):
    name = "push, first"

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        self.old = [record(repo, 1)]
        self.pushed = RemoteVersion(repo, "data", POINTER)


class Pull(Scenario):
    name, command, where, lacks = "pull", ["pull"], "clone", True

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        record(repo, 1)
        must(["push"], repo)
        clone = make_repo(folder / "clone", has_remote=True)
        (clone / "registry/datasets").mkdir()
        shutil.copy(repo / POINTER, clone / POINTER)
        must(["pull"], clone)
        self.old = [Version(clone, "data", POINTER)]
        record(repo, 2)
        must(["push"], repo)
        self.old += [RemoteVersion(repo, "data", POINTER)]
        shutil.copy(repo / POINTER, clone / POINTER)

    def checks_after(self, case):
        self.new[0].check_workspace(case)


class PullFirst(Pull):
    name = "pull, first"

    def prepare(self, folder):
        super().prepare(folder)
        shutil.rmtree(folder / "clone/.mlops")
        shutil.rmtree(folder / "clone/data")
        (folder / "clone/.mlops").mkdir()
        self.old = self.old[1:]


class PullInPlaceFirst(Scenario):
    """A file so large that it stays where it is written. Only the workspace and the remote have it."""

    name, command, where, lacks = "pull, in place, first", ["pull", "--in-place"], "clone", True
    versions = 1

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        clone = make_repo(folder / "clone", has_remote=True)
        (clone / "registry/datasets").mkdir()
        content = bytearray(random.Random(1).randbytes(33 << 20))
        for number in range(self.versions):
            write_data(repo / "data", number + 1)
            content[5 << 20:6 << 20] = random.Random(number).randbytes(1 << 20)
            (repo / "data/huge.bin").write_bytes(content)
            must(["add", "data"], repo)
            must(["push"], repo)
            self.old += [RemoteVersion(repo, "data", POINTER)]
            shutil.copy(repo / POINTER, clone / POINTER)
            if number + 1 < self.versions:
                must(self.command, clone)
        shutil.rmtree(repo)

    def outcome(self, done):
        self.whole = Version(done / "clone", "data", POINTER)

    def checks_after(self, case):
        self.whole.check_workspace(case)


class PullInPlace(PullInPlaceFirst):
    name, versions = "pull, in place", 2


class Checkout(Scenario):
    name, command = "checkout", ["checkout"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo")
        self.old = [record(repo, 1)]
        self.old += [record(repo, 2)]
        (repo / POINTER).write_text(self.old[0].text)

    def checks_after(self, case):
        self.new[0].check_workspace(case)


class CheckoutFirst(Checkout):
    name = "checkout, first"

    def prepare(self, folder):
        super().prepare(folder)
        shutil.rmtree(folder / "repo/data")


class RegistryPush(Scenario):
    name, command = "registry push", ["registry", "push", "datasets/data"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        record(repo, 1)
        must(["registry", "push", "datasets/data"], repo)
        self.old = [RemoteVersion(repo, "data", POINTER)]
        self.old += [record(repo, 2)]
        self.pushed = RemoteVersion(repo, "data", POINTER)

    def outcome(self, done):
        self.new = [self.pushed]

    def checks_after(self, case):
        for project in self.projects(case):
            shown = run(["registry", "list", "--json"], project)
            if shown.returncode != 0 or '"versions":2' not in shown.stdout.replace(" ", ""):
                if "@v2" not in run(["registry", "log", "datasets/data"], project).stdout:
                    raise Fault(f"the second version is not in the registry: {shown.stdout}{shown.stderr}")
        events = sorted(os.listdir(case / "remote/events/datasets/data"))
        if events != [f"{n}.json" for n in range(1, len(events) + 1)]:
            raise Fault(f"the remote's events have a gap: {events}")


class Fsck(Scenario):
    name, command = "fsck --rebuild-index", ["fsck", "--rebuild-index"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo")
        self.old = [record(repo, 1)]

    def outcome(self, done):
        """Nothing new is recorded."""


class RegistryPull(Scenario):
    """Into a clone that has the first version. Of the second one nothing names more than its event until it is here."""

    name, command, where = "registry pull", ["registry", "pull", "datasets/data@v2"], "clone"

    def prepare(self, folder):
        repo = make_repo(folder / "repo", has_remote=True)
        clone = make_repo(folder / "clone", has_remote=True)
        record(repo, 1)
        must(["registry", "push", "datasets/data"], repo)
        must(["registry", "pull", "datasets/data@v1"], clone)
        self.old = [Version(clone, "data", POINTER)]
        self.old += [record(repo, 2)]
        must(["registry", "push", "datasets/data"], repo)
        self.old += [RemoteVersion(repo, "data", POINTER)]

    def checks_after(self, case):
        self.new[0].check_workspace(case)


class Gc(Scenario):
    """Two versions that git knows, and one that nothing needs and whose pack holds bytes of the others too."""

    name, command = "gc", ["gc", "--yes", "--grace", "0s"]

    def prepare(self, folder):
        repo = make_repo(folder / "repo")

        def git(*arguments):
            subprocess.run(
                ["git", "-c", "user.name=prover", "-c", "user.email=prover@localhost", *arguments], cwd=repo, env=BASE,
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        git("init", "-q")
        (repo / ".gitignore").write_text("/.mlops/\n/data/\n")
        for seed in (3, 1, 4, 2):
            version = record(repo, seed)
            if seed < 3:
                git("add", "-A")
                git("commit", "-q", "-m", f"version {seed}")
                self.old.append(version)

    def outcome(self, done):
        packs = sum(name.endswith(".pack") for _, _, names in os.walk(done / "repo/.mlops/store/packs") for name in names)
        before = sum(name.endswith(".pack") for _, _, names in os.walk(self.template / "repo/.mlops/store/packs")
                     for name in names)
        assert packs != before, "nothing was collected"


class RemoteAdd(Scenario):
    name, command = "remote add", ["remote", "add", "origin", "../remote"]

    def prepare(self, folder):
        make_repo(folder / "repo")

    def outcome(self, done):
        """Nothing new is recorded."""


ALL = [AddFirst, AddSecond, AddFile, PushFirst, Push, PullFirst, Pull, PullInPlaceFirst, PullInPlace, Checkout,
       CheckoutFirst, RegistryPush, RegistryPull, Gc, Fsck, RemoteAdd]
