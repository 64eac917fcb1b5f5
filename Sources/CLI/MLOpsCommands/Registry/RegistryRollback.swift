internal import ArgumentParser
internal import ArtifactRegistry
internal import TerminalOutput
internal import Workspaces

struct RegistryRollback: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Point an alias back at the version that it named before",
        discussion: """
            Examples:
              mlops registry rollback models/census production
              mlops registry rollback models/census production --to 3 --reason "errors in the night"
            """)

    @Argument(help: ArgumentHelp("An artifact.", valueName: "kind/name"))
    var artifact: String

    @Argument(help: "The alias.")
    var alias: String

    @Option(help: ArgumentHelp("An earlier version of the alias; the one before by default.", valueName: "version"))
    var to: Int?

    @Option(help: "Why, for the history.")
    var reason: String?

    @OptionGroup var remote: RemoteOption
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let report = try await global.openWorkspace().rollback(
            try ArtifactName(artifact), alias: alias, to: to, reason: reason, remoteName: remote.remote)
        try console.report(report)
    }
}
