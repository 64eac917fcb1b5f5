internal import Basics
internal import Pipelines
internal import TerminalOutput

/// What a person sees of a run while it goes on: a line for each running stage, and how far all of it is. Events in, lines out.
struct LiveRun {
    private struct Running {
        var name: String
        var start: Duration
        var lastLine = ""
        var note = ""
    }

    private var running: [Running] = []
    private var total = 0
    private var done = 0
    private var cached = 0
    private var waiting: String?

    mutating func take(_ event: RunEvent, at elapsed: Duration) {
        switch event {
        case .runWaiting(let pipeline): waiting = pipeline
        case .runStarted(_, _, let stages):
            total = stages.count
            waiting = nil
        case .stageStarted(let stage, _): running.append(Running(name: stage, start: elapsed))
        case .stageRetried(let stage, let attempt, let delay, _):
            change(stage) { $0.note = "attempt \(attempt) after \(Format.duration(delay))" }
        case .stageLog(let stage, let line):
            guard line.contains(where: { !$0.isWhitespace }) else { return }
            change(stage) { $0.lastLine = line }
        case .stageFinished(let report):
            running.removeAll { $0.name == report.name }
            done += 1
            if report.isCached { cached += 1 }
        case .runFinished: running = []
        }
    }

    private mutating func change(_ stage: String, _ body: (inout Running) -> Void) {
        if let index = running.firstIndex(where: { $0.name == stage }) { body(&running[index]) }
    }

    /// The lines at the moment `elapsed`, none wider than `columns`, at most `rows` of them.
    func lines(at elapsed: Duration, columns: Int, rows: Int, _ style: TextStyle) -> [String] {
        if let waiting {
            return [truncated("… another run of `\(waiting)` goes on; this one starts when it has ended", to: columns)]
        }
        let room = max(1, rows - 2)
        let shown = running.prefix(running.count > room ? room - 1 : room)
        let width = min(shown.map { displayWidth($0.name) }.max() ?? 0, max(8, columns / 3))
        var lines = shown.map { stage in
            let time = padded(LiveRun.clock(elapsed - stage.start), to: 7, .right)
            let name = padded(truncated(stage.name, to: width), to: width, .left)
            let text = [stage.note, printable(stage.lastLine)].filter { !$0.isEmpty }.joined(separator: ": ")
            let rest = max(0, columns - width - 12)
            return "\(style("▸", .accent)) \(name) \(time)  \(style(truncated(text, to: rest), .faint))"
        }
        if shown.count < running.count { lines.append("  and \(running.count - shown.count) more") }
        lines.append(truncated(summary(elapsed), to: columns))
        return lines
    }

    private func summary(_ elapsed: Duration) -> String {
        let cachedText = cached > 0 ? " (\(cached) cached)" : ""
        let time = LiveRun.clock(elapsed)
        return "  \(done) of \(Format.count(total, "stage")) done\(cachedText), \(running.count) running, \(time)"
    }

    /// `7 s`, `1:05`, `2:00:31`.
    private static func clock(_ duration: Duration) -> String {
        let seconds = max(0, Int(duration.seconds))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60):\(two(seconds % 60))"
        default: return "\(seconds / 3600):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
        }
    }
}
