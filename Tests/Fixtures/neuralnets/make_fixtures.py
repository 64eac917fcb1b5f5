"""Writes optimizers.json: 50 steps of torch.optim on one small regression, and networks.json: the first losses of two networks.

Run with torch 2.13.0: `python make_fixtures.py`.
"""
import json
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(20261122)
here = os.path.dirname(os.path.abspath(__file__))


def pack(t):
    return {"shape": list(t.shape), "values": [float(f"{v:.9g}") for v in t.detach().double().flatten().tolist()]}


def write(name, content):
    with open(os.path.join(here, name), "w") as file:
        json.dump(content, file, separators=(",", ":"))
        file.write("\n")


# Loss: mean of (tanh(x w) - y)^2 in f32, one weight matrix.
x, y, w0 = torch.randn(12, 5), torch.rand(12, 3), torch.randn(5, 3)
optimizers = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamDecay": lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.05),
}
runs = {}
for name, make in optimizers.items():
    w = w0.clone().requires_grad_(True)
    optimizer = make([w])
    for _ in range(50):
        optimizer.zero_grad()
        ((torch.tanh(x @ w) - y) ** 2).mean().backward()
        optimizer.step()
    runs[name] = pack(w)
schedules = {}
for name, make in {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 4, 0.5),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 12, eta_min=0.05),
}.items():
    optimizer = torch.optim.SGD([w0.clone().requires_grad_(True)], lr=1.0)
    schedule, rates = make(optimizer), []
    for _ in range(13):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    schedules[name] = rates
write(
    "optimizers.json",
    {"torch": torch.__version__, "x": pack(x), "y": pack(y), "w": pack(w0), "after50": runs, "schedules": schedules},
)


def train(model, x, labels, make, steps):
    start = {k: pack(v) for k, v in model.state_dict().items()}
    optimizer, losses = make(model.parameters()), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    end = {k: pack(v) for k, v in model.state_dict().items()}
    return {"x": pack(x), "labels": labels.tolist(), "start": start, "end": end, "losses": losses}


convolutional = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(),
    nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 5),
)
# No bias before a batch norm: its gradient is rounding noise, which Adam would blow up.
dense = nn.Sequential(nn.Linear(7, 12, bias=False), nn.BatchNorm1d(12), nn.GELU(), nn.Linear(12, 8), nn.LayerNorm(8), nn.Sigmoid(),
                      nn.Linear(8, 5))
write(
    "networks.json",
    {
        "torch": torch.__version__,
        "convolutional": train(convolutional, torch.randn(10, 1, 8, 8), torch.randint(0, 5, (10,)),
                               lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), 20),
        "dense": train(dense, torch.randn(16, 7), torch.randint(0, 5, (16,)),
                       lambda p: torch.optim.Adam(p, lr=0.01), 20),
    },
)
