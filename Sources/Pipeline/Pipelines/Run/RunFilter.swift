package import Basics

extension RecordedRun {
    /// What can be asked of a run by name, besides parameters and metrics.
    package static let facts = [
        "id", "pipeline", "outcome", "started", "seconds", "joules", "commit", "branch", "dirty",
    ]

    /// The value of a fact, of `params.PATH`, `metrics.STAGE.PATH`, or of either without its prefix, metrics first.
    package func value(of key: String) -> JSONValue? {
        switch key {
        case "id", "pipeline", "outcome", "started", "seconds": return json[key]
        case "joules": return joules.map(JSONValue.double)
        case "commit", "branch", "dirty": return json["git"]?[key]
        default: break
        }
        if key.hasPrefix("params.") { return parameters[String(key.dropFirst(7))] }
        if key.hasPrefix("metrics.") { return metrics[String(key.dropFirst(8))].map(JSONValue.double) }
        return metrics[key].map(JSONValue.double) ?? parameters[key]
    }
}

/// One condition on runs: `test.accuracy>=0.9`, `params.lr=0.1`, `branch~feature`.
package struct RunFilter: Sendable {
    package let key: String
    private let comparison: String
    private let value: String

    /// Longest first, so that `<=` is not read as `<`.
    private static let comparisons = ["<=", ">=", "!=", "==", "<", ">", "=", "~"]

    /// - Throws: kind `.usage` if `text` has no comparison.
    package init(_ text: String) throws {
        let places = RunFilter.comparisons.compactMap { word in
            text.firstRange(of: word).map { (word: word, range: $0) }
        }
        // The leftmost comparison counts, and there the longest.
        guard
            let found = places.min(by: {
                ($0.range.lowerBound, -$0.word.count) < ($1.range.lowerBound, -$1.word.count)
            }), found.range.lowerBound > text.startIndex
        else {
            throw MLOpsError(
                .usage, "`--where \(printable(text))` is no condition",
                hint: "write a name, one of = != < <= > >= ~, and a value, such as `test.accuracy>=0.9`")
        }
        func trimmed(_ part: Substring) -> String {
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        key = trimmed(text[..<found.range.lowerBound])
        comparison = found.word
        value = trimmed(text[found.range.upperBound...])
    }

    /// A run without the value meets no condition but `!=`.
    package func holds(for run: RecordedRun) -> Bool {
        guard let found = run.value(of: key), found != .null else { return comparison == "!=" }
        let text = found.string ?? found.canonicalText
        if comparison == "~" { return text.contains(value) }
        if let number = found.number, let other = Double(value) { return holds(number, other) }
        return holds(text, value)
    }

    private func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch comparison {
        case "<": left < right
        case "<=": left <= right
        case ">": left > right
        case ">=": left >= right
        case "!=": left != right
        default: left == right
        }
    }
}

/// Which runs to show, and in which order.
package struct RunQuery: Sendable {
    package var pipeline: String?
    package var filters: [RunFilter] = []
    /// The name to sort by; by time if there is none.
    package var sort: String?
    package var isDescending = false
    /// The newest so many of those that meet the filters.
    package var last: Int?

    package init() {}

    /// - Throws: kind `.usage` for a name that no run has.
    package func apply(to all: [RecordedRun]) throws -> [RecordedRun] {
        for name in filters.map(\.key) + [sort].compactMap(\.self) { try check(name, among: all) }
        var runs = all.filter { run in
            (pipeline == nil || run.pipeline == pipeline) && filters.allSatisfy { $0.holds(for: run) }
        }
        if let last { runs = Array(runs.suffix(last)) }
        guard let sort else { return isDescending ? runs.reversed() : runs }
        // Runs without the value come last whatever the order.
        let with = runs.filter { $0.value(of: sort) != nil }
            .sorted { isDescending ? isLess($1, $0, sort) : isLess($0, $1, sort) }
        return with + runs.filter { $0.value(of: sort) == nil }
    }

    private func isLess(_ left: RecordedRun, _ right: RecordedRun, _ key: String) -> Bool {
        let (left, right) = (left.value(of: key) ?? .null, right.value(of: key) ?? .null)
        if let left = left.number, let right = right.number { return left < right }
        return (left.string ?? left.canonicalText) < (right.string ?? right.canonicalText)
    }

    package func check(_ name: String, among runs: [RecordedRun]) throws {
        guard !runs.isEmpty, !RecordedRun.facts.contains(name), !runs.contains(where: { $0.value(of: name) != nil })
        else { return }
        let known = Set(runs.flatMap { Array($0.metrics.keys) + $0.parameters.keys.map { "params.\($0)" } })
        throw MLOpsError(
            .usage, "no run has a metric or parameter `\(printable(name))`",
            hint: nearestName(to: name, among: known.union(RecordedRun.facts)).map { "did you mean `\($0)`?" }
                ?? "run `mlops run show` to see the names")
    }
}
