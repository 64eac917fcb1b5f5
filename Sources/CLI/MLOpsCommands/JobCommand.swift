internal import ArgumentParser
internal import TerminalOutput
internal import Workspaces

/// The process of a job on a node of a cluster; started by Slurm, not by people.
struct JobCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "Do the order of a job", shouldDisplay: false)

    @Argument(help: "The folder that holds order.json.")
    var folder: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let environment = MLOpsCommand.environment
        let code = try await Workspace.performJob(in: folder, environment: environment)
        guard code == 0 else { throw ExitCode(code) }
    }
}
