internal import Basics
internal import Glibc

extension Philox {
    /// A draw of Beta(`alpha`, `alpha`), in 0...1; also for an alpha so small that both gamma draws would underflow.
    mutating func nextBeta(_ alpha: Double) -> Double {
        let (first, second) = (nextLogGamma(alpha), nextLogGamma(alpha))
        return 1 / (1 + exp(second - first))
    }

    /// The logarithm of a draw of Gamma(`shape`, 1) (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000).
    private mutating func nextLogGamma(_ shape: Double) -> Double {
        // Gamma(a) = Gamma(a + 1) · U^(1/a).
        if shape < 1 { return nextLogGamma(shape + 1) + log(1 - nextUniformDouble()) / shape }
        let d = shape - 1 / 3.0
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = nextNormal()
            let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            guard v > 0 else { continue }
            let u = 1 - nextUniformDouble()
            if log(u) < 0.5 * x * x + d - d * v + d * log(v) { return log(d) + log(v) }
        }
    }

    /// A draw of the standard normal distribution (Box and Muller).
    private mutating func nextNormal() -> Double {
        let radius = (-2 * log(1 - nextUniformDouble())).squareRoot()
        return radius * cos(2 * Double.pi * nextUniformDouble())
    }
}
