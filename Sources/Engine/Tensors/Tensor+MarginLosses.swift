internal import Basics

extension Tensor {
    /// max(0, `margin` - target·this): what perceptrons and support vector machines lose.
    ///
    /// - Parameter targets: -1 or 1.
    public func hingeLoss(_ targets: Tensor, margin: Double = 1, reduction: Reduction = .mean) throws -> Tensor {
        try requireSigns("hinge", targets)
        return try (margin - self * targets.detached).relu().combined(reduction)
    }

    /// This distance where the target is 1, max(0, `margin` - distance) where it is -1 (torch.nn.HingeEmbeddingLoss).
    public func hingeEmbeddingLoss(
        _ targets: Tensor, margin: Double = 1, reduction: Reduction = .mean
    ) throws -> Tensor {
        try requireSigns("hingeEmbedding", targets)
        let isAlike = try targets.detached.shifted(by: 1).scaled(by: 0.5)
        return try (self * isAlike + (margin - self).relu() * (1 - isAlike)).combined(reduction)
    }

    /// For each row the sum over the other classes of max(0, `margin` - own score + theirs), to the power 1 or 2, over the
    /// number of classes (torch.nn.MultiMarginLoss).
    ///
    /// - Parameters:
    ///   - labels: i64 `[batch]`; this is `[batch, classes]`.
    ///   - classWeights: `[classes]`; unlike in cross-entropy the mean is over the batch.
    public func multiMarginLoss(
        _ labels: Tensor, margin: Double = 1, isSquared: Bool = false, classWeights: Tensor? = nil,
        reduction: Reduction = .mean
    ) throws -> Tensor {
        let name = "multiMargin"
        try requireLabels(name, labels)
        let own = try picked(name, labels).unsqueezed(1)
        let others = try withoutGradients { try 1 - Tensor.identity(shape[1], dtype: dtype).gatherRows(labels) }
        var each = try (self - own).shifted(by: margin).relu() * others
        if isSquared { each = try each.square() }
        var losses = try each.sum(axes: [1]).scaled(by: 1 / Double(shape[1]))
        if let classWeights {
            try requireSameType(name, self, classWeights)
            guard classWeights.shape == [shape[1]] else {
                throw shapeError(name, shape, classWeights.shape, "expected a weight for each class")
            }
            losses = try losses * classWeights.detached.gatherRows(labels)
        }
        return try losses.combined(reduction)
    }

    /// Half the square over `width` of differences below it, linear beyond (torch.nn.SmoothL1Loss): Huber's loss over `width`.
    public func smoothAbsoluteError(
        _ target: Tensor, width: Double = 1, reduction: Reduction = .mean
    ) throws -> Tensor {
        guard width >= 0 else { throw MLOpsError(.failed, "`smoothL1`: width \(width) is negative") }
        if width == 0 { return try absoluteError(target, reduction: reduction) }
        return try huberError(target, delta: width, reduction: reduction).scaled(by: 1 / width)
    }

    private func requireSigns(_ name: String, _ targets: Tensor) throws {
        try requireAlike(name, targets)
        if let wrong = targets.doubles().first(where: { $0.magnitude != 1 }) {
            throw MLOpsError(
                .failed, "`\(name)`: target \(wrong) is neither -1 nor 1", hint: "map labels 0 and 1 to -1 and 1")
        }
    }
}
