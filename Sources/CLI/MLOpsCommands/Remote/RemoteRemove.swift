internal import ArgumentParser
internal import Remotes
internal import TerminalOutput
internal import Workspaces

struct RemoteRemove: Verb {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a remote",
        discussion: """
            What lies on the remote stays.

            Example:
              mlops remote remove backup
            """)

    @Argument(help: "The remote's name.")
    var name: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let removed = try global.openWorkspace().removeRemote(name)
        try console.report(RemovedRemote(name: removed.name, url: removed.configuration.url, file: removed.file))
    }
}

struct RemovedRemote: Encodable, TextRenderable {
    var name: String
    var url: String
    var file: String

    func text(_ style: TextStyle) -> String { "removed remote \(name) from \(file); what lies at \(url) stays" }

    var essence: String { name }
}
