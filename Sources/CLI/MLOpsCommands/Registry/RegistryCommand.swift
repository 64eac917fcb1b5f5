internal import ArgumentParser

struct RegistryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry", abstract: "Publish, fetch, promote and inspect versions of artifacts",
        subcommands: [
            RegistryPush.self, RegistryPull.self, RegistryList.self, RegistryShow.self, RegistryLog.self,
            RegistryPromote.self, RegistryRollback.self,
        ])
}
