internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct Add: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Record files or folders as artifacts",
        discussion: """
            The content goes into the store, a pointer into registry/, the path into .gitignore. Content that the store
            has already is not stored again.

            Examples:
              mlops add data/train.csv
              mlops add data/images --as datasets/images
            """)

    @Argument(help: "Files or folders of the project.")
    var paths: [String]

    @Option(name: .customLong("as"), help: ArgumentHelp("The artifact's name, for one path.", valueName: "kind/name"))
    var name: String?

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if name != nil, paths.count > 1 {
            throw ValidationError("--as names one artifact, but \(paths.count) paths are given")
        }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let name = try name.map { try ArtifactName($0) }
        // Every path is checked before the first is recorded.
        let relative = try paths.map { try workspace.relativePath(of: $0, from: global.workingDirectory) }
        var outcomes: [AddOutcome] = []
        for path in relative {
            outcomes.append(
                try await console.withByteProgress("adding \(path)") { progress in
                    try await workspace.add(path, as: name, progress: progress)
                })
        }
        let collisions = outcomes.flatMap(\.collisions)
        if let first = collisions.first {
            let more = collisions.count > 1 ? " and \(Format.count(collisions.count - 1, "more pair"))" : ""
            console.warning(
                "\(first)\(more) differ only in case or in how an accent is spelled",
                hint: "macOS and Windows cannot check both out: rename one before others use them")
        }
        try console.report(AddReportList(artifacts: outcomes))
    }
}

struct AddReportList: Encodable, TextRenderable {
    var artifacts: [AddOutcome]

    func text(_ style: TextStyle) -> String {
        var lines = artifacts.map { outcome in
            let size = "\(Format.count(outcome.content.fileCount, "file")), \(Format.bytes(outcome.logicalBytes))"
            let word = outcome.isUnchanged ? "unchanged" : style("recorded", .good)
            let stored = outcome.newBytes == 0 ? "nothing new to store" : "\(Format.bytes(outcome.storedBytes)) stored"
            return "\(word) \(outcome.artifact) (\(outcome.path): \(size), \(stored))"
        }
        let files = Set(artifacts.flatMap(\.changedFiles)).sorted()
        if !files.isEmpty { lines.append("next: `git add \(files.joined(separator: " "))` and commit") }
        return lines.joined(separator: "\n")
    }

    var essence: String { artifacts.map(\.content.digest.description).joined(separator: "\n") }
}
