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

            Versions are published by creating files only if they are absent. A store that does not honour that could lose one
            writer's version to another's, so `mlops registry push` refuses it unless --single-writer says that there is one.

            Examples:
              mlops remote add origin s3://models/team-a
              mlops remote add lab s3://models --endpoint http://10.0.0.5:8333 --region us-east-1
              mlops remote add disk /mnt/shared/models --local
            """)

    @Argument(help: "The remote's name.")
    var name: String

    @Argument(help: "s3://bucket/prefix, file:///path or a path.")
    var url: String

    @OptionGroup var settings: RemoteSettings

    @Flag(help: "One machine alone publishes there: the store need not honour conditional writes.")
    var singleWriter = false

    @Flag(help: "Write it to .mlops/config.yaml, for this machine alone.")
    var local = false

    @Flag(name: .customLong("default"), help: "Use it where no remote is named.")
    var isDefault = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        var configuration = settings.applied(to: RemoteConfiguration(url: url))
        if singleWriter { configuration.isSingleWriter = true }
        let report = try await global.openWorkspace().addRemote(
            name, configuration, isLocal: local, makeDefault: isDefault)
        if !report.allowsSharedWriting, !report.isSingleWriter {
            console.warning(
                "`\(report.url)` does not honour conditional writes: data can be pushed there, but `mlops registry push` refuses",
                hint:
                    "use a store that honours `If-None-Match: *`, or add it with `--single-writer` if one machine alone publishes there"
            )
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
