internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct RegistryPull: Verb {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch a published version to where it was published from",
        discussion: """
            Brings the artifact's events, the version's content and its files here, and writes its pointer.

            Examples:
              mlops registry pull models/census@v1
              mlops registry pull models/census@production
            """)

    @Argument(
        help: ArgumentHelp(
            "Versions: `@v1`, `@production`, `@latest` or none for the latest.", valueName: "kind/name@version"))
    var references: [String]

    @Flag(name: .shortAndLong, help: "Overwrite files whose content is nowhere in the store.")
    var force = false

    @OptionGroup var remote: RemoteOption
    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        var outcomes: [RetrievalOutcome] = []
        for reference in try references.map({ try ArtifactReference($0) }) {
            outcomes.append(
                try await console.withByteProgress("pulling \(reference)") { progress in
                    try await workspace.retrieve(
                        reference, remoteName: remote.remote, force: force,
                        options: transfers.options(console, progress))
                })
        }
        try console.report(RetrievalList(artifacts: outcomes))
    }
}

struct RetrievalList: Encodable, TextRenderable {
    var artifacts: [RetrievalOutcome]

    func text(_ style: TextStyle) -> String {
        artifacts.map { outcome in
            let files =
                outcome.checkout.isUnchanged
                ? "all files were here already" : "\(Format.count(outcome.checkout.writtenFileCount, "file")) written"
            let moved = outcome.transfer.map { $0.text(style) } ?? "its content was in the store already"
            return
                "\(style("pulled", .good)) \(outcome.artifact)@v\(outcome.version) to \(outcome.path): \(files); \(moved)"
        }.joined(separator: "\n")
    }

    var essence: String { artifacts.map(\.path.description).joined(separator: "\n") }
}
