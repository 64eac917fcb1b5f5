"""Writes losses.json: the losses of the first 20 steps of each recipe in PyTorch, and the gradient's norm at the first step.

Weights and pictures are a function of name and place (`fill`), so that the file holds results only.
Run with torch 2.15.0: `python make_fixtures.py`.
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
STEPS, EXAMPLES = 20, 64


def fill(name, shape):
    """Numbers in -1 ..< 1: SplitMix64 of the FNV-1a hash of `name` and of the place."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    count = math.prod(shape)
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(40)).astype(np.float64) * 2**-23 - 1).reshape(shape)


def set_weights(model, dtype):
    for name, parameter in model.named_parameters():
        values = fill(name, parameter.shape)
        if parameter.dim() > 1:
            values *= math.sqrt(4 / math.prod(parameter.shape[1:]))
        elif name.endswith("weight"):
            values = 0.5 + 0.1 * values
        else:
            values *= 0.1
        parameter.data = torch.tensor(values, dtype=torch.float32).to(dtype)


class Residual(nn.Module):
    def __init__(self, branch, shortcut=()):
        super().__init__()
        self.branch, self.shortcut = nn.Sequential(*branch), nn.Sequential(*shortcut)

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class Dense(nn.Module):
    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def conv(i, o, k, s=1, groups=1, bias=False):
    return nn.Conv2d(i, o, k, stride=s, padding=k // 2, groups=groups, bias=bias)


def tabular_mlp():
    layers, width = [], 12
    for hidden in (128, 64):
        layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, 3))


def perceptron():
    return nn.Sequential(nn.Linear(12, 3))


