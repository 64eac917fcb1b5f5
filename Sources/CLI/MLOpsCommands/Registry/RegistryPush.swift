internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct RegistryPush: Verb {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Publish what a pointer names as a version, and send it",
        discussion: """
            If the newest version has that content already, no version is added; what the remote lacks is sent in any
            case. Without a remote the version stays on this machine until one is added.

            Examples:
              mlops registry push models/census
              mlops registry push datasets/census -m "with the answers of March"
            """)

    @Argument(help: ArgumentHelp("Artifacts.", valueName: "kind/name"))
    var artifacts: [String]

    @Option(name: .shortAndLong, help: "A line about the version, for people.")
    var message: String?

    @OptionGroup var remote: RemoteOption
    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        var outcomes: [PublicationOutcome] = []
        for name in try artifacts.map({ try ArtifactName($0) }) {
            var details = PublicationDetails()
            details.message = message
            outcomes.append(
                try await console.withByteProgress("pushing \(name)") { [details] progress in
                    try await workspace.publish(
                        name, details: details, remoteName: remote.remote, options: transfers.options(console, progress)
                    )
                })
        }
        try console.report(PublicationList(artifacts: outcomes))
    }
}

struct PublicationList: Encodable, TextRenderable {
    var artifacts: [PublicationOutcome]

    func text(_ style: TextStyle) -> String {
        artifacts.map { outcome in
            let word = outcome.isNew ? style("published", .good) : "already published:"
            var text = "\(word) \(outcome.artifact)@v\(outcome.version) (\(Format.bytes(outcome.content.byteCount)))"
            for (old, new) in outcome.renumbered.sorted(by: { $0.key < $1.key }) {
                text += "\n  v\(old) became v\(new), as others had published in the meantime"
            }
            if let remote = outcome.remote, let transfer = outcome.transfer {
                text += "\n  \(remote): \(transfer.text(style))"
            } else {
                text += "\n  on this machine only; add a remote with `mlops remote add` to share it"
            }
            return text
        }.joined(separator: "\n")
    }

    var essence: String { artifacts.map { "\($0.artifact)@v\($0.version)" }.joined(separator: "\n") }
}
