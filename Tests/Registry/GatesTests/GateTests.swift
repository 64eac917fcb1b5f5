import Basics
import Gates
import Testing

@Suite struct GateTests {
    private let metrics: JSONValue = [
        "test": ["accuracy": 0.8532, "auc": 0.91, "count": 6513], "benchmark": ["p95_ms": 2.5], "fairness.dp": 0.08,
    ]

    private func judge(
        _ rule: GateRule, samples: [String: [Double]] = [:], baselines: [String: JSONValue] = [:]
    )
        -> GateReport
    {
        evaluate(
            rules: [rule], input: GateInput(metrics: metrics, samples: samples, baselines: baselines), seed: 1)
    }

    @Test func passesWhatKeepsEveryLimit() {
        let rules = [
            GateRule(metric: "test.accuracy", min: 0.85), GateRule(metric: "benchmark.p95_ms", max: 2.5),
            GateRule(metric: "test.count", equals: 6513), GateRule(metric: "test.auc", min: 0.5, max: 0.95),
            GateRule(metric: "fairness.dp", max: 0.1),
        ]
        let report = evaluate(rules: rules, input: GateInput(metrics: metrics), seed: 1)
        #expect(report.passed)
        #expect(report.verdicts.count == 6)
        #expect(report.failures.isEmpty)
        #expect(report.verdicts[0].reason == "test.accuracy is 0.8532, at least 0.85")
        #expect(report.verdicts[0].rule == "test.accuracy >= 0.85")
    }

    @Test func saysWhatIsBelowTheFloorOrAboveTheCeiling() {
        let floor = judge(GateRule(metric: "test.accuracy", min: 0.99))
        #expect(!floor.passed)
        #expect(floor.failures == ["test.accuracy is 0.8532, below the floor 0.99"])
        #expect(floor.verdicts[0].value == 0.8532)
        #expect(floor.verdicts[0].limit == 0.99)
        let ceiling = judge(GateRule(metric: "benchmark.p95_ms", max: 2))
        #expect(ceiling.failures == ["benchmark.p95_ms is 2.5, above the ceiling 2"])
    }

    @Test func oneFailureRefusesTheWhole() {
        let rules = [GateRule(metric: "test.accuracy", min: 0.1), GateRule(metric: "test.auc", min: 0.99)]
        let report = evaluate(rules: rules, input: GateInput(metrics: metrics), seed: 1)
        #expect(!report.passed)
        #expect(report.verdicts.map(\.passed) == [true, false])
    }

    @Test func numbersThatDifferAreShownToDiffer() {
        let report = evaluate(
            rules: [GateRule(metric: "a", min: 0.85)], input: GateInput(metrics: ["a": 0.849999999]), seed: 1)
        #expect(report.failures == ["a is 0.849999999, below the floor 0.850000000"])
    }

    @Test func comparesWithABaseline() {
        let baselines: [String: JSONValue] = ["models/x@production": ["benchmark": ["p95_ms": 2.0]]]
        let rule = GateRule(metric: "benchmark.p95_ms", maxRatio: 1.1, baseline: "models/x@production")
        let report = judge(rule, baselines: baselines)
        #expect(
            report.failures == ["benchmark.p95_ms is 2.5, above the ceiling 2.2 (1.1 x 2 of models/x@production)"])
        #expect(report.verdicts[0].baselineValue == 2)
        #expect(
            judge(
                GateRule(metric: "benchmark.p95_ms", maxRatio: 1.25, baseline: "models/x@production"),
                baselines: baselines
            ).passed)
    }

    @Test func aMissingBaselinePassesOnlyIfTheRuleSaysSo() {
        var rule = GateRule(metric: "benchmark.p95_ms", maxRatio: 1.1, baseline: "models/x@production")
        #expect(judge(rule).failures == ["benchmark.p95_ms has no baseline: `models/x@production` does not exist"])
        rule.ifNoBaseline = .fail
        #expect(!judge(rule).passed)
        rule.ifNoBaseline = .pass
        #expect(judge(rule).passed)
        rule.metric = "benchmark.p99_ms"
        #expect(!judge(rule).passed)
    }

    @Test func judgesTheBoundAndNotTheValue() {
        // 8532 of 10000 right: the 95 % interval reaches about 0.0069 to each side.
        let samples = ["test.accuracy": (0..<10000).map { $0 < 8532 ? 1.0 : 0.0 }]
        let near = judge(GateRule(metric: "test.accuracy", min: 0.85, confidence: 0.95), samples: samples)
        #expect(!near.passed)
        #expect(
            near.failures.first?.hasPrefix("test.accuracy is 0.8532, the lower bound of its 95 % interval is 0.84")
                == true)
        let far = judge(GateRule(metric: "test.accuracy", min: 0.84, confidence: 0.95), samples: samples)
        #expect(far.passed)
        let ceiling = judge(GateRule(metric: "test.accuracy", max: 0.855, confidence: 0.95), samples: samples)
        #expect(!ceiling.passed)
        #expect(judge(GateRule(metric: "test.accuracy", max: 0.87, confidence: 0.95), samples: samples).passed)
        let verdict = near.verdicts[0]
        #expect(abs((verdict.lowerBound ?? 0) - 0.84626) < 0.001)
        #expect(abs((verdict.upperBound ?? 0) - 0.86014) < 0.001)
    }

    @Test func equalInputGivesEqualReports() {
        let samples = ["test.accuracy": (0..<2500).map { $0 < 2133 ? 1.0 : 0.0 }]
        let rule = GateRule(metric: "test.accuracy", min: 0.84, confidence: 0.9)
        #expect(judge(rule, samples: samples) == judge(rule, samples: samples))
    }

    @Test func measurementsOfAnotherModelAreStale() {
        var input = GateInput(metrics: metrics, measuredDigest: .of("old"), subjectDigest: .of("new"))
        let rules = [GateRule(metric: "test.accuracy", min: 0.1)]
        let report = evaluate(rules: rules, input: input, seed: 1)
        #expect(!report.passed)
        #expect(report.failures.first?.contains("stale") == true)
        input.measuredDigest = .of("new")
        #expect(evaluate(rules: rules, input: input, seed: 1).passed)
        input.measuredDigest = nil
        #expect(evaluate(rules: rules, input: input, seed: 1).passed)
    }

    @Test func aReportSurvivesJSON() throws {
        let samples = ["test.accuracy": (0..<10000).map { $0 < 8532 ? 1.0 : 0.0 }]
        let report = judge(GateRule(metric: "test.accuracy", min: 0.85, confidence: 0.95), samples: samples)
        #expect(try JSONValue(encoding: report).decode(as: GateReport.self) == report)
        let refused = judge(GateRule(metric: "nothing", min: 1))
        #expect(try JSONValue(encoding: refused).decode(as: GateReport.self) == refused)
    }
}
