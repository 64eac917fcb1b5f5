internal import Basics
internal import CKernels

/// What of a trained network is done in one call, besides convolution and batch norm, which take an activation and a residual
/// themselves. Nothing is recorded for gradients.
extension Tensor {
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
        guard let limit else { return }
        ck_unary(code, Int32(CK_RELU), count, values, 0, values)
        guard limit.isFinite else { return }
        if code == DType.f64.code {
            var most = limit
            ck_binary(code, Int32(CK_MINIMUM), count, values, 1, &most, 0, values)
        } else {
            var most = Float(limit)
            ck_binary(code, Int32(CK_MINIMUM), count, values, 1, &most, 0, values)
        }
    }
}
