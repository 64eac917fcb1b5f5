internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

struct PipelineComment: Verb {
    static let configuration = CommandConfiguration(
        commandName: "comment", abstract: "Write a run as a comment for a pull request, in Markdown",
        discussion: """
            The first line is a marker that nobody sees and that stays the same for a pipeline, so that CI can find its
            comment and write it anew.

            Examples:
              mlops pipeline comment
              mlops pipeline comment build/run.json --baseline base/run.json --output comment.md
            """)

    @Argument(help: "The run, as `mlops run show` takes it; the latest by default.")
    var run = "latest"

    @Option(
        help: ArgumentHelp(
            "The run that metrics are compared with; the base branch's last by default.", valueName: "run"))
    var baseline: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Write it into this file.", valueName: "file"))
    var output: String?

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let directory = global.workingDirectory
        let run = try workspace.recordedRun(run, from: directory)
        let report = MarkdownReport(run: run, baseline: try workspace.baseline(baseline, for: run, from: directory))
        let text = report.comment()
        if let output {
            let path = FileSystem.absolute(output, from: directory)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            try FileSystem.replaceUnflushed(path, with: Array(text.utf8))
        } else if global.json {
            console.printJSON(["marker": .string(report.marker), "body": .string(text)])
        } else {
            console.print(text)
        }
    }
}
