public import Basics
public import Tensors

/// Ways to fill a weight `[out, in, …]` before training, named as in torch.nn.init.
public enum Initializer: Sendable, Hashable {
    /// Uniform within ±1 / √fan-in: what torch.nn.Linear and Conv2d do unless told otherwise.
    case standard
    /// Uniform within ±gain·√(3 / fan-in) (He et al., 2015).
    case kaimingUniform(gain: Double = 1.4142135623730951)
    case kaimingNormal(gain: Double = 1.4142135623730951)
    /// Uniform within ±gain·√(6 / (fan-in + fan-out)) (Glorot & Bengio, 2010).
    case xavierUniform(gain: Double = 1)
    case xavierNormal(gain: Double = 1)
    case normal(deviation: Double)
    case uniform(Range<Double>)
    case constant(Double)

    /// A tensor of `shape` filled in this way.
    public func callAsFunction(_ shape: [Int], dtype: DType = .f32, using generator: inout Philox) -> Tensor {
        // Extents behind the first two are the window's: each of its places counts.
        let field = Array(shape.dropFirst(2)).product
        let fanIn = Double(max(1, (shape.count > 1 ? shape[1] : shape.first ?? 1) * field))
        let fanOut = Double(max(1, (shape.first ?? 1) * field))
        func uniform(_ bound: Double) -> Tensor {
            .uniform(shape, in: -bound..<max(bound, .leastNonzeroMagnitude), dtype: dtype, using: &generator)
        }
        func normal(_ deviation: Double) -> Tensor {
            .normal(shape, deviation: deviation, dtype: dtype, using: &generator)
        }
        switch self {
        case .standard: return uniform(1 / fanIn.squareRoot())
        case .kaimingUniform(let gain): return uniform(gain * (3 / fanIn).squareRoot())
        case .kaimingNormal(let gain): return normal(gain / fanIn.squareRoot())
        case .xavierUniform(let gain): return uniform(gain * (6 / (fanIn + fanOut)).squareRoot())
        case .xavierNormal(let gain): return normal(gain * (2 / (fanIn + fanOut)).squareRoot())
        case .normal(let deviation): return normal(deviation)
        case .uniform(let range): return .uniform(shape, in: range, dtype: dtype, using: &generator)
        case .constant(let value): return .full(value, shape, dtype: dtype)
        }
    }
}
