internal import Basics

/// What a gate decided, and why.
package struct GateReport: Hashable, Sendable, Codable {
    /// Whether every verdict passed, there is at least one, and nothing else is wrong.
    package var passed: Bool
    /// One for each limit of each rule, in their order.
    package var verdicts: [GateVerdict]
    /// What is wrong with the gate as a whole: no rules, stale measurements.
    package var problems: [String]

    init(verdicts: [GateVerdict], problems: [String] = []) {
        passed = problems.isEmpty && !verdicts.isEmpty && verdicts.allSatisfy(\.passed)
        self.verdicts = verdicts
        self.problems = problems
    }

    /// A sentence for each thing that refuses: `test.accuracy is 0.8532, below the floor 0.99`.
    package var failures: [String] { problems + verdicts.filter { !$0.passed }.map(\.reason) }
}

/// What one limit of one rule says about its metric.
package struct GateVerdict: Hashable, Sendable, Codable {
    package var metric: String
    /// The demand: `test.accuracy >= 0.85 with 95 % confidence`.
    package var rule: String
    /// The measured value; nil if there is no usable one.
    package var value: Double?
    /// The number that the value, or its bound, must keep; nil if it could not be found.
    package var limit: Double?
    /// The value of the metric in the rule's baseline.
    package var baselineValue: Double?
    /// The bootstrap interval of the value, for a rule with `confidence`.
    package var lowerBound: Double?
    package var upperBound: Double?
    package var passed: Bool
    /// A sentence: what was measured, and how it stands to the limit; or what is missing.
    package var reason: String
}
