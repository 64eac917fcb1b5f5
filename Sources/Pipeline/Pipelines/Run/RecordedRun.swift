package import Basics

/// A run as its record tells it: one of `.mlops/runs`, one that just ended, or one from a file of another machine.
package struct RecordedRun: Sendable {
    package struct Stage: Sendable {
        package let json: JSONValue

        package var name: String { json["name"]?.string ?? "" }
        package var state: StageState { json["state"]?.string.flatMap { StageState(rawValue: $0) } ?? .waiting }
        package var isCached: Bool { json["cached"]?.boolean ?? false }
        package var seconds: Double? { json["seconds"]?.number }
        package var joules: Double? { json["energy"]?["joules"]?.number }
        package var log: String? { json["log"]?.string }
        package var metrics: JSONValue? { json["metrics"] }
        package var warnings: [String] { (json["warnings"]?.array ?? []).compactMap(\.string) }
        package var reasons: [String] { (json["reasons"]?.array ?? []).compactMap { $0["text"]?.string } }
        /// What each output was, by path.
        package var outs: [String: String] {
            Dictionary(
                (json["outs"]?.array ?? []).compactMap { out in
                    guard let path = out["path"]?.string, let digest = out["digest"]?.string else { return nil }
                    return (path, digest)
                }, uniquingKeysWith: { $1 })
        }

        package var error: String? { json["error"]?["message"]?.string }
        package var hint: String? { json["error"]?["hint"]?.string }
        /// Where what is wrong lies: the error's own place, else that of the stage in its file.
        package var location: SourceLocation? {
            json["error"]?["location"].flatMap(SourceLocation.init) ?? json["location"].flatMap(SourceLocation.init)
        }

        /// What a gate said of each of its rules.
        package var verdicts: [(name: String, passed: Bool, reason: String)] {
            (metrics?["verdicts"]?.array ?? []).compactMap { verdict in
                guard let passed = verdict["passed"]?.boolean, let reason = verdict["reason"]?.string else {
                    return nil
                }
                let metric = verdict["metric"]?.string ?? verdict["rule"]?["metric"]?.string
                return (metric ?? reason, passed, reason)
            }
        }

        package var isGood: Bool { state == .succeeded || state == .skipped }
    }

    package let json: JSONValue
    package let stages: [Stage]

    /// - Throws: kind `.damaged` if `json` is no record, `.failed` if a newer program wrote it.
    package init(_ json: JSONValue, source: String) throws {
        if let format = json["format"]?.integer, format > 1 {
            throw MLOpsError(
                .failed, "`\(printable(source))` has format \(format), written by a newer mlops",
                hint: "update `mlops`; this one reads 1")
        }
        // What `--report json=FILE` wrote has no checksum.
        guard json.isIntact != false else {
            throw MLOpsError(
                .damaged, "`\(printable(source))` is not what was written",
                hint: "restore it from a backup; only the history of this run is lost")
        }
        guard json["id"]?.string != nil, json["started"]?.string != nil, let stages = json["stages"]?.array else {
            throw MLOpsError(
                .damaged, "`\(printable(source))` is not the record of a run",
                hint: "give a `run.json`, or what `mlops pipeline run --report json=FILE` wrote")
        }
        self.json = json
        self.stages = stages.map(Stage.init)
    }

    package init(_ report: RunReport) {
        json = report.json
        stages = (json["stages"]?.array ?? []).map(Stage.init)
    }

    package var id: String { json["id"]?.string ?? "" }
    package var pipeline: String { json["pipeline"]?.string ?? "" }
    package var file: String { json["file"]?.string ?? "" }
    package var outcome: RunOutcome? { json["outcome"]?.string.flatMap { RunOutcome(rawValue: $0) } }
    package var started: Timestamp { json["started"]?.string.flatMap { Timestamp($0) } ?? Timestamp(milliseconds: 0) }
    package var seconds: Double? { json["seconds"]?.number }
    package var joules: Double? { json["energy"]?["joules"]?.number }
    package var commit: String? { json["git"]?["commit"]?.string }
    package var branch: String? { json["git"]?["branch"]?.string }
    package var isDirty: Bool { json["git"]?["dirty"]?.boolean ?? false }
    package var overrides: [String] { (json["overrides"]?.array ?? []).compactMap(\.string) }

    /// The numbers among the metrics, by `stage.path.to.metric`.
    package var metrics: [String: Double] {
        var found: [String: Double] = [:]
        for stage in stages { Self.flatten(stage.metrics, stage.name) { found[$0] = $1.number } }
        return found
    }

    /// The parameters by path; lists as they are.
    package var parameters: [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        Self.flatten(json["params"], "") { found[$0] = $1 }
        return found
    }

    private static func flatten(_ value: JSONValue?, _ path: String, _ body: (String, JSONValue) -> Void) {
        guard let value else { return }
        guard let members = value.object else { return body(path, value) }
        for (key, member) in members { flatten(member, path.isEmpty ? key : "\(path).\(key)", body) }
    }
}

extension RecordedRun: Encodable {
    package func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }
}
