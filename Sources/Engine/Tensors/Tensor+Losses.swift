internal import Basics
internal import CKernels

/// How the losses of examples become one number.
public enum Reduction: String, Sendable, Codable { case mean, sum, none }

extension Tensor {
    /// Cross-entropy of each row of these logits against its true class, in nats.
    ///
    /// - Parameters:
    ///   - labels: i64 `[batch]`, each in `0 ..< classes`; this is `[batch, classes]`.
    ///   - classWeights: `[classes]`, or nil for ones; the mean is weighted by them then.
    ///   - labelSmoothing: the share of the target that is spread evenly over all classes, in 0 ..< 1.
    /// - Returns: a scalar, or `[batch]` without reduction.
    /// - Throws: if shapes differ or a label is out of range.
    public func crossEntropy(
        _ labels: Tensor, classWeights: Tensor? = nil, labelSmoothing: Double = 0, reduction: Reduction = .mean
    ) throws -> Tensor {
        if dtype.isHalf {
            return try inSingle {
                try $0.crossEntropy(
                    labels, classWeights: classWeights?.cast(to: .f32), labelSmoothing: labelSmoothing,
                    reduction: reduction)
            }
        }
        try checkCrossEntropy(labels, classWeights, labelSmoothing)
        let (rows, classes) = (shape[0], shape[1])
        let (logits, labels, classWeights) = (contiguous(), labels.contiguous(), classWeights?.contiguous())
        let residual = Tensor(shape: shape, dtype: dtype, storage: TensorStorage(byteCount: byteCount))
        let losses = Tensor(shape: [rows], dtype: dtype) { out in
            inParallel(rows, grain: elementwiseGrain / 4 / classes) { part in
                let offset = part.lowerBound * classes * dtype.size
                ck_cross_entropy(
                    dtype.code, part.count, classes, logits.pointer + offset,
                    labels.pointer.assumingMemoryBound(to: Int64.self) + part.lowerBound, labelSmoothing,
                    classWeights?.pointer, out + part.lowerBound * dtype.size, residual.storage.pointer + offset)
            }
        }
        let each = record("crossEntropy", losses, inputs: [self]) { g, _ in
            if !isRecording { return [try residual * g.unsqueezed(1)] }
            let target = try self.crossEntropyTarget(labels, classWeights, labelSmoothing)
            let composite = try (target * self.logSoftmax()).sum(axes: [1]).scaled(by: -1)
            return try gradients(of: composite, seed: g, inputs: [self])
        }
        switch reduction {
        case .none: return each
        case .sum: return try each.sum()
        case .mean:
            guard let classWeights else { return try each.mean() }
            let total = try classWeights.detached.gatherRows(labels).sum().item()
            guard total > 0 else {
                throw MLOpsError(.failed, "`crossEntropy`: the class weights of the labels given add up to \(total)")
            }
            return try each.sum().scaled(by: 1 / total)
        }
    }

    private func checkCrossEntropy(_ labels: Tensor, _ classWeights: Tensor?, _ smoothing: Double) throws {
        try requireFloat("crossEntropy", self)
        guard rank == 2, labels.shape == [shape[0]], shape[1] > 0, shape[0] > 0 else {
            throw shapeError("crossEntropy", shape, labels.shape, "expected logits [N, classes] and labels [N]")
        }
        guard labels.dtype == .i64 else {
            throw MLOpsError(
                .failed, "`crossEntropy`: labels are \(labels.dtype), not i64",
                hint: "convert them with `cast(to: .i64)`")
        }
        guard (0..<1).contains(smoothing) else {
            throw MLOpsError(.failed, "`crossEntropy`: label smoothing \(smoothing) is not in 0 ..< 1")
        }
        if let classWeights {
            try requireSameType("crossEntropy", self, classWeights)
            guard classWeights.shape == [shape[1]] else {
                throw shapeError("crossEntropy", shape, classWeights.shape, "expected a weight for each class")
            }
        }
        try Tensor.checkIndices("crossEntropy", labels, below: shape[1])
    }

    /// The smoothed, weighted one-hot rows that logits of this shape are compared with; a constant.
    private func crossEntropyTarget(_ labels: Tensor, _ classWeights: Tensor?, _ smoothing: Double) throws -> Tensor {
        try withoutGradients {
            let identity = Tensor.identity(shape[1], dtype: dtype)
            let target = try identity.gatherRows(labels).scaled(by: 1 - smoothing)
                .shifted(by: smoothing / Double(shape[1]))
            return try classWeights.map { try target * $0.detached } ?? target
        }
    }

