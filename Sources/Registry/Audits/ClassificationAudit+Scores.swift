internal import Basics
internal import Glibc

extension ClassificationAudit {
    /// Judges `probabilities` against `labels`.
    ///
    /// The class taken is the most probable one, the first of equals; of two classes the second is the positive one.
    ///
    /// - Parameters:
    ///   - probabilities: `[examples, classes]` row by row, each in 0...1; for two classes also `[examples]`, the
    ///     probability of the second.
    ///   - labels: the true class of each example, in `0 ..< classes.count`.
    ///   - classes: the names of the classes, at least two.
    /// - Throws: `MLOpsError` of kind `.failed` if there is no example, the counts do not fit, a probability is not in 0...1
    ///   or a label names no class.
    package init(probabilities: [Double], labels: [Int], classes: [String]) throws {
        let table = try ProbabilityTable(probabilities, labels: labels, classCount: classes.count)
        let predictions = (0..<table.count).map { table.mostProbableClass(of: $0) }
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        for (label, prediction) in zip(labels, predictions) { confusion[label][prediction] += 1 }
        let correct = zip(labels, predictions).map { $0 == $1 ? 1.0 : 0.0 }
        let losses = table.logLosses(labels: labels)
        let squares = table.squaredErrors(labels: labels)
        let n = Double(table.count)
        let perClass = ClassificationAudit.scores(confusion, classes: classes)
        var undefined: [String: String] = [:]
        let ranking = table.ranking(labels: labels, classes: classes, undefined: &undefined)
        let macro = ClassificationAudit.average(perClass, weights: perClass.map { _ in 1 })
        var headline: (precision: Double?, recall: Double?, f1: Double?) = (macro.precision, macro.recall, macro.f1)
        if classes.count == 2 {
            headline = (perClass[1].precision, perClass[1].recall, perClass[1].f1)
            if headline.precision == nil { undefined["precision"] = "no example was taken for `\(classes[1])`" }
            if headline.recall == nil { undefined["recall"] = "no example is `\(classes[1])`" }
            if headline.f1 == nil { undefined["f1"] = "no example is `\(classes[1])` or was taken for it" }
        }
        report = ClassificationReport(
            count: table.count, classes: classes, accuracy: correct.reduce(0, +) / n, precision: headline.precision,
            recall: headline.recall, f1: headline.f1, macro: macro,
            weighted: ClassificationAudit.average(perClass, weights: perClass.map { Double($0.support) }),
            rocAUC: ranking.auc, averagePrecision: ranking.precision, logLoss: losses.reduce(0, +) / n,
            brierScore: squares.reduce(0, +) / n,
            calibrationError: table.calibrationError(labels: labels, predictions: predictions),
            confusionMatrix: confusion, perClass: perClass, undefined: undefined)
        self.predictions = predictions
        samples = ["accuracy": correct, "log_loss": losses, "brier": squares]
    }

    private static func scores(_ confusion: [[Int]], classes: [String]) -> [ClassificationReport.ClassScores] {
        classes.indices.map { index in
            let hits = Double(confusion[index][index])
            let support = confusion[index].reduce(0, +)
            let predicted = confusion.reduce(0) { $0 + $1[index] }
            return ClassificationReport.ClassScores(
                name: classes[index], support: support, predicted: predicted,
                precision: predicted > 0 ? hits / Double(predicted) : nil,
                recall: support > 0 ? hits / Double(support) : nil,
                f1: support + predicted > 0 ? 2 * hits / Double(support + predicted) : nil)
        }
    }

    private static func average(
        _ scores: [ClassificationReport.ClassScores], weights: [Double]
    ) -> ClassificationReport.Averages {
        let total = weights.reduce(0, +)
        func weighted(_ value: (ClassificationReport.ClassScores) -> Double?) -> Double {
            zip(scores, weights).reduce(0) { $0 + $1.1 * (value($1.0) ?? 0) } / total
        }
        return .init(precision: weighted(\.precision), recall: weighted(\.recall), f1: weighted(\.f1))
    }
}

