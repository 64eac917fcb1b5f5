internal import Basics

/// A run as JUnit XML: one test case a stage, and one for each rule of a gate.
struct JUnitReport {
    /// Bytes of a stage's log that a case shows.
    static let tailLimit: Int64 = 16 << 10

    let run: RecordedRun
    /// The end of a stage's log.
    let tail: (RecordedRun.Stage) -> String?

    private struct Case {
        var name: String
        var suite: String
        var seconds: Double
        /// The element inside, without markup: `failure`, `error` or `skipped`.
        var problem: (element: String, kind: String, message: String, text: String)?
        var output: String?
    }

    func text() -> String {
        let items = run.stages.flatMap { cases($0) }
        func count(_ element: String) -> Int { items.count { $0.problem?.element == element } }
        let counts = """
            tests="\(items.count)" failures="\(count("failure"))" errors="\(count("error"))" \
            skipped="\(count("skipped"))" time="\(Format.fixed(run.seconds ?? 0, 3))"
            """
        // The field's schemas want a time without a zone.
        let started = run.started.description.prefix(19)
        let whole = counts.replacing(" skipped=\"\(count("skipped"))\"", with: "")
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuites name=\"\(ReportText.attribute(run.pipeline))\" \(whole)>",
            "  <testsuite name=\"\(ReportText.attribute(run.pipeline))\" \(counts) timestamp=\"\(started)\" hostname=\"localhost\">",
            "    <properties>",
        ]
        for (name, value) in properties() {
            lines.append(
                "      <property name=\"\(ReportText.attribute(name))\" value=\"\(ReportText.attribute(value))\"/>")
        }
        lines.append("    </properties>")
        lines += items.flatMap { render($0) }
        lines += [
            "    <system-out></system-out>", "    <system-err></system-err>", "  </testsuite>", "</testsuites>", "",
        ]
        return lines.joined(separator: "\n")
    }

    private func properties() -> [(String, String)] {
        var found = [("run", run.id)]
        if let commit = run.commit { found.append(("commit", commit)) }
        found += run.metrics.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.double($0.value).canonicalText) }
        return found
    }

    private func cases(_ stage: RecordedRun.Stage) -> [Case] {
        var own = Case(
            name: stage.name, suite: run.pipeline, seconds: stage.isCached ? 0 : stage.seconds ?? 0,
            output: stage.isCached ? nil : tail(stage))
        let message = stage.error ?? stage.reasons.first ?? stage.state.rawValue
        let text = [message, stage.hint.map { "hint: \($0)" }, stage.location.map { "at \($0)" }]
            .compactMap(\.self).joined(separator: "\n")
        switch stage.state {
        case .succeeded: break
        case .skipped: own.problem = ("skipped", "", message, "")
        case .refused: own.problem = ("failure", "refused", message, text)
        case .failed: own.problem = ("failure", "failed", message, text)
        case .interrupted, .waiting, .running: own.problem = ("error", stage.state.rawValue, message, text)
        }
        let rules = stage.verdicts.map { verdict in
            Case(
                name: verdict.name, suite: "\(run.pipeline).\(stage.name)", seconds: 0,
                problem: verdict.passed ? nil : ("failure", "refused", verdict.reason, verdict.reason))
        }
        return [own] + rules
    }

    private func render(_ item: Case) -> [String] {
        let head =
            "    <testcase name=\"\(ReportText.attribute(item.name))\" classname=\"\(ReportText.attribute(item.suite))\" time=\"\(Format.fixed(item.seconds, 3))\""
        guard item.problem != nil || item.output?.isEmpty == false else { return [head + "/>"] }
        var lines = [head + ">"]
        if let problem = item.problem {
            let message = "message=\"\(ReportText.attribute(problem.message))\""
            lines.append(
                problem.element == "skipped"
                    ? "      <skipped \(message)/>"
                    : "      <\(problem.element) \(message) type=\"\(problem.kind)\">\(ReportText.xml(problem.text))</\(problem.element)>"
            )
        }
        if let output = item.output, !output.isEmpty {
            lines.append("      <system-out>\(ReportText.xml(output))</system-out>")
        }
        return lines + ["    </testcase>"]
    }
}