    /// Ones on the diagonal of a square matrix.
    public static func identity(_ size: Int, dtype: DType = .f32) -> Tensor {
        var values = [Double](repeating: 0, count: size * size)
        for i in 0..<size { values[i * size + i] = 1 }
        return Tensor(values, shape: [size, size]).converted(to: dtype)
    }

    /// Binary cross-entropy of these logits against targets in 0 ... 1, in nats, stable for large logits.
    ///
    /// - Parameter positiveWeight: how many times the positive part counts.
    public func binaryCrossEntropy(
        withTargets targets: Tensor, positiveWeight: Double = 1, reduction: Reduction = .mean
    ) throws -> Tensor {
        if dtype.isHalf {
            return try inSingle {
                try $0.binaryCrossEntropy(
                    withTargets: targets.cast(to: .f32), positiveWeight: positiveWeight, reduction: reduction)
            }
        }
        try checkPair("bceWithLogits", targets)
        let (x, targets) = (contiguous(), targets.detached.contiguous())
        let losses = Tensor(shape: shape, dtype: dtype) { out in
            inParallel(count, grain: elementwiseGrain / 4) { part in
                let offset = part.lowerBound * dtype.size
                ck_bce(
                    dtype.code, part.count, x.pointer + offset, targets.pointer + offset, positiveWeight, out + offset)
            }
        }
        let each = record("bceWithLogits", losses, inputs: [self]) { g, _ in
            if isRecording {
                // (1 - t) x + (1 + (w - 1) t) softplus(-x)
                let factor = try targets.scaled(by: positiveWeight - 1).shifted(by: 1)
                let composite = try (1 - targets) * self + factor * self.scaled(by: -1).softplus()
                return try gradients(of: composite, seed: g, inputs: [self])
            }
            let g = g.contiguous()
            return [
                Tensor(shape: x.shape, dtype: x.dtype) { out in
                    inParallel(x.count, grain: elementwiseGrain / 4) { part in
                        let offset = part.lowerBound * x.dtype.size
                        ck_bce_gradient(
                            x.dtype.code, part.count, g.pointer + offset, 1, x.pointer + offset,
                            targets.pointer + offset, positiveWeight, out + offset)
                    }
                }
            ]
        }
        return try each.reduced(reduction)
    }

    /// Squared difference.
    public func meanSquaredError(_ target: Tensor, reduction: Reduction = .mean) throws -> Tensor {
        if dtype.isHalf { return try inSingle { try $0.meanSquaredError(target.cast(to: .f32), reduction: reduction) } }
        try checkPair("mse", target)
        return try (self - target).square().reduced(reduction)
    }

    /// Absolute difference.
    public func absoluteError(_ target: Tensor, reduction: Reduction = .mean) throws -> Tensor {
        if dtype.isHalf { return try inSingle { try $0.absoluteError(target.cast(to: .f32), reduction: reduction) } }
        try checkPair("l1", target)
        return try (self - target).abs().reduced(reduction)
    }

    /// Huber's loss: half the square up to `delta`, linear beyond.
    public func huberError(_ target: Tensor, delta: Double = 1, reduction: Reduction = .mean) throws -> Tensor {
        if dtype.isHalf {
            return try inSingle { try $0.huberError(target.cast(to: .f32), delta: delta, reduction: reduction) }
        }
        try checkPair("huber", target)
        guard delta > 0 else { throw MLOpsError(.failed, "`huber`: delta \(delta) is not positive") }
        let magnitude = try (self - target).abs()
        // With c = min(|d|, δ) it is c (|d| - c / 2).
        let clipped = try magnitude.minimum(Tensor(delta, dtype: dtype))
        return try (clipped * (magnitude - clipped.scaled(by: 0.5))).reduced(reduction)
    }

    private func checkPair(_ name: String, _ target: Tensor) throws {
        try requireFloat(name, self)
        try requireSameType(name, self, target)
        guard shape == target.shape else {
            throw shapeError(name, shape, target.shape, "input and target must be alike")
        }
    }

    private func reduced(_ reduction: Reduction) throws -> Tensor {
        switch reduction {
        case .mean: try mean()
        case .sum: try sum()
        case .none: self
        }
    }
}
