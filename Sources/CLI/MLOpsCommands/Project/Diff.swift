internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import TerminalOutput
internal import Workspaces

struct Diff: Verb {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show which artifacts and files differ from a revision of git",
        discussion: """
            With one revision, the files as they are now are compared with it; with two, the second with the first.

            Examples:
              mlops diff
              mlops diff HEAD~1 HEAD
              mlops diff v1.0 --artifact datasets/census
            """)

    @Argument(help: "The revision to compare with.")
    var old = "HEAD"

    @Argument(help: "The revision to compare; by default the files as they are now.")
    var new: String?

    @Option(name: .customLong("artifact"), help: ArgumentHelp("An artifact; all by default.", valueName: "kind/name"))
    var artifacts: [String] = []

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let names = try artifacts.map { try ArtifactName($0) }
        try console.report(DiffReport(artifacts: try await workspace.difference(from: old, to: new, of: names)))
    }
}

struct DiffReport: Encodable, TextRenderable {
    var artifacts: [ArtifactDifference]

    func text(_ style: TextStyle) -> String {
        if artifacts.isEmpty { return "no differences" }
        return artifacts.flatMap { difference -> [String] in
            let tone: TextStyle.Tone =
                difference.state == .added ? .good : difference.state == .removed ? .bad : .caution
            let sizes = [difference.old, difference.new].compactMap(\.self).map { Format.bytes($0.byteCount) }
            let head =
                "\(style(difference.state.rawValue, tone))  \(difference.artifact)  \(sizes.joined(separator: " → "))"
            return [head] + (difference.changes ?? []).map { DiffReport.line($0, style) }
        }.joined(separator: "\n")
    }

    private static func line(_ change: ContentChange, _ style: TextStyle) -> String {
        let (mark, tone): (String, TextStyle.Tone) =
            switch change.kind {
            case .added: ("+", .good)
            case .deleted: ("-", .bad)
            case .modified: ("~", .caution)
            }
        let sizes = [change.oldByteCount, change.newByteCount].compactMap(\.self).map { Format.bytes($0) }
        let name = change.path.isEmpty ? "the file" : change.path
        return "  \(style(mark, tone)) \(name)  \(sizes.joined(separator: " → "))"
    }

    var essence: String { artifacts.map(\.artifact.description).joined(separator: "\n") }
}
