internal import ArgumentParser
internal import Remotes
package import TerminalOutput
internal import Workspaces

struct RemoteAdd: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a remote, after asking whether it answers",
        discussion: """
            The remote is written to registry/config.yaml, which git carries to every clone; with --local to
            .mlops/config.yaml, for this machine alone. Credentials come from the environment (AWS_ACCESS_KEY_ID …), from
            ~/.aws, or from the machine's own role, never from the project.

            Examples:
              mlops remote add origin s3://models/team-a
              mlops remote add lab s3://models --endpoint http://10.0.0.5:8333 --region us-east-1
              mlops remote add disk /mnt/shared/models --local
            """)

    @Argument(help: "The remote's name.")
    var name: String

    @Argument(help: "s3://bucket/prefix, file:///path or a path.")
    var url: String

    @Option(help: "The server of an S3-compatible store.")
    var endpoint: String?

    @Option(help: "The region of the bucket.")
    var region: String?

    @Option(help: "A profile of ~/.aws/credentials.")
    var profile: String?

    @Option(help: ArgumentHelp("Trust the authorities in this PEM file.", valueName: "path"))
    var caFile: String?

    @Flag(inversion: .prefixedNo, help: "Whether the bucket is a part of the path instead of the host name.")
    var pathStyle: Bool?

    @Flag(help: "Write it to .mlops/config.yaml, for this machine alone.")
    var local = false

    @Flag(name: .customLong("default"), help: "Use it where no remote is named.")
    var isDefault = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let configuration = RemoteConfiguration(
            url: url, endpoint: endpoint, region: region, pathStyle: pathStyle, profile: profile,
            certificateFile: caFile)
        let report = try await global.openWorkspace().addRemote(
            name, configuration, isLocal: local, makeDefault: isDefault)
        if !report.allowsSharedWriting {
            console.warning(
                "`\(report.url)` ignores conditional writes, so two writers may overwrite each other's versions",
                hint: "let one machine alone publish there, or use a store that honours `If-None-Match: *`")
        }
        try console.report(report)
    }
}

extension RemoteAddition: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        "\(style("added", .good)) remote \(name) (\(url)) to \(file)"
    }

    package var essence: String { name }
}
