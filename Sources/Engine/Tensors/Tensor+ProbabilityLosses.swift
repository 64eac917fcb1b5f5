internal import Basics

extension Tensor {
    /// The loss's reduction of its values for each element or example.
    func combined(_ reduction: Reduction) throws -> Tensor {
        switch reduction {
        case .mean: try mean()
        case .sum: try sum()
        case .none: self
        }
    }

    /// `crossEntropy` in which rows labelled `ignoredLabel` count for nothing; the mean is over the others.
    ///
    /// - Throws: as `crossEntropy`, and if no row is left for a mean.
    public func crossEntropy(
        _ labels: Tensor, ignoredLabel: Int, classWeights: Tensor? = nil, labelSmoothing: Double = 0,
        reduction: Reduction = .mean
    ) throws -> Tensor {
        guard labels.dtype == .i64, rank == 2, labels.shape == [shape[0]] else {
            return try crossEntropy(labels, classWeights: classWeights, labelSmoothing: labelSmoothing)
        }
        let kept = Tensor.positions(in: labels, without: ignoredLabel)
        if kept.count == labels.count {
            return try crossEntropy(
                labels, classWeights: classWeights, labelSmoothing: labelSmoothing, reduction: reduction)
        }
        guard !kept.isEmpty else { throw Tensor.nothingLeft("crossEntropy", labels, ignoredLabel) }
        let index = Tensor(kept)
        let losses = try gatherRows(index).crossEntropy(
            labels.gatherRows(index), classWeights: classWeights, labelSmoothing: labelSmoothing,
            reduction: reduction)
        return reduction == .none ? try losses.scatteredRows(index, shape: [shape[0]]) : losses
    }

    /// Minus the logarithm of the probability of each true class; this is `[batch, classes]` of log-probabilities.
    ///
    /// - Parameters:
    ///   - labels: i64 `[batch]`, each in `0 ..< classes` or `ignoredLabel`, whose rows count for nothing.
    ///   - classWeights: `[classes]`; the mean is weighted by them.
    public func negativeLogLikelihood(
        _ labels: Tensor, classWeights: Tensor? = nil, ignoredLabel: Int? = nil, reduction: Reduction = .mean
    ) throws -> Tensor {
        let name = "negativeLogLikelihood"
        try requireLabels(name, labels)
        let kept = Tensor.positions(in: labels, without: ignoredLabel)
        guard !kept.isEmpty || reduction != .mean else { throw Tensor.nothingLeft(name, labels, ignoredLabel) }
        let index = Tensor(kept)
        let keptLabels = try labels.gatherRows(index)
        var losses = try gatherRows(index).picked(name, keptLabels).scaled(by: -1)
        var total = Double(kept.count)
        if let classWeights {
            try requireSameType(name, self, classWeights)
            guard classWeights.shape == [shape[1]] else {
                throw shapeError(name, shape, classWeights.shape, "expected a weight for each class")
            }
            let weights = try classWeights.detached.gatherRows(keptLabels)
            losses = try losses * weights
            total = try weights.sum().item()
        }
        switch reduction {
        case .none: return try losses.scatteredRows(index, shape: [shape[0]])
        case .sum: return try losses.sum()
        case .mean:
            guard total > 0 else {
                throw MLOpsError(.failed, "`\(name)`: the class weights of the labels given add up to \(total)")
            }
            return try losses.sum().scaled(by: 1 / total)
        }
    }

    /// Binary cross-entropy of these probabilities against targets in 0 ... 1; logarithms are not below -100.
    public func binaryCrossEntropy(
        ofProbabilitiesWithTargets targets: Tensor, reduction: Reduction = .mean
    ) throws -> Tensor {
        try requireAlike("binaryCrossEntropy", targets)
        let targets = targets.detached
        guard doubles().allSatisfy({ (0...1).contains($0) }) else {
            throw MLOpsError(
                .failed, "`binaryCrossEntropy`: values of shape \(shape) are not all in 0 ... 1",
                hint: "use the loss of logits, or apply a sigmoid first")
        }
        let losses = try withoutGradients {
            let bound = Tensor(-100, dtype: dtype)
            let positive = try log().maximum(bound)
            let negative = try (1 - self).log().maximum(bound)
            return try (targets * positive + (1 - targets) * negative).scaled(by: -1)
        }
        return try record("binaryCrossEntropy", losses, inputs: [self]) { gradient, _ in
            let spread = try (self * (1 - self)).maximum(Tensor(1e-12, dtype: self.dtype))
            return [try gradient * (self - targets) / spread]
        }.combined(reduction)
    }