/// Checked probabilities, one row an example.
private struct ProbabilityTable {
    let count: Int
    let classCount: Int
    let values: [Double]

    init(_ probabilities: [Double], labels: [Int], classCount: Int) throws {
        guard classCount >= 2 else {
            throw MLOpsError(.failed, "a classifier needs at least 2 classes, not \(classCount)")
        }
        guard !labels.isEmpty else {
            throw MLOpsError(.failed, "there are no examples to judge the classifier by")
        }
        if let index = labels.firstIndex(where: { !(0..<classCount).contains($0) }) {
            throw MLOpsError(
                .failed, "example \(index) has the label \(labels[index]), expected one of 0 ..< \(classCount)")
        }
        if let index = probabilities.firstIndex(where: { !($0 >= 0 && $0 <= 1) }) {
            let row = probabilities.count == labels.count ? index : index / classCount
            throw MLOpsError(
                .failed, "example \(row) got the probability \(probabilities[index]), expected one in 0...1",
                hint: "a model that gives NaN has diverged: train it again with a lower learning rate")
        }
        if classCount == 2, probabilities.count == labels.count {
            values = probabilities.flatMap { [1 - $0, $0] }
        } else if probabilities.count == labels.count * classCount {
            values = probabilities
        } else {
            throw MLOpsError(
                .failed,
                "\(probabilities.count) probabilities do not fit \(labels.count) examples of \(classCount) classes")
        }
        count = labels.count
        self.classCount = classCount
    }

    func row(_ index: Int) -> ArraySlice<Double> { values[index * classCount..<(index + 1) * classCount] }

    func column(_ index: Int) -> [Double] { stride(from: index, to: values.count, by: classCount).map { values[$0] } }

    func mostProbableClass(of index: Int) -> Int {
        let row = row(index)
        var best = row.startIndex
        for candidate in row.indices where row[candidate] > row[best] { best = candidate }
        return best - row.startIndex
    }

    func logLosses(labels: [Int]) -> [Double] {
        let least = Double.ulpOfOne
        return labels.enumerated().map { index, label in
            -log(min(max(values[index * classCount + label], least), 1 - least))
        }
    }

    func squaredErrors(labels: [Int]) -> [Double] {
        labels.enumerated().map { index, label in
            if classCount == 2 {
                let error = values[index * 2 + 1] - Double(label)
                return error * error
            }
            return row(index).enumerated().reduce(0) { sum, item in
                let error = item.element - (item.offset == label ? 1 : 0)
                return sum + error * error
            }
        }
    }

    func calibrationError(labels: [Int], predictions: [Int]) -> Double {
        let confidences =
            classCount == 2 ? column(1) : predictions.indices.map { values[$0 * classCount + predictions[$0]] }
        let outcomes = classCount == 2 ? labels.map { $0 == 1 } : zip(labels, predictions).map { $0 == $1 }
        return Audits.calibrationError(confidences: confidences, outcomes: outcomes) ?? 0
    }

    func ranking(
        labels: [Int], classes: [String], undefined: inout [String: String]
    ) -> (auc: Double?, precision: Double?) {
        let judged = classCount == 2 ? [1] : Array(0..<classCount)
        var areas: [Double] = []
        var precisions: [Double] = []
        for index in judged {
            let scores = column(index)
            let isPositive = labels.map { $0 == index }
            if let area = areaUnderROC(scores: scores, isPositive: isPositive) { areas.append(area) }
            if let precision = averagePrecision(scores: scores, isPositive: isPositive) { precisions.append(precision) }
        }
        if areas.count < judged.count { undefined["auc"] = "not all of the classes occur among the labels" }
        if precisions.count < judged.count {
            undefined["average_precision"] = "not all of the judged classes occur among the labels"
        }
        return (
            areas.count == judged.count ? mean(areas) : nil, precisions.count == judged.count ? mean(precisions) : nil
        )
    }
}
