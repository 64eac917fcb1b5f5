public import Basics
internal import Foundation
public import Tensors

/// Ways to fill a weight `[out, in, …]` before training, named as in torch.nn.init.
public enum Initializer: Sendable, Hashable {
    /// Which side of a layer a weight's spread is measured by.
    public enum FanMode: String, Sendable, Codable { case fanIn, fanOut }

    /// Uniform within ±1 / √fan-in: what torch.nn.Linear and Conv2d do unless told otherwise.
    case standard
    /// Uniform within ±gain·√(3 / fan) (He et al., 2015).
    case kaimingUniform(gain: Double = 1.4142135623730951, mode: FanMode = .fanIn)
    case kaimingNormal(gain: Double = 1.4142135623730951, mode: FanMode = .fanIn)
    /// Uniform within ±gain·√(6 / (fan-in + fan-out)) (Glorot & Bengio, 2010).
    case xavierUniform(gain: Double = 1)
    case xavierNormal(gain: Double = 1)
    case normal(mean: Double = 0, deviation: Double)
    case uniform(Range<Double>)
    /// Normal, drawn again where it is outside of `bounds`.
    case truncatedNormal(mean: Double = 0, deviation: Double = 1, bounds: ClosedRange<Double> = -2...2)
    case constant(Double)
    /// Rows (or columns, if there are more rows) that stand at right angles and have length `gain` (Saxe et al., 2014).
    case orthogonal(gain: Double = 1)
    /// A convolution that gives its input channels back; of 3 to 5 axes.
    case dirac(groups: Int = 1)
    /// Ones on the diagonal of a matrix.
    case eye
    /// A matrix with this share of zeros in each column, the rest normal (Martens, 2010).
    case sparse(share: Double, deviation: Double = 0.01)

    public static let zeros = Initializer.constant(0)
    public static let ones = Initializer.constant(1)

    /// A tensor of `shape` filled in this way.
    ///
    /// - Precondition: `shape` has the axes that the way needs.
    public func callAsFunction(_ shape: [Int], dtype: DType = .f32, using generator: inout Philox) -> Tensor {
        let (fanIn, fanOut) = Initializer.fans(of: shape)
        func uniform(_ bound: Double) -> Tensor {
            .uniform(shape, in: -bound..<max(bound, .leastNonzeroMagnitude), dtype: dtype, using: &generator)
        }
        func normal(_ deviation: Double) -> Tensor {
            .normal(shape, deviation: deviation, dtype: dtype, using: &generator)
        }
        switch self {
        case .standard: return uniform(1 / fanIn.squareRoot())
        case .kaimingUniform(let gain, let mode):
            return uniform(gain * (3 / (mode == .fanIn ? fanIn : fanOut)).squareRoot())
        case .kaimingNormal(let gain, let mode): return normal(gain / (mode == .fanIn ? fanIn : fanOut).squareRoot())
        case .xavierUniform(let gain): return uniform(gain * (6 / (fanIn + fanOut)).squareRoot())
        case .xavierNormal(let gain): return normal(gain * (2 / (fanIn + fanOut)).squareRoot())
        case .normal(let mean, let deviation):
            return .normal(shape, mean: mean, deviation: deviation, dtype: dtype, using: &generator)
        case .uniform(let range): return .uniform(shape, in: range, dtype: dtype, using: &generator)
        case .constant(let value): return .full(value, shape, dtype: dtype)
        case .truncatedNormal, .orthogonal, .dirac, .eye, .sparse:
            let values = StructuredValues(shape: shape).values(self, using: &generator)
            return dtype == .f64 ? Tensor(values, shape: shape) : Tensor(values.map(Float.init), shape: shape)
        }
    }

    /// How many values each output is computed from, and how many outputs each input goes into. Extents behind the first two
    /// are the window's: each of its places counts.
    static func fans(of shape: [Int]) -> (fanIn: Double, fanOut: Double) {
        let field = Array(shape.dropFirst(2)).product
        return (
            Double(max(1, (shape.count > 1 ? shape[1] : shape.first ?? 1) * field)),
            Double(max(1, (shape.first ?? 1) * field))
        )
    }
}

/// What follows a weight, for the gain that keeps the spread of values from layer to layer (torch.nn.init.calculate_gain).
public enum Nonlinearity: Sendable, Hashable {
    case linear, sigmoid, tanh, relu, selu
    case leakyReLU(slope: Double = 0.01)

    public var gain: Double {
        switch self {
        case .linear, .sigmoid: 1
        case .tanh: 5.0 / 3
        case .relu: 2.0.squareRoot()
        case .selu: 0.75
        case .leakyReLU(let slope): (2 / (1 + slope * slope)).squareRoot()
        }
    }
}

