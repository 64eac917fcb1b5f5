"""Writes operations.json and views.json: inputs, outputs and gradients of PyTorch's operations in f32.

Run with torch 2.15: `python make_fixtures.py`. Each case: inputs, output, the gradient that flows in, gradients out.
"""
import json
import os

import torch
import torch.nn.functional as F

torch.manual_seed(20261122)
cases = {}


def pack(t):
    return {"shape": list(t.shape), "values": [float(f"{v:.9g}") for v in t.detach().double().flatten().tolist()]}


def case(name, function, *inputs):
    inputs = [i.detach().clone().requires_grad_(True) for i in inputs]
    output = function(*inputs)
    upstream = torch.randn_like(output)
    gradients = torch.autograd.grad(output, inputs, upstream)
    cases[name] = {
        "inputs": [pack(i) for i in inputs],
        "output": pack(output),
        "upstream": pack(upstream),
        "gradients": [pack(g) for g in gradients],
    }


def n(*shape):
    return torch.randn(*shape)


labels = torch.tensor([0, 3, 4, 2, 2, 1])
weights = torch.tensor([0.5, 1.0, 2.0, 0.25, 1.5])
case("exp", torch.exp, 2 * n(40))
case("tanh", torch.tanh, 2 * n(40))
case("sigmoid", torch.sigmoid, 3 * n(40))
case("relu", F.relu, n(40))
case("leakyReLU", lambda x: F.leaky_relu(x, 0.01), n(40))
case("gelu", F.gelu, 2 * n(40))
case("geluTanh", lambda x: F.gelu(x, approximate="tanh"), 2 * n(40))
case("softplus", F.softplus, 2 * n(40))
case("softmax", lambda x: F.softmax(x, -1), 2 * n(4, 9))
case("softmax0", lambda x: F.softmax(x, 0), 2 * n(4, 9))
case("logSoftmax", lambda x: F.log_softmax(x, -1), 2 * n(4, 9))
case("matmul", torch.matmul, n(5, 7), n(7, 3))
case("batchedMatmul", torch.matmul, n(2, 3, 4, 5), n(3, 5, 2))
case("linear", F.linear, n(4, 6), n(3, 6), n(3))
case("variance", lambda x: x.var(dim=(0, 2), unbiased=True), n(3, 4, 5))
case("conv", lambda x, w, b: F.conv2d(x, w, b, padding=2), n(3, 2, 7, 6), n(4, 2, 5, 5), n(4))
case("convStride", lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), n(2, 3, 8, 7), n(4, 3, 3, 3), n(4))
case("convDilated", lambda x, w: F.conv2d(x, w, dilation=2, padding=2), n(2, 2, 7, 7), n(3, 2, 3, 3))
case("convGroups", lambda x, w, b: F.conv2d(x, w, b, groups=2, padding=1), n(2, 4, 5, 5), n(6, 2, 3, 3), n(6))
case("convDepthwise", lambda x, w: F.conv2d(x, w, groups=4, padding=1), n(2, 4, 5, 5), n(4, 1, 3, 3))
case("convPointwise", lambda x, w: F.conv2d(x, w), n(2, 4, 4, 5), n(3, 4, 1, 1))
case("maxPool", lambda x: F.max_pool2d(x, 2), n(2, 3, 6, 6))
case("maxPoolOverlapping", lambda x: F.max_pool2d(x, 3, 2, 1), n(2, 3, 7, 6))
case("avgPool", lambda x: F.avg_pool2d(x, 2), n(2, 3, 6, 6))
case("avgPoolPadded", lambda x: F.avg_pool2d(x, 3, 2, 1), n(2, 3, 7, 6))
case("avgPoolUncounted", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), n(2, 3, 7, 6))
case("batchNorm", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), n(4, 3, 5, 4) * 2 + 1, n(3), n(3))
case("batchNormDense", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), n(9, 5), n(5), n(5))
mean, variance = torch.tensor([0.5, -1.0, 0.25]), torch.tensor([1.5, 0.5, 2.0])
case("batchNormInference", lambda x, w, b: F.batch_norm(x, mean, variance, w, b), n(4, 3, 5, 4), n(3), n(3))
case("layerNorm", lambda x, w, b: F.layer_norm(x, (7,), w, b), n(4, 3, 7) * 2 + 1, n(7), n(7))
case("crossEntropy", lambda x: F.cross_entropy(x, labels), 2 * n(6, 5))
case("crossEntropySmoothed", lambda x: F.cross_entropy(x, labels, label_smoothing=0.1), 2 * n(6, 5))
case("crossEntropyWeighted", lambda x: F.cross_entropy(x, labels, weights), 2 * n(6, 5))
case("crossEntropyBoth", lambda x: F.cross_entropy(x, labels, weights, label_smoothing=0.2), 2 * n(6, 5))
target = torch.tensor([[0.0, 1.0, 0.3], [1.0, 0.0, 0.9]])
case("bce", lambda x: F.binary_cross_entropy_with_logits(x, target), 4 * n(2, 3))
case("bceWeighted", lambda x: F.binary_cross_entropy_with_logits(x, target, pos_weight=torch.tensor(2.5)), 4 * n(2, 3))
case("mse", F.mse_loss, n(3, 4), n(3, 4))
case("l1", F.l1_loss, n(3, 4), n(3, 4))
case("huber", lambda x, y: F.huber_loss(x, y, delta=0.7), n(3, 4) * 2, n(3, 4))
case("embedding", lambda w: F.embedding(torch.tensor([[0, 2], [2, 3]]), w), n(5, 3))



