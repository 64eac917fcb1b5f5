internal import Basics
package import Datasets
internal import Interchange

/// A model's answers to a labelled split, example by example: what audits and gates are computed from.
package struct Evaluation: Sendable {
    package var classes: [String]
    /// The index of the positive class of a binary problem; nil if there are more than two classes.
    package var positiveIndex: Int?
    /// The true class of each example.
    package var labels: [Int]
    /// Row-major, `count × classes`.
    package var probabilities: [Float]
    /// By sensitive column, the group of each example.
    package var groups: [String: [String]]
    package var seconds: Double

    package init(
        classes: [String], positiveIndex: Int?, labels: [Int], probabilities: [Float], groups: [String: [String]],
        seconds: Double
    ) {
        precondition(
            probabilities.count == labels.count * classes.count, "\(probabilities.count) probabilities do not fit")
        self.classes = classes
        self.positiveIndex = positiveIndex
        self.labels = labels
        self.probabilities = probabilities
        self.groups = groups
        self.seconds = seconds
    }

    package var count: Int { labels.count }

    /// The likeliest class of each example.
    package var predictions: [Int] {
        let prediction = Predictor.Prediction(classes: classes, probabilities: probabilities)
        return labels.indices.map { prediction.best($0) }
    }

    /// The probability of the positive class of each example; nil if there are more than two classes.
    package var positiveScores: [Float]? {
        positiveIndex.map { index in labels.indices.map { probabilities[$0 * classes.count + index] } }
    }

    package var accuracy: Double {
        guard count > 0 else { return 0 }
        return Double(zip(predictions, labels).count { $0 == $1 }) / Double(count)
    }

    /// The area under the ROC curve with ties counted half; nil if it is not defined.
    package var areaUnderCurve: Double? {
        guard let positiveIndex, let scores = positiveScores else { return nil }
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        let positives = labels.count { $0 == positiveIndex }
        guard positives > 0, positives < count else { return nil }
        var rankSum = 0.0
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
            let rank = Double(start + end + 1) / 2
            for place in start..<end where labels[order[place]] == positiveIndex { rankSum += rank }
            start = end
        }
        let p = Double(positives)
        return (rankSum - p * (p + 1) / 2) / (p * Double(count - positives))
    }
}

extension Predictor {
    /// Asks for every example of a split, in order.
    ///
    /// - Throws: what the dataset's readers throw; kind `.usage` if the split does not fit the model.
    package func evaluate(_ dataset: DatasetFolder, split: String) throws -> Evaluation {
        try evaluate(try encoding.examples(of: dataset, split: split))
    }

    package func evaluate(_ examples: ExampleSet) throws -> Evaluation {
        let clock = ContinuousClock()
        let start = clock.now
        var probabilities: [Float] = []
        probabilities.reserveCapacity(examples.count * description.classes.count)
        for first in stride(from: 0, to: examples.count, by: Predictor.batchSize) {
            let batch = first..<min(first + Predictor.batchSize, examples.count)
            probabilities += try predict(features: examples.floats(at: batch), count: batch.count).probabilities
        }
        return Evaluation(
            classes: description.classes, positiveIndex: positiveIndex, labels: examples.labels,
            probabilities: probabilities, groups: examples.groups, seconds: (clock.now - start).seconds)
    }

    /// Examples that are asked for at once: a size that keeps the activations in the second cache.
    package static let batchSize = 256

    /// How a dataset of the model's kind becomes its input.
    package var encoding: DatasetEncoding {
        DatasetEncoding(input: input, classes: description.classes, positiveClass: description.positiveClass)
    }

    private var positiveIndex: Int? {
        guard description.classes.count == 2 else { return nil }
        return description.positiveClass.flatMap { description.classes.firstIndex(of: $0) } ?? 1
    }
}
