"""Writes soft_targets.json beside this file: torch 2.15's cross-entropy against probabilities, its values and gradients."""
import json, pathlib
import torch
import torch.nn.functional as F

torch.manual_seed(4)
logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
targets = torch.rand(6, 5, dtype=torch.float64)
targets = targets / targets.sum(1, keepdim=True)
weights = torch.tensor([0.5, 1.0, 2.0, 0.25, 1.5], dtype=torch.float64)
cases = []
for weight in (None, weights):
    for smoothing in (0.0, 0.1):
        for reduction in ("mean", "sum"):
            y = F.cross_entropy(logits, targets, weight=weight, label_smoothing=smoothing, reduction=reduction)
            (gradient,) = torch.autograd.grad(y, logits)
            cases.append({"isWeighted": weight is not None, "smoothing": smoothing, "reduction": reduction, "y": y.item(),
                          "gradient": gradient.flatten().tolist()})
fixture = {"logits": logits.flatten().tolist(), "targets": targets.flatten().tolist(), "weights": weights.tolist(), "cases": cases}
(pathlib.Path(__file__).parent / "soft_targets.json").write_text(json.dumps(fixture))
