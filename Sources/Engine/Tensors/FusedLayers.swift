internal import Basics
internal import CKernels

/// What is done to each number of a layer's output before anything else sees it.
package enum FusedActivation: String, Sendable, Hashable, CaseIterable {
    case none
    /// max(x, 0)
    case relu
    /// min(max(x, 0), 6)
    case relu6
}

/// Layers of a trained network, each with all that follows it in one call, so that kernels that can do it in one pass have a
/// place to be called from. Nothing is recorded for gradients.
extension Tensor {
    /// activation(conv2d(self) + bias + residual).
    ///
    /// - Parameters:
    ///   - weight: `[O, C / groups, height, width]`, batch norm folded in.
    ///   - bias: `[O]`, or nil.
    ///   - residual: of the output's shape, or nil.
    /// - Throws: what `conv2d` throws; kind `.failed` if the residual's shape is another.
    package func fusedConv2d(
        weight: Tensor, bias: Tensor?, window: Window, groups: Int = 1, residual: Tensor? = nil,
        activation: FusedActivation = .none
    ) throws -> Tensor {
        try withoutGradients {
            var output = try conv2d(weight: weight, bias: bias, window: window, groups: groups)
            try output.finish("conv2d", residual: residual, activation: activation)
            return output
        }
    }

    /// activation(self · weightᵀ + bias), with `weight` `[outputs, inputs]`.
    package func fusedLinear(
        weight: Tensor, bias: Tensor?, activation: FusedActivation = .none
    ) throws -> Tensor {
        try withoutGradients {
            var output = try linear(weight: weight, bias: bias)
            try output.finish("linear", residual: nil, activation: activation)
            return output
        }
    }

    /// activation(self + other) of one shape.
    package func fusedAdd(_ other: Tensor, activation: FusedActivation = .none) throws -> Tensor {
        try withoutGradients {
            var output = self
            try output.finish("add", residual: other, activation: activation)
            return output
        }
    }

    /// activation(batch norm by given statistics).
    package func fusedBatchNorm(
        weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: Double,
        activation: FusedActivation = .none
    ) throws -> Tensor {
        try withoutGradients {
            var output = try batchNorm(weight: weight, bias: bias, mean: mean, variance: variance, epsilon: epsilon)
            try output.finish("batchNorm", residual: nil, activation: activation)
            return output
        }
    }

    /// `activation` of each element.
    package func activated(by activation: FusedActivation) throws -> Tensor {
        try requireFloat(activation.rawValue, self)
        return try withoutGradients {
            var output = self
            try output.finish(activation.rawValue, residual: nil, activation: activation)
            return output
        }
    }

    /// Adds and activates in place, piece by piece while a piece is in the cache; the layout stays.
    private mutating func finish(_ operation: String, residual: Tensor?, activation: FusedActivation) throws {
        if let residual {
            try requireSameType(operation, self, residual)
            guard residual.shape == shape else {
                throw shapeError(operation, shape, residual.shape, "output and residual must have one shape")
            }
        }
        node = nil
        guard residual != nil || activation != .none else { return }
        if !layout.isDense || !isKnownUniquelyReferenced(&storage) {
            self = arranged(layout.isDense ? layout : Layout())
        }
        let residual = residual?.laidOut(as: layout)
        let (code, size) = (dtype.code, dtype.size)
        let (target, other) = (storage.pointer + offset * size, residual?.base)
        inParallel(count, grain: elementwiseGrain) { part in
            let start = target + part.lowerBound * size
            if let other {
                ck_binary(code, Int32(CK_ADD), part.count, start, 1, other + part.lowerBound * size, 1, start)
            }
            activation.apply(code, part.count, start)
        }
        withExtendedLifetime(residual) {}
    }
}

extension FusedActivation {
    fileprivate func apply(_ code: Int32, _ count: Int, _ values: UnsafeMutableRawPointer) {
        if self == .none { return }
        ck_unary(code, Int32(CK_RELU), count, values, 0, values)
        guard self == .relu6 else { return }
        if code == DType.f64.code {
            var six = 6.0
            ck_binary(code, Int32(CK_MINIMUM), count, values, 1, &six, 0, values)
        } else {
            var six: Float = 6
            ck_binary(code, Int32(CK_MINIMUM), count, values, 1, &six, 0, values)
        }
    }
}
