internal import ArgumentParser
internal import Basics
internal import Pipelines
package import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineStatus: Verb {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show which stages would run, and why",
        discussion: """
            Example:
              mlops pipeline status pipelines/census.yaml
            """)

    @OptionGroup var pipeline: PipelineOptions
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let loaded = try workspace.loadPipeline(
            pipeline.file, from: global.workingDirectory, overrides: pipeline.overrides, steps: .builtIn(workspace))
        try console.report(try await workspace.status(of: loaded, options: RunOptions(jobs: 1)))
    }
}

extension PipelineStatusReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        var lines: [String] = []
        for stage in stages {
            let (word, tone): (String, TextStyle.Tone) =
                switch stage.state {
                case .upToDate: ("up to date", .good)
                case .restorable: ("in the store", .plain)
                case .changed: ("would run", .caution)
                case .waiting: ("waits", .faint)
                case .blocked: ("blocked", .bad)
                case .skipped: ("skipped", .faint)
                }
            lines.append("\(style(word, tone))  \(stage.name)")
            if let error = stage.error { lines.append("    \(error)") }
            if stage.state == .changed || stage.state == .skipped {
                lines += stage.reasons.map { "    because \($0.text)" }
            }
        }
        return lines.joined(separator: "\n")
    }

    package var essence: String {
        stages.filter { $0.state != .upToDate && $0.state != .skipped }.map(\.name).joined(separator: "\n")
    }
}
