internal import Basics

/// What GitHub Actions shows of a run: annotations as workflow commands, and a step's summary.
struct GitHubReport {
    /// GitHub shows ten annotations of a kind for a step, and drops the rest without a word.
    static let annotationLimit = 10
    /// A message of an annotation is at most so long, in bytes.
    static let messageLimit = 4096
    /// A step's summary is at most 1 MiB; a larger one is dropped whole.
    static let summaryLimit = 1 << 20

    let run: RecordedRun
    let baseline: RecordedRun?

    private struct Annotation {
        var isError: Bool
        var title: String
        var message: String
        var location: SourceLocation?
    }

    /// The lines for standard output.
    func commands() -> String {
        let all = annotations()
        return kept(all.filter(\.isError)).map(line).joined() + kept(all.filter { !$0.isError }).map(line).joined()
    }

    private func annotations() -> [Annotation] {
        run.stages.flatMap { stage -> [Annotation] in
            var found: [Annotation] = []
            let place = stage.location ?? (run.file.isEmpty ? nil : SourceLocation(path: run.file, line: 1))
            if !stage.isGood {
                let hint = stage.hint.map { "\nhint: \($0)" } ?? ""
                found.append(
                    Annotation(
                        isError: true, title: "\(stage.name) \(stage.state.rawValue)",
                        message: (stage.error ?? stage.state.rawValue) + hint, location: place))
            }
            return found
                + stage.warnings.map {
                    Annotation(isError: false, title: stage.name, message: $0, location: place)
                }
        }
    }

    /// At most as many as GitHub shows; the last one tells how many were left out.
    private func kept(_ annotations: [Annotation]) -> [Annotation] {
        guard annotations.count > GitHubReport.annotationLimit, let first = annotations.first else {
            return annotations
        }
        let rest = annotations.count - GitHubReport.annotationLimit + 1
        return annotations.prefix(GitHubReport.annotationLimit - 1) + [
            Annotation(
                isError: first.isError, title: run.pipeline, message: "and \(rest) more: see the step's summary")
        ]
    }

    private func line(_ annotation: Annotation) -> String {
        var properties: [String] = []
        if let place = annotation.location {
            properties.append("file=\(ReportText.commandProperty(place.path))")
            properties.append("line=\(place.line)")
            if let column = place.column { properties.append("col=\(column)") }
        }
        properties.append("title=\(ReportText.commandProperty(ReportText.prefix(annotation.title, bytes: 200)))")
        let message = ReportText.commandData(ReportText.prefix(annotation.message, bytes: GitHubReport.messageLimit))
        return "::\(annotation.isError ? "error" : "warning") \(properties.joined(separator: ","))::\(message)\n"
    }

    /// The summary, with no more rows than fit into `room` bytes.
    func summary(room: Int = GitHubReport.summaryLimit) -> String {
        var report = MarkdownReport(run: run, baseline: baseline)
        report.rowLimit = 1000
        while true {
            let text = report.text()
            if text.utf8.count <= room || report.rowLimit == 1 { return fitting(text, room) }
            report.rowLimit = max(1, report.rowLimit / 2)
        }
    }

    private func fitting(_ text: String, _ room: Int) -> String {
        text.utf8.count <= room ? text : ReportText.prefix(text, bytes: room, note: "\n\nthe rest is left out\n")
    }
}
