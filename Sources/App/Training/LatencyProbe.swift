internal import Audits
internal import Basics
internal import Datasets
internal import Inference

/// Measures how long a model takes for one query after another, examples in turn.
struct LatencyProbe {
    var predictor: Predictor
    var examples: ExampleSet
    /// Examples of one query.
    var batchSize: Int

    /// The latency of `queries` queries after `warmUp` that do not count.
    ///
    /// Encoding the examples is not measured, the network and the softmax are.
    func measure(queries: Int, warmUp: Int) throws -> LatencySummary {
        guard examples.count > 0 else { throw MLOpsError(.failed, "there are no examples to measure with") }
        let clock = ContinuousClock()
        var milliseconds: [Double] = []
        milliseconds.reserveCapacity(queries + warmUp)
        for query in 0..<queries + warmUp {
            let indices = (0..<batchSize).map { (query * batchSize + $0) % examples.count }
            let features = examples.floats(at: indices)
            let start = clock.now
            _ = try predictor.predict(features: features, count: batchSize)
            milliseconds.append((clock.now - start).seconds * 1000)
            if query % 64 == 0 { try Task.checkCancellation() }
        }
        return try LatencySummary(milliseconds: milliseconds, warmUpCount: warmUp, examplesPerQuery: batchSize)
    }
}
