import Basics
import Gates
import Testing

/// One thing that a gate cannot judge, and the words that must say so.
struct RefusedCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var rule: GateRule
    var metrics: JSONValue = ["test": ["accuracy": 0.9, "auc": 0.95]]
    var samples: [String: [Double]] = [:]
    var baselines: [String: JSONValue] = [:]
    var reason: String

    private static let accuracy = GateRule(metric: "test.accuracy", min: 0.1)
    private static let ratio = GateRule(metric: "test.accuracy", minRatio: 0.5, baseline: "b")
    private static let confident = GateRule(metric: "test.accuracy", min: 0.1, confidence: 0.95)
    private static let rightOrWrong = (0..<100).map { $0 < 90 ? 1.0 : 0.0 }

    private static func measured(_ description: String, _ value: JSONValue, _ reason: String) -> RefusedCase {
        RefusedCase(
            testDescription: description, rule: accuracy, metrics: ["test": ["accuracy": value]], reason: reason)
    }

    private static func rule(_ description: String, _ rule: GateRule, _ reason: String) -> RefusedCase {
        RefusedCase(testDescription: description, rule: rule, reason: reason)
    }

    private static func baseline(_ description: String, _ value: JSONValue, _ reason: String) -> RefusedCase {
        RefusedCase(testDescription: description, rule: ratio, baselines: ["b": value], reason: reason)
    }

    private static func samples(_ description: String, _ values: [Double], _ reason: String) -> RefusedCase {
        RefusedCase(testDescription: description, rule: confident, samples: ["test.accuracy": values], reason: reason)
    }

    static let all: [RefusedCase] = [
        measured("null", nil, "is null"),
        measured("NaN", .double(.nan), "is nan, not a finite number"),
        measured("infinity", .double(.infinity), "is inf, not a finite number"),
        measured("minus infinity", .double(-.infinity), "is -inf, not a finite number"),
        measured("text", "0.9", "is the text \"0.9\", not a number"),
        measured("text NaN", "NaN", "is the text \"NaN\", not a number"),
        measured("true", true, "is true, not a number"),
        measured("list", [0.9], "is a list, not a number"),
        measured("object", ["mean": 0.9], "did you mean `test.accuracy.mean`?"),
        measured("empty object", [:], "was not measured: there are no metrics"),
        RefusedCase(testDescription: "no metrics", rule: accuracy, metrics: [:], reason: "there are no metrics"),
        RefusedCase(testDescription: "metrics null", rule: accuracy, metrics: nil, reason: "there are no metrics"),
        RefusedCase(testDescription: "metrics a number", rule: accuracy, metrics: 0.9, reason: "there are no metrics"),
        RefusedCase(
            testDescription: "given twice", rule: accuracy,
            metrics: ["test": ["accuracy": 0.9], "test.accuracy": 0.99], reason: "is given more than once"),
        rule("misspelt", GateRule(metric: "test.acuracy", min: 0.1), "did you mean `test.accuracy`?"),
        rule("without its group", GateRule(metric: "accuracy", min: 0.1), "did you mean `test.accuracy`?"),
        rule("nothing like it", GateRule(metric: "energy.kwh", max: 1), "energy.kwh was not measured"),
        rule("no metric", GateRule(metric: "", min: 0.1), "`metric` is empty"),
        rule("no limit", GateRule(metric: "test.accuracy"), "there is no limit"),
        rule("NaN limit", GateRule(metric: "test.accuracy", min: .nan), "not a finite number"),
        rule("infinite limit", GateRule(metric: "test.accuracy", max: .infinity), "not a finite number"),
        rule("min above max", GateRule(metric: "test.accuracy", min: 0.9, max: 0.1), "is above `max`"),
        rule("equals and min", GateRule(metric: "test.accuracy", min: 0.1, equals: 0.9), "no other limit"),
        rule("ratio without baseline", GateRule(metric: "test.accuracy", minRatio: 0.5), "a ratio needs `baseline`"),
        rule("baseline without ratio", GateRule(metric: "test.accuracy", min: 0.1, baseline: "b"), "needs `min_ratio`"),
        rule("negative ratio", GateRule(metric: "test.accuracy", minRatio: -1, baseline: "b"), "above 0"),
        rule(
            "ratios crossed", GateRule(metric: "test.accuracy", minRatio: 2, maxRatio: 1, baseline: "b"),
            "is above `max_ratio`"),
        rule("confidence 0", GateRule(metric: "test.accuracy", min: 0.1, confidence: 0), "not between 0 and 1"),
        rule("confidence 1", GateRule(metric: "test.accuracy", min: 0.1, confidence: 1), "not between 0 and 1"),
        rule("confidence 95", GateRule(metric: "test.accuracy", min: 0.1, confidence: 95), "not between 0 and 1"),
        rule("confidence NaN", GateRule(metric: "test.accuracy", min: 0.1, confidence: .nan), "not between 0 and 1"),
        rule(
            "confidence of equals", GateRule(metric: "test.accuracy", equals: 0.9, confidence: 0.9), "does not go with"),
        rule("no baseline", ratio, "has no baseline: `b` does not exist"),
        baseline("metric not in the baseline", ["test": ["auc": 1]], "in `b` it was not measured"),
        baseline("baseline NaN", ["test": ["accuracy": .double(.nan)]], "in `b` it is nan"),
        baseline("baseline text", ["test": ["accuracy": "0.9"]], "in `b` it is the text"),
        baseline("baseline null", ["test": ["accuracy": nil]], "in `b` it is null"),
        baseline("baseline zero", ["test": ["accuracy": 0]], "a ratio to 0"),
        baseline("baseline negative", ["test": ["accuracy": -1]], "a ratio to -1"),
        baseline("baseline empty", [:], "in `b` it was not measured"),
        rule("no samples", confident, "has no per-example results"),
        samples("empty samples", [], "has 0 per-example results"),
        samples("few samples", [1, 1, 0.7], "has 3 per-example results"),
        samples("sample NaN", rightOrWrong.dropLast() + [.nan], "not finite numbers"),
        samples("samples of another run", rightOrWrong.map { 1 - $0 }, "belong to another measurement"),
    ]
}

@Suite struct FailingClosedTests {
    @Test(arguments: RefusedCase.all)
    func refusesWhatItCannotJudge(_ refused: RefusedCase) throws {
        let input = GateInput(metrics: refused.metrics, samples: refused.samples, baselines: refused.baselines)
        let report = evaluate(rules: [refused.rule], input: input, seed: 1)
        #expect(!report.passed)
        let failure = try #require(report.failures.first)
        #expect(failure.contains(refused.reason), "\(failure)")
        // What cannot be judged cannot be outvoted either.
        let outvoted = evaluate(
            rules: [GateRule(metric: "test.auc", min: 0)] + [refused.rule, GateRule(metric: "test.auc", min: 0)],
            input: input, seed: 1)
        #expect(!outvoted.passed)
    }

    @Test func noRulesRefuse() {
        let report = evaluate(rules: [], input: GateInput(metrics: ["a": 1]), seed: 1)
        #expect(!report.passed)
        #expect(report.failures == ["the gate has no rules"])
    }
}
