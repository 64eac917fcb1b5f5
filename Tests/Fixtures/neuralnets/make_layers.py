"""Writes layers.json and losses.json: outputs and gradients of PyTorch's layers and losses on small inputs in f32.

Run with torch 2.15: `python make_layers.py`.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from fixture_files import pack, write


class Residual(nn.Module):
    def __init__(self, branch, shortcut):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x):
        return torch.relu(self.branch(x) + self.shortcut(x))


class DenseBlock(nn.ModuleList):
    def forward(self, x):
        for layer in self:
            x = torch.cat([x, layer(x)], 1)
        return x


image, odd, rows = torch.randn(2, 4, 4, 4), torch.randn(1, 4, 7, 5), torch.randn(4, 8) * 2
wide = torch.cat([torch.linspace(-24, 24, 25), torch.tensor([0.5, -0.5, 3.5, -3.5, 1e-4])])
layers = {
    "linear": (nn.Linear(8, 3), rows),
    "linearWithoutBias": (nn.Linear(8, 3, bias=False), rows),
    "conv": (nn.Conv2d(4, 6, 3, stride=2, padding=1), odd),
    "convDepthwise": (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4, bias=False), odd),
    "transposed": (nn.ConvTranspose2d(4, 3, 3), image),
    "transposedStride": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), image),
    "transposedGroups": (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, groups=2, bias=False), image),
    "transposedDilated": (nn.ConvTranspose2d(4, 2, 3, stride=2, padding=2, output_padding=1, dilation=2), image),
    "maxPool": (nn.MaxPool2d(3, 2, 1), odd),
    "avgPool": (nn.AvgPool2d(2), odd),
    "globalAvgPool": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), odd),
    "adaptiveAvgPool": (nn.AdaptiveAvgPool2d((3, 4)), odd),
    "adaptiveAvgPoolEven": (nn.AdaptiveAvgPool2d((2, 2)), torch.randn(2, 3, 6, 4)),
    "batchNorm": (nn.BatchNorm2d(4), image),
    "layerNorm": (nn.LayerNorm(8), rows),
    "groupNorm": (nn.GroupNorm(2, 4), image),
    "groupNormRows": (nn.GroupNorm(2, 8, affine=False), rows),
    "instanceNorm": (nn.InstanceNorm2d(4), image),
    "instanceNormAffine": (nn.InstanceNorm2d(4, affine=True), image),
    "rmsNorm": (nn.RMSNorm(8), rows),
    "rmsNormEpsilon": (nn.RMSNorm(8, eps=0.1), rows),
    "relu": (nn.ReLU(), wide),
    "relu6": (nn.ReLU6(), wide),
    "leakyReLU": (nn.LeakyReLU(0.2), wide),
    "prelu": (nn.PReLU(), wide),
    "preluChannels": (nn.PReLU(4, 0.1), image),
    "elu": (nn.ELU(), wide),
    "eluScaled": (nn.ELU(0.7), wide),
    "selu": (nn.SELU(), wide),
    "silu": (nn.SiLU(), wide),
    "hardSwish": (nn.Hardswish(), wide),
    "hardSigmoid": (nn.Hardsigmoid(), wide),
    "gelu": (nn.GELU(), wide),
    "geluTanh": (nn.GELU("tanh"), wide),
    "tanh": (nn.Tanh(), wide),
    "sigmoid": (nn.Sigmoid(), wide),
    "softplus": (nn.Softplus(), wide),
    "softplusSharp": (nn.Softplus(3), wide),
    "softmax": (nn.Softmax(-1), rows),
    "logSoftmax": (nn.LogSoftmax(1), image),
    "mish": (nn.Mish(), wide),
    "upsample": (nn.Upsample(scale_factor=2), image),
    "flatten": (nn.Flatten(), image),
    "identity": (nn.Identity(), rows),
    "residual": (
        Residual(nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 1)), nn.Conv2d(4, 6, 1)), image),
    "denseBlock": (DenseBlock([nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(7, 3, 3, padding=1)]), image),
}
found = {}
for name, (layer, x) in layers.items():
    with torch.no_grad():
        for p in layer.parameters():
            if p.dim() == 1:  # ones and zeros would hide a mistake
                p.uniform_(0.2, 1.5)
    x = x.clone().requires_grad_(True)
    y = layer(x)
    upstream = torch.randn(y.shape)
    names, values = zip(*layer.named_parameters()) if list(layer.parameters()) else ((), ())
    gradients = torch.autograd.grad(y, [x, *values], upstream)
    found[name] = {
        "x": pack(x), "y": pack(y), "upstream": pack(upstream), "xGradient": pack(gradients[0]),
        "parameters": {n: pack(v) for n, v in zip(names, values)},
        "gradients": {n: pack(g) for n, g in zip(names, gradients[1:])},
    }
table = nn.Embedding(5, 3, padding_idx=2)
with torch.no_grad():
    table.weight[2] = torch.tensor([0.5, -1, 2])
index = torch.tensor([[0, 2, 4], [2, 4, 4]])
y = table(index)
upstream = torch.randn(y.shape)
found["embedding"] = {
    "x": pack(index.float()), "y": pack(y), "upstream": pack(upstream), "xGradient": pack(torch.zeros(0)),
    "parameters": {"weight": pack(table.weight)},
    "gradients": {"weight": pack(torch.autograd.grad(y, table.weight, upstream)[0])},
}
write("layers.json", {"cases": found})

n, classes = 6, 5
logits, labels = torch.randn(n, classes) * 2, torch.tensor([0, 3, 4, 2, 2, 1])
binary, soft = torch.randint(0, 2, (n, classes)).float(), torch.rand(n, classes)
weights = torch.tensor([0.5, 1.0, 2.0, 0.25, 1.5])
other, signs = torch.randn(n, classes) * 2, torch.randint(0, 2, (n, classes)).float() * 2 - 1
chances = torch.rand(n, classes)
chances[0, 0], chances[1, 1] = 0, 1
distribution = torch.softmax(torch.randn(n, classes), 1)
distribution[2] = torch.tensor([0.0, 0.5, 0.25, 0.25, 0.0])


def focal(gamma, alpha):
    def loss(x, t, reduction):
        p = torch.sigmoid(x)
        each = F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
        each = each if alpha is None else each * (alpha * t + (1 - alpha) * (1 - t))
        return {"none": each, "sum": each.sum(), "mean": each.mean()}[reduction]
    return loss


def hinge(x, t, reduction):
    each = torch.clamp(1 - x * t, min=0)
    return {"none": each, "sum": each.sum(), "mean": each.mean()}[reduction]


def kl(**settings):
    return lambda x, t, reduction: F.kl_div(x, t, reduction="batchmean" if reduction == "mean" else reduction, **settings)


logs = torch.log_softmax(logits, 1)
losses = {
    "crossEntropy": (lambda x, t, reduction: F.cross_entropy(x, t, reduction=reduction), logits, labels),
    "crossEntropyAll": (
        lambda x, t, reduction: F.cross_entropy(x, t, weights, reduction=reduction, label_smoothing=0.2, ignore_index=2),
        logits, labels),
    "crossEntropyNegativeIgnored": (
        lambda x, t, reduction: F.cross_entropy(x, t, reduction=reduction, ignore_index=-100), logits,
        torch.tensor([0, -100, 4, -100, 2, 1])),
    "crossEntropySoft": (lambda x, t, reduction: F.cross_entropy(x, t, reduction=reduction), logits, distribution),
    "crossEntropySoftAll": (
        lambda x, t, reduction: F.cross_entropy(x, t, weights, reduction=reduction, label_smoothing=0.1),
        logits, distribution),
    "nll": (lambda x, t, reduction: F.nll_loss(x, t, reduction=reduction), logs, labels),
    "nllAll": (lambda x, t, reduction: F.nll_loss(x, t, weights, reduction=reduction, ignore_index=2), logs, labels),
    "bceWithLogits": (
        lambda x, t, reduction: F.binary_cross_entropy_with_logits(x, t, reduction=reduction), logits, soft),
    "bceWithLogitsWeight": (
        lambda x, t, reduction: F.binary_cross_entropy_with_logits(x, t, reduction=reduction, pos_weight=torch.tensor(2.5)),
        logits, binary),
    "bceWithLogitsWeights": (
        lambda x, t, reduction: F.binary_cross_entropy_with_logits(x, t, reduction=reduction, pos_weight=weights),
        logits, binary),
    "bce": (lambda x, t, reduction: F.binary_cross_entropy(x, t, reduction=reduction), chances, soft),
    "focal": (focal(2, 0.25), logits, binary),
    "focalPlain": (focal(0.5, None), logits, binary),
    "mse": (lambda x, t, reduction: F.mse_loss(x, t, reduction=reduction), logits, other),
    "l1": (lambda x, t, reduction: F.l1_loss(x, t, reduction=reduction), logits, other),
    "huber": (lambda x, t, reduction: F.huber_loss(x, t, reduction=reduction, delta=0.7), logits, other),
    "smoothL1": (lambda x, t, reduction: F.smooth_l1_loss(x, t, reduction=reduction, beta=2.0), logits, other),
    "hinge": (hinge, logits, signs),
    "hingeEmbedding": (
        lambda x, t, reduction: F.hinge_embedding_loss(x, t, margin=0.8, reduction=reduction), logits.abs(), signs),
    "multiMargin": (lambda x, t, reduction: F.multi_margin_loss(x, t, reduction=reduction), logits, labels),
    "multiMarginAll": (
        lambda x, t, reduction: F.multi_margin_loss(x, t, p=2, margin=0.5, weight=weights, reduction=reduction),
        logits, labels),
    "kl": (kl(), logs, distribution),
    "klLogarithm": (kl(log_target=True), logs, torch.log_softmax(other, 1)),
}
found = {}
for name, (loss, x, target) in losses.items():
    upstream, case = torch.randn(loss(x, target, "none").shape), {}
    for reduction in ["mean", "sum", "none"]:
        v = x.clone().requires_grad_(True)
        y = loss(v, target, reduction)
        g, = torch.autograd.grad(y, v, upstream if reduction == "none" else None)
        case[reduction] = {"y": pack(y), "gradient": pack(g)}
    found[name] = {"x": pack(x), "target": pack(target.float()), "upstream": pack(upstream), "reductions": case}
write("losses.json", {"cases": found})
gains = {k: nn.init.calculate_gain(k) for k in ["linear", "sigmoid", "tanh", "relu", "selu"]}
gains["leakyReLU"] = nn.init.calculate_gain("leaky_relu", 0.2)
filled = {
    "dirac": pack(nn.init.dirac_(torch.empty(5, 3, 3, 4))),
    "diracGroups": pack(nn.init.dirac_(torch.empty(6, 2, 3, 3), 2)),
    "eye": pack(nn.init.eye_(torch.empty(3, 5))),
}
truncated = nn.init.trunc_normal_(torch.empty(1000, 1000), 0.5, 1.5, -1, 2).double()
spread = {"mean": truncated.mean().item(), "deviation": truncated.std().item()}
write("initializers.json", {"cases": {"gains": gains, "filled": filled, "truncated": spread}})