def picture_mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def alexnet():
    return nn.Sequential(
        conv(1, 24, 5, bias=True), nn.ReLU(), nn.MaxPool2d(3, 2), conv(24, 64, 5, bias=True), nn.ReLU(), nn.MaxPool2d(3, 2),
        conv(64, 96, 3, bias=True), nn.ReLU(), conv(96, 96, 3, bias=True), nn.ReLU(), conv(96, 64, 3, bias=True), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def vgg():
    layers, channels = [], 1
    for width in (16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128):
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [conv(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def resnet(pre):
    norm, channels = nn.BatchNorm2d, 16
    layers = [conv(1, 16, 3)] if pre else [conv(1, 16, 3), norm(16), nn.ReLU()]
    for stage in range(3):
        out = 16 << stage
        for block in range(3):
            s = 2 if stage and not block else 1
            change = s != 1 or channels != out
            if pre:
                branch = [norm(channels), nn.ReLU(), conv(channels, out, 3, s), norm(out), nn.ReLU(), conv(out, out, 3)]
                layers.append(Residual(branch, [conv(channels, out, 1, s)] if change else []))
            else:
                branch = [conv(channels, out, 3, s), norm(out), nn.ReLU(), conv(out, out, 3), norm(out)]
                layers += [Residual(branch, [conv(channels, out, 1, s), norm(out)] if change else []), nn.ReLU()]
            channels = out
    return nn.Sequential(*layers, *([norm(64), nn.ReLU()] if pre else []), Mean(), nn.Linear(64, 10))


def densenet(growth=12):
    layers, channels = [conv(1, 16, 3)], 16
    for stage in range(3):
        for _ in range(12):
            layers.append(Dense(nn.BatchNorm2d(channels), nn.ReLU(), conv(channels, growth, 3)))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if stage < 2:
            layers += [conv(channels, channels, 1), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, Mean(), nn.Linear(channels, 10))


def mobilenet():
    def norm(c):
        return nn.BatchNorm2d(c)

    channels = 16
    layers = [conv(1, 16, 3), norm(16), nn.ReLU6()]
    for t, c, n, s in ((1, 8, 1, 1), (6, 16, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1)):
        for block in range(n):
            stride, hidden = (s if block == 0 else 1), channels * t
            body = [] if t == 1 else [conv(channels, hidden, 1), norm(hidden), nn.ReLU6()]
            body += [conv(hidden, hidden, 3, stride, hidden), norm(hidden), nn.ReLU6(), conv(hidden, c, 1), norm(c)]
            layers += [Residual(body)] if stride == 1 and channels == c else body
            channels = c
    return nn.Sequential(*layers, conv(channels, 1280, 1), norm(1280), nn.ReLU6(), Mean(), nn.Linear(1280, 10))


# Each: recipe, model, shape of an example, classes, batch, settings that differ from the recipe's defaults, optimizer.
RUNS = [
    ("tabular/perceptron", perceptron, [12], 3, 16, {}, lambda p: torch.optim.SGD(p, lr=0.1)),
    ("tabular/mlp", tabular_mlp, [12], 3, 16, {"dropout": 0}, lambda p: torch.optim.AdamW(p, lr=0.002, weight_decay=0.01)),
    ("vision/mlp", picture_mlp, [1, 28, 28], 10, 8, {}, lambda p: torch.optim.AdamW(p, lr=0.001, weight_decay=0.01)),
    ("vision/lenet5", lenet, [1, 28, 28], 10, 8, {}, lambda p: torch.optim.AdamW(p, lr=0.003, weight_decay=0.01)),
    ("vision/alexnet", alexnet, [1, 28, 28], 10, 8, {"dropout": 0, "optimizer": "sgd", "learning_rate": 0.01},
     lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("vision/vgg11", vgg, [1, 28, 28], 10, 16, {"dropout": 0, "optimizer": "sgd", "learning_rate": 0.0005},
     lambda p: torch.optim.SGD(p, lr=0.0005, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("vision/resnet20", lambda: resnet(False), [1, 16, 16], 10, 16, {"learning_rate": 0.0003},
     lambda p: torch.optim.SGD(p, lr=0.0003, momentum=0.9, nesterov=True, weight_decay=0.0005)),
    ("vision/resnet20", lambda: resnet(True), [1, 16, 16], 10, 16, {"learning_rate": 0.001, "preactivation": True},
     lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9, nesterov=True, weight_decay=0.0005)),
    ("vision/densenet40", densenet, [1, 16, 16], 10, 16, {"learning_rate": 0.001},
     lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9, nesterov=True, weight_decay=0.0001)),
    ("vision/mobilenetv2", mobilenet, [1, 28, 28], 10, 16, {"dropout": 0, "optimizer": "sgd", "learning_rate": 0.00001},
     lambda p: torch.optim.SGD(p, lr=0.00001, momentum=0.9, nesterov=True, weight_decay=0.01)),
]


def run(recipe, make, shape, classes, batch, settings, optimizer, dtype=torch.float32, jitter=None):
    """`jitter` is the seed of a change of the weights by about a unit in the last place, as another processor's sums would make."""
    model = make().to(dtype)
    set_weights(model, dtype)
    if jitter is not None:
        source = torch.Generator().manual_seed(jitter)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 6e-8 * torch.randn(parameter.shape, generator=source))
    examples = torch.tensor(fill("examples", [EXAMPLES, *shape]), dtype=torch.float32).to(dtype)
    labels = (torch.arange(EXAMPLES) * 7 + 3) % classes
    step, losses, norms = optimizer(model.parameters()), [], {}
    for index in range(STEPS):
        rows = torch.arange(index * batch, (index + 1) * batch) % EXAMPLES
        step.zero_grad()
        loss = F.cross_entropy(model(examples[rows]), labels[rows])
        loss.backward()
        if index == 0:
            norms = {name: float(f"{p.grad.double().norm():.6g}") for name, p in model.named_parameters()}
        step.step()
        losses.append(float(f"{loss.item():.8g}"))
    return {"recipe": recipe, "settings": settings, "shape": shape, "classes": classes, "batch": batch, "losses": losses,
            "gradient_norms": norms}


def check(entry):
    """A run whose own rounding moves the losses by more than 2e-5, or another processor's by what the test allows, could tell
    nothing: a maximum or a ReLU close to a tie falls to the other side."""
    single, double = run(*entry), run(*entry, dtype=torch.float64)

    def distance(losses):
        return max(abs(a - b) / b for a, b in zip(losses, double["losses"]))

    worst, elsewhere = distance(single["losses"]), max(distance(run(*entry, jitter=seed)["losses"]) for seed in range(6))
    assert worst < 2e-5 and elsewhere < 1e-4, f"{entry[0]}: rounding moves the losses by {worst:.1e}, elsewhere {elsewhere:.1e}"
    norms = double["gradient_norms"]
    # A bias that the next batch norm takes away has none.
    steepest = max(abs(a / norms[n] - 1) for n, a in single["gradient_norms"].items() if norms[n] > 1e-9 * max(norms.values()))
    single["gradient_norms"] = double["gradient_norms"]
    print(f"{entry[0]}: f32 and f64 differ by {worst:.1e} in the losses, {steepest:.1e} in the gradients' norms", single["losses"][0], single["losses"][-1])
    return single


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "losses.json"), "w") as file:
    runs = [check(entry) for entry in RUNS]
    json.dump({"torch": torch.__version__, "examples": EXAMPLES, "runs": runs}, file, separators=(",", ":"))
    file.write("\n")
