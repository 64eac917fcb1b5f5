internal import Basics

extension Tensor {
    /// Cross-entropy of each row of these logits against probabilities of the classes, in nats.
    ///
    /// - Parameters:
    ///   - targets: of the logits' shape `[batch, classes]`; rows of probabilities that sum to 1, as mixup makes them.
    ///   - classWeights: `[classes]`, or nil for ones; unlike with labels, the mean is over the batch all the same.
    ///   - labelSmoothing: the share of the target that is spread evenly over all classes, in 0 ..< 1.
    /// - Returns: a scalar, or `[batch]` without reduction.
    /// - Throws: if shapes differ.
    public func crossEntropy(
        probabilities targets: Tensor, classWeights: Tensor? = nil, labelSmoothing: Double = 0,
        reduction: Reduction = .mean
    ) throws -> Tensor {
        guard rank == 2, shape[1] > 0, targets.shape == shape else {
            throw shapeError("crossEntropy", shape, targets.shape, "expected probabilities [batch, classes] for logits")
        }
        guard (0..<1).contains(labelSmoothing) else {
            throw MLOpsError(.failed, "`crossEntropy`: label smoothing \(labelSmoothing) is not in 0 ..< 1")
        }
        if dtype.isHalf {
            return try inSingle {
                try $0.crossEntropy(
                    probabilities: targets, classWeights: classWeights?.cast(to: .f32), labelSmoothing: labelSmoothing,
                    reduction: reduction)
            }
        }
        var weighted = try targets.detached.cast(to: dtype)
        if labelSmoothing > 0 {
            weighted = try weighted.scaled(by: 1 - labelSmoothing).shifted(by: labelSmoothing / Double(shape[1]))
        }
        if let classWeights { weighted = try weighted * classWeights.detached }
        let losses = try (logSoftmax(axis: 1) * weighted).sum(axes: [1]).scaled(by: -1)
        switch reduction {
        case .mean: return try losses.mean()
        case .sum: return try losses.sum()
        case .none: return losses
        }
    }
}
