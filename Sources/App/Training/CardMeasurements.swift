internal import Audits
internal import Basics

/// What the stages before a card measured, told apart by the form of their metrics, whatever the stages are called.
struct CardMeasurements {
    var metrics: JSONValue

    func fill(_ input: inout ModelCardInput) {
        let stages = (metrics.object ?? [:]).filter { $0.key != "energy" }.sorted { $0.key < $1.key }.map(\.value)
        for stage in stages {
            if stage["history"] != nil { input.training = training(stage) }
            if let count = stage["parameters"]?.integer { input.parameterCount = count }
            if stage["by"] != nil, let report: FairnessReport = try? stage.decode() { input.fairness = report }
            if stage["verdicts"] != nil { input.gates += gates(stage) }
            if stage["p95_ms"] != nil, let latency: LatencySummary = try? stage.decode(), !input.forms.isEmpty {
                input.forms[0].latency = latency
            }
        }
        input.metrics = classification(stages)
        let parts = (metrics["energy"]?.object ?? [:]).sorted { $0.key < $1.key }
            .compactMap { try? $0.value.decode(as: EnergyEstimate.self) }
        input.energy = EnergyEstimate.total(parts)
    }

    private func training(_ stage: JSONValue) -> CardTraining {
        var training = CardTraining(epochCount: stage["epochs"]?.integer ?? stage["history"]?.array?.count ?? 0)
        training.bestEpoch = stage["best_epoch"]?.integer
        training.trainingLoss = stage["train_loss"]?.number
        training.validationLoss = stage["validation_loss"]?.number
        training.durationSeconds = stage["seconds"]?.number
        return training
    }

    private func gates(_ stage: JSONValue) -> [CardGate] {
        (stage["verdicts"]?.array ?? []).map { verdict in
            CardGate(
                metric: verdict["metric"]?.string ?? "", rule: verdict["rule"]?.string ?? "",
                value: verdict["value"]?.number, passed: verdict["passed"]?.boolean ?? false,
                reason: verdict["reason"]?.string)
        }
    }

    /// The scores of the float model and, where it was tested too, of the int8 one.
    private func classification(_ stages: [JSONValue]) -> [CardMetric] {
        let tests = stages.filter { $0["confusion_matrix"] != nil }
        let float = tests.first { $0["model_precision"]?.string != "int8" }
        let int8 = tests.first { $0["model_precision"]?.string == "int8" }
        let shown = [
            ("accuracy", "Accuracy"), ("roc_auc", "ROC AUC"), ("f1", "F1"), ("precision", "Precision"),
            ("recall", "Recall"), ("log_loss", "Log-loss"), ("brier", "Brier score"), ("ece", "Calibration error"),
        ]
        return shown.compactMap { id, title in
            let key = id == "roc_auc" ? "auc" : id
            let values = (float?[key]?.number, int8?[key]?.number)
            guard values.0 != nil || values.1 != nil else { return nil }
            return CardMetric(id: id, title: title, float32: values.0, int8: values.1)
        }
    }
}
