internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

struct RunDiff: Verb {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show how two runs differ: parameters, metrics, outputs, surroundings",
        discussion: """
            Examples:
              mlops run diff
              mlops run diff latest~3 latest
            """)

    @Argument(help: "The older run; the one before the latest by default.")
    var old = "latest~1"

    @Argument(help: "The newer run; the latest by default.")
    var new = "latest"

    @Flag(help: "Show also what is equal.")
    var all = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let directory = global.workingDirectory
        try console.report(
            RunDifference(
                old: try workspace.recordedRun(old, from: directory),
                new: try workspace.recordedRun(new, from: directory),
                showsAll: all))
    }
}

struct RunDifference: Encodable, TextRenderable {
    struct Change: Encodable {
        var kind: String
        var name: String
        var old: JSONValue?
        var new: JSONValue?
        /// Of numbers.
        var note = ""
    }

    var old: RecordedRun
    var new: RecordedRun
    var changes: [Change]

    init(old: RecordedRun, new: RecordedRun, showsAll: Bool) {
        self.old = old
        self.new = new
        let metrics = MetricChange.between(old, new).map { change in
            Change(
                kind: "metric", name: change.name, old: change.old.map(JSONValue.double),
                new: change.new.map(JSONValue.double), note: change.text)
        }
        func values(_ kind: String, _ left: [String: JSONValue], _ right: [String: JSONValue]) -> [Change] {
            Set(left.keys).union(right.keys).sorted().map {
                Change(kind: kind, name: $0, old: left[$0], new: right[$0])
            }
        }
        func outs(_ run: RecordedRun) -> [String: JSONValue] {
            run.stages.reduce(into: [:]) { $0.merge($1.outs.mapValues(JSONValue.string)) { $1 } }
        }
        func surroundings(_ run: RecordedRun) -> [String: JSONValue] {
            var found = run.json["environment"]?.object ?? [:]
            found["variables"] = nil
            for (name, value) in run.json["environment"]?["variables"]?.object ?? [:] { found["env \(name)"] = value }
            found["commit"] = run.commit.map(JSONValue.string)
            found["patch"] = run.json["git"]?["patch"]?["digest"]
            found["spec"] = run.json["specDigest"]
            return found
        }
        let every =
            values("parameter", old.parameters, new.parameters) + metrics + values("output", outs(old), outs(new))
            + values("surroundings", surroundings(old), surroundings(new))
        changes = showsAll ? every : every.filter { $0.old != $0.new }
    }

    func encode(to encoder: any Encoder) throws {
        let list = changes.map { change -> JSONValue in
            [
                "kind": .string(change.kind), "name": .string(change.name), "old": change.old ?? .null,
                "new": change.new ?? .null,
            ]
        }
        try JSONValue.object(["old": .string(old.id), "new": .string(new.id), "changes": .array(list)])
            .encode(to: encoder)
    }

    func text(_ style: TextStyle) -> String {
        let head = "\(style(old.id, .heading)) → \(style(new.id, .heading))\n"
        if changes.isEmpty { return head + "no difference" }
        var table = Table([
            .init(""), .init("name", truncation: .middle), .init("old", .right), .init("new", .right),
            .init("change", .right),
        ])
        for change in changes {
            table.add(
                .init(change.kind, .faint), .init(change.name), .init(shown(change.old)), .init(shown(change.new)),
                .init(change.note))
        }
        return head + table.text(style)
    }

    private func shown(_ value: JSONValue?) -> String {
        guard let value, value != .null else { return "–" }
        if let number = value.number { return Format.number(number) }
        let text = value.string ?? value.canonicalText
        return text.hasPrefix("sha256:") ? String(text.dropFirst(7).prefix(12)) : truncated(text, to: 40)
    }

    var essence: String { changes.map(\.name).joined(separator: "\n") }
}
