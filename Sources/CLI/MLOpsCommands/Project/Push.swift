internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
package import TerminalOutput
internal import Workspaces

struct Push: Verb {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Send the data of this commit's pointers to a remote",
        discussion: """
            What the remote has already is not sent again. To publish a version for others to pull by name, use
            `mlops registry push`. With --run-cache the results of pipeline stages go too, so that a machine that pulls them
            runs nothing again.

            Examples:
              mlops push
              mlops push --run-cache
              mlops push datasets/census --remote backup
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

    @Flag(help: "Send the results of pipeline stages too.")
    var runCache = false

    @OptionGroup var remote: RemoteOption
    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let names = try artifacts.map { try ArtifactName($0) }
        let report = try await console.withByteProgress("pushing") { progress in
            try await workspace.push(
                names, remoteName: remote.remote, options: transfers.options(console, progress))
        }
        guard runCache else { return try console.report(report) }
        let results = try await console.withByteProgress("pushing results") { progress in
            try await workspace.pushRunCache(
                remoteName: remote.remote, options: transfers.options(console, progress))
        }
        try console.report(PushReport(transfer: report, runCache: results))
    }
}

/// What `push --run-cache` did.
struct PushReport: Encodable, TextRenderable {
    var transfer: TransferReport
    var runCache: Workspace.RunCacheReport

    func text(_ style: TextStyle) -> String { transfer.text(style) + "\n" + runCache.text(style) }
}

extension Workspace.RunCacheReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        entryCount == 0
            ? "no new results of stages"
            : "\(Format.count(entryCount, "result")) of stages: \(transfer.text(style))"
    }
}

extension TransferReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        objectCount == 0
            ? "nothing to transfer"
            : """
            transferred \(Format.count(objectCount, "object")) in \(Format.count(packCount, "pack")), \
            \(Format.bytes(byteCount))
            """
    }
}
