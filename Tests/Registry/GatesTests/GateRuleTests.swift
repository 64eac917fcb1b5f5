import Basics
import Gates
import Testing

/// A rule that is refused, with the start of the message and a part of the hint.
struct WrongRule: Sendable {
    var json: String
    var message: String
    var hint: String

    init(_ json: String, _ message: String, _ hint: String = "") {
        self.json = json
        self.message = message
        self.hint = hint
    }

    static let all: [WrongRule] = [
        WrongRule(#"{"metric":"a","mim":1}"#, "`rules[0]` has the unknown key `mim`", "did you mean `min`?"),
        WrongRule(#"{"metric":"a","colour":1}"#, "`rules[0]` has the unknown key `colour`", "the keys of a rule are"),
        WrongRule(#"{"min":1}"#, "`rules[0]` lacks the key `metric`", "metric: test.accuracy"),
        WrongRule(#"{"metric":"a","min":"0.9"}"#, "`rules[0].min` is `\"0.9\"`, expected a number"),
        WrongRule(#"{"metric":"a","min":null}"#, "`rules[0].min` is `null`, expected a number"),
        WrongRule(#"{"metric":"a","max":true}"#, "`rules[0].max` is `true`, expected a number"),
        WrongRule(#"{"metric":3,"max":1}"#, "`rules[0].metric` is `3`, expected text"),
        WrongRule(#"{"metric":"a"}"#, "`rules[0]` on `a`: there is no limit"),
        WrongRule(#"{"metric":"a","min":2,"max":1}"#, "`rules[0]` on `a`: `min` 2 is above `max` 1"),
        WrongRule(
            #"{"metric":"a","min_ratio":1,"baseline":"b","if_no_baseline":"maybe"}"#,
            "`rules[0].if_no_baseline` is `\"maybe\"`, expected `pass` or `fail`"),
        WrongRule(#""metric""#, "`rules[0]` is not a rule", "metric: test.accuracy"),
    ]
}

@Suite struct GateRuleTests {
    @Test func readsTheRulesOfAPipeline() throws {
        let rules = try GateRule.list(
            from: [
                ["metric": "test.accuracy", "min": 0.95, "confidence": 0.95],
                [
                    "metric": "benchmark.p95_ms", "max_ratio": 1.1, "baseline": "models/digits@production",
                    "if_no_baseline": "pass",
                ],
                ["metric": "n", "equals": 3],
            ], at: "rules")
        #expect(
            rules == [
                GateRule(metric: "test.accuracy", min: 0.95, confidence: 0.95),
                GateRule(
                    metric: "benchmark.p95_ms", maxRatio: 1.1, baseline: "models/digits@production", ifNoBaseline: .pass
                ),
                GateRule(metric: "n", equals: 3),
            ])
    }

    @Test(arguments: WrongRule.all)
    func namesTheKeyAtFault(_ wrong: WrongRule) throws {
        let rule = try JSONValue(parsing: Array(wrong.json.utf8), source: "test")
        let error = #expect(throws: MLOpsError.self) { try GateRule.list(from: [rule], at: "rules") }
        #expect(error?.kind == .usage)
        #expect(error?.message.hasPrefix(wrong.message) == true, "\(error?.message ?? "")")
        #expect(wrong.hint.isEmpty || error?.hint?.contains(wrong.hint) == true, "\(error?.hint ?? "")")
    }

    @Test func aListMustHaveRules() {
        #expect(throws: MLOpsError.self) { try GateRule.list(from: [], at: "rules") }
        #expect(throws: MLOpsError.self) { try GateRule.list(from: ["metric": "a"], at: "rules") }
    }

    @Test func codableUsesTheKeysOfTheSpec() throws {
        let rule = GateRule(metric: "a", maxRatio: 1.1, baseline: "b", ifNoBaseline: .fail)
        let json = try JSONValue(encoding: rule)
        #expect(json.canonicalText == #"{"baseline":"b","if_no_baseline":"fail","max_ratio":1.1,"metric":"a"}"#)
        #expect(try json.decode(as: GateRule.self) == rule)
    }
}
