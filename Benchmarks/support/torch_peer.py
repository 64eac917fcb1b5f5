"""One workload in PyTorch, as its users write it: `torch_peer.py WORKLOAD STEPS THREADS` prints one line when the first step is
done and one with the time of each step after that. The networks are those of the recipes; pictures lie channels last where that is
quicker for PyTorch, too."""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.main(x) + self.shortcut(x))


def resnet20(classes=10):
    layers, width = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for outputs, first in ((16, 1), (32, 2), (64, 2)):
        for place in range(3):
            layers.append(Block(width, outputs, first if place == 0 else 1))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, factor):
        super().__init__()
        hidden, layers = inputs * factor, []
        if factor != 1:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()]
        layers += [
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.main, self.adds = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.main(x) if self.adds else self.main(x)


def rounded(channels):
    """To a multiple of 8, not below nine tenths (Howard et al.)."""
    result = max(8, int(channels + 4) // 8 * 8)
    return result + 8 if result < 0.9 * channels else result


def mobilenet(width, side, classes):
    isSmall = side < 64
    channels = rounded(32 * width)
    layers = [nn.Conv2d(3, channels, 3, 1 if isSmall else 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU6()]
    plan = ((1, 16, 1, 1), (6, 24, 2, 1 if isSmall else 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for factor, outputs, count, stride in plan:
        for place in range(count):
            layers.append(InvertedResidual(channels, rounded(outputs * width), stride if place == 0 else 1, factor))
            channels = rounded(outputs * width)
    last = max(1280, rounded(1280 * width))
    return nn.Sequential(
        *layers, nn.Conv2d(channels, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes))


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.main = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, 1, 1, bias=False))

    def forward(self, x):
        return torch.cat([x, self.main(x)], 1)


def densenet40(growth=12, classes=10):
    channels, layers = 16, [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    for stage in range(3):
        for _ in range(12):
            layers.append(DenseLayer(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if stage < 2:
            layers += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.mean, self.spread = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder, self.picture = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        hidden = F.relu(self.encoder(x))
        mean, spread = self.mean(hidden), self.spread(hidden)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
        return self.picture(F.relu(self.decoder(code))), mean, spread


def vaeLoss(output, target):
    picture, mean, spread = output
    reconstruction = F.binary_cross_entropy_with_logits(picture, target, reduction="sum")
    return reconstruction - 0.5 * torch.sum(1 + spread - mean * mean - spread.exp())


def workload(name):
    """Network, inputs, targets, optimizer, loss."""
    labels = lambda n: torch.randint(0, 10, (n,))  # noqa: E731
    if name == "mlp":
        model, x, y = mlp(), torch.rand(128, 784), labels(128)
    elif name == "lenet":
        model, x, y = lenet(), torch.rand(64, 1, 28, 28), labels(64)
    elif name == "vae":
        model, x = VAE(), torch.rand(128, 784)
        return model, x, x, torch.optim.Adam(model.parameters(), 1e-3), vaeLoss
    else:
        batch = 128 if name == "resnet20" else 64
        model = {"resnet20": resnet20, "densenet40": densenet40, "mobilenet": lambda: mobilenet(0.5, 32, 10)}[name]()
        x, y = torch.rand(batch, 3, 32, 32), labels(batch)
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        return model, x, y, torch.optim.SGD(model.parameters(), 0.1, 0.9), nn.CrossEntropyLoss()
    return model, x, y, torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss()


def main():
    name, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model, x, y, optimizer, loss = workload(name)
    times = []
    for step in range(steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e3)
        if step == 0:
            print(json.dumps({"version": torch.__version__}), flush=True)
    # The first steps warm caches and allocators up.
    counted = times[1 + steps // 5:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"milliseconds": counted, "peak_mib": peak}), flush=True)


main()
