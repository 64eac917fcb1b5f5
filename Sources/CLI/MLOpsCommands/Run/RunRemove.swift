internal import ArgumentParser
internal import Basics
internal import Pipelines
package import TerminalOutput
internal import Workspaces

struct RunRemove: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove recorded runs with their logs",
        discussion: """
            What the runs made stays in the store until `mlops gc`, and in the stage cache. Refuses with 4 if a version of
            the registry was published by one of the runs.

            Examples:
              mlops run rm x7k2p9 --dry-run
              mlops run rm --where 'outcome=failed'
            """)

    @Argument(help: "Runs, as `mlops run show` takes them.")
    var runs: [String] = []

    @Option(
        name: .customLong("where"),
        help: ArgumentHelp("All runs that meet this; may be given several times.", valueName: "condition"))
    var conditions: [String] = []

    @Flag(help: "Say what would go.")
    var dryRun = false

    @Flag(help: "Remove runs that published a version, too.")
    var force = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if runs.isEmpty, conditions.isEmpty { throw ValidationError("name the runs, or give --where") }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let history = workspace.runHistory
        // A broken record is named by its whole id.
        var ids = Set(try runs.map { try history.id(of: $0) })
        if !conditions.isEmpty {
            var query = RunQuery()
            query.filters = try conditions.map { try RunFilter($0) }
            ids.formUnion(try query.apply(to: try history.all().runs).map(\.id))
        }
        try console.report(try await workspace.removeRuns(ids.sorted(), dryRun: dryRun, force: force))
    }
}

extension RunRemovalReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        let verb = isDryRun ? "would remove" : "removed"
        var lines = ["\(style(verb, .caution)) \(Format.count(runs.count, "run")), \(Format.bytes(byteCount))"]
        lines += runs.map { "  \($0.id)  \(Format.bytes($0.byteCount))" }
        if outputCount > 0 {
            lines.append(
                "  \(Format.count(outputCount, "output")) of \(Format.bytes(outputByteCount)) \(isDryRun ? "would be" : "are") named by no other run; `mlops gc` may remove them unless a commit or version needs them"
            )
        }
        if !versions.isEmpty { lines.append("  published by them: \(versions.joined(separator: ", "))") }
        return lines.joined(separator: "\n")
    }

    package var essence: String { runs.map(\.id).joined(separator: "\n") }
}
