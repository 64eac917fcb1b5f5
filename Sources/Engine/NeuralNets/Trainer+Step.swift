internal import Basics
internal import Tensors

extension Trainer {
    /// One step: forward and backward of each piece of the batch, clip, update.
    ///
    /// - Parameter sizes: examples in each piece, which `feed` gives next.
    func train(_ sizes: [Int], _ feed: BatchFeed, _ report: inout TrainingProgress) throws {
        let step = position.history.stepCount
        optimizer.learningRate =
            position.baseRate * configuration.schedule.factor(at: step) * (position.plateau?.rateFactor ?? 1)
        position.learningRate = optimizer.learningRate
        if let momentum = configuration.schedule.momentum(at: step) {
            (optimizer as? any MomentumOptimizer)?.momentum = momentum
        }
        let trained = module.parameters().filter { !$0.parameter.isFrozen }
        let total = sizes.reduce(0, +)
        report.stepLoss = 0
        for size in sizes {
            let batch = try feed.take()
            let share = Double(size) / Double(total)
            let (output, value) = try pass(batch, trained, share: share)
            report.stepLoss += value * share
            try position.means.add(output, batch, loss: value, metrics)
        }
        try update(trained, &report)
        position.history.stepCount += 1
    }

    /// The step by the gradients that are there.
    private func update(
        _ trained: [(path: String, parameter: Parameter)], _ report: inout TrainingProgress
    ) throws {
        let parameters = trained.map(\.parameter)
        defer { optimizer.clearGradients() }
        guard try unscale(parameters) else { return }
        for callback in callbacks { try callback.gradientsAreReady(self) }
        if let limit = configuration.clipValue { try clipGradients(of: parameters, toValue: limit) }
        if let norm = configuration.clipNorm {
            let found = try clipGradients(of: parameters, toNorm: norm)
            report.gradientNorm = found
            guard found.isFinite else { throw explosion(trained, norm: found) }
        }
        try optimizer.step()
        average?.update()
    }

    /// Divides gradients of a scaled loss by the scale; false if one is not finite, so that there is no step.
    private func unscale(_ parameters: [Parameter]) throws -> Bool {
        guard var present = scaler else { return true }
        let chosen = parameters.filter { $0.gradient != nil }
        let gradients = try present.unscaled(chosen.compactMap(\.gradient))
        scaler = present
        guard let gradients else { return false }
        for (parameter, gradient) in zip(chosen, gradients) { parameter.gradient = gradient }
        return true
    }

    /// Forward and backward of a piece that is `share` of its batch. The graph ends with this function: it would keep the
    /// optimizer from updating in place.
    func pass(
        _ batch: Batch, _ trained: [(path: String, parameter: Parameter)], share: Double
    ) throws -> (output: Tensor, loss: Double) {
        var output: Tensor?
        func forward() throws -> Tensor {
            let result = try module(batch.inputs)
            output = result.detached
            return try self.loss(result, batch.targets)
        }
        let loss = try configuration.autocast.map { try autocast(to: $0, forward) } ?? forward()
        let value = try loss.item()
        guard value.isFinite else { throw try divergence(value, batch) }
        let part = share == 1 ? loss : try loss.scaled(by: share)
        try addGradients(of: scaler.map { try $0.scaled(part) } ?? part, trained)
        return (output ?? loss.detached, value)
    }

    private func addGradients(of loss: Tensor, _ trained: [(path: String, parameter: Parameter)]) throws {
        let gradients: [Tensor]
        do {
            gradients = try grad(of: loss, with: trained.map(\.parameter.value), keepsGraph: false)
        } catch let error as MLOpsError {
            throw MLOpsError(
                .failed, "the gradients of \(trained.count) parameters cannot be computed: \(error.message)",
                hint: "freeze parameters that the loss does not depend on, in order: "
                    + trained.map(\.path).prefix(12).joined(separator: ", "), cause: error)
        }
        try withoutGradients {
            for (entry, gradient) in zip(trained, gradients) {
                let present = entry.parameter.gradient
                entry.parameter.gradient = try present.map { try $0 + gradient } ?? gradient
            }
        }
    }

    private var place: String { "step \(position.history.stepCount + 1) (epoch \(position.epoch))" }

    /// The error that says whose gradient is not finite.
    private func explosion(_ trained: [(path: String, parameter: Parameter)], norm: Double) -> MLOpsError {
        let culprits = trained.filter { $0.parameter.gradient.map { !$0.isFinite } ?? false }.map { "`\($0.path)`" }
        return MLOpsError(
            .failed,
            "\(place): the norm of the gradients is \(norm); not finite are those of "
                + (culprits.isEmpty ? "none alone" : culprits.prefix(8).joined(separator: ", ")),
            hint: "lower the learning rate, or look at these layers")
    }

    /// The error that says where a value that is not finite came from.
    private func divergence(_ value: Double, _ batch: Batch) throws -> MLOpsError {
        let place = "\(place): the loss is \(value)"
        if !batch.inputs.isFinite || !batch.targets.isFinite {
            return MLOpsError(
                .failed, "\(place), and the batch itself holds values that are not finite",
                hint: "clean the data, or impute what is missing")
        }
        var culprit: String?
        try module.observing {
            guard culprit == nil, $0.children.isEmpty, !$1.isFinite else { return }
            let broken = $0.ownParameters.first { !$0.parameter.value.isFinite }
            culprit =
                "`\($0.path)` (\($0.kind))"
                + (broken.map { ", whose `\($0.name)` is not finite any more" } ?? "")
        } during: {
            _ = try withoutGradients { try module(batch.inputs) }
        }
        return MLOpsError(
            .failed,
            "\(place); the first layer with a value that is not finite is \(culprit ?? "none: the loss itself overflowed")",
            hint: "lower the learning rate, or clip the gradients")
    }
}
