internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct Get: Verb {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Download an artifact from a remote, without a project",
        discussion: """
            For CI and servers: needs no repository and no `mlops init`. The files are verified and appear all at once; after
            an interruption the same command goes on. Without an artifact it lists what the remote has. Credentials come
            from the environment (AWS_ACCESS_KEY_ID …), from ~/.aws, or from the machine's own role.

            Examples:
              mlops get s3://models/team-a models/census@production
              mlops get s3://models/team-a datasets/census@v3 data/census --path train
              mlops get /mnt/shared/models --list
            """)

    @Argument(help: "s3://bucket/prefix, a folder's path, or the name of a remote of this project.")
    var remote: String

    @Argument(
        help: ArgumentHelp(
            "An artifact: `@v1`, `@production`, `@latest` or none for the latest.", valueName: "kind/name@version"))
    var artifact: String?

    @Argument(help: "Where to put it; the last part of its name by default. A folder that is there is filled.")
    var destination: String?

    @Option(help: ArgumentHelp("Only this part of the artifact, from its own path.", valueName: "part"))
    var path: String?

    @Flag(name: .shortAndLong, help: "List the artifacts of the remote.")
    var list = false

    @Flag(name: .shortAndLong, help: "Replace what is at the destination.")
    var force = false

    @OptionGroup var settings: RemoteSettings
    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let (directory, host) = (global.workingDirectory, GlobalOptions.host)
        let configuration = settings.applied(
            to: try RemoteArtifacts.configuration(for: remote, in: directory, environment: host))
        let reference = try artifact.map { try ArtifactReference($0) }
        let part = try path.map { try RelativePath(PartOptions.trimmed($0)) }
        guard let reference, !list else {
            let source = try RemoteArtifacts(
                configuration, relativeTo: directory, environment: host, options: transfers.options(console) { _ in })
            let histories = try await source.histories().filter {
                reference == nil || $0.artifact == reference?.artifact
            }
            return try console.report(RegistryListing(artifacts: histories.map(ListedArtifact.init)))
        }
        let outcome = try await console.withByteProgress("getting \(reference)") { progress in
            try await RemoteArtifacts(
                configuration, relativeTo: directory, environment: host, options: transfers.options(console, progress)
            ).download(reference, part: part, to: destination, in: directory, replaces: force)
        }
        try console.report(DownloadReport(outcome))
    }
}

struct DownloadReport: Encodable, TextRenderable {
    var outcome: DownloadOutcome

    init(_ outcome: DownloadOutcome) { self.outcome = outcome }

    func encode(to encoder: any Encoder) throws { try outcome.encode(to: encoder) }

    func text(_ style: TextStyle) -> String {
        let version = "\(outcome.artifact)@v\(outcome.version)"
        let name = outcome.part.map { "\($0) of \(version)" } ?? version
        guard let transfer = outcome.transfer else { return "unchanged: \(outcome.path) is \(name) already" }
        let size = "\(Format.count(outcome.content.fileCount, "file")), \(Format.bytes(outcome.content.byteCount))"
        return "\(style("got", .good)) \(name) to \(outcome.path) (\(size)): \(transfer.text(style))"
    }

    var essence: String { outcome.path }
}
