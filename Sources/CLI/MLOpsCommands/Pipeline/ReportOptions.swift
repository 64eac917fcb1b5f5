internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

/// Reports of a run, for CI.
struct ReportOptions: ParsableArguments {
    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            "Write reports: junit=FILE, github, gitlab=DIR, json=FILE; separated by commas, or given several times.",
            valueName: "reports"))
    var reports: [String] = []

    @Option(
        help: ArgumentHelp(
            "The run that metrics are compared with: an id, `latest`, or a JSON file; the base branch's last by default.",
            valueName: "run"))
    var baseline: String?

    func targets() throws -> [ReportTarget] { try reports.flatMap { try ReportTarget.list($0) } }

    /// Writes what was asked for.
    func write(_ report: RunReport, _ workspace: Workspace, from directory: String, console: Console) throws {
        let targets = try targets()
        guard !targets.isEmpty else { return }
        let run = RecordedRun(report)
        var base: RecordedRun?
        do { base = try workspace.baseline(baseline, for: run, from: directory) } catch {
            // The verdict of the run matters more than what it is compared with.
            console.warning("there is nothing to compare metrics with: \(error)")
        }
        let writer = ReportWriter(
            run: run, baseline: base, root: workspace.root, directory: directory,
            summaryPath: workspace.environment.variables["GITHUB_STEP_SUMMARY"])
        for target in targets {
            let text = try writer.write(target)
            guard !text.isEmpty else { continue }
            // GitHub reads both streams; with --json standard output holds nothing but JSON.
            if console.options.isJSON { OutputChannel.standardError.write(text) } else { console.print(text) }
        }
    }

    /// The error with nothing in it that GitHub would take for a command, where it reads along: hints hold what stages printed.
    func harmless(_ error: MLOpsError) throws -> MLOpsError {
        guard try targets().contains(.github) else { return error }
        var error = error
        error.message = ReportText.withoutCommands(error.message)
        error.hint = error.hint.map { ReportText.withoutCommands($0) }
        return error
    }

    /// Keeps GitHub from taking lines that stages print for its commands while `work` runs.
    func shielded<Value>(_ console: Console, _ work: () async throws -> Value) async throws -> Value {
        guard try targets().contains(.github) else { return try await work() }
        let token = "mlops-\(UInt64.random(in: .min ... .max))-\(UInt64.random(in: .min ... .max))"
        // Standard error, as the lines of stages go there.
        OutputChannel.standardError.write("::stop-commands::\(token)\n")
        defer { OutputChannel.standardError.write("::\(token)::\n") }
        return try await work()
    }
}
