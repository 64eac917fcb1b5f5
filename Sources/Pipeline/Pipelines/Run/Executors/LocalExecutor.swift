internal import Basics

/// Runs stages on this machine, each under a supervisor of its own.
struct LocalExecutor: StageExecutor {
    var name: String { "local" }

    func run(_ command: StageCommand, output: StageOutput) async throws -> StageEnding {
        try await StageProcess(
            executable: command.executable, arguments: command.arguments, environment: command.setup.environment,
            directory: command.setup.directory, timeout: command.stage.timeout, grace: command.setup.grace
        ).run(output)
    }
}
