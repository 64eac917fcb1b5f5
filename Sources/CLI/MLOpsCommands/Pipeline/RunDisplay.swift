internal import Basics
internal import Pipelines
internal import Synchronization
internal import TerminalOutput

/// Shows a run as it goes. On a terminal: what ended stays, below it a line for each running stage is kept up to date. Elsewhere:
/// a line for each thing that happens, with the stage's name before what it prints; or NDJSON.
final class RunDisplay: Sendable {
    private let console: Console
    private let explains: Bool
    /// nil where there is no terminal.
    private let live: LiveState?
    private let start = ContinuousClock.now

    init(console: Console, explains: Bool) {
        self.console = console
        self.explains = explains
        live = console.showsProgress ? LiveState() : nil
    }

    /// Shows what `run` tells.
    func following<Value: Sendable>(
        _ run: (@escaping @Sendable (RunEvent) -> Void) async throws -> Value
    ) async rethrows -> Value {
        let ticker =
            live == nil
            ? nil
            : Task { [self] in
                while !Task.isCancelled {
                    draw()
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        defer {
            ticker?.cancel()
            live?.run.withLock { _ in console.wipeProgress() }
        }
        return try await run { [self] in show($0) }
    }

    private func draw() {
        guard let live, !Task.isCancelled else { return }
        let area = console.progressArea
        // Drawn under the lock, so that nothing is drawn after the end.
        live.run.withLock { live in
            guard !Task.isCancelled else { return }
            console.drawProgress(
                live.lines(at: ContinuousClock.now - start, columns: area.columns, rows: area.rows, console.errorStyle))
        }
    }

    private func show(_ event: RunEvent) {
        if console.options.isJSON {
            try? console.printEvent(event)
            return
        }
        live?.run.withLock { $0.take(event, at: ContinuousClock.now - start) }
        let style = console.errorStyle
        switch event {
        case .runWaiting(let pipeline):
            if live == nil { console.note("another run of `\(pipeline)` goes on; this one starts when it has ended") }
        case .runStarted(let id, let pipeline, _): console.note("\(style(pipeline, .heading)) run \(id)")
        case .stageStarted(let stage, let reasons):
            if live == nil || explains { console.note("\(style("▸", .accent)) \(stage)") }
            if explains { for reason in reasons { console.note("    because \(reason.text)") } }
        case .stageRetried(let stage, let attempt, let delay, let error):
            console.warning("\(error.message); attempt \(attempt) of `\(stage)` starts in \(Format.duration(delay))")
        case .stageLog(let stage, let line):
            // On a terminal the last line stands beside the stage; all of them are in its log.
            if live == nil || console.options.verbosity == .verbose {
                console.note("\(style(stage + " |", .faint)) \(line)")
            }
        case .stageFinished(let report): show(report, style)
        case .runFinished: break
        }
    }

    private func show(_ report: StageReport, _ style: TextStyle) {
        // Texts are made only where they are shown: a run of thousands of known stages tells nothing else.
        if console.options.verbosity > .quiet { console.note(ending(of: report, style)) }
        for warning in report.warnings { console.warning("\(report.name): \(warning)") }
    }

    private func ending(of report: StageReport, _ style: TextStyle) -> String {
        if report.state == .succeeded, report.isCached {
            let count = report.restoredCount
            let restored = count > 0 ? ", \(Format.count(count, "output")) restored" : ""
            return "\(style("=", .faint)) \(report.name): cached\(restored)"
        }
        if report.state == .skipped {
            return "\(style("-", .faint)) \(report.name) skipped: \(report.reasons.first?.text ?? "")"
        }
        let time = report.duration.map { " in \(Format.duration($0))" } ?? ""
        guard report.state == .succeeded else {
            return "\(style("✗", .bad)) \(report.name) \(report.state.rawValue)\(time)"
        }
        let energy = report.energy?["joules"]?.number.map { ", \(Format.number($0)) J" } ?? ""
        let attempts = report.attempts.map { ", at attempt \($0)" } ?? ""
        return "\(style("✓", .good)) \(report.name)\(time)\(energy)\(attempts)"
    }
}

/// What is drawn, for whoever draws it and whoever changes it.
private final class LiveState: Sendable {
    let run = Mutex(LiveRun())
}

/// What a run came to.
struct RunSummary: Encodable, TextRenderable {
    var report: RunReport

    func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

    func text(_ style: TextStyle) -> String {
        let ran = report.stages.count { $0.state == .succeeded && !$0.isCached }
        let skipped = report.stages.count { $0.state == .skipped }
        var parts = ["\(ran) ran", "\(report.cachedCount) cached"]
        if skipped > 0 { parts.append("\(skipped) skipped") }
        let tone: TextStyle.Tone = report.outcome == .succeeded ? .good : .bad
        let time = report.duration.map { " in \(Format.duration($0))" } ?? ""
        let joules = report.energy["joules"]?.number.map { ", \(Format.number($0)) J" } ?? ""
        return """
            \(style(report.outcome?.rawValue ?? "unfinished", tone)) \(report.pipeline)\(time): \
            \(parts.joined(separator: ", "))\(joules)
            report: \(report.folder)/run.json
            """
    }

    var essence: String { report.id }
}
