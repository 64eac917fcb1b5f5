internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct Add: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Record files or folders as artifacts",
        discussion: """
            The content goes into the store, a pointer into registry/, the path into .gitignore. Content that the store
            has already is not stored again.

            With --in-place the content stays where it is and is not copied: the store notes where each piece lies, and
            `mlops push` reads it from there. Until it is pushed, those files are its only copy.

            Examples:
              mlops add data/train.csv
              mlops add data/images --as datasets/images
              mlops add data/video --in-place
              mlops add data/train.csv --explain
            """)

    @Argument(help: "Files or folders of the project.")
    var paths: [String]

    @Option(name: .customLong("as"), help: ArgumentHelp("The artifact's name, for one path.", valueName: "kind/name"))
    var name: String?

    @Flag(help: "Record the content where it is, without a copy in the store.")
    var inPlace = false

    @Flag(
        help: "Show what became of each file that was read: its size, what of it was new, what that takes in the store."
    )
    var explain = false

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
                try await console.withByteProgress("adding \(path)") { [inPlace, explain] progress in
                    try await workspace.add(
                        path, as: name, isInPlace: inPlace, explains: explain, progress: progress)
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
            let left = outcome.inPlaceBytes == 0 ? "" : ", \(Format.bytes(outcome.inPlaceBytes)) left in place"
            let line = "\(word) \(outcome.artifact) (\(outcome.path): \(size), \(stored)\(left))"
            return outcome.files.map { line + "\n" + explanation(of: $0, outcome, style) } ?? line
        }
        let files = Set(artifacts.flatMap(\.changedFiles)).sorted()
        if !files.isEmpty { lines.append("next: `git add \(files.joined(separator: " "))` and commit") }
        return lines.joined(separator: "\n")
    }

    private static let shownFiles = 20

    /// A table of what became of the files, those that took most first, and of all together.
    private func explanation(of files: [AddedFile], _ outcome: AddOutcome, _ style: TextStyle) -> String {
        var table = Table([
            .init("file", truncation: .middle), .init("size", .right), .init("new", .right), .init("stored", .right),
            .init("new chunks", .right), .init("of its size", .right),
        ])
        let order = files.sorted { ($0.storedByteCount, $0.newByteCount) > ($1.storedByteCount, $1.newByteCount) }
        for file in order.prefix(AddReportList.shownFiles) {
            table.add(
                "\(file.path.isEmpty ? outcome.path.description : file.path)", "\(Format.bytes(file.logicalByteCount))",
                "\(Format.bytes(file.newByteCount))", "\(Format.bytes(file.storedByteCount))",
                "\(file.newChunkCount) of \(file.chunkCount)",
                "\(share(file.storedByteCount, of: file.newByteCount))")
        }
        let others = files.count - AddReportList.shownFiles
        if others > 0 { table.add("\(Format.count(others, "more file"))") }
        let known = outcome.content.fileCount - files.count
        if known > 0 { table.add("\(Format.count(known, "file")) known to be unchanged") }
        let fileBytes = files.reduce(0) { $0 + $1.storedByteCount }
        if outcome.storedBytes > fileBytes {
            table.add("lists of chunks and files", "", "", "\(Format.bytes(outcome.storedBytes - fileBytes))")
        }
        table.add(
            "total", "\(Format.bytes(outcome.logicalBytes))", "\(Format.bytes(outcome.newBytes))",
            "\(Format.bytes(outcome.storedBytes))",
            "\(files.reduce(0) { $0 + $1.newChunkCount }) of \(files.reduce(0) { $0 + $1.chunkCount })",
            "\(share(outcome.storedBytes, of: outcome.newBytes))")
        return String(table.text(style).dropLast())
    }

    /// What new content takes in the store, as a share of its size: below 100 % where it was compressed.
    private func share(_ stored: Int64, of new: Int64) -> String {
        new == 0 ? "" : "\(Int((Double(stored) / Double(new) * 100).rounded())) %"
    }

    var essence: String { artifacts.map(\.content.digest.description).joined(separator: "\n") }
}
