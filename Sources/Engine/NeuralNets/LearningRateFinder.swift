internal import Basics
internal import Foundation

/// What a sweep of learning rates gave.
public struct LearningRateCurve: Sendable, Codable, Equatable {
    public struct Point: Sendable, Codable, Equatable {
        public var learningRate: Double
        /// Of the batch.
        public var loss: Double
        /// The mean of the losses so far, the latest counting most.
        public var smoothedLoss: Double
    }

    public var points: [Point]
    /// The rate at which the smoothed loss falls fastest per decade, before it is smallest.
    public var suggestion: Double
    /// A tenth of the rate at which the smoothed loss is smallest: the boldest choice.
    public var largest: Double
    /// Whether the loss grew so much that the sweep ended early.
    public var hasDiverged: Bool
}

extension Trainer {
    /// Raises the rate from step to step by one factor and watches the loss (Smith, 2015). Network, optimizer and random states
    /// are put back after.
    ///
    /// - Parameters:
    ///   - lowest: the first rate.
    ///   - highest: the rate of the last step, unless the loss grows beyond four times its smallest before.
    ///   - steps: at least 10.
    /// - Throws: if the range is impossible, and what training throws.
    public func findLearningRate(
        _ training: any BatchSource, from lowest: Double = 1e-7, to highest: Double = 10, steps: Int = 100
    ) throws -> LearningRateCurve {
        guard lowest > 0, highest > lowest, steps >= 10, training.count > 0 else {
            throw MLOpsError(
                .usage,
                "a sweep of \(steps) learning rates from \(lowest) to \(highest) over \(training.count) examples is impossible",
                hint: "take at least 10 steps and 0 < lowest < highest")
        }
        let (weights, memory, generators) = (module.state(), optimizer.state(), module.generators())
        let rate = optimizer.learningRate
        func restore() throws {
            optimizer.learningRate = rate
            try module.load(weights)
            try optimizer.load(memory)
            module.setGenerators(generators)
            optimizer.clearGradients()
        }
        let points: [LearningRateCurve.Point]
        do {
            points = try sweep(training, lowest, highest, steps)
        } catch {
            try restore()
            throw error
        }
        try restore()
        return LearningRateCurve(points, steps: steps)
    }

    private func sweep(
        _ training: any BatchSource, _ lowest: Double, _ highest: Double, _ steps: Int
    ) throws -> [LearningRateCurve.Point] {
        module.seedRandomness(configuration.seed)
        module.setTraining(true)
        let size = min(configuration.batchSize, training.count)
        var points: [LearningRateCurve.Point] = []
        var (order, epoch, mean, best) = ([Int](), 0, 0.0, Double.infinity)
        for step in 0..<steps {
            try Task.checkCancellation()
            if order.count < size {
                epoch += 1
                var generator = Philox(seed: configuration.seed, stream: "epoch \(epoch)")
                order = generator.permutation(of: training.count)
            }
            let batch = try training.batch(Array(order.prefix(size)))
            order.removeFirst(size)
            optimizer.learningRate = lowest * pow(highest / lowest, Double(step) / Double(steps - 1))
            let trained = module.parameters().filter { !$0.parameter.isFrozen }
            let value: Double
            do {
                value = try pass(batch, trained, share: 1).loss
            } catch let error as MLOpsError where !points.isEmpty && error.message.contains("the loss is") {
                break
            }
            mean = 0.98 * mean + 0.02 * value
            let smoothed = mean / (1 - pow(0.98, Double(step + 1)))
            points.append(.init(learningRate: optimizer.learningRate, loss: value, smoothedLoss: smoothed))
            best = min(best, smoothed)
            if step > 0, smoothed > 4 * best { break }
            try optimizer.step()
            optimizer.clearGradients()
        }
        return points
    }
}

extension LearningRateCurve {
    init(_ points: [Point], steps: Int) {
        self.points = points
        hasDiverged = points.count < steps
        let lowest = points.indices.min { points[$0].smoothedLoss < points[$1].smoothedLoss } ?? 0
        var steepest = (slope: 0.0, index: 0)
        // The first means are of few batches, whose differences are no slope.
        let reach = max(1, steps / 20)
        for index in stride(from: steps / 10 + reach, through: min(lowest, points.count - 1 - reach), by: 1) {
            // Rates grow by one factor, so that a central difference is a slope per decade up to a constant.
            let slope = points[index + reach].smoothedLoss - points[index - reach].smoothedLoss
            if slope < steepest.slope { steepest = (slope, index) }
        }
        suggestion = points.isEmpty ? 0 : points[steepest.index].learningRate
        largest = points.isEmpty ? 0 : points[lowest].learningRate / 10
    }
}
