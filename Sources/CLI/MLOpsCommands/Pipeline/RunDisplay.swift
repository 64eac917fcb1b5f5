internal import Basics
internal import Pipelines
internal import TerminalOutput

/// Shows a run as it goes: a line for each thing that happens, with the stage's name before it, or NDJSON.
struct RunDisplay: Sendable {
    let console: Console
    let explains: Bool

    func show(_ event: RunEvent) {
        if console.options.isJSON {
            try? console.printEvent(event)
            return
        }
        let style = console.errorStyle
        switch event {
        case .runStarted(let id, let pipeline, _): console.note("\(style(pipeline, .heading)) run \(id)")
        case .stageStarted(let stage, let reasons):
            console.note("\(style("▸", .accent)) \(stage)")
            if explains { for reason in reasons { console.note("    because \(reason.text)") } }
        case .stageLog(let stage, let line): console.note("\(style(stage + " |", .faint)) \(line)")
        case .stageFinished(let report): show(report, style)
        case .runFinished: break
        }
    }

    private func show(_ report: StageReport, _ style: TextStyle) {
        let time = report.duration.map { " in \(Format.duration($0))" } ?? ""
        switch report.state {
        case .succeeded where report.isCached:
            let restored = report.restoredCount > 0 ? ", \(Format.count(report.restoredCount, "output")) restored" : ""
            console.note("\(style("=", .faint)) \(report.name): cached\(restored)")
        case .succeeded:
            let energy = report.energy?["joules"]?.number.map { ", \(Format.number($0)) J" } ?? ""
            console.note("\(style("✓", .good)) \(report.name)\(time)\(energy)")
        case .failed, .refused, .interrupted:
            console.note("\(style("✗", .bad)) \(report.name) \(report.state.rawValue)\(time)")
        case .skipped:
            console.note("\(style("-", .faint)) \(report.name) skipped: \(report.reasons.first?.text ?? "")")
        case .waiting, .running: break
        }
        for warning in report.warnings { console.warning("\(report.name): \(warning)") }
    }
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
