public import Tensors

/// max(x, 0).
public final class ReLU: Module {
    public override init() {}
    public override func forward(_ x: Tensor) throws -> Tensor { try x.relu() }
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
