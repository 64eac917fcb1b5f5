import Basics
import Testing

@testable import Audits

@Suite struct LatencyTests {
    @Test func percentilesAreMeasuredValues() throws {
        let summary = try LatencySummary(
            milliseconds: [900, 800] + (1...200).reversed().map { Double($0) }, warmUpCount: 2, examplesPerQuery: 4)
        #expect(summary.count == 200 && summary.warmUpCount == 2)
        #expect(summary.p50Milliseconds == 100)
        #expect(summary.p90Milliseconds == 180)
        #expect(summary.p95Milliseconds == 190)
        #expect(summary.p99Milliseconds == 198)
        #expect(summary.maximumMilliseconds == 200 && summary.minimumMilliseconds == 1)
        #expect(summary.meanMilliseconds == 100.5)
        #expect(abs(summary.standardDeviationMilliseconds - 57.87918451395113) < 1e-12)
        #expect(abs(summary.throughputPerSecond - 800 / 20.1) < 1e-9)
        #expect(try JSONValue(encoding: summary)["p95_ms"] == 190)
    }

    @Test func oneQueryIsEveryPercentile() throws {
        let summary = try LatencySummary(milliseconds: [3])
        #expect(summary.p50Milliseconds == 3 && summary.p99Milliseconds == 3)
        #expect(summary.standardDeviationMilliseconds == 0 && !summary.isNoisy && summary.driftOfMedian == nil)
    }

    @Test func aMachineThatSlowsDownIsNoisyAndSingleOutliersAreNot() throws {
        let steady = (0..<100).map { $0 % 10 == 9 ? 5.0 : 1.0 }
        #expect(try !LatencySummary(milliseconds: steady).isNoisy)
        let slowing = (0..<100).map { 1 + Double($0) / 100 }
        #expect(try LatencySummary(milliseconds: slowing).isNoisy)
    }

    @Test func nothingToSumUpIsRefused() {
        #expect(throws: MLOpsError.self) { try LatencySummary(milliseconds: []) }
        #expect(throws: MLOpsError.self) { try LatencySummary(milliseconds: [1, 2], warmUpCount: 2) }
        #expect(throws: MLOpsError.self) { try LatencySummary(milliseconds: [1, .nan]) }
    }

    @Test(arguments: [
        (0.9, 0, 44), (0.9, 1, 64), (0.9, 10, 197), (0.9, 100, 1246), (0.99, 0, 459), (0.99, 1, 662), (0.99, 10, 2010),
        (0.99, 100, 12571),
    ])
    func earlyStoppingCountsAreThoseOfMLPerf(_ percentile: Double, _ slow: Int, _ queries: Int) {
        #expect(EarlyStopping.minimumQueryCount(percentile: percentile, slowCount: slow) == queries)
    }

    @Test func aBoundNeedsEnoughQueriesAndLeavesOutTheSlowest() {
        let latencies = (1...197).map { Double($0) }
        #expect(EarlyStopping.latencyBound(Array(latencies.prefix(63)), percentile: 0.9) == nil)
        #expect(EarlyStopping.latencyBound(Array(latencies.prefix(64)), percentile: 0.9) == 64)
        // 197 queries allow t = 10, so nine are left out.
        #expect(EarlyStopping.latencyBound(latencies, percentile: 0.9) == 188)
    }

    @Test func statisticsAreExact() throws {
        #expect(abs(normalQuantile(0.975) - 1.959963984540054) < 1e-14)
        #expect(abs(normalQuantile(0.0005) + 3.2905267314919255) < 1e-13)
        #expect(abs(normalQuantile(0.5)) < 1e-15)
        #expect(wilsonInterval(0, of: 0, confidence: 0.95) == nil)
        #expect(wilsonInterval(0, of: 10, confidence: 0.95)?.lower == 0)
        #expect(quantile(ofSorted: [1, 2, 4], 0.75) == 3)
    }
}
