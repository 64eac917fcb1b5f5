internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

/// The process of a built-in step; started by the pipeline, not by people.
struct StepCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Do a built-in step's work order", shouldDisplay: false)

    @Argument(help: "The folder that holds request.json.")
    var folder: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        try await StepRequest.perform(in: folder, steps: .builtIn(workspace)) { console.print($0) }
    }
}
