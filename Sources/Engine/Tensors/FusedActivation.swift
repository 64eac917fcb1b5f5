internal import Basics
internal import CKernels

/// What may be done to each value of an operation's output in the same pass over memory.
public enum FusedActivation: String, Sendable, Codable {
    case none
    /// max(x, 0).
    case relu
    /// x cut to 0 ... 6 (Howard et al., 2017).
    case relu6

    /// The largest value that it lets through; nil if it does nothing.
    var limit: Double? {
        switch self {
        case .none: nil
        case .relu: .infinity
        case .relu6: 6
        }
    }
}

extension Tensor {
    /// activation(this + residual): operation by operation where gradients are wanted, else in one pass.
    package func finished(adding residual: Tensor?, _ activation: FusedActivation) throws -> Tensor {
        let isRecorded = isRecording && (requiresGradient || residual?.requiresGradient ?? false)
        if !isRecorded, dtype == .f32 || dtype == .f64 {
            var output = self
            try output.finish(adding: residual, activation)
            return output
        }
        let sum = try residual.map { try self + $0 } ?? self
        switch activation {
        case .none: return sum
        case .relu: return try sum.relu()
        case .relu6: return try sum.relu6()
        }
    }

    /// This gradient where `output`, which `activation` let through, is inside of its bounds, else 0.
    func gated(by output: Tensor, _ activation: FusedActivation) throws -> Tensor {
        guard let limit = activation.limit else { return self }
        if activation == .relu, !isRecording { return laidOut(as: output.layout).slope(CK_RELU, at: output.detached) }
        let mask = try withoutGradients {
            let isAbove = try output.stepped()
            return limit.isFinite ? try isAbove * output.scaled(by: -1).shifted(by: limit).stepped() : isAbove
        }
        return try self * mask
    }

    /// Adds and activates in place, piece by piece while a piece is in the cache; the layout stays.
    private mutating func finish(adding residual: Tensor?, _ activation: FusedActivation) throws {
        if let residual {
            try requireSameType("add", self, residual)
            guard residual.shape == shape else {
                throw shapeError("add", shape, residual.shape, "output and residual must have one shape")
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
