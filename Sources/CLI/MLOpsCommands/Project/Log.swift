internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct Log: Verb {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show the commits that changed artifacts",
        discussion: """
            Examples:
              mlops log
              mlops log datasets/census -n 5
            """)

    @Argument(help: "An artifact; all by default.")
    var artifact: String?

    @Option(
        name: [.customShort("n"), .long], help: ArgumentHelp("Show at most this many commits.", valueName: "count"))
    var limit = 50

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit \(limit) is not at least 1") }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let entries = try workspace.history(of: try artifact.map { try ArtifactName($0) }, limit: limit)
        try console.report(LogReport(commits: entries))
    }
}

struct LogReport: Encodable, TextRenderable {
    var commits: [HistoryEntry]

    func text(_ style: TextStyle) -> String {
        if commits.isEmpty { return "no commit has changed an artifact yet" }
        return commits.flatMap { entry -> [String] in
            let head = "\(style(String(entry.commit.prefix(12)), .caution))  \(entry.time.description.prefix(10))  "
            return [head + "\(entry.author)  \(printable(entry.summary))"]
                + entry.changes.map { change in
                    let state = change.content.map {
                        "\($0.digest.short)  \(Format.bytes($0.byteCount)) in \(Format.count($0.fileCount, "file"))"
                    }
                    return "    \(change.artifact)  \(state ?? "removed")"
                }
        }.joined(separator: "\n")
    }

    var essence: String { commits.map(\.commit).joined(separator: "\n") }
}
