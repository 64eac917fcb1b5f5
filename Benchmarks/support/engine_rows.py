"""The rows of the engine: training steps, inference, start-up, each beside PyTorch or onnxruntime."""

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import peers
from .measure import Failure

HERE = Path(__file__).resolve().parent
THREADS = 2

#: Name, what it is, steps of one process, the least ratio.
TRAINING = [
    ("mlp", "a training step of an MLP 784-256-128-10, batch 128, Adam", 400),
    ("lenet", "a training step of LeNet-5, batch 64, Adam", 200),
    ("resnet20", "a training step of ResNet-20, 3 × 32², batch 128, SGD", 8),
    ("mobilenet", "a training step of MobileNetV2 w 0.5, 3 × 32², batch 64, SGD", 8),
    ("densenet40", "a training step of DenseNet-40, 3 × 32², batch 64, SGD", 4),
    ("vae", "a training step of a VAE 784-400-20, batch 128, Adam", 200),
]


@dataclass
class Sample:
    """What the processes of one side said."""

    milliseconds: list = field(default_factory=list)
    peaks: list = field(default_factory=list)
    starts: list = field(default_factory=list)
    """Seconds from the start of the process to the end of its first step."""

    @property
    def median(self) -> float:
        # Of each process its own median: one that met a busy moment does not outweigh the rest.
        return statistics.median(statistics.median(times) for times in self.milliseconds)


def run(command, sample: Sample) -> dict:
    """One process of the protocol: a line after the first step, one at the end."""
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    first = process.stdout.readline()
    sample.starts.append(time.perf_counter() - start)
    rest, errors = process.communicate()
    if process.returncode != 0 or not rest.strip():
        raise Failure(f"`{' '.join(map(str, command))}` ended with {process.returncode}:\n{errors[-4000:]}")
    report = json.loads(rest.strip().splitlines()[-1])
    sample.milliseconds.append(report["milliseconds"])
    sample.peaks.append(report["peak_mib"])
    return json.loads(first)


def both(ours, theirs, runs: int):
    """The two sides in turn, after one round that does not count."""
    our_sample, their_sample, about = Sample(), Sample(), {}
    for index in range(runs + 1):
        for command, sample in ((ours, our_sample), (theirs, their_sample)):
            about = run(command, sample if index > 0 else Sample()) | about
    return our_sample, their_sample, about


def engine_bench() -> Path:
    """The optimised program of Benchmarks/EngineBench, built if need be."""
    if "MLOPS_ENGINE_BENCH" in os.environ:
        return Path(os.environ["MLOPS_ENGINE_BENCH"])
    command = ["swift", "build", "--configuration", "release", "--product", "engine-bench"]
    environment = os.environ | {"MLOPS_BENCHMARKS": "1"}
    subprocess.run(command, cwd=peers.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return peers.ROOT / ".build/release/engine-bench"


def training(bench) -> None:
    """Steps of training beside PyTorch, and how soon the first of them is done."""
    ours, python = engine_bench(), peers.torch_python()
    ratios = []
    for name, work, steps in TRAINING:
        words = [name, steps, THREADS]
        mine, other, about = both([ours, "train", *words], [python, HERE / "torch_peer.py", *words], bench.runs)
        memory = dict(
            ours_peak_mib=round(max(mine.peaks)), theirs_peak_mib=round(min(other.peaks)))
        bench.results.add(work, "torch", about["version"], mine.median, other.median, "ms", 1, **memory)
        bench.results.add(
            f"peak memory of {work.removeprefix('a training step of ')}", "torch", about["version"], max(mine.peaks),
            min(other.peaks), "MiB", 1)
        ratios.append(other.median / mine.median)
        if name == "mlp":
            bench.results.add(
                "from the start of the process to the end of the first training step (MLP)", "torch", about["version"],
                statistics.median(mine.starts), statistics.median(other.starts), "s", 20)
    mean = statistics.geometric_mean(ratios)
    bench.results.add(
        "the training steps above: geometric mean of the ratios", "torch", about["version"], 1, mean, "", 1.5)


#: Name, what it is, sizes of the batch with the runs of one process.
INFERENCE = [
    ("resnet20", "ResNet-20, 3 × 32²", ((1, 3000), (32, 60))),
    ("mobilenet", "MobileNetV2, 3 × 224²", ((1, 300), (32, 8))),
]


def inference(bench) -> None:
    """Inference in single precision beside onnxruntime, which reads the ONNX file that we wrote."""
    ours, python = engine_bench(), peers.onnxruntime_python()
    for name, network, batches in INFERENCE:
        stem = bench.folder / name
        subprocess.run([ours, "write", name, stem], check=True)
        for batch, count in batches:
            words = [stem, batch, count, THREADS]
            outputs = [
                run(command, Sample())["output"]
                for command in ([ours, "infer", *words], [python, HERE / "onnxruntime_peer.py", *words])]
            scale = max(1.0, max(map(abs, outputs[1])))
            worst = max(abs(a - b) for a, b in zip(*outputs, strict=True))
            if worst > 1e-4 * scale:
                raise Failure(f"{network}: the outputs differ by {worst}, at sizes up to {scale}")
            mine, other, about = both(
                [ours, "infer", *words], [python, HERE / "onnxruntime_peer.py", *words], bench.runs)
            bench.results.add(
                f"inference of {network}, batch {batch}", "onnxruntime", about["version"], mine.median, other.median, "ms",
                0.9, ours_peak_mib=round(max(mine.peaks)), theirs_peak_mib=round(min(other.peaks)))
            bench.results.add(
                f"peak memory of inference of {network}, batch {batch}", "onnxruntime", about["version"], max(mine.peaks),
                min(other.peaks), "MiB", 1)


ALL = [training, inference]
