"""Writes optimizer_runs.json: 50 steps of each optimizer of torch.optim, of LAMB as its paper has it, and of parameter groups,
on one small network; and schedules.json: the rates that torch.optim.lr_scheduler gives.

Run with torch 2.15: `python make_optimizers.py`.
"""
import torch

from fixture_files import pack, write


class LAMB(torch.optim.Optimizer):
    """Algorithm 2 of You et al., 2020, line by line."""

    def __init__(self, parameters, lr, beta1=0.9, beta2=0.999, eps=1e-6, decay=0.01):
        super().__init__(parameters, dict(lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for x in group["params"]:
                s = self.state[x]
                if not s:
                    s["t"], s["m"], s["v"] = 0, torch.zeros_like(x), torch.zeros_like(x)
                s["t"] += 1
                s["m"] = group["beta1"] * s["m"] + (1 - group["beta1"]) * x.grad
                s["v"] = group["beta2"] * s["v"] + (1 - group["beta2"]) * x.grad**2
                m = s["m"] / (1 - group["beta1"] ** s["t"])
                v = s["v"] / (1 - group["beta2"] ** s["t"])
                u = m / (v.sqrt() + group["eps"]) + group["decay"] * x
                x -= group["lr"] * x.norm() / u.norm() * u


# Loss: mean of (tanh(x w1 + b) w2 - y)^2 in f32.
x, y = torch.randn(12, 5), torch.rand(12, 3)
start = {"w1": torch.randn(5, 4), "b": torch.randn(4), "w2": torch.randn(4, 3)}
o = torch.optim
makers = {
    "sgd": lambda p: o.SGD(p, lr=0.1),
    "momentum": lambda p: o.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "dampened": lambda p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "nesterov": lambda p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda p: o.Adagrad(p, lr=0.1),
    "adagradDecay": lambda p: o.Adagrad(p, lr=0.2, lr_decay=0.03, initial_accumulator_value=0.1, weight_decay=0.01),
    "rmsprop": lambda p: o.RMSprop(p, lr=0.01),
    "rmspropMomentum": lambda p: o.RMSprop(p, lr=0.002, alpha=0.95, momentum=0.8, weight_decay=0.01),
    "rmspropCentered": lambda p: o.RMSprop(p, lr=0.01, alpha=0.95, eps=1e-4, centered=True),
    "rmspropAll": lambda p: o.RMSprop(p, lr=0.005, alpha=0.95, eps=1e-4, centered=True, momentum=0.5),
    "adam": lambda p: o.Adam(p, lr=0.02),
    "adamDecay": lambda p: o.Adam(p, lr=0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    "adamAMSGrad": lambda p: o.Adam(p, lr=0.05, betas=(0.5, 0.7), weight_decay=0.01, amsgrad=True),
    "adamw": lambda p: o.AdamW(p, lr=0.02, weight_decay=0.05),
    "adamwAMSGrad": lambda p: o.AdamW(p, lr=0.05, betas=(0.5, 0.7), amsgrad=True),
    "lamb": lambda p: LAMB(p, lr=0.02),
}


def run(make, groups):
    values = {k: v.clone().requires_grad_(True) for k, v in start.items()}
    optimizer = make(groups(values))
    for _ in range(50):
        optimizer.zero_grad()
        (((torch.tanh(x @ values["w1"] + values["b"])) @ values["w2"] - y) ** 2).mean().backward()
        optimizer.step()
    return {k: pack(v) for k, v in values.items()}


def grouped(rate, decay):
    return lambda v: [{"params": [v["w1"], v["w2"]]}, {"params": [v["b"]], "lr": rate, "weight_decay": decay}]


runs = {name: run(make, lambda v: list(v.values())) for name, make in makers.items()}
runs["groupsAdamW"] = run(lambda p: o.AdamW(p, lr=0.02, weight_decay=0.3), grouped(0.005, 0))
runs["groupsSGD"] = run(lambda p: o.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.02), grouped(0.025, 0))
write("optimizer_runs.json", {"x": pack(x), "y": pack(y), "start": {k: pack(v) for k, v in start.items()}, "runs": runs})

s = torch.optim.lr_scheduler


def rates(make, steps, lr=1.0, momentum=False):
    optimizer = o.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    schedule, found, momenta = make(optimizer), [], []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return {"rates": found, "momenta": momenta} if momentum else found


def onPlateau(metrics, **settings):
    optimizer = o.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, found = s.ReduceLROnPlateau(optimizer, **settings), []
    for metric in metrics:
        schedule.step(metric)
        found.append(optimizer.param_groups[0]["lr"])
    return found


metrics = [5, 4, 3, 3.0001, 2.9999, 2.99995, 3, 3, 3, 2.5, 2.6, 2.7, 2.6, 2.4, 2.39, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]
write(
    "schedules.json",
    {
        "rates": {
            "step": rates(lambda p: s.StepLR(p, 4, 0.5), 13),
            "multiStep": rates(lambda p: s.MultiStepLR(p, [3, 5, 9], 0.2), 13),
            "exponential": rates(lambda p: s.ExponentialLR(p, 0.9), 13),
            "cosine": rates(lambda p: s.CosineAnnealingLR(p, 12, eta_min=0.05), 13),
            "restarts": rates(lambda p: s.CosineAnnealingWarmRestarts(p, 3, 2, eta_min=0.1), 25),
            "linear": rates(lambda p: s.LinearLR(p, 0.25, 0.75, 5), 9),
            "polynomial": rates(lambda p: s.PolynomialLR(p, 8, 2), 11),
            "oneCycle": rates(lambda p: s.OneCycleLR(p, 1.0, total_steps=20), 20),
            "oneCycleLinear": rates(
                lambda p: s.OneCycleLR(p, 1.0, total_steps=17, pct_start=0.4, anneal_strategy="linear", div_factor=10,
                                       final_div_factor=100, three_phase=True), 17),
            "warmUp": rates(
                lambda p: s.SequentialLR(p, [s.LinearLR(p, 0.25, 1, 3), s.CosineAnnealingLR(p, 10)], [3]), 12),
        },
        "oneCycleMomenta": rates(lambda p: s.OneCycleLR(p, 1.0, total_steps=20), 20, momentum=True)["momenta"],
        "metrics": metrics,
        "plateau": {
            "relative": onPlateau(metrics, factor=0.5, patience=2),
            "absolute": onPlateau(metrics, factor=0.1, patience=1, threshold=0.05, threshold_mode="abs", cooldown=2,
                                  min_lr=1e-3),
            "largest": onPlateau([-m for m in metrics], mode="max", factor=0.5, patience=2, threshold=0.01),
        },
    },
)
