internal import Basics

/// Latencies of one query at a time. Percentiles are order statistics by nearest rank, so each was really measured.
package struct LatencySummary: Codable, Hashable, Sendable {
    /// Queries that count.
    package var count: Int
    /// Queries before them that do not: caches and clocks were still warming up.
    package var warmUpCount: Int
    package var meanMilliseconds: Double
    /// Of the sample (n − 1); 0 for a single query.
    package var standardDeviationMilliseconds: Double
    package var minimumMilliseconds: Double
    package var p50Milliseconds: Double
    package var p90Milliseconds: Double
    package var p95Milliseconds: Double
    package var p99Milliseconds: Double
    package var maximumMilliseconds: Double
    /// Examples per second.
    package var throughputPerSecond: Double
    /// Standard deviation over mean of all queries.
    package var coefficientOfVariation: Double
    /// The same of the medians of five parts of the run, one after the other: how much the machine wavered meanwhile. Null
    /// with fewer than 50 queries.
    @OrNull package var driftOfMedian: Double?
    /// Whether the run is too unsteady to compare: `driftOfMedian` (with fewer than 50 queries `coefficientOfVariation`) is
    /// above 5 %.
    package var isNoisy: Bool

    enum CodingKeys: String, CodingKey {
        case count = "n"
        case warmUpCount = "warm_up"
        case meanMilliseconds = "mean_ms"
        case standardDeviationMilliseconds = "sd_ms"
        case minimumMilliseconds = "min_ms"
        case p50Milliseconds = "p50_ms"
        case p90Milliseconds = "p90_ms"
        case p95Milliseconds = "p95_ms"
        case p99Milliseconds = "p99_ms"
        case maximumMilliseconds = "max_ms"
        case throughputPerSecond = "throughput_per_second"
        case coefficientOfVariation = "cv"
        case driftOfMedian = "median_drift"
        case isNoisy = "is_noisy"
    }

    /// Variation above which two runs cannot be told apart.
    package static let noiseLimit = 0.05

    /// Sums up latencies in the order in which they were measured.
    ///
    /// - Parameters:
    ///   - milliseconds: of each query, warm-up included, positive.
    ///   - warmUpCount: how many at the start do not count.
    ///   - examplesPerQuery: the batch size.
    ///   - elapsedSeconds: the time of the counted queries together; their sum if nil (one query at a time, nothing between).
    /// - Throws: `MLOpsError` of kind `.failed` if no query is left or a latency is not a positive number.
    package init(
        milliseconds: [Double], warmUpCount: Int = 0, examplesPerQuery: Int = 1, elapsedSeconds: Double? = nil
    ) throws {
        let counted = Array(milliseconds.dropFirst(warmUpCount))
        if let fault = milliseconds.first(where: { !($0 > 0 && $0.isFinite) }) {
            throw MLOpsError(.failed, "a latency of \(fault) ms was measured, expected a positive number")
        }
        guard let mean = mean(counted), let deviation = Optional(standardDeviation(counted) ?? 0) else {
            throw MLOpsError(
                .failed, "no query is left after \(Format.count(warmUpCount, "query", plural: "queries")) of warm-up",
                hint: "measure more queries than the warm-up takes")
        }
        let sorted = counted.sorted()
        count = counted.count
        self.warmUpCount = min(warmUpCount, milliseconds.count)
        meanMilliseconds = mean
        standardDeviationMilliseconds = deviation
        minimumMilliseconds = sorted[0]
        p50Milliseconds = LatencySummary.percentile(50, ofSorted: sorted)
        p90Milliseconds = LatencySummary.percentile(90, ofSorted: sorted)
        p95Milliseconds = LatencySummary.percentile(95, ofSorted: sorted)
        p99Milliseconds = LatencySummary.percentile(99, ofSorted: sorted)
        maximumMilliseconds = sorted[sorted.count - 1]
        let seconds = elapsedSeconds ?? counted.reduce(0, +) / 1000
        throughputPerSecond = Double(counted.count * examplesPerQuery) / seconds
        coefficientOfVariation = deviation / mean
        let drift = LatencySummary.drift(of: counted)
        driftOfMedian = drift
        isNoisy = (drift ?? deviation / mean) > LatencySummary.noiseLimit
    }

    /// The smallest value that at least `percent` per cent of the sorted values do not exceed.
    package static func percentile(_ percent: Int, ofSorted values: [Double]) -> Double {
        precondition(!values.isEmpty && (1...100).contains(percent), "percentile \(percent) of \(values.count) values")
        return values[(values.count * percent + 99) / 100 - 1]
    }

    private static func drift(of values: [Double]) -> Double? {
        guard values.count >= 50 else { return nil }
        let medians = (0..<5).map { part in
            let slice = values[values.count * part / 5..<values.count * (part + 1) / 5]
            return percentile(50, ofSorted: slice.sorted())
        }
        guard let mean = mean(medians), let deviation = standardDeviation(medians) else { return nil }
        return deviation / mean
    }
}
