internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "See, compare, repeat and remove recorded runs",
        subcommands: [
            RunList.self, RunShow.self, RunDiff.self, RunCompare.self, RunReproduce.self, RunRemove.self,
        ])
}

/// Which runs, in which order.
struct RunSelection: ParsableArguments {
    @Option(help: ArgumentHelp("Only runs of this pipeline.", valueName: "name"))
    var pipeline: String?

    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Only runs that meet this, with = != < <= > >= or ~ (contains); may be given several times.",
            valueName: "condition"))
    var conditions: [String] = []

    @Option(help: ArgumentHelp("Sort by a metric, a parameter or a fact; by time by default.", valueName: "name"))
    var sort: String?

    @Flag(help: "Sort the other way round.")
    var desc = false

    @Option(help: ArgumentHelp("Only the newest so many.", valueName: "count"))
    var last: Int?

    func query() throws -> RunQuery {
        if let last, last < 1 { throw MLOpsError(.usage, "`--last \(last)` is not at least 1") }
        var query = RunQuery()
        query.pipeline = pipeline
        query.filters = try conditions.map { try RunFilter($0) }
        query.sort = sort
        query.isDescending = desc
        query.last = last
        return query
    }
}

/// Runs as rows: facts first, then the columns that are asked for.
struct RunTable: Encodable, TextRenderable {
    static let facts = ["id", "pipeline", "outcome", "started", "seconds", "joules", "commit"]
    /// Columns that are shown without `--columns`, besides the facts.
    static let automaticLimit = 8

    var runs: [RecordedRun]
    var columns: [String]

    /// - Parameter columns: as asked for; nil for the facts, parameters that differ, and metrics.
    init(_ runs: [RecordedRun], columns: [String]?) {
        self.runs = runs
        self.columns = columns ?? RunTable.facts + RunTable.telling(runs)
    }

    /// Parameters that are not the same in all runs, and metrics; as many as a table holds.
    static func telling(_ runs: [RecordedRun]) -> [String] {
        let names = Set(runs.flatMap(\.parameters.keys)).sorted()
        let parameters = names.filter { name in Set(runs.map { $0.parameters[name] }).count > 1 }
        let metrics = Set(runs.flatMap(\.metrics.keys)).sorted { left, right in
            let depth = (left.count { $0 == "." }, right.count { $0 == "." })
            return depth == (0, 0) || depth.0 == depth.1 ? left < right : depth.0 < depth.1
        }
        return Array((parameters.map { "params.\($0)" } + metrics).prefix(automaticLimit))
    }

    func encode(to encoder: any Encoder) throws {
        let rows = runs.map { run -> JSONValue in
            .object(Dictionary(columns.map { ($0, run.value(of: $0) ?? .null) }, uniquingKeysWith: { $1 }))
        }
        try JSONValue.object(["columns": .array(columns.map(JSONValue.string)), "runs": .array(rows)])
            .encode(to: encoder)
    }

    func text(_ style: TextStyle) -> String {
        if runs.isEmpty { return "no run meets that" }
        var table = Table(
            columns.map { name in
                let isNumber = runs.contains { $0.value(of: name)?.number != nil }
                return Table.Column(name, isNumber ? .right : .left, truncation: name == "id" ? nil : .middle)
            })
        for run in runs { table.add(columns.map { cell(run, $0) }) }
        return table.text(style)
    }

    private func cell(_ run: RecordedRun, _ name: String) -> Table.Cell {
        guard let value = run.value(of: name), value != .null else {
            return name == "outcome" ? Table.Cell("unfinished", .caution) : Table.Cell("–", .faint)
        }
        switch name {
        case "outcome": return Table.Cell(value.string ?? "", value.string == "succeeded" ? .good : .bad)
        case "started": return Table.Cell(String((value.string ?? "").prefix(16).replacing("T", with: " ")))
        case "seconds": return Table.Cell(Format.duration(.seconds(value.number ?? 0)))
        case "commit": return Table.Cell("\((value.string ?? "").prefix(10))\(run.isDirty ? "+" : "")")
        default: return Table.Cell(value.number.map { Format.number($0) } ?? value.string ?? value.canonicalText)
        }
    }

    var essence: String { runs.map(\.id).joined(separator: "\n") }

    /// RFC 4180; a cell that a spreadsheet would take for a formula gets an apostrophe.
    var csv: String {
        func field(_ value: JSONValue?) -> String {
            guard let value, value != .null else { return "" }
            guard value.number == nil else { return value.canonicalText }
            let text = value.string ?? value.canonicalText
            let safe = text.first.map { "=+-@\t\r".contains($0) } == true ? "'" + text : text
            guard safe.contains(where: { ",\"\n\r".contains($0) }) else { return safe }
            return "\"" + safe.replacing("\"", with: "\"\"") + "\""
        }
        let rows = [columns.map { field(.string($0)) }] + runs.map { run in columns.map { field(run.value(of: $0)) } }
        return rows.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }
}
