internal import Basics
internal import CKernels

/// The two forms of GELU: x·Φ(x), and its approximation with tanh (Hendrycks & Gimpel, 2016).
public enum GELUForm: String, Sendable, Codable { case exact, tanh }

extension Tensor {
    /// e to each element.
    public func exp() throws -> Tensor {
        try function("exp", CK_EXP, keepsOutput: true) { gradient, _, y in try gradient * y }
    }

    /// Natural logarithm.
    public func log() throws -> Tensor {
        try function("log", CK_LOG) { gradient, x, _ in try gradient / x }
    }

    public func sqrt() throws -> Tensor {
        try function("sqrt", CK_SQRT, keepsOutput: true) { gradient, _, y in try gradient.scaled(by: 0.5) / y }
    }

    public func sin() throws -> Tensor {
        try function("sin", CK_SIN) { gradient, x, _ in try gradient * x.cos() }
    }

    public func cos() throws -> Tensor {
        try function("cos", CK_COS) { gradient, x, _ in try (gradient * x.sin()).scaled(by: -1) }
    }

    /// Magnitude; the slope at 0 is 0.
    public func abs() throws -> Tensor {
        try function("abs", CK_ABS) { gradient, x, _ in try gradient * x.applying(CK_SIGN, 0) }
    }

    public func square() throws -> Tensor {
        try function("square", CK_SQUARE) { gradient, x, _ in try (gradient * x).scaled(by: 2) }
    }

    public func reciprocal() throws -> Tensor {
        try function("reciprocal", CK_RECIPROCAL, keepsOutput: true) { gradient, _, y in
            try (gradient * y.square()).scaled(by: -1)
        }
    }

    /// Each element to the power `exponent`.
    public func power(_ exponent: Double) throws -> Tensor {
        if exponent == 2 { return try square() }
        return try function("power", CK_POW, exponent) { gradient, x, _ in
            try (gradient * x.power(exponent - 1)).scaled(by: exponent)
        }
    }

    /// Each element times `factor`; integers too, if the factor is one.
    public func scaled(by factor: Double) throws -> Tensor {
        guard dtype.isFloat else { return try self * Tensor(factor, dtype: dtype) }
        return try function("scale", CK_SCALE, factor) { gradient, _, _ in try gradient.scaled(by: factor) }
    }

    /// Each element plus `summand`.
    public func shifted(by summand: Double) throws -> Tensor {
        guard dtype.isFloat else { return try self + Tensor(summand, dtype: dtype) }
        return try function("shift", CK_SHIFT, summand) { gradient, _, _ in gradient }
    }

    public func tanh() throws -> Tensor {
        try function("tanh", CK_TANH, keepsOutput: true) { gradient, _, y in
            try isRecording ? gradient * (1 - y.square()) : gradient.slope(CK_TANH, at: y)
        }
    }

    /// 1 / (1 + e⁻ˣ).
    public func sigmoid() throws -> Tensor {
        try function("sigmoid", CK_SIGMOID, keepsOutput: true) { gradient, _, y in
            try isRecording ? gradient * (y * (1 - y)) : gradient.slope(CK_SIGMOID, at: y)
        }
    }

    /// Swift.max(x, 0); the slope at 0 is 0.
    public func relu() throws -> Tensor {
        // The output tells as much as the input, and the next layer keeps it anyway.
        try function("relu", CK_RELU, keepsOutput: true) { gradient, _, y in
            try isRecording ? gradient * y.applying(CK_STEP, 0) : gradient.slope(CK_RELU, at: y)
        }
    }

    /// x if positive, else `slope`·x.
    public func leakyReLU(slope: Double = 0.01) throws -> Tensor {
        try function("leakyReLU", CK_LEAKY_RELU, slope) { gradient, x, _ in
            try isRecording ? gradient * x.applying(CK_STEP, slope) : gradient.slope(CK_LEAKY_RELU, at: x, slope)
        }
    }

    /// Gaussian error linear unit.
    public func gelu(_ form: GELUForm = .exact) throws -> Tensor {
        let code = form == .exact ? CK_GELU : CK_GELU_TANH
        return try function("gelu", code) { gradient, x, _ in
            guard isRecording else { return gradient.slope(code, at: x) }
            let composite = form == .exact ? try x.compositeGELU() : try x.compositeTanhGELU()
            return try gradients(of: composite, seed: gradient, inputs: [x])[0]
        }
    }

    /// log(1 + eˣ).
    public func softplus() throws -> Tensor {
        try function("softplus", CK_SOFTPLUS) { gradient, x, _ in try gradient * x.sigmoid() }
    }

