internal import ArgumentParser
internal import Basics
internal import ContentStorage
package import TerminalOutput
internal import Workspaces

struct Gc: Verb {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Remove stored content that nothing needs any more",
        discussion: """
            Says what would go, and removes it with --yes. What is needed: the data of every commit of every branch, tag
            and stash, of all working trees and unfinished merges, of published versions, of runs and their cache; and
            everything that was written or used within the grace period.

            Removes nothing, and ends with 12, if anything that may name content cannot be read.

            Examples:
              mlops gc
              mlops gc --yes
              mlops gc --keep-history 90d --keep-versions 5 --keep-runs 30d --yes
            """)

    @Flag(name: .long, help: "Remove it.")
    var yes = false

    @Flag(name: .long, help: "Say what would go, which is the default.")
    var dryRun = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Keep the data of old commits of branches: of so many, or since so long; all by default.",
            valueName: "all|count|duration"))
    var keepHistory = "all"

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Keep so many versions of each artifact, and those with aliases; all by default.", valueName: "count"))
    var keepVersions: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Keep runs and what stages made: so many runs, or since so long; all by default.",
            valueName: "all|count|duration"))
    var keepRuns = "all"

    @Option(name: .long, help: ArgumentHelp("Keep what is younger than this.", valueName: "duration"))
    var grace = "14d"

    @Flag(name: .long, help: "Go on where content was pulled only in part.")
    var allowPartial = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if yes, dryRun { throw ValidationError("--yes and --dry-run exclude each other") }
        if let keepVersions, keepVersions < 1 {
            throw ValidationError("--keep-versions \(keepVersions) would keep nothing: give at least 1")
        }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let policy = RetentionPolicy(
            history: try .init(keepHistory, flag: "--keep-history"), versions: keepVersions,
            runs: try .init(keepRuns, flag: "--keep-runs"))
        let options = CollectionOptions(grace: try gracePeriod(), allowsPartial: allowPartial, isDryRun: !yes)
        let report = try await workspace.collect(policy, options: options)
        try console.report(report)
        if report.isDryRun, !report.isNothing { console.note("nothing was removed; repeat with --yes to remove it") }
        if report.postponedPackCount > 0 {
            console.warning(
                "the disk has no room to write \(Format.count(report.postponedPackCount, "pack")) anew",
                hint: "free some space, then run `mlops gc --yes` again to free more")
        }
    }

    private func gracePeriod() throws -> Duration {
        guard let duration = Duration(age: grace) else {
            throw MLOpsError(
                .usage, "`--grace \(printable(grace))` is not a duration", hint: "give a unit: `14d`, `12h`, or `0s`")
        }
        return duration
    }
}

extension CollectionReport: TextRenderable {
    private static let shownNames = 20

    package func text(_ style: TextStyle) -> String {
        let total = "\(Format.count(packCount, "pack")), \(Format.bytes(byteCount))"
        var lines: [String] = []
        if isNothing {
            lines.append("\(style("nothing", .good)) to remove: \(total)")
        } else {
            let verb = isDryRun ? "would free" : "freed"
            lines.append("\(style(verb, .caution)) \(Format.bytes(max(0, freedByteCount))) of \(total)")
            lines.append(
                "  \(Format.count(removedObjectCount, "object")): \(Format.count(removedPackCount, "pack")) removed, "
                    + "\(rewrittenPackCount) written anew")
        }
        if !lost.isEmpty {
            lines.append("  of:")
            lines += lost.prefix(CollectionReport.shownNames).map { "    \($0)" }
            if lost.count > CollectionReport.shownNames {
                lines.append("    and \(lost.count - CollectionReport.shownNames) more")
            }
        }
        if youngPackCount > 0 {
            lines.append("  \(Format.count(youngPackCount, "pack")) without use kept, being within the grace period")
        }
        if leftoverCount > 0 {
            lines.append("  \(Format.count(leftoverCount, "leftover")) of interrupted work removed")
        }
        return lines.joined(separator: "\n")
    }

    package var essence: String { lost.joined(separator: "\n") }
}
