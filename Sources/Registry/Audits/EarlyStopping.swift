internal import Glibc

/// How many queries make a percentile trustworthy: the early stopping of MLPerf inference, a test of a binomial tail.
package enum EarlyStopping {
    /// The fewest queries with which, if at most `slowCount` of them exceed a bound, the true share below the bound is at least
    /// `percentile` with `confidence`: h + t, with the smallest h for which I_p(h, t + 1) ≤ 1 − c.
    ///
    /// - Parameters:
    ///   - percentile: in 0 ..< 1, such as 0.9.
    ///   - slowCount: t, at least 0.
    package static func minimumQueryCount(percentile: Double, slowCount: Int, confidence: Double = 0.99) -> Int {
        precondition(percentile > 0 && percentile < 1 && slowCount >= 0 && confidence > 0 && confidence < 1)
        // The tail falls with h: double until it is small enough, then halve the interval.
        var high = 1
        while tail(percentile, fast: high, slow: slowCount) > 1 - confidence { high *= 2 }
        var low = high / 2
        while high - low > 1 {
            let middle = (low + high) / 2
            if tail(percentile, fast: middle, slow: slowCount) > 1 - confidence { low = middle } else { high = middle }
        }
        return high + slowCount
    }

    /// An upper bound of the latency at `percentile` that holds with `confidence`: of n queries the t − 1 slowest are left out,
    /// with the greatest t that n allows, and the slowest of the rest counts.
    ///
    /// - Returns: nil if there are too few queries to say.
    package static func latencyBound(_ latencies: [Double], percentile: Double, confidence: Double = 0.99) -> Double? {
        func fits(_ slowCount: Int) -> Bool {
            minimumQueryCount(percentile: percentile, slowCount: slowCount, confidence: confidence) <= latencies.count
        }
        guard fits(1) else { return nil }
        var low = 1
        var high = latencies.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if fits(middle) { low = middle } else { high = middle }
        }
        return latencies.sorted(by: >)[low - 1]
    }

    /// The chance of at most `slow` slow ones among `fast + slow` queries that are fast with probability `p`, which is the
    /// regularised incomplete beta function I_p(fast, slow + 1).
    static func tail(_ p: Double, fast: Int, slow: Int) -> Double {
        let n = Double(fast + slow)
        return (0...slow).reduce(0.0) { sum, j in
            let j = Double(j)
            let choices = lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1)
            return sum + exp(choices + j * log(1 - p) + (n - j) * log(p))
        }
    }
}
