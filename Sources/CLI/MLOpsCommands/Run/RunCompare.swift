internal import ArgumentParser
internal import Basics
internal import Drawings
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

struct RunCompare: Verb {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare metrics of several runs in a table and in plots",
        discussion: """
            Plots show each metric across the runs, and the curves of training of each run in one picture.

            Examples:
              mlops run compare --last 10
              mlops run compare latest~1 latest --plot
              mlops run compare --metric test.accuracy --metric train.loss --svg build/plots
            """)

    @Argument(help: "Runs, as `mlops run show` takes them; those that the options choose by default.")
    var runs: [String] = []

    @OptionGroup var selection: RunSelection

    @Option(
        name: .customLong("metric"),
        help: ArgumentHelp("This metric or parameter; may be given several times.", valueName: "name"))
    var metrics: [String] = []

    @Flag(help: "Draw plots on the terminal.")
    var plot = false

    @Option(help: ArgumentHelp("Write each plot as an SVG file into this folder.", valueName: "dir"))
    var svg: String?

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let directory = global.workingDirectory
        let named = try runs.map { try workspace.recordedRun($0, from: directory) }
        let query = try selection.query()
        let candidates = runs.isEmpty ? try workspace.runHistory.all().runs : named
        let chosen = try query.apply(to: candidates)
        for name in metrics { try query.check(name, among: chosen) }
        let shown = metrics.isEmpty ? RunTable.telling(chosen) : metrics
        let numbers = metrics.isEmpty ? shown.filter { !$0.hasPrefix("params.") } : metrics
        let charts = Chart.across(chosen, metrics: numbers) + Chart.curves(chosen)
        var report = RunComparison(table: RunTable(chosen, columns: ["id", "outcome", "started"] + shown))
        if plot { report.charts = charts }
        if let svg {
            let folder = FileSystem.absolute(svg, from: directory)
            try FileSystem.createDirectories(folder)
            for chart in charts {
                try FileSystem.replaceUnflushed(
                    FileSystem.join(folder, chart.fileName), with: Array(chart.svg.utf8))
                report.files.append(FileSystem.join(svg, chart.fileName))
            }
        }
        try console.report(report)
    }
}

struct RunComparison: Encodable, TextRenderable {
    var table: RunTable
    var charts: [Chart] = []
    var files: [String] = []

    func encode(to encoder: any Encoder) throws {
        var members = try JSONValue(encoding: table).object ?? [:]
        members["files"] = .array(files.map(JSONValue.string))
        try JSONValue.object(members).encode(to: encoder)
    }

    func text(_ style: TextStyle) -> String {
        var parts = [table.text(style)]
        parts += charts.map { chart in
            let ends = chart.bounds.x
            func name(_ x: Double) -> String {
                if let labels = chart.labels, labels.indices.contains(Int(x)) { return labels[Int(x)] }
                return "\(chart.xTitle) \(Format.number(x))"
            }
            let plot = TextPlot(
                title: chart.title, series: chart.series.map { ($0.name, $0.points) },
                ends: (name(ends.lowerBound), name(ends.upperBound)))
            return plot.text(style)
        }
        if !files.isEmpty { parts.append(files.map { "wrote \($0)" }.joined(separator: "\n")) }
        return parts.joined(separator: "\n")
    }

    var essence: String { files.isEmpty ? table.essence : files.joined(separator: "\n") }
}
