"""A project of mlops, of DVC and a repository of restic, over the same data, as their users would have them."""

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

from . import peers
from .measure import Failure


def remove(*paths) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def set_aside(*paths) -> None:
    """Moves what may hold many files out of the way. For five seconds after it was freed ext4 does not give an inode out
    again and searches past it, which would cost whoever writes next, and the quicker program more."""
    for path in paths:
        if path.exists():
            trash = path.parent / "aside"
            trash.mkdir(exist_ok=True)
            path.rename(trash / f"{path.name}-{len(list(trash.iterdir()))}")


def execute(command, folder, environment=None) -> None:
    """Runs a command whose time does not matter."""
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def size_of(folder: Path) -> int:
    """The bytes of all files below `folder`."""
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file() and not entry.is_symlink())


def count_of(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def write_random_file(path: Path, byte_count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        while byte_count > 0:
            file.write(os.urandom(min(byte_count, 16 << 20)))
            byte_count -= 16 << 20


def write_small_files(folder: Path, count: int, byte_count: int, folders: int, seed: int = 1) -> None:
    """`count` files of random bytes, spread over `folders` folders."""
    source = random.Random(seed)
    for number in range(folders):
        (folder / f"part-{number:03}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"part-{number % folders:03}" / f"{number:07}.bin"
        path.write_bytes(source.randbytes(byte_count))


def digest_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Project:
    """A folder that one program works in."""

    folder: Path
    program: Path
    environment: dict

    def command(self, *words) -> list:
        return [self.program, *words]

    def run(self, *words) -> None:
        execute(self.command(*words), self.folder, self.environment)


class MLOpsProject(Project):
    def __init__(self, folder: Path):
        self.folder = folder
        self.program = peers.mlops()
        self.environment = dict(os.environ)
        self.prefixes = 0
        folder.mkdir(parents=True)
        execute(["git", "init", "--quiet"], folder)
        execute([self.program, "init"], folder)

    def forget(self) -> None:
        """As if nothing had ever been recorded."""
        set_aside(self.folder / ".mlops", self.folder / "registry")
        execute([self.program, "init"], self.folder)

    def forget_content(self) -> None:
        """As in a fresh clone: the pointers are there, and no content."""
        set_aside(self.folder / ".mlops")

    def use_remote(self, store) -> None:
        """An empty prefix of `store` as the only remote."""
        self.prefixes += 1
        self.environment.update(store.environment)
        if self.prefixes > 1:
            self.run("remote", "remove", "origin")
        self.run(
            "remote", "add", "origin", f"s3://{store.bucket}/mlops-{self.prefixes}", "--endpoint", store.endpoint,
            "--region", "us-east-1", "--path-style")

    @property
    def store_size(self) -> int:
        return size_of(self.folder / ".mlops/store")


class DVCProject(Project):
    def __init__(self, folder: Path):
        self.folder = folder
        self.program = peers.dvc()
        self.site_cache = folder.parent / (folder.name + "-site-cache")
        # Without its question for news, which would cost it a moment now and then.
        self.environment = dict(
            os.environ, DVC_NO_ANALYTICS="1", DVC_SITE_CACHE_DIR=str(self.site_cache),
            DVC_GLOBAL_CONFIG_DIR=str(self.site_cache / "config"))
        self.prefixes = 0
        folder.mkdir(parents=True)
        execute(["git", "init", "--quiet"], folder)
        self.run("init", "--quiet")
        self.run("config", "core.analytics", "false")
        self.run("config", "core.check_update", "false")

    def forget(self) -> None:
        set_aside(self.folder / ".dvc/cache", self.folder / ".dvc/tmp", self.site_cache)
        # Its own folder is called `.dvc`, which the pattern fits, too.
        remove(*(path for path in self.folder.glob("*.dvc") if path.is_file()))

    def forget_content(self) -> None:
        set_aside(self.folder / ".dvc/cache", self.folder / ".dvc/tmp", self.site_cache)

    def use_remote(self, store) -> None:
        self.prefixes += 1
        self.environment.update(store.environment)
        self.run("remote", "add", "--default", "--force", "origin", f"s3://{store.bucket}/dvc-{self.prefixes}")
        self.run("remote", "modify", "origin", "endpointurl", store.endpoint)
        # It remembers which objects a remote has, by the remote's name.
        remove(self.site_cache)


class ResticRepository(Project):
    def __init__(self, folder: Path):
        self.folder = folder
        self.repository = folder / "repository"
        self.program = peers.restic()
        self.environment = dict(
            os.environ, RESTIC_PASSWORD="bench", RESTIC_REPOSITORY=str(self.repository),
            RESTIC_CACHE_DIR=str(folder / "cache"))
        folder.mkdir(parents=True)
        self.run("init", "--repository-version", "2")

    @property
    def store_size(self) -> int:
        return size_of(self.repository)
