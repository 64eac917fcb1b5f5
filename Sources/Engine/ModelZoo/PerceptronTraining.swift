internal import Basics
internal import Datasets
internal import Foundation
internal import Tensors

/// Rosenblatt's rule: an example that is classified wrongly pulls the weights of its class towards itself and pushes those of
/// the class that won away; one that is right changes nothing.
///
/// If some linear classifier has all examples right, the rule finds one after at most (R ÷ margin)² corrections (Novikoff,
/// 1962), and training stops there; else it goes on for all epochs.
struct PerceptronTraining {
    let settings: HyperParameters
    let seed: UInt64
    let training: ExampleSet
    let validation: ExampleSet?
    let classes: Int

    /// Weights, `classes` rows of `inputs` numbers, and biases.
    private struct Weights {
        var rows: [Double]
        var biases: [Double]

        init(classes: Int, inputs: Int) {
            rows = [Double](repeating: 0, count: classes * inputs)
            biases = [Double](repeating: 0, count: classes)
        }

        /// The class with the largest output; the first of equals.
        func best(_ x: ArraySlice<Float>) -> Int {
            var best = (index: 0, score: -Double.infinity)
            for k in biases.indices {
                var score = biases[k]
                for (i, value) in x.enumerated() { score += rows[k * x.count + i] * Double(value) }
                if score > best.score { best = (k, score) }
            }
            return best.index
        }

        mutating func add(_ x: ArraySlice<Float>, to k: Int, times rate: Double) {
            for (i, value) in x.enumerated() { rows[k * x.count + i] += rate * Double(value) }
            biases[k] += rate
        }

        mutating func accumulate(_ other: Weights) {
            for i in rows.indices { rows[i] += other.rows[i] }
            for k in biases.indices { biases[k] += other.biases[k] }
        }
    }

    func run(_ observer: TrainingObserver) throws -> NetworkTraining.Outcome {
        let features = training.floats(at: Array(0..<training.count))
        let inputs = training.exampleSize
        var weights = Weights(classes: classes, inputs: inputs)
        var total = weights
        var history: [EpochRecord] = []
        for epoch in 1...settings.integer("epochs") {
            try Task.checkCancellation()
            let start = ContinuousClock.now
            let mistakes = pass(epoch, features, inputs: inputs, weights: &weights, total: &total)
            var record = EpochRecord(
                epoch: epoch, learningRate: settings.number("learning_rate"),
                trainLoss: Double(mistakes) / Double(training.count),
                trainAccuracy: 1 - Double(mistakes) / Double(training.count),
                seconds: (ContinuousClock.now - start).seconds)
            if let validation {
                let kept = settings.boolean("average") ? total : weights
                record.validationAccuracy = accuracy(kept, validation)
                record.validationLoss = 1 - (record.validationAccuracy ?? 0)
            }
            history.append(record)
            observer.epoch(record)
            if mistakes == 0 { break }
        }
        // A division by the count of summands would change no decision, but keeps the numbers small.
        let isMean = settings.boolean("average") && history.last?.trainLoss != 0
        let scale = isMean ? 1 / Double(training.count * history.count) : 1
        let kept = isMean ? total : weights
        let state = [
            "0.weight": Tensor(kept.rows.map { Float($0 * scale) }, shape: [classes, inputs]),
            "0.bias": Tensor(kept.biases.map { Float($0 * scale) }),
        ]
        return NetworkTraining.Outcome(
            state: state, history: history, bestEpoch: history.count, parameterCount: classes * (inputs + 1))
    }

    /// One pass in a random order; the count of corrections.
    private func pass(
        _ epoch: Int, _ features: [Float], inputs: Int, weights: inout Weights, total: inout Weights
    ) -> Int {
        var random = Philox(seed: seed, stream: "epoch \(epoch)")
        let rate = settings.number("learning_rate")
        var mistakes = 0
        for index in random.permutation(of: training.count) {
            let x = features[(index * inputs)..<((index + 1) * inputs)]
            let (label, guess) = (training.labels[index], weights.best(x))
            if guess != label {
                weights.add(x, to: label, times: rate)
                weights.add(x, to: guess, times: -rate)
                mistakes += 1
            }
            total.accumulate(weights)
        }
        return mistakes
    }

    private func accuracy(_ weights: Weights, _ examples: ExampleSet) -> Double {
        let size = examples.exampleSize
        let features = examples.floats(at: Array(0..<examples.count))
        let right = examples.labels.indices.count {
            weights.best(features[($0 * size)..<(($0 + 1) * size)]) == examples.labels[$0]
        }
        return Double(right) / Double(max(1, examples.count))
    }
}
