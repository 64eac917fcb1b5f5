internal import ArgumentParser
internal import Basics
internal import Pipelines
package import TerminalOutput
internal import Training
internal import Workspaces

struct RunReproduce: Verb {
    static let configuration = CommandConfiguration(
        commandName: "reproduce", abstract: "Repeat a run at its commit and compare what it makes",
        discussion: """
            Works in a temporary git worktree with a store of its own: nothing here changes, and no result comes from the
            cache. Stages that push or promote are left out. Ends with 1 if anything differs.

            Examples:
              mlops run reproduce latest
              mlops run reproduce x7k2p9 --json
            """)

    @Argument(help: "The run, as `mlops run show` takes it.")
    var run: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let record = try workspace.recordedRun(run, from: global.workingDirectory)
        let quiet = global.json
        let report = try await RunDisplay(console: console, explains: false).following { show in
            try await workspace.reproduce(
                record, jobs: GlobalOptions.processorCount, steps: { .builtIn($0) },
                onEvent: { if !quiet { show($0) } })
        }
        try console.report(report)
        if !report.isEqual {
            throw MLOpsError(
                .failed, "the repetition of run `\(report.run)` made something else",
                hint: "a stage that uses time, chance without a seed, or undeclared files differs each time")
        }
    }
}

extension ReproductionReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        var lines: [String] = []
        if let failure { lines.append("\(style("failed", .bad)): \(failure)") }
        var table = Table([
            .init("stage"), .init("what", truncation: .middle), .init("then", .right), .init("now", .right), .init(""),
        ])
        func short(_ digest: String) -> String { String(digest.dropFirst(7).prefix(12)) }
        for output in outputs {
            table.add(
                .init(output.stage), .init(output.path), .init(short(output.old)),
                .init(output.new.map(short) ?? "–"), output.isEqual ? .init("equal", .good) : .init("different", .bad))
        }
        for change in metrics {
            table.add(
                .init(""), .init(change.name), .init(change.old.map { Format.number($0) } ?? "–"),
                .init(change.new.map { Format.number($0) } ?? "–"),
                change.isEqual ? .init("equal", .good) : .init(change.text, .bad))
        }
        lines.append(table.text(style))
        if !skipped.isEmpty { lines.append("not repeated: \(skipped.joined(separator: ", "))") }
        lines.append(isEqual ? style("equal", .good) : style("different", .bad))
        return lines.joined(separator: "\n")
    }

    package var essence: String { isEqual ? "equal" : "different" }
}
