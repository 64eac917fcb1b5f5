internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct Checkout: Verb {
    static let configuration = CommandConfiguration(
        commandName: "checkout", abstract: "Restore the data that this commit's pointers name",
        discussion: """
            Run it after `git checkout <rev>`. Files that are right already are left alone; a file whose content is
            nowhere in the store is never overwritten without --force.

            Examples:
              git checkout main~3 && mlops checkout
              mlops checkout datasets/census --force
              mlops checkout datasets/images --path train/cats
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

    @Flag(name: .shortAndLong, help: "Overwrite files whose content is nowhere in the store.")
    var force = false

    @OptionGroup var parts: PartOptions
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let names = try artifacts.map { try ArtifactName($0) }
        let extent = try parts.extent()
        let outcomes = try await console.withByteProgress("checking out") { progress in
            try await workspace.checkout(names, extent, force: force, progress: progress)
        }
        try console.report(CheckoutList(artifacts: outcomes))
    }
}

struct CheckoutList: Encodable, TextRenderable {
    var artifacts: [CheckoutOutcome]

    func text(_ style: TextStyle) -> String {
        if artifacts.isEmpty { return "no artifacts to check out" }
        return artifacts.map { outcome in
            let report = outcome.report
            if report.isUnchanged { return "unchanged  \(outcome.artifact)  \(outcome.path)" }
            let removed =
                report.removedFileCount == 0 ? "" : ", \(Format.count(report.removedFileCount, "file")) removed"
            return """
                \(style("restored", .good))  \(outcome.artifact)  \(outcome.path): \
                \(Format.count(report.writtenFileCount, "file")) written (\(Format.bytes(report.writtenByteCount)))\(removed)
                """
        }.joined(separator: "\n")
    }

    var essence: String { artifacts.map(\.path.description).joined(separator: "\n") }
}
