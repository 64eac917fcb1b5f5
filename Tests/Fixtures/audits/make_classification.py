"""Writes classification.json: random examples and what scikit-learn 1.9.1 says about them.

    pip install scikit-learn==1.9.1 && python make_classification.py
"""

import json
import pathlib
import warnings

import numpy as np
from sklearn import metrics

warnings.simplefilter("ignore")


def calibration_error(confidence, outcome):
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs(outcome[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
                     for b in range(10) if (bins == b).any()))


def scores(labels, probabilities):
    """All metrics of `[examples, classes]` probabilities."""
    classes = probabilities.shape[1]
    names = list(range(classes))
    taken = probabilities.argmax(axis=1)
    result = {
        "classes": classes, "labels": labels.tolist(), "n": len(labels),
        "accuracy": metrics.accuracy_score(labels, taken),
        "log_loss": metrics.log_loss(labels, probabilities, labels=names),
        "confusion_matrix": metrics.confusion_matrix(labels, taken, labels=names).tolist(),
    }
    for average in ["macro", "weighted"]:
        p, r, f, _ = metrics.precision_recall_fscore_support(
            labels, taken, labels=names, average=average, zero_division=0)
        result[average] = {"precision": p, "recall": r, "f1": f}
    if classes == 2:
        positive = probabilities[:, 1]
        result["probabilities"] = positive.tolist()
        p, r, f, _ = metrics.precision_recall_fscore_support(labels, taken, average="binary", zero_division=0)
        result |= {
            "precision": p, "recall": r, "f1": f,
            "auc": metrics.roc_auc_score(labels, positive),
            "average_precision": metrics.average_precision_score(labels, positive),
            "brier": metrics.brier_score_loss(labels, positive),
            "ece": calibration_error(positive, (labels == 1).astype(float)),
        }
    else:
        result["probabilities"] = probabilities.ravel().tolist()
        macro = result["macro"]
        result |= {
            "precision": macro["precision"], "recall": macro["recall"], "f1": macro["f1"],
            "auc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
            "average_precision": metrics.average_precision_score(labels, probabilities, average="macro"),
            "brier": metrics.brier_score_loss(labels, probabilities, labels=names),
            "ece": calibration_error(probabilities.max(axis=1), (taken == labels).astype(float)),
        }
    return result


def main():
    random = np.random.default_rng(20260131)
    cases = {}
    labels = (random.random(400) < 0.3).astype(int)
    positive = 1 / (1 + np.exp(-(random.normal(size=400) + 1.5 * labels - 1)))
    cases["binary"] = (labels, np.stack([1 - positive, positive], axis=1))
    # Many ties, and certain answers, some of them wrong.
    coarse = np.round(random.random(300) * 8) / 8
    labels = (random.random(300) < coarse * 0.8 + 0.1).astype(int)
    cases["ties"] = (labels, np.stack([1 - coarse, coarse], axis=1))
    # Nothing is taken for the positive class.
    low = random.random(50) * 0.4
    cases["timid"] = ((random.random(50) < 0.2).astype(int), np.stack([1 - low, low], axis=1))
    labels = random.integers(0, 4, size=300)
    logits = random.normal(size=(300, 4))
    logits[np.arange(300), labels] += 1.2
    exponentials = np.exp(logits)
    cases["four_classes"] = (labels, exponentials / exponentials.sum(axis=1, keepdims=True))
    # A class that is never taken: its probability is always the smallest.
    logits[:, 3] = logits.min(axis=1) - 1
    exponentials = np.exp(logits)
    cases["a_class_never_taken"] = (labels, exponentials / exponentials.sum(axis=1, keepdims=True))
    path = pathlib.Path(__file__).with_name("classification.json")
    path.write_text(json.dumps({name: scores(*case) for name, case in cases.items()}) + "\n")


main()
