"""What all proofs share: the fault library, small projects in a scratch folder, and the checks after a fault."""

import concurrent.futures
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MLOPS = os.environ.get("MLOPS_BINARY", str(ROOT / ".build/debug/mlops"))
SHIM = ROOT / ".build/faults/libfaults.so"
JOBS = int(os.environ.get("FAULTS_JOBS", os.cpu_count() or 2))
BASE = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
BASE |= {"HOME": "/nonexistent", "LC_ALL": "C", "USER": "prover", "GIT_CONFIG_NOSYSTEM": "1"}


class Fault(Exception):
    """A promise that was not kept."""


def build_library(library, sources, headers=()):
    """Compiles a library for LD_PRELOAD if a source is newer than it."""
    sources = [HERE / name for name in sources]
    newest = max(path.stat().st_mtime for path in [*sources, *(HERE / name for name in headers)])
    if library.exists() and library.stat().st_mtime > newest:
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    part = library.with_suffix(f".{os.getpid()}")
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", part, *sources,
         "-ldl", "-lpthread"], check=True)
    part.rename(library)


def build_shim():
    build_library(SHIM, ["shim.c", "calls.c"], ["shim.h"])


def scratch():
    """A folder in memory if there is one: what is flushed is decided by the log, not by a disk."""
    base = os.environ.get("FAULTS_SCRATCH") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
    folder = pathlib.Path(base) / f"mlops-faults-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(arguments, cwd, env=None, **options):
    """Runs `mlops` and returns the finished process with its output as text."""
    return subprocess.run(
        [MLOPS, *arguments], cwd=cwd, env=BASE | (env or {}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, **options)


def must(arguments, cwd):
    """Runs `mlops`, which must succeed."""
    result = run(arguments, cwd)
    if result.returncode != 0:
        raise Fault(f"`mlops {' '.join(arguments)}` ended with {result.returncode}: {result.stderr.strip()}")
    return result


def copy(source, target):
    shutil.copytree(source, target, symlinks=True)
    return target


def discard(folder):
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755)
    shutil.rmtree(folder, ignore_errors=True)


def snapshot(path):
    """What a file or folder holds: for each path its kind and its bytes."""
    found = {}

    def visit(path, name):
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("folder", None)
            for child in sorted(os.listdir(path)):
                visit(os.path.join(path, child), f"{name}/{child}")
        else:
            with open(path, "rb") as file:
                found[name] = ("program" if status.st_mode & 0o100 else "file", file.read())

    visit(path, "")
    return found


def leftovers(*folders):
    return [os.path.join(parent, name) for folder in folders for parent, folders_, names in os.walk(folder)
            for name in names + folders_ if name.endswith(".mlops-tmp")]


class Version:
    """A recorded content of an artifact: its pointer's text, and what the files must be."""

    def __init__(self, repo, path, pointer):
        self.repo, self.path, self.pointer = repo, path, pointer
        self.text = (pathlib.Path(repo) / pointer).read_text()
        self.files = snapshot(os.path.join(repo, path))

    def check(self, case, what):
        """Checks this version out of the store of `case` into a folder of its own, and compares every byte."""
        probe = case / "probe"
        repo = case / os.path.basename(self.repo)
        (probe / os.path.dirname(self.pointer)).mkdir(parents=True)
        try:
            copy(repo / ".mlops", probe / ".mlops")
            shutil.copy(repo / "registry/config.yaml", probe / "registry/config.yaml")
            (probe / self.pointer).write_text(self.text)
            result = run(["checkout"], probe)
            if result.returncode != 0:
                raise Fault(f"{what}: checkout ended with {result.returncode}: {result.stderr.strip()}")
            if snapshot(probe / self.path) != self.files:
                raise Fault(f"{what}: checkout gave other bytes")
        finally:
            discard(probe)

    def check_workspace(self, case):
        """Compares the files of the project that it was recorded in."""
        if snapshot(case / os.path.basename(self.repo) / self.path) != self.files:
            raise Fault("the workspace does not hold the version")


class RemoteVersion(Version):
    """A content that the remote of the case must be able to give to an empty clone."""

    def check(self, case, what):
        probe = case / "probe"
        (probe / os.path.dirname(self.pointer)).mkdir(parents=True)
        try:
            (probe / "registry/config.yaml").write_text(REMOTE_CONFIG)
            (probe / self.pointer).write_text(self.text)
            result = run(["pull"], probe)
            if result.returncode != 0:
                raise Fault(f"{what}: pull ended with {result.returncode}: {result.stderr.strip()}")
            if snapshot(probe / self.path) != self.files:
                raise Fault(f"{what}: pull gave other bytes")
        finally:
            discard(probe)


REMOTE_CONFIG = 'version: 1\ndefault_remote: origin\nremotes:\n  origin:\n    url: "../remote"\n'


class Tally:
    """Counts what was tried and what held, and keeps the first failures to show."""

    def __init__(self, title):
        self.title, self.tried, self.held, self.failures = title, 0, 0, []
        self.lock = threading.Lock()

    def add(self, label, error):
        with self.lock:
            self.tried += 1
            if error is None:
                self.held += 1
            else:
                self.failures.append((label, error))

    def report(self, shown=6):
        mark = "ok  " if self.held == self.tried else "FAIL"
        print(f"{mark} {self.title}: {self.held}/{self.tried}", flush=True)
        for label, error in self.failures[:shown]:
            print(f"     {label}: {error}", flush=True)
        return self.held == self.tried


def attempt(tally, label, work):
    """Runs `work`; a broken promise is counted, and anything else too."""
    try:
        work()
        tally.add(label, None)
    except Fault as fault:
        tally.add(label, str(fault))
    except Exception:
        tally.add(label, traceback.format_exc(limit=3))


def in_parallel(count, body):
    """Calls `body(0)`, `body(1)`, … until one returns false, several at a time; stops after those that were started."""
    numbers = iter(range(1, count + 1))
    lock = threading.Lock()
    ended = threading.Event()

    def worker():
        while not ended.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            if not body(number):
                ended.set()

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for future in [pool.submit(worker) for _ in range(JOBS)]:
            future.result()


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
