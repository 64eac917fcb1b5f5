public import Tensors

/// max(x, 0).
public final class ReLU: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.relu() }
    override var fusedActivation: FusedActivation? { .relu }
}

/// x if positive, else `slope`·x.
public final class LeakyReLU: Module {
    public let slope: Double
    public init(slope: Double = 0.01) { self.slope = slope }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.leakyReLU(slope: slope) }
}

/// Hyperbolic tangent.
public final class Tanh: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.tanh() }
}

/// 1 / (1 + e⁻ˣ).
public final class Sigmoid: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.sigmoid() }
}

/// Gaussian error linear unit.
public final class GELU: Module {
    public let form: GELUForm
    public init(_ form: GELUForm = .exact) { self.form = form }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.gelu(form) }
}

/// min(max(x, 0), 6).
public final class ReLU6: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.relu6() }
    override var fusedActivation: FusedActivation? { .relu6 }
}

/// x if positive, else `scale`·(eˣ - 1).
public final class ELU: Module {
    public let scale: Double
    public init(scale: Double = 1) { self.scale = scale }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.elu(scale: scale) }
}

/// The ELU that keeps mean and variance.
public final class SELU: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.selu() }
}

/// x / (1 + e⁻ˣ), also called swish.
public final class SiLU: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.silu() }
}

/// x·tanh(log(1 + eˣ)).
public final class Mish: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.mish() }
}

/// A line from 0 at -3 to 1 at 3, flat beyond.
public final class HardSigmoid: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.hardSigmoid() }
}

/// x times its hard sigmoid.
public final class HardSwish: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.hardSwish() }
}

/// log(1 + e^(sharpness·x)) / sharpness.
public final class Softplus: Module {
    public let sharpness: Double
    public init(sharpness: Double = 1) { self.sharpness = sharpness }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.softplus(sharpness: sharpness) }
}

/// e to each element over the sum of these along an axis.
public final class Softmax: Module {
    public let axis: Int
    public init(axis: Int = -1) { self.axis = axis }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.softmax(axis: axis) }
}

/// The logarithm of the softmax along an axis.
public final class LogSoftmax: Module {
    public let axis: Int
    public init(axis: Int = -1) { self.axis = axis }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.logSoftmax(axis: axis) }
}

/// x if positive, else a learned slope times x.
public final class PReLU: Module {
    /// `[1]`, or one for each channel.
    public let weight: Parameter

    public init(channels: Int = 1, slope: Double = 0.25, dtype: DType = .f32) {
        precondition(channels > 0, "a PReLU of \(channels) channels cannot be")
        weight = Parameter(.full(slope, [channels], dtype: dtype))
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }
    public override func forward(_ x: Tensor) throws -> Tensor { try x.prelu(slope: weight.value) }
}
