internal import Basics
internal import Glibc

/// How the range of an activation is found from a sample.
package enum CalibrationMethod: String, CaseIterable, Codable, Sendable {
    /// The least and the largest value seen.
    case minmax
    /// Cuts the rarest 0.001 % of the values, half on each side.
    case percentile
    /// The symmetric cut that loses the least information (Kullback–Leibler), as TensorRT does.
    case entropy

    /// Reads a method's name.
    ///
    /// - Throws: kind `.usage` with the known names.
    package init(named name: String) throws {
        guard let method = CalibrationMethod(rawValue: name) else {
            let known = CalibrationMethod.allCases.map(\.rawValue)
            throw MLOpsError(
                .usage, "calibration `\(name)` is not known",
                hint: nearestName(to: name, among: known).map { "did you mean `\($0)`?" }
                    ?? "use \(known.joined(separator: ", "))")
        }
        self = method
    }
}

/// The range of one activation, gathered in one pass (`widen`) and, for the methods with a histogram, a second (`count`).
struct RangeObserver: Sendable {
    private(set) var low = Float.infinity
    private(set) var high = -Float.infinity
    /// Equal bins over `-limit...limit`.
    private var bins: [Int] = []
    private var limit = 0.0

    static let binCount = 2048
    /// Percent of the values that stay inside the cut.
    static let percentile = 99.999

    mutating func widen(_ values: [Float]) {
        for value in values {
            low = min(low, value)
            high = max(high, value)
        }
    }

    mutating func count(_ values: [Float]) {
        if bins.isEmpty {
            bins = [Int](repeating: 0, count: RangeObserver.binCount)
            limit = max(Double(abs(low)), Double(abs(high)))
        }
        guard limit > 0, limit.isFinite else { return }
        let factor = Double(RangeObserver.binCount) / (2 * limit)
        for value in values {
            let bin = Int((Double(value) + limit) * factor)
            bins[min(max(bin, 0), RangeObserver.binCount - 1)] += 1
        }
    }

    func range(_ method: CalibrationMethod) -> ClosedRange<Double> {
        guard low <= high, low.isFinite, high.isFinite else { return 0...0 }
        let whole = Double(low)...Double(high)
        guard limit > 0 else { return whole }
        switch method {
        case .minmax: return whole
        case .percentile: return percentileRange().clamped(to: whole)
        case .entropy:
            let most = RangeObserver.entropyThreshold(bins: bins, levels: 128) * limit
            return (-most...most).clamped(to: whole)
        }
    }

    private func edge(_ index: Int) -> Double { -limit + 2 * limit * Double(index) / Double(RangeObserver.binCount) }

    private func percentileRange() -> ClosedRange<Double> {
        let total = Double(bins.reduce(0, +))
        let tail = (100 - RangeObserver.percentile) / 200
        var sum = 0.0
        var first = 0
        var last = RangeObserver.binCount
        for (index, count) in bins.enumerated() {
            if sum / total <= tail { first = index }
            sum += Double(count)
            if sum / total >= 1 - tail {
                last = index + 1
                break
            }
        }
        return edge(first)...max(edge(last), edge(first))
    }

    /// The cut, as a share of the outermost edge, whose distribution is closest to the one its `levels` quantized bins give.
    static func entropyThreshold(bins: [Int], levels: Int) -> Double {
        let middle = bins.count / 2
        var best = (divergence: Double.infinity, half: middle)
        for half in stride(from: levels / 2, through: middle, by: 1) {
            let start = middle - half
            let end = min(middle + half + 1, bins.count)
            let divergence = self.divergence(bins: bins, range: start..<end, levels: levels)
            if divergence < best.divergence { best = (divergence, half) }
        }
        return Double(best.half) / Double(middle)
    }

    /// KL(p‖q): p the bins of `range` with the outliers added at its ends, q the same after merging into `levels`.
    private static func divergence(bins: [Int], range: Range<Int>, levels: Int) -> Double {
        let slice = bins[range].map(Double.init)
        var p = slice
        p[0] += Double(bins[..<range.lowerBound].reduce(0, +))
        p[p.count - 1] += Double(bins[range.upperBound...].reduce(0, +))
        var q = [Double](repeating: 0, count: p.count)
        let width = p.count / levels
        for level in 0..<levels {
            let start = level * width
            let end = level == levels - 1 ? p.count : start + width
            let occupied = p[start..<end].count { $0 != 0 }
            guard occupied > 0 else { continue }
            let share = slice[start..<end].reduce(0, +) / Double(occupied)
            for index in start..<end where p[index] != 0 { q[index] = share }
        }
        guard let p = smoothed(p), let q = smoothed(q) else { return .infinity }
        let (sumP, sumQ) = (p.reduce(0, +), q.reduce(0, +))
        return zip(p, q).reduce(0) { $0 + $1.0 / sumP * log(($1.0 / sumP) / ($1.1 / sumQ)) }
    }

    /// Takes a little from the occupied bins and gives it to the empty ones; nil if that would make one negative.
    private static func smoothed(_ values: [Double]) -> [Double]? {
        let epsilon = 0.0001
        let zeros = values.count { $0 == 0 }
        guard zeros < values.count else { return nil }
        let taken = epsilon * Double(zeros) / Double(values.count - zeros)
        guard taken < 1 else { return nil }
        let result = values.map { $0 == 0 ? epsilon : $0 - taken }
        return result.contains { $0 <= 0 } ? nil : result
    }
}
