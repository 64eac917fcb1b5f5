internal import Basics

extension Tensor {
    /// Square root of `variance`.
    public func standardDeviation(axes: [Int]? = nil, correction: Int = 0, keepsAxes: Bool = false) throws -> Tensor {
        try variance(axes: axes, correction: correction, keepsAxes: keepsAxes).sqrt()
    }

    /// Largest value over `axes`, or over all of them if nil; the gradient goes to the first that has it.
    public func max(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        let (rows, target) = try flattenedToBack("max", axes, keepsAxes)
        return try rows.max(axis: -1).reshaped(target)
    }

    /// Smallest value over `axes`, or over all of them if nil; the gradient goes to the first that has it.
    public func min(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        let (rows, target) = try flattenedToBack("min", axes, keepsAxes)
        return try rows.min(axis: -1).reshaped(target)
    }

    /// Smallest value along `axis`; the gradient goes to the first that has it.
    public func min(axis: Int, keepsAxis: Bool = false) throws -> Tensor {
        try reversed.max(axis: axis, keepsAxis: keepsAxis).reversed.cast(to: dtype)
    }

    /// Index of the first smallest value along `axis`, as i64.
    public func argmin(axis: Int = -1) throws -> Tensor { try reversed.argmax(axis: axis) }

    /// Values in the opposite order, the smallest largest: the negative, for integers of i64 that less 1, which never overflows.
    private var reversed: Tensor {
        get throws {
            if dtype.isFloat { return try scaled(by: -1) }
            return try converted(to: .i64) * Tensor(-1, dtype: .i64) - Tensor(1, dtype: .i64)
        }
    }

    /// (Σ |x|ᵖ)^(1/p) over `axes`, or over all of them if nil; with p = ∞ the largest magnitude. The gradient where the norm
    /// is 0 is 0.
    public func norm(_ p: Double = 2, axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        try requireAnyFloat("norm", self)
        if dtype.isHalf { return try inSingle { try $0.norm(p, axes: axes, keepsAxes: keepsAxes) } }
        guard p > 0 else { throw MLOpsError(.failed, "`norm`: the order \(p) is not positive") }
        if p == .infinity { return try abs().max(axes: axes, keepsAxes: keepsAxes) }
        if p == 1 { return try abs().sum(axes: axes, keepsAxes: keepsAxes) }
        let (rows, target) = try flattenedToBack("norm", axes, keepsAxes)
        let output = try withoutGradients {
            p == 2
                ? try rows.square().sum(axes: [-1]).sqrt()
                : try rows.abs().power(p).sum(axes: [-1]).power(1 / p)
        }
        return try rows.record("norm", output, inputs: [rows], keepsOutput: true) { g, y in
            let zero = Tensor(0, dtype: g.dtype)
            let isZero = try y .== 0
            let safe = try Tensor.where(isZero, Tensor(1, dtype: y.dtype), y)
            if p == 2 { return [try rows * Tensor.where(isZero, zero, g / safe).unsqueezed(-1)] }
            let scale = try Tensor.where(isZero, zero, g / safe.power(p - 1)).unsqueezed(-1)
            return [try rows.sign() * rows.abs().power(p - 1) * scale]
        }.reshaped(target)
    }

    /// log Σ eˣ over `axes`, or over all of them if nil, without overflow.
    public func logSumExp(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        try requireAnyFloat("logSumExp", self)
        if dtype.isHalf { return try inSingle { try $0.logSumExp(axes: axes, keepsAxes: keepsAxes) } }
        let (rows, target) = try flattenedToBack("logSumExp", axes, keepsAxes)
        guard rows.shape[rows.rank - 1] > 0 else { throw shapeError("logSumExp", shape, "the axes are empty") }
        let largest = try withoutGradients {
            let largest = try rows.max(axis: -1, keepsAxis: true)
            return try largest.maskedFill(largest.abs() .== .infinity, 0)
        }
        return try ((rows - largest).exp().sum(axes: [-1], keepsAxes: true).log() + largest).reshaped(target)
    }
}
