internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineLint: Verb {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Check pipelines without running them; tells every error at once",
        discussion: """
            Example:
              mlops pipeline lint pipelines/*.yaml
            """)

    @Argument(help: ArgumentHelp("Pipelines' files.", valueName: "file"))
    var files: [String]

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        var errors: [MLOpsError] = []
        for file in files {
            errors += try workspace.lintPipeline(file, from: global.workingDirectory, steps: .builtIn(workspace))
        }
        try console.report(LintReport(files: files, errorCount: errors.count))
        for error in errors.dropLast() { console.error(error) }
        if let last = errors.last { throw last }
    }
}

struct LintReport: Encodable, TextRenderable {
    var files: [String]
    var errorCount: Int

    func text(_ style: TextStyle) -> String {
        errorCount == 0
            ? "\(style("fine", .good)): \(files.joined(separator: ", "))"
            : "\(Format.count(errorCount, "error")) in \(Format.count(files.count, "file"))"
    }
}