/// The ways to fill a weight that are more than independent draws of one distribution.
private struct StructuredValues {
    let shape: [Int]

    func values(_ way: Initializer, using generator: inout Philox) -> [Double] {
        switch way {
        case .truncatedNormal(let mean, let deviation, let bounds):
            return truncated(mean, deviation, bounds, using: &generator)
        case .orthogonal(let gain): return orthogonal(gain, using: &generator)
        case .dirac(let groups): return dirac(groups)
        case .eye:
            precondition(shape.count == 2, "eye fills a matrix, not shape \(shape)")
            var values = [Double](repeating: 0, count: shape.product)
            for index in 0..<min(shape[0], shape[1]) { values[index * shape[1] + index] = 1 }
            return values
        case .sparse(let share, let deviation): return sparse(share, deviation, using: &generator)
        default: preconditionFailure("\(way) is made of independent draws")
        }
    }

    private func truncated(
        _ mean: Double, _ deviation: Double, _ bounds: ClosedRange<Double>, using generator: inout Philox
    ) -> [Double] {
        // The normal distribution's share below each bound; a draw between them is mapped back.
        let low = 0.5 * erfc((mean - bounds.lowerBound) / deviation / 2.0.squareRoot())
        let high = 0.5 * erfc((mean - bounds.upperBound) / deviation / 2.0.squareRoot())
        precondition(high > low, "a normal distribution around \(mean) has nothing within \(bounds)")
        return (0..<shape.product).map { _ in
            let share = low + (high - low) * generator.nextUniformDouble()
            let value = mean + deviation * StructuredValues.quantile(share)
            return min(max(value, bounds.lowerBound), bounds.upperBound)
        }
    }

    /// Where the standard normal distribution has `share` of itself below: bisection of erfc, exact to rounding.
    private static func quantile(_ share: Double) -> Double {
        var (low, high) = (-40.0, 40.0)
        for _ in 0..<64 {
            let middle = (low + high) / 2
            if 0.5 * erfc(-middle / 2.0.squareRoot()) < share { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// Gram and Schmidt's process, twice over for orthogonality to rounding, on normal draws.
    private func orthogonal(_ gain: Double, using generator: inout Philox) -> [Double] {
        precondition(shape.count >= 2, "orthogonal fills at least 2 axes, not shape \(shape)")
        let (rows, columns) = (shape[0], Array(shape.dropFirst()).product)
        let (count, length) = (min(rows, columns), max(rows, columns))
        let draws = Tensor.normal([count, length], dtype: .f64, using: &generator).doubles()
        var vectors = (0..<count).map { Array(draws[$0 * length..<($0 + 1) * length]) }
        for index in vectors.indices {
            for _ in 0..<2 {
                for before in 0..<index {
                    let dot = zip(vectors[index], vectors[before]).reduce(0) { $0 + $1.0 * $1.1 }
                    for place in 0..<length { vectors[index][place] -= dot * vectors[before][place] }
                }
            }
            let norm = vectors[index].reduce(0) { $0 + $1 * $1 }.squareRoot()
            for place in 0..<length { vectors[index][place] /= norm }
        }
        return (0..<rows * columns).map { position in
            let (row, column) = (position / columns, position % columns)
            return gain * (rows <= columns ? vectors[row][column] : vectors[column][row])
        }
    }

    private func dirac(_ groups: Int) -> [Double] {
        precondition(
            (3...5).contains(shape.count) && groups > 0 && shape[0] % groups == 0,
            "dirac with \(groups) groups does not fit shape \(shape)")
        let field = Array(shape.dropFirst(2))
        let centre = field.reduce(0) { $0 * $1 + $1 / 2 }
        var values = [Double](repeating: 0, count: shape.product)
        let outputs = shape[0] / groups
        for group in 0..<groups {
            for channel in 0..<min(outputs, shape[1]) {
                values[((group * outputs + channel) * shape[1] + channel) * field.product + centre] = 1
            }
        }
        return values
    }

    private func sparse(_ share: Double, _ deviation: Double, using generator: inout Philox) -> [Double] {
        precondition(
            shape.count == 2 && (0...1).contains(share), "sparse with a share of \(share) does not fit shape \(shape)")
        let (rows, columns) = (shape[0], shape[1])
        var values = Tensor.normal(shape, deviation: deviation, dtype: .f64, using: &generator).doubles()
        let zeros = Int((share * Double(rows)).rounded(.up))
        for column in 0..<columns {
            for row in generator.permutation(of: rows).prefix(zeros) { values[row * columns + column] = 0 }
        }
        return values
    }
}