def write(name):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "w") as file:
        json.dump({"torch": torch.__version__, "cases": cases}, file, separators=(",", ":"))
        file.write("\n")
    cases.clear()


write("operations.json")

# Views, indices, order, scans, reductions, pads and products by Einstein's notation.
torch.manual_seed(20261128)
index = torch.tensor([[0, 2, 1, 0], [3, 3, 0, 1]])
mask = torch.tensor([[True, False, True, True, False], [False, True, True, False, False], [True, True, False, False, True]])
zeros = torch.tensor([[1.5, 0.0, -2.0, 0.5], [0.0, 3.0, 0.0, 1.0], [1.0, -2.0, 0.5, 2.0]])
case("strided", lambda x: x.permute(2, 0, 1)[:, 1:, ::2] * 2, n(3, 4, 2))
case("unfold", lambda x: x.unfold(1, 3, 2), n(2, 9))
case("channelsLast", lambda x, w: F.gelu(x.contiguous(memory_format=torch.channels_last) * w), n(2, 3, 4, 2), n(3, 1, 1))
case("expand", lambda x: x.expand(2, 3, 4).exp(), n(3, 1))
case("where", lambda x, y: torch.where(mask, x, y), n(3, 5), n(5))
case("maskedFill", lambda x: x.masked_fill(mask, -3.0), n(3, 5))
case("maskedSelect", lambda x: x.masked_select(mask), n(3, 5))
case("clamp", lambda x: x.clamp(-0.5, 0.7), n(40))
case("powerOfTensors", lambda x, y: x.abs().add(0.1).pow(y), n(3, 4), n(4))
case("log1p", lambda x: torch.log1p(x.square()), n(20))
case("expm1", torch.expm1, n(20))
case("gather", lambda x: x.gather(0, index), n(4, 5))
case("scatterAdd", lambda x, y: x.scatter_add(0, index, y), n(4, 4), n(2, 4))
case("scatter", lambda x, y: x.scatter(0, torch.tensor([[0, 2, 1, 0], [3, 3, 0, 1]]), y), n(4, 4), n(2, 4))
case("indexSelect", lambda x: x.index_select(1, torch.tensor([3, 0, 3, 1])), n(3, 4))
case("sort", lambda x: x.sort(1, descending=True).values, n(3, 7))
case("topK", lambda x: x.topk(3, 0).values, n(6, 4))
case("cumulativeSum", lambda x: x.cumsum(1), n(3, 6))
case("cumulativeProduct", lambda x: x.cumprod(0), n(4, 3))
case("cumulativeProductOfZeros", lambda x: x.cumprod(1), zeros)
case("product", lambda x: x.prod(1), n(3, 5))
case("productOfZeros", lambda x: x.prod(1), zeros)
case("maxOfAxis", lambda x: x.max(1).values, n(3, 7))
case("minOfAxis", lambda x: x.min(0).values, n(5, 4))
case("standardDeviation", lambda x: x.std(dim=(0, 2), correction=1), n(3, 4, 5))
case("norm2", lambda x: torch.linalg.vector_norm(x, 2, dim=(0, 2)), n(3, 4, 5))
case("norm3", lambda x: torch.linalg.vector_norm(x, 3, dim=1), n(3, 5))
case("norm1", lambda x: torch.linalg.vector_norm(x, 1), n(3, 5))
case("logSumExp", lambda x: x.logsumexp((0, 1)), 5 * n(3, 4, 2))
case("padConstant", lambda x: F.pad(x, (1, 2, 0, 3), value=0.5), n(2, 3, 4))
case("padReflect", lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"), n(2, 3, 4))
case("padReplicate", lambda x: F.pad(x, (2, 3, 1, 0), mode="replicate"), n(2, 3, 4))
case("padCircular", lambda x: F.pad(x, (2, 3, 1, 0), mode="circular"), n(2, 3, 4))
case("flip", lambda x: x.flip(0, 2), n(3, 4, 2))
case("roll", lambda x: x.roll(-3, 1), n(2, 7))
case("triu", lambda x: x.triu(1), n(2, 4, 5))
case("tril", lambda x: x.tril(-1), n(2, 4, 5))
case("diagonal", lambda x: x.diagonal(1, 0, 2), n(4, 3, 5))
case("trace", torch.trace, n(4, 6))
case("diagonalMatrix", torch.diag_embed, n(2, 3))
case("outer", torch.outer, n(3), n(4))
case("tile", lambda x: x.tile(2, 1, 3), n(2, 3))
case("repeat", lambda x: x.repeat_interleave(3, 1), n(2, 3))
case("einsumHeads", lambda q, k: torch.einsum("bqhd,bkhd->bhqk", q, k), n(2, 3, 2, 4), n(2, 5, 2, 4))
case("einsumThree", lambda a, b, c: torch.einsum("ij,jk,k->i", a, b, c), n(3, 4), n(4, 5), n(5))
case("einsumEllipsis", lambda a, b: torch.einsum("...ij,...jk->...ik", a, b), n(2, 1, 3, 4), n(3, 4, 2))
case("einsumDiagonal", lambda a: torch.einsum("iji->j", a), n(3, 4, 3))
case("einsumImplicit", lambda a, b: torch.einsum("ba,ca", a, b), n(3, 4), n(2, 4))
case("einsumSum", lambda a, b: torch.einsum("ij,kl->", a, b), n(3, 4), n(2, 4))
case("einsumDot", lambda a, b: torch.einsum("bi,bi->b", a, b), n(3, 4), n(3, 4))
write("views.json")
