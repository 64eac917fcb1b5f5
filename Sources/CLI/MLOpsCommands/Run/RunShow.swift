internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

struct RunShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all that is recorded of a run",
        discussion: """
            A run is named by its id, by the beginning or end of one, by `latest` or `latest~1`, or by a file.

            Examples:
              mlops run show
              mlops run show latest~1
              mlops run show x7k2p9 --json
            """)

    @Argument(help: "The run; the latest by default.")
    var run = "latest"

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        try console.report(RunDetails(run: try workspace.recordedRun(run, from: global.workingDirectory)))
    }
}

struct RunDetails: Encodable, TextRenderable {
    var run: RecordedRun

    func encode(to encoder: any Encoder) throws { try run.encode(to: encoder) }

    func text(_ style: TextStyle) -> String {
        var parts = [facts.text(style), stages.text(style)]
        let plain = TextStyle(usesColor: style.usesColor)
        parts += [values("parameter", run.parameters), values("metric", run.metrics.mapValues(JSONValue.double))]
            .map { $0.text(plain) }
        return parts.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private var facts: FactList {
        let tone: TextStyle.Tone = run.outcome == .succeeded ? .good : .bad
        var facts = FactList([("run", .init(run.id)), ("pipeline", .init("\(run.pipeline) (\(run.file))"))])
        facts.add("outcome", .init(run.outcome?.rawValue ?? "unfinished", tone))
        let time = run.seconds.map { ", took \(Format.duration(.seconds($0)))" } ?? ""
        facts.add("started", .init(run.started.description + time))
        if let joules = run.joules, joules > 0 { facts.add("energy", .init("\(Format.number(joules)) J")) }
        facts.add("commit", ifKnown: run.commit.map { $0 + (run.branch.map { " (\($0))" } ?? "") })
        if let patch = run.json["git"]?["patch"], let digest = patch["digest"]?.string {
            let kept = patch["kept"]?.boolean == true ? "kept" : "too large to be kept"
            facts.add("changes", .init("\(digest), \(Format.bytes(Int64(patch["byteCount"]?.integer ?? 0))), \(kept)"))
        } else if run.isDirty {
            facts.add("changes", "tracked files differed from the commit")
        }
        if !run.overrides.isEmpty { facts.add("set", .init(run.overrides.joined(separator: " "))) }
        let environment = run.json["environment"]
        for (name, key) in [("system", "os"), ("kernel", "kernel"), ("processor", "cpu"), ("mlops", "mlops")] {
            facts.add(name, ifKnown: environment?[key]?.string)
        }
        for (name, value) in (environment?["variables"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            facts.add("env \(name)", .init(value.string ?? "not set"))
        }
        return facts
    }

    private var stages: Table {
        var table = Table([
            .init("stage"), .init("state"), .init("time", .right), .init("energy", .right), .init("why"),
        ])
        for stage in run.stages {
            table.add(
                .init(stage.name),
                .init(stage.isCached ? "cached" : stage.state.rawValue, stage.isGood ? .plain : .bad),
                .init(stage.seconds.map { Format.duration(.seconds($0)) } ?? "–"),
                .init(stage.joules.map { "\(Format.number($0)) J" } ?? "–"),
                .init(stage.error ?? stage.reasons.joined(separator: "; "), .faint))
        }
        return table
    }

    private func values(_ title: String, _ values: [String: JSONValue]) -> Table {
        var table = Table([.init(title), .init("value", .right)])
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            table.add(.init(name), .init(value.number.map { Format.number($0) } ?? value.string ?? value.canonicalText))
        }
        return table
    }

    var essence: String { run.id }
}
