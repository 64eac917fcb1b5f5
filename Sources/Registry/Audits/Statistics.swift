internal import Glibc

/// The value that `share` of the sorted `values` lie at or below, interpolated linearly (NumPy's default).
///
/// - Precondition: `values` is sorted and not empty; `share` is in 0...1.
func quantile(ofSorted values: [Double], _ share: Double) -> Double {
    precondition(!values.isEmpty && (0...1).contains(share), "share \(share) of \(values.count) values")
    let position = share * Double(values.count - 1)
    let below = Int(position)
    guard below + 1 < values.count else { return values[below] }
    return values[below] + (position - Double(below)) * (values[below + 1] - values[below])
}

/// The value below which a standard normal variable falls with `probability`, exact to about 1e-15 (Newton steps on erfc).
func normalQuantile(_ probability: Double) -> Double {
    precondition(probability > 0 && probability < 1, "probability \(probability) is not between 0 and 1")
    if probability > 0.5 { return -normalQuantile(1 - probability) }
    // Abramowitz and Stegun 26.2.23 starts within 4.5e-4.
    let t = (-2 * log(probability)).squareRoot()
    let above = 2.515517 + t * (0.802853 + t * 0.010328)
    let below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    var x = -(t - above / below)
    for _ in 0..<4 {
        let error = 0.5 * erfc(-x / 2.0.squareRoot()) - probability
        let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
        let step = error / density
        // Halley's correction: the second derivative of the normal distribution is -x times its density.
        x -= step / (1 + x * step / 2)
    }
    return x
}

/// Wilson's score interval of the rate `successes / count` (Wilson, 1927): sound for few examples and for rates of 0 and 1.
func wilsonInterval(_ successes: Int, of count: Int, confidence: Double) -> Interval? {
    guard count > 0 else { return nil }
    let z = normalQuantile(0.5 + confidence / 2)
    let n = Double(count)
    let rate = Double(successes) / n
    let center = (rate + z * z / (2 * n)) / (1 + z * z / n)
    let half = z / (1 + z * z / n) * (rate * (1 - rate) / n + z * z / (4 * n * n)).squareRoot()
    return Interval(
        successes == 0 ? 0 : max(0, center - half), successes == count ? 1 : min(1, center + half))
}

/// Arithmetic mean; nil for no values.
func mean(_ values: some Collection<Double>) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}

/// Standard deviation of a sample (divided by n - 1); nil for fewer than two values.
func standardDeviation(_ values: some Collection<Double>) -> Double? {
    guard values.count > 1, let center = mean(values) else { return nil }
    return (values.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(values.count - 1)).squareRoot()
}
