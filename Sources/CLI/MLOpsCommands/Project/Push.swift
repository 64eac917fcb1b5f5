internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
package import TerminalOutput
internal import Workspaces

struct Push: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Send the data of this commit's pointers to a remote",
        discussion: """
            What the remote has already is not sent again. To publish a version for others to pull by name, use
            `mlops registry push`.

            Examples:
              mlops push
              mlops push datasets/census --remote backup
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

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
        try console.report(report)
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
