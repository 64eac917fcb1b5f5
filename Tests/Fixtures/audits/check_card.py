"""Reads the card snapshots with huggingface_hub, as the Hub's own tools do.

    pip install huggingface_hub==2.4.0 && python check_card.py
"""

import pathlib

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

folder = pathlib.Path(__file__).parent

data = ModelCard((folder / "full.card.md").read_text(encoding="utf-8")).data
assert data.license == "apache-2.0" and data.library_name == "mlops", data
assert data.language == ["en"] and data.datasets == ["census"], data
assert "no" in data.tags, "YAML took a tag for a truth value"
assert [(r.metric_type, r.metric_value, r.metric_name) for r in data.eval_results] == [
    ("accuracy", 0.8571, "Accuracy (float32)"), ("accuracy", 0.8566, "Accuracy (int8)"),
    ("roc_auc", 0.9123, "ROC AUC (float32)"), ("brier", 1e-05, "Brier score (float32)"),
], data.eval_results
result = data.eval_results[0]
assert (result.task_type, result.dataset_type, result.dataset_name) == (
    "tabular-classification", "census", "datasets/census"), result
assert result.dataset_split == "test" and result.dataset_revision.startswith("sha256:"), result
name, again = model_index_to_eval_results(data.to_dict()["model-index"])
assert name == "models/census" and again == data.eval_results

bare = ModelCard((folder / "bare.card.md").read_text(encoding="utf-8")).data
assert bare.library_name == "mlops" and bare.license is None and bare.eval_results is None, bare
print("both cards read well")
