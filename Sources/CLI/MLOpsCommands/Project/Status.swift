internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
package import TerminalOutput
internal import Workspaces

struct Status: Verb {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how files stand against the recorded artifacts",
        discussion: """
            Unchanged files are known by size, times and inode and are not read again.
            `partial`: the parts that were asked for with --path are right.
            `unreadable`: something is in the way; it ends with that error.

            Examples:
              mlops status
              mlops status datasets/census --json
            """)

    @Argument(help: "Artifacts; all by default.")
    var artifacts: [String] = []

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let status = try await workspace.status(of: try artifacts.map { try ArtifactName($0) })
        try console.report(status)
        if let failure = status.failure { throw failure }
    }
}

extension WorkspaceStatus: TextRenderable {
    private static let shownChanges = 10

    package func text(_ style: TextStyle) -> String {
        let place = branch.map { "on \($0)" } ?? (commit == nil ? "no commit" : "detached")
        var lines = ["\(root) (\(commit.map { "\(place), \($0.prefix(12))" } ?? "\(place) yet"))"]
        if artifacts.isEmpty {
            return lines[0] + "\nno artifacts yet; record one with `mlops add <path>`"
        }
        for artifact in artifacts { lines += artifact.lines(style, limit: WorkspaceStatus.shownChanges) }
        if artifacts.contains(where: { $0.state == .modified }) {
            lines.append("hint: `mlops add <path>` records changes, `mlops checkout` takes them back")
        } else if artifacts.contains(where: { $0.state == .missing && $0.isStored }) {
            lines.append("hint: `mlops checkout` restores what is missing")
        } else if artifacts.contains(where: { $0.state == .missing }) {
            lines.append("hint: `mlops pull` fetches it, or run the pipeline that makes it")
        }
        return lines.joined(separator: "\n")
    }

    package var essence: String {
        artifacts.filter { $0.state != .unchanged && $0.state != .partial }.map(\.artifact.description).joined(
            separator: "\n")
    }
}

extension ArtifactStatus {
    fileprivate func lines(_ style: TextStyle, limit: Int) -> [String] {
        let tone: TextStyle.Tone =
            switch state {
            case .unchanged, .partial: .plain
            case .modified: .caution
            case .missing, .unreadable: .bad
            }
        let chosen = parts.isEmpty ? "" : " (only \(parts.map(\.description).joined(separator: ", ")))"
        let note = chosen + (isStored ? "" : " (content not in the store)")
        var lines = ["  \(style(state.rawValue, tone))  \(artifact)  \(path)\(note)"]
        if let problem { lines.append("      \(problem)") }
        lines += changes.prefix(limit).map {
            "      \($0.kind.rawValue)  \($0.path.isEmpty ? path.description : $0.path)"
        }
        if changes.count > limit { lines.append("      and \(changes.count - limit) more") }
        return lines
    }
}
