internal import Basics

/// A run in Markdown: for a step's summary and for the comment under a pull request.
package struct MarkdownReport: Sendable {
    package var run: RecordedRun
    /// The run that metrics are compared with.
    package var baseline: RecordedRun?
    /// Stages and metrics that a table shows at most.
    package var rowLimit = 100
    /// Text that tells this comment from others, in a comment of HTML that nobody sees.
    package var marker: String { "<!-- mlops:\(markerName) -->" }

    package init(run: RecordedRun, baseline: RecordedRun? = nil) {
        self.run = run
        self.baseline = baseline
    }

    /// A name that cannot end the HTML comment.
    private var markerName: String {
        String(run.pipeline.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" })
            .replacing("--", with: "-")
    }

    private func shown(_ text: String) -> String { ReportText.markdown(ReportText.prefix(text, bytes: 2000)) }

    /// The comment: marker, verdict, tables.
    package func comment() -> String { marker + "\n" + text() }

    package func text() -> String {
        var parts = [head()]
        parts += run.stages.filter { !$0.isGood }.prefix(rowLimit).map { problem($0) }
        parts.append(verdicts())
        parts.append(metrics())
        parts.append(stages())
        parts.append(foot())
        return parts.filter { !$0.isEmpty }.joined(separator: "\n") + "\n"
    }

    private func head() -> String {
        let icon = run.outcome == .succeeded ? "✅" : run.outcome == .refused ? "⛔" : "❌"
        let ran = run.stages.count { $0.state == .succeeded && !$0.isCached }
        let cached = run.stages.count(where: \.isCached)
        let time = run.seconds.map { " in \(Format.duration(.seconds($0)))" } ?? ""
        let joules = run.joules.map { $0 > 0 ? ", \(Format.number($0)) J" : "" } ?? ""
        return """
            ### \(icon) \(shown(run.pipeline)): \(run.outcome?.rawValue ?? "unfinished")\(time)

            \(ran) ran, \(cached) cached, \(run.stages.count { $0.state == .skipped }) skipped\(joules)

            """
    }

    private func problem(_ stage: RecordedRun.Stage) -> String {
        let place = stage.location.map { " at \(shown($0.description))" } ?? ""
        let hint = stage.hint.map { "\n>\n> hint: \(shown($0))" } ?? ""
        return """
            > **\(shown(stage.name))** \(stage.state.rawValue)\(place): \(shown(stage.error ?? "no reason was recorded"))\(hint)

            """
    }

    private func verdicts() -> String {
        let all = run.stages.flatMap(\.verdicts)
        if all.isEmpty { return "" }
        return table(
            ["Gate", "Verdict", "Reason"],
            all.map { [shown($0.name), $0.passed ? "pass" : "**refused**", shown($0.reason)] })
    }

    private func metrics() -> String {
        let changes = MetricChange.between(baseline, run)
        if changes.isEmpty { return "" }
        func number(_ value: Double?) -> String { value.map { Format.number($0) } ?? "–" }
        guard let baseline else {
            return table(["Metric", "Value"], changes.map { [shown($0.name), number($0.new)] }, numbers: 1)
        }
        let base = shown(baseline.commit.map { String($0.prefix(10)) } ?? baseline.id)
        // What changed comes first: rows beyond the limit are left out.
        let ordered = changes.filter { !$0.isEqual } + changes.filter(\.isEqual)
        return table(
            ["Metric", "Base \(base)", "This run", "Change"],
            ordered.map { [shown($0.name), number($0.old), number($0.new), $0.text] }, numbers: 3)
    }

    private func stages() -> String {
        let rows = run.stages.map { stage -> [String] in
            [
                shown(stage.name), stage.isCached ? "cached" : stage.state.rawValue,
                stage.isCached ? "–" : stage.seconds.map { Format.duration(.seconds($0)) } ?? "–",
                stage.joules.map { "\(Format.number($0)) J" } ?? "–",
            ]
        }
        return "<details><summary>Stages</summary>\n\n"
            + table(["Stage", "State", "Time", "Energy"], rows, numbers: 2) + "\n</details>\n"
    }

    private func foot() -> String {
        let commit = run.commit.map { " at \($0.prefix(10))\(run.isDirty ? " with changes" : "")" } ?? ""
        return "<sub>run \(shown(run.id))\(shown(commit))</sub>"
    }

    /// - Parameter numbers: so many columns at the right end stand to the right.
    private func table(_ titles: [String], _ rows: [[String]], numbers: Int = 0) -> String {
        let rules = titles.indices.map { $0 >= titles.count - numbers ? "---:" : "---" }
        var lines = [titles, rules].map { "| \($0.joined(separator: " | ")) |" }
        lines += rows.prefix(rowLimit).map { "| \($0.joined(separator: " | ")) |" }
        if rows.count > rowLimit { lines += ["", "and \(rows.count - rowLimit) more"] }
        return lines.joined(separator: "\n") + "\n"
    }
}
