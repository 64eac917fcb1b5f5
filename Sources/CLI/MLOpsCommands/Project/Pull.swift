internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct Pull: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Fetch the data of this commit's pointers and check it out",
        discussion: """
            Examples:
              git pull && mlops pull
              mlops pull datasets/census
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

    @Flag(name: .shortAndLong, help: "Overwrite files whose content is nowhere in the store.")
    var force = false

    @OptionGroup var remote: RemoteOption
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let names = try artifacts.map { try ArtifactName($0) }
        let display = console.byteProgress("pulling")
        defer { display.finish() }
        let (transfer, checkouts) = try await workspace.pull(names, remoteName: remote.remote, force: force) {
            display.update(done: $0.doneBytes, total: $0.totalBytes)
        }
        try console.report(PullReport(transfer: transfer, artifacts: checkouts))
    }
}

struct PullReport: Encodable, TextRenderable {
    var transfer: TransferReport
    var artifacts: [CheckoutOutcome]

    func text(_ style: TextStyle) -> String {
        transfer.text(style) + "\n" + CheckoutList(artifacts: artifacts).text(style)
    }
}
