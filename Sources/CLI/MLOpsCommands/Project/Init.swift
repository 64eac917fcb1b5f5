internal import ArgumentParser
internal import Basics
package import TerminalOutput
internal import Workspaces

struct Init: Verb {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make this directory the root of a project",
        discussion: """
            Writes registry/config.yaml, makes .mlops/ and has git ignore it. Files that exist stay as they are.

            Example:
              mlops init
            """)

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let (_, report) = try Workspace.initialize(at: global.workingDirectory, environment: GlobalOptions.host)
        if !report.hasGit {
            console.warning(
                "`\(report.root)` is not in a git repository", hint: "run `git init`, so that versions have a history")
        }
        try console.report(report)
    }
}

extension InitializationReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        guard !created.isEmpty else { return "`\(root)` is a project already" }
        return """
            \(style("made", .good)) \(created.joined(separator: ", ")) in \(root)
            next: `mlops add <path>` records data, `mlops pipeline run <file>` runs a pipeline
            """
    }

    package var essence: String { root }
}