    /// `binaryCrossEntropy(withTargets:)` with a weight of the positive part for each place of the last axes.
    ///
    /// - Parameter positiveWeights: of a shape that broadcasts to this one's, such as `[classes]`.
    public func binaryCrossEntropy(
        withTargets targets: Tensor, positiveWeights: Tensor, reduction: Reduction = .mean
    ) throws -> Tensor {
        try requireAlike("bceWithLogits", targets)
        let targets = targets.detached
        // (1 - t) x + (1 + (w - 1) t) softplus(-x)
        let factor = try targets * positiveWeights.detached.shifted(by: -1) + 1
        return try ((1 - targets) * self + factor * scaled(by: -1).softplus()).combined(reduction)
    }

    /// The focal loss of these logits against targets 0 or 1: cross-entropy in which what is easy counts little (Lin et al.,
    /// 2017).
    ///
    /// - Parameters:
    ///   - focus: the exponent γ, at least 0.
    ///   - positiveShare: the weight α of positive targets, 1 - α of negative ones; nil weighs neither.
    public func focalLoss(
        _ targets: Tensor, focus: Double = 2, positiveShare: Double? = 0.25, reduction: Reduction = .mean
    ) throws -> Tensor {
        try requireAlike("focal", targets)
        guard focus >= 0, positiveShare.map({ (0...1).contains($0) }) ?? true else {
            throw MLOpsError(
                .failed,
                "`focal`: focus \(focus) must not be negative, and the share "
                    + "\(positiveShare.map { String($0) } ?? "none") must be in 0 ... 1")
        }
        let targets = targets.detached
        var losses = try binaryCrossEntropy(withTargets: targets, reduction: .none)
        if focus > 0 {
            // 1 - p of the true side is the sigmoid of the logit turned to the other side.
            let turned = try self * (1 - targets.scaled(by: 2))
            losses = try losses * turned.sigmoid().power(focus)
        }
        if let share = positiveShare { losses = try losses * (targets.scaled(by: 2 * share - 1) + (1 - share)) }
        return try losses.combined(reduction)
    }

    /// Σ target · (log target - this), of log-probabilities (torch.nn.KLDivLoss).
    ///
    /// - Parameters:
    ///   - targets: probabilities, or their logarithms if `isLogarithm`.
    ///   - dividesByBatch: whether the mean is the sum over the first extent, which is the divergence of distributions, rather
    ///     than over all elements.
    public func klDivergence(
        _ targets: Tensor, isLogarithm: Bool = false, dividesByBatch: Bool = true, reduction: Reduction = .mean
    ) throws -> Tensor {
        try requireAlike("klDivergence", targets)
        let targets = targets.detached
        let losses: Tensor
        if isLogarithm {
            losses = try targets.exp() * (targets - self)
        } else {
            // 0 · log 0 is 0.
            let floor = Tensor(Double(Float.leastNormalMagnitude), dtype: dtype)
            losses = try targets * targets.maximum(floor).log() - targets * self
        }
        guard reduction == .mean, dividesByBatch, let batch = shape.first else { return try losses.combined(reduction) }
        return try losses.sum().scaled(by: 1 / Double(batch))
    }

    /// The element at each row's label: `[batch, classes]` to `[batch]`.
    func picked(_ name: String, _ labels: Tensor) throws -> Tensor {
        try Tensor.checkIndices(name, labels, below: shape[1])
        let index = labels.contiguous().converted(to: .i32)
        return try gathered(AxisLayout(shape, axis: 1), picked: 1, index.storage, shape: [shape[0]])
    }

    /// Throws unless this is `[N, classes]` of floats and `labels` i64 `[N]`.
    func requireLabels(_ name: String, _ labels: Tensor) throws {
        try requireFloat(name, self)
        guard rank == 2, labels.shape == [shape[0]], shape[1] > 0, shape[0] > 0 else {
            throw shapeError(name, shape, labels.shape, "expected [N, classes] and labels [N]")
        }
        guard labels.dtype == .i64 else {
            throw MLOpsError(
                .failed, "`\(name)`: labels are \(labels.dtype), not i64", hint: "convert them with `cast(to: .i64)`")
        }
    }

    /// Throws unless both are floats of one dtype and shape.
    func requireAlike(_ name: String, _ target: Tensor) throws {
        try requireFloat(name, self)
        try requireSameType(name, self, target)
        guard shape == target.shape else {
            throw shapeError(name, shape, target.shape, "input and target must be alike")
        }
    }

    private static func positions(in labels: Tensor, without ignored: Int?) -> [Int64] {
        let values = labels.int64s()
        return values.indices.filter { index in ignored.map { values[index] != Int64($0) } ?? true }.map(Int64.init)
    }

    private static func nothingLeft(_ name: String, _ labels: Tensor, _ ignored: Int?) -> MLOpsError {
        MLOpsError(
            .failed, "`\(name)`: all \(labels.count) labels are \(ignored ?? 0), the ignored one; they have no mean",
            hint: "leave such batches out")
    }
}
