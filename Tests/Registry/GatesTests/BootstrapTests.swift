import Basics
import Foundation
import Gates
import Testing

@Suite struct BootstrapTests {
    @Test func matchesTheNormalApproximationOfALargeSample() {
        var random = Philox(seed: 3)
        let samples = (0..<5000).map { _ in (0..<12).reduce(-6.0) { sum, _ in sum + random.nextUniformDouble() } }
        let mean = samples.reduce(0, +) / 5000
        let deviation = sqrt(samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 5000)
        let interval = BootstrapInterval(ofMeanOf: samples, confidence: 0.95, seed: 7)
        let reach = 1.959964 * deviation / sqrt(5000)
        #expect(abs(interval.lower - (mean - reach)) < 0.06 * reach)
        #expect(abs(interval.upper - (mean + reach)) < 0.06 * reach)
    }

    @Test func coversTheTruthAsOftenAsItSays() {
        var random = Philox(seed: 11)
        let trials = 400
        let covered = (0..<trials).count { trial in
            let samples = (0..<200).map { _ in random.nextUniformDouble() < 0.8 ? 1.0 : 0.0 }
            let interval = BootstrapInterval(ofMeanOf: samples, confidence: 0.9, seed: UInt64(trial), resamples: 500)
            return interval.lower <= 0.8 && 0.8 <= interval.upper
        }
        #expect((0.85...0.95).contains(Double(covered) / Double(trials)), "\(covered) of \(trials)")
    }

    @Test func equalValuesGiveAnIntervalOfNoWidth() {
        let interval = BootstrapInterval(ofMeanOf: [Double](repeating: 0.25, count: 50), confidence: 0.99, seed: 1)
        #expect(interval.lower == 0.25 && interval.upper == 0.25)
    }

    @Test func judgesTheTestSetOfCensusInAMoment() {
        let samples = (0..<16281).map { $0 % 7 == 0 ? 0.0 : 1.0 }
        let clock = ContinuousClock()
        let time = clock.measure { _ = BootstrapInterval(ofMeanOf: samples, confidence: 0.95, seed: 1) }
        print("bootstrap of 16281 values, 2000 resamples: \(time)")
        #expect(time < .seconds(3))
    }
}
