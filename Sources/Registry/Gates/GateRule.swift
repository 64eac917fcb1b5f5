package import Basics

/// One demand on one metric: limits that its value must keep.
///
/// `min` and `max` are limits by themselves, `min_ratio` and `max_ratio` times the value of the same metric in
/// `baseline`; limits count as kept when the value equals them. With `confidence` not the value but the bound of its
/// bootstrap interval must keep the limit.
package struct GateRule: Hashable, Sendable, Codable {
    /// What a rule with a ratio says where the baseline does not exist yet.
    package enum MissingBaseline: String, Sendable, Codable, CaseIterable { case pass, fail }

    /// The path of the metric: `test.accuracy` is `accuracy` in the object `test`.
    package var metric: String
    package var min: Double?
    package var max: Double?
    package var equals: Double?
    package var minRatio: Double?
    package var maxRatio: Double?
    /// The name of what ratios refer to, such as `models/census@production`.
    package var baseline: String?
    /// What to say where `baseline` does not exist; nil is `fail`.
    package var ifNoBaseline: MissingBaseline?
    /// The two-sided level of the interval, between 0 and 1 exclusive, such as 0.95.
    package var confidence: Double?

    package init(
        metric: String, min: Double? = nil, max: Double? = nil, equals: Double? = nil, minRatio: Double? = nil,
        maxRatio: Double? = nil, baseline: String? = nil, ifNoBaseline: MissingBaseline? = nil,
        confidence: Double? = nil
    ) {
        self.metric = metric
        self.min = min
        self.max = max
        self.equals = equals
        self.minRatio = minRatio
        self.maxRatio = maxRatio
        self.baseline = baseline
        self.ifNoBaseline = ifNoBaseline
        self.confidence = confidence
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case metric, min, max, equals
        case minRatio = "min_ratio"
        case maxRatio = "max_ratio"
        case baseline
        case ifNoBaseline = "if_no_baseline"
        case confidence
    }

    /// What makes the rule meaningless, or nil.
    package var fault: String? {
        if metric.isEmpty { return "`metric` is empty" }
        let limits: [(CodingKeys, Double?)] = [
            (.min, min), (.max, max), (.equals, equals), (.minRatio, minRatio), (.maxRatio, maxRatio),
        ]
        if limits.allSatisfy({ $0.1 == nil }) {
            return "there is no limit: give `min`, `max`, `equals`, `min_ratio` or `max_ratio`"
        }
        for (key, limit) in limits {
            if let limit, !limit.isFinite { return "`\(key.rawValue)` is \(limit), not a finite number" }
        }
        if let min, let max, min > max { return "`min` \(text(min)) is above `max` \(text(max))" }
        if equals != nil, limits.filter({ $0.1 != nil }).count > 1 { return "`equals` allows no other limit beside it" }
        let ratios = [minRatio, maxRatio].compactMap(\.self)
        if ratios.contains(where: { $0 <= 0 }) { return "a ratio must be above 0" }
        if let minRatio, let maxRatio, minRatio > maxRatio {
            return "`min_ratio` \(text(minRatio)) is above `max_ratio` \(text(maxRatio))"
        }
        if ratios.isEmpty {
            if baseline != nil { return "`baseline` needs `min_ratio` or `max_ratio`" }
            if ifNoBaseline != nil { return "`if_no_baseline` needs `min_ratio` or `max_ratio`" }
        } else if baseline?.isEmpty ?? true {
            return "a ratio needs `baseline`"
        }
        if let confidence {
            if !(confidence > 0 && confidence < 1) { return "`confidence` \(text(confidence)) is not between 0 and 1" }
            if equals != nil { return "`confidence` does not go with `equals`" }
        }
        return nil
    }
}

extension GateRule {
    /// The rules in a list, as a pipeline's `rules:` holds them.
    ///
    /// - Parameter place: where the list stands, for messages: `stages.gate.with.rules`.
    /// - Throws: kind `.usage` naming rule and key.
    package static func list(from json: JSONValue, at place: String) throws -> [GateRule] {
        guard let items = json.array else { throw MLOpsError(.usage, "`\(place)` is not a list of rules") }
        guard !items.isEmpty else {
            throw MLOpsError(
                .usage, "`\(place)` has no rules, and a gate without rules refuses everything",
                hint: "add a rule such as `{ metric: test.accuracy, min: 0.9 }`")
        }
        return try items.enumerated().map { try GateRule(from: $1, at: "\(place)[\($0)]") }
    }

    /// The rule that an object describes.
    ///
    /// - Throws: kind `.usage` naming the key at fault.
    package init(from json: JSONValue, at place: String) throws {
        guard let members = json.object else {
            throw MLOpsError(
                .usage, "`\(place)` is not a rule", hint: "write it as `{ metric: test.accuracy, min: 0.9 }`")
        }
        let known = CodingKeys.allCases.map(\.rawValue)
        if let unknown = members.keys.sorted().first(where: { !known.contains($0) }) {
            throw MLOpsError(
                .usage, "`\(place)` has the unknown key `\(printable(unknown))`",
                hint: nearestName(to: unknown, among: known).map { "did you mean `\($0)`?" }
                    ?? "the keys of a rule are " + known.map { "`\($0)`" }.joined(separator: ", "))
        }
        let reader = RuleReader(members: members, place: place)
        guard let metric = try reader.text(.metric) else {
            throw MLOpsError(
                .usage, "`\(place)` lacks the key `metric`", hint: "add `metric: test.accuracy` or the like")
        }
        self.init(
            metric: metric, min: try reader.number(.min), max: try reader.number(.max),
            equals: try reader.number(.equals), minRatio: try reader.number(.minRatio),
            maxRatio: try reader.number(.maxRatio), baseline: try reader.text(.baseline),
            ifNoBaseline: try reader.missingBaseline(), confidence: try reader.number(.confidence))
        if let fault { throw MLOpsError(.usage, "`\(place)` on `\(metric)`: \(fault)") }
    }
}

/// Typed members of a rule's object.
private struct RuleReader {
    var members: [String: JSONValue]
    var place: String

    func number(_ key: GateRule.CodingKeys) throws -> Double? {
        guard let value = members[key.rawValue] else { return nil }
        guard let number = value.number else { throw wrongType(key, "a number", value) }
        return number
    }

    func text(_ key: GateRule.CodingKeys) throws -> String? {
        guard let value = members[key.rawValue] else { return nil }
        guard let text = value.string else { throw wrongType(key, "text", value) }
        return text
    }

    func missingBaseline() throws -> GateRule.MissingBaseline? {
        guard let text = try text(.ifNoBaseline) else { return nil }
        guard let choice = GateRule.MissingBaseline(rawValue: text) else {
            throw wrongType(.ifNoBaseline, "`pass` or `fail`", .string(text))
        }
        return choice
    }

    private func wrongType(_ key: GateRule.CodingKeys, _ expected: String, _ value: JSONValue) -> MLOpsError {
        MLOpsError(.usage, "`\(place).\(key.rawValue)` is `\(printable(value.canonicalText))`, expected \(expected)")
    }
}

/// `value` for messages.
func text(_ value: Double) -> String { Format.number(value) }
