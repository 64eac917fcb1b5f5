internal import CKernels

extension Tensor {
    /// min(max(x, 0), 6) (Howard et al., 2017).
    public func relu6() throws -> Tensor {
        try activation("relu6", CK_RELU6) { try $0.relu().minimum(Tensor(6, dtype: $0.dtype)) }
    }

    /// x if positive, else `scale`·(eˣ - 1) (Clevert et al., 2016).
    public func elu(scale: Double = 1) throws -> Tensor {
        try activation("elu", CK_ELU, scale) { try $0.compositeELU(scale) }
    }

    /// ELU with the two constants that keep mean and variance (Klambauer et al., 2017).
    public func selu() throws -> Tensor {
        try activation("selu", CK_SELU) {
            try $0.compositeELU(1.6732632423543772).scaled(by: 1.0507009873554805)
        }
    }

    /// x / (1 + e⁻ˣ), also called swish.
    public func silu() throws -> Tensor {
        try activation("silu", CK_SILU) { try $0 * $0.sigmoid() }
    }

    /// x·tanh(log(1 + eˣ)) (Misra, 2020).
    public func mish() throws -> Tensor {
        try activation("mish", CK_MISH) { try $0 * $0.softplus().tanh() }
    }

    /// A line from 0 at -3 to 1 at 3, flat beyond (Howard et al., 2019).
    public func hardSigmoid() throws -> Tensor {
        try activation("hardSigmoid", CK_HARD_SIGMOID) { try $0.compositeHardSigmoid() }
    }

    /// x times its hard sigmoid (Howard et al., 2019).
    public func hardSwish() throws -> Tensor {
        try activation("hardSwish", CK_HARD_SWISH) { try $0 * $0.compositeHardSigmoid() }
    }

    /// x if positive, else `slope`·x with a slope that is learned (He et al., 2015).
    ///
    /// - Parameter slope: `[1]`, or `[C]` for the channels of axis 1.
    public func prelu(slope: Tensor) throws -> Tensor {
        try requireFloat("prelu", self)
        try requireSameType("prelu", self, slope)
        guard slope.shape == [1] || rank >= 2 && slope.shape == [shape[1]] else {
            throw shapeError("prelu", shape, slope.shape, "the slope has one value, or one for each channel (axis 1)")
        }
        var along = [Int](repeating: 1, count: Swift.max(1, rank))
        if slope.count > 1 { along[1] = slope.count }
        let positive = try relu()
        return try positive + (self - positive) * slope.reshaped(along)
    }

    /// log(1 + e^(sharpness·x)) / sharpness.
    public func softplus(sharpness: Double) throws -> Tensor {
        guard sharpness > 0 else { throw shapeError("softplus", shape, "sharpness \(sharpness) is not positive") }
        return try sharpness == 1 ? softplus() : scaled(by: sharpness).softplus().scaled(by: 1 / sharpness)
    }

    private func compositeELU(_ scale: Double) throws -> Tensor {
        let negative = try minimum(Tensor(0, dtype: dtype)).exp().shifted(by: -1).scaled(by: scale)
        return try relu() + negative
    }

    private func compositeHardSigmoid() throws -> Tensor {
        try shifted(by: 3).relu().minimum(Tensor(6, dtype: dtype)).scaled(by: 1 / 6)
    }

    /// A kernel of each element; `composite` is the same of simpler operations, for what the kernels lack: other dtypes, and a
    /// backward pass that is recorded.
    private func activation(
        _ name: String, _ code: Int, _ parameter: Double = 0,
        _ composite: @escaping @Sendable (Tensor) throws -> Tensor
    ) throws -> Tensor {
        try requireFloat(name, self)
        guard dtype == .f32 || dtype == .f64 else { return try composite(self) }
        let x = dense()
        let output = Tensor(shape: shape, dtype: dtype, layout: x.layout) { target in
            let base = x.base
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                ck_activation(dtype.code, Int32(code), part.count, base + offset, parameter, target + offset)
            }
        }
        guard isRecorded(self) else { return output }
        return record(name, output, inputs: [self]) { gradient, _ in
            if isRecording { return try gradients(of: composite(self), seed: gradient, inputs: [self]) }
            return [x.activationGradient(code, gradient, parameter)]
        }
    }

    /// `gradient` times the slope at this, which is dense; a constant.
    private func activationGradient(_ code: Int, _ gradient: Tensor, _ parameter: Double) -> Tensor {
        let gradient = gradient.laidOut(as: layout)
        return Tensor(shape: shape, dtype: dtype, layout: layout) { target in
            let (gradientBase, base) = (gradient.base, base)
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                ck_activation_gradient(
                    dtype.code, Int32(code), part.count, gradientBase + offset, base + offset, parameter,
                    target + offset)
            }
        }
    }
}
