internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct RegistryList: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the artifacts that have versions",
        discussion: """
            Shows what this machine knows; with --remote what a remote has.

            Examples:
              mlops registry list
              mlops registry list models --remote origin
            """)

    @Argument(help: "Only artifacts of this kind: datasets, models, reports.")
    var kind: String?

    @OptionGroup var remote: RemoteOption
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let histories = try await workspace.histories(kind: kind, remoteName: remote.remote)
        try console.report(RegistryListing(artifacts: histories.map(ListedArtifact.init)))
    }
}

struct ListedArtifact: Encodable {
    var artifact: ArtifactName
    var versions: Int
    var latest: Int?
    var digest: Digest?
    var byteCount: Int64?
    var aliases: [String: Int]

    init(_ history: ArtifactHistory) {
        artifact = history.artifact
        versions = history.versions.count
        latest = history.latest?.version
        digest = history.latest?.content.digest
        byteCount = history.latest?.content.byteCount
        aliases = history.aliases
    }
}

struct RegistryListing: Encodable, TextRenderable {
    var artifacts: [ListedArtifact]

    func text(_ style: TextStyle) -> String {
        if artifacts.isEmpty { return "no versions yet; publish one with `mlops registry push <artifact>`" }
        var table = Table([
            .init("artifact"), .init("versions", .right), .init("latest"), .init("size", .right), .init("digest"),
            .init("aliases"),
        ])
        for item in artifacts {
            let aliases = item.aliases.sorted { $0.key < $1.key }.map { "\($0.key) → v\($0.value)" }
            table.add(
                .init(item.artifact.description), .init("\(item.versions)"),
                .init(item.latest.map { "v\($0)" } ?? "none"),
                .init(item.byteCount.map { Format.bytes($0) } ?? ""), .init(item.digest?.short ?? ""),
                .init(aliases.joined(separator: ", ")))
        }
        return table.text(style)
    }

    var essence: String { artifacts.map(\.artifact.description).joined(separator: "\n") }
}
