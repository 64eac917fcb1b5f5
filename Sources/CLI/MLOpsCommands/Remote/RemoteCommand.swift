internal import ArgumentParser

struct RemoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remote", abstract: "Manage the places that data and versions are shared through",
        subcommands: [RemoteAdd.self, RemoteList.self, RemoteRemove.self])
}
