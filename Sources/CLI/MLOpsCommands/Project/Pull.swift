internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct Pull: Verb {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch the data of this commit's pointers and check it out",
        discussion: """
            With --path only a part of an artifact is fetched, and the rest of the workspace is left alone. Later calls of
            `pull` and `checkout` keep to the parts that were asked for, and `mlops status` shows them, until --whole asks for
            everything. With --run-cache the results of pipeline stages that were pushed come too: a pipeline whose stages ran
            elsewhere with the same inputs then runs nothing. With --in-place files of 32 MiB and more stay where they are
            written, and the store keeps no second copy of them, as after `mlops add --in-place`.

            Examples:
              git pull && mlops pull
              mlops pull datasets/census --limit-rate 10M
              mlops pull datasets/images --path train/cats --path labels.csv
              mlops pull datasets/video --in-place
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

    @Flag(name: .shortAndLong, help: "Overwrite files whose content is nowhere in the store.")
    var force = false

    @Flag(help: "Keep no second copy of large files in the store.")
    var inPlace = false

    @Flag(help: "Fetch the results of pipeline stages too.")
    var runCache = false

    @OptionGroup var parts: PartOptions
    @OptionGroup var remote: RemoteOption
    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let names = try artifacts.map { try ArtifactName($0) }
        let extent = try parts.extent()
        let (transfer, checkouts) = try await console.withByteProgress("pulling") { progress in
            try await workspace.pull(
                names, extent, remoteName: remote.remote, force: force, isInPlace: inPlace,
                options: transfers.options(console, progress))
        }
        var results: Workspace.RunCacheReport?
        if runCache {
            results = try await console.withByteProgress("pulling results") { progress in
                try await workspace.pullRunCache(
                    remoteName: remote.remote, options: transfers.options(console, progress))
            }
        }
        try console.report(PullReport(transfer: transfer, artifacts: checkouts, runCache: results))
    }
}

struct PullReport: Encodable, TextRenderable {
    var transfer: TransferReport
    var artifacts: [CheckoutOutcome]
    /// nil unless it was asked for.
    var runCache: Workspace.RunCacheReport?

    func text(_ style: TextStyle) -> String {
        [transfer.text(style), CheckoutList(artifacts: artifacts).text(style), runCache?.text(style)]
            .compactMap(\.self).joined(separator: "\n")
    }
}
