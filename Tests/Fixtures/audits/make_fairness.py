"""Writes fairness.json: random decisions on random groups, and what fairlearn 0.15.0 and SciPy say about them.

    pip install fairlearn==0.15.0 scikit-learn==1.9.1 && python make_fairness.py    (the bootstrap takes six minutes)
"""

import functools
import json
import pathlib
import warnings

import numpy as np
import pandas
from fairlearn import metrics as fair
from scipy.stats import binomtest
from sklearn import metrics

warnings.simplefilter("ignore")


def rates(labels, predictions, groups):
    precision = functools.partial(metrics.precision_score, zero_division=0)
    frame = fair.MetricFrame(
        metrics={
            "n": fair.count, "selection_rate": fair.selection_rate, "tpr": fair.true_positive_rate,
            "fpr": fair.false_positive_rate, "ppv": precision, "accuracy": metrics.accuracy_score,
        },
        y_true=labels, y_pred=predictions, sensitive_features=groups)
    return frame


def disparities(labels, predictions, groups):
    given = dict(y_true=labels, y_pred=predictions, sensitive_features=groups)
    frame = rates(labels, predictions, groups)
    between = frame.difference(method="between_groups")
    # The reference is the group selected most often; all others count together, as in aif360.
    reference = frame.by_group["selection_rate"].idxmax()
    inside = (groups == reference).to_numpy()

    def rate(of, where):
        return of(labels[where], predictions[where])

    odds = [rate(of, ~inside) - rate(of, inside) for of in (fair.false_positive_rate, fair.true_positive_rate)]
    return {
        "demographic_parity_difference": fair.demographic_parity_difference(**given),
        "demographic_parity_ratio": fair.demographic_parity_ratio(**given),
        "demographic_parity_difference_to_overall": fair.demographic_parity_difference(**given, method="to_overall"),
        "demographic_parity_ratio_to_overall": fair.demographic_parity_ratio(**given, method="to_overall"),
        "equalized_odds_difference": fair.equalized_odds_difference(**given),
        "equalized_odds_difference_mean": fair.equalized_odds_difference(**given, agg="mean"),
        "equalized_odds_ratio": fair.equalized_odds_ratio(**given),
        "equal_opportunity_difference": fair.equal_opportunity_difference(**given),
        "equal_opportunity_ratio": fair.equal_opportunity_ratio(**given),
        "false_positive_rate_difference": between["fpr"],
        "predictive_parity_difference": between["ppv"],
        "accuracy_difference": between["accuracy"],
        "disparate_impact": rate(fair.selection_rate, ~inside) / rate(fair.selection_rate, inside),
        "average_odds_difference": sum(odds) / 2,
    }


def bootstrap(labels, predictions, groups, replicates=2000):
    """Intervals by fairlearn's own resampling; only to compare roughly, as the random numbers differ."""
    random = np.random.default_rng(7)
    values = []
    for _ in range(replicates):
        rows = random.integers(0, len(labels), size=len(labels))
        values.append(disparities(labels[rows], predictions[rows], groups.iloc[rows].reset_index(drop=True)))
    frame = pandas.DataFrame(values)
    return {name: [frame[name].quantile(0.025), frame[name].quantile(0.975)] for name in frame}


def report(labels, predictions, groups, with_bootstrap=False):
    by_group = {}
    for name, row in rates(labels, predictions, groups).by_group.iterrows():
        inside = (groups == name).to_numpy()
        selected = int(predictions[inside].sum())
        interval = binomtest(selected, int(inside.sum())).proportion_ci(confidence_level=0.95, method="wilson")
        by_group[name] = row.to_dict() | {"selection_interval": [interval.low, interval.high]}
    result = {"disparities": disparities(labels, predictions, groups), "by_group": by_group}
    if with_bootstrap:
        result["intervals"] = bootstrap(labels, predictions, groups)
    return result


def main():
    random = np.random.default_rng(42)
    n = 600
    sex = pandas.Series(random.choice(["Female", "Male"], size=n, p=[0.35, 0.65]))
    race = pandas.Series(random.choice(["A", "B", "C"], size=n, p=[0.7, 0.22, 0.08]))
    labels = (random.random(n) < np.where(sex == "Male", 0.4, 0.25)).astype(int)
    chance = 0.15 + 0.5 * labels + 0.1 * (sex == "Male") - 0.05 * (race == "C")
    predictions = (random.random(n) < chance).astype(int)
    both = sex + "+" + race
    # A group without a positive example, and one that is never selected: fairlearn calls those rates 0.
    odd_groups = pandas.Series(["x"] * 20 + ["y"] * 20 + ["z"] * 20)
    odd_labels = np.concatenate([(np.arange(20) % 3 == 0), np.zeros(20), np.arange(20) % 2]).astype(int)
    odd_predictions = np.concatenate([np.arange(20) % 2, np.arange(20) % 4 == 0, np.zeros(20)]).astype(int)
    result = {
        "labels": labels.tolist(), "predictions": predictions.tolist(), "sex": sex.tolist(), "race": race.tolist(),
        "by": {
            "sex": report(labels, predictions, sex, True), "race": report(labels, predictions, race),
            "sex+race": report(labels, predictions, both),
        },
        "odd": {
            "labels": odd_labels.tolist(), "predictions": odd_predictions.tolist(), "groups": odd_groups.tolist(),
            "report": report(odd_labels, odd_predictions, odd_groups),
        },
    }
    path = pathlib.Path(__file__).with_name("fairness.json")
    path.write_text(json.dumps(result) + "\n")


main()