    /// The error function.
    public func erf() throws -> Tensor {
        try function("erf", CK_ERF) { gradient, x, _ in
            try gradient * x.square().scaled(by: -1).exp().scaled(by: 1.128379167095512574)
        }
    }

    /// log(1 + x), exact for small x.
    public func log1p() throws -> Tensor {
        try function("log1p", CK_LOG1P) { gradient, x, _ in try gradient / x.shifted(by: 1) }
    }

    /// eˣ - 1, exact for small x.
    public func expm1() throws -> Tensor {
        try function("expm1", CK_EXPM1, keepsOutput: true) { gradient, _, y in try gradient * y.shifted(by: 1) }
    }

    /// The largest whole number that is not above each element; the slope is 0, as that of the other roundings.
    public func floor() throws -> Tensor { try rounding("floor", CK_FLOOR) }
    /// The smallest whole number that is not below each element.
    public func ceil() throws -> Tensor { try rounding("ceil", CK_CEIL) }
    /// The nearest whole number, of two the even one.
    public func round() throws -> Tensor { try rounding("round", CK_ROUND) }
    /// Each element without its fraction.
    public func trunc() throws -> Tensor { try rounding("trunc", CK_TRUNC) }
    /// -1, 0 or 1.
    public func sign() throws -> Tensor { try rounding("sign", CK_SIGN) }

    private func rounding(_ name: String, _ code: Int) throws -> Tensor {
        try function(name, code) { gradient, _, _ in try gradient.scaled(by: 0) }
    }

    /// Each element, but no less than `low` and no more than `high`; the gradient passes where both hold.
    public func clamped(_ low: Double? = nil, _ high: Double? = nil) throws -> Tensor {
        try requireAnyFloat("clamp", self)
        guard let bound = low ?? high else { return self }
        guard (low ?? bound) <= (high ?? bound) else {
            throw MLOpsError(.failed, "`clamp`: the bounds \(low ?? bound) and \(high ?? bound) are in the wrong order")
        }
        var output = self.detached
        if let low { output = output.applying(CK_AT_LEAST, low) }
        if let high { output = output.applying(CK_AT_MOST, high) }
        guard isRecorded(self) else { return output }
        return record("clamp", output, inputs: [self]) { gradient, _ in
            var isInside = try self .>= (low ?? -.infinity)
            if let high { isInside = try isInside .& (self .<= high) }
            return [try Tensor.where(isInside, gradient, Tensor(0, dtype: gradient.dtype))]
        }
    }

    private func compositeGELU() throws -> Tensor {
        try (self * scaled(by: 0.70710678118654752440).erf().shifted(by: 1)).scaled(by: 0.5)
    }

    private func compositeTanhGELU() throws -> Tensor {
        let inner = try (self + power(3).scaled(by: 0.044715)).scaled(by: 0.79788456080286535588)
        return try (self * inner.tanh().shifted(by: 1)).scaled(by: 0.5)
    }

    /// A kernel of each element, with the gradient from that of the output, the input and the output.
    private func function(
        _ name: String, _ code: Int, _ parameter: Double = 0, keepsOutput: Bool = false,
        gradient rule: @escaping @Sendable (_ gradient: Tensor, _ x: Tensor, _ y: Tensor) throws -> Tensor?
    ) throws -> Tensor {
        try requireAnyFloat(name, self)
        let output = applying(code, parameter)
        guard isRecorded(self) else { return output }
        // Rules that read the output must not hold the input's memory.
        let x = keepsOutput ? Tensor(shape: [0], dtype: dtype, storage: Tensor.nothing) : self
        return record(name, output, inputs: [self], keepsOutput: keepsOutput) { gradient, y in
            [try rule(gradient, x, y)]
        }
    }

    private static let nothing = TensorStorage(byteCount: 0)

    /// The kernel's values as a constant, laid out as this is if it is dense.
    func applying(_ code: Int, _ parameter: Double) -> Tensor {
        let x = dense()
        return Tensor(shape: shape, dtype: dtype, layout: x.layout) { target in
            let base = x.base
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                ck_unary(dtype.code, Int32(code), part.count, base + offset, parameter, target + offset)
            }
        }
    }

    /// This gradient times the slope of the function at `x` (or at its output), fused; a constant.
    func slope(_ code: Int, at x: Tensor, _ parameter: Double = 0) -> Tensor {
        let x = x.dense()
        let gradient = laidOut(as: x.layout)
        return Tensor(shape: shape, dtype: dtype, layout: x.layout) { target in
            let (gradientBase, base) = (gradient.base, x.base)
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                ck_unary_gradient(
                    dtype.code, Int32(code), part.count, gradientBase + offset, base + offset, parameter,
                    target + offset)
            }
        }
    }
}
