internal import ArgumentParser
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct RemoteList: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the remotes",
        discussion: """
            Example:
              mlops remote list
            """)

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let remotes = try global.openWorkspace().remotes().map(ListedRemote.init)
        try console.report(RemoteListReport(remotes: remotes))
    }
}

struct ListedRemote: Encodable {
    var name: String
    var url: String
    var endpoint: String?
    var isDefault: Bool
    var file: String

    init(_ remote: ConfigurationFile.NamedRemote) {
        name = remote.name
        url = remote.configuration.url
        endpoint = remote.configuration.endpoint
        isDefault = remote.isDefault
        file = remote.file
    }
}

struct RemoteListReport: Encodable, TextRenderable {
    var remotes: [ListedRemote]

    func text(_ style: TextStyle) -> String {
        if remotes.isEmpty { return "no remotes; add one with `mlops remote add <name> <url>`" }
        var table = Table(titles: ["name", "url", "endpoint", "default", "file"])
        for remote in remotes {
            table.add(
                .init(remote.name), .init(remote.url), .init(remote.endpoint ?? ""), remote.isDefault ? "yes" : "",
                .init(remote.file))
        }
        return table.text(style)
    }

    var essence: String { remotes.map(\.name).joined(separator: "\n") }
}
