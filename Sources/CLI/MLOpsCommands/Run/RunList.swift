internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

struct RunList: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List runs with their parameters and metrics",
        discussion: """
            Names are metrics (`test.accuracy`), parameters (`params.train.epochs`) and facts: id, pipeline, outcome,
            started, seconds, joules, commit, branch, dirty.

            Examples:
              mlops run list --last 10
              mlops run list --where 'test.accuracy>=0.9' --sort test.accuracy --desc
              mlops run list --columns id,params.train.epochs,test.accuracy --csv
            """)

    @OptionGroup var selection: RunSelection

    @Option(help: ArgumentHelp("The columns, separated by commas.", valueName: "names"))
    var columns: String?

    @Flag(help: "Print CSV.")
    var csv = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if csv, global.json { throw ValidationError("--csv and --json exclude each other") }
    }

    func perform(_ console: Console) async throws {
        let (all, broken) = try global.openWorkspace().runHistory.all()
        for id in broken {
            console.warning("the record of run `\(id)` cannot be read", hint: "remove it with `mlops run rm \(id)`")
        }
        let query = try selection.query()
        let names = columns?.split(separator: ",").map(String.init)
        for name in names ?? [] { try query.check(name, among: all) }
        let table = RunTable(try query.apply(to: all), columns: names)
        if csv { OutputChannel.standardOutput.write(table.csv) } else { try console.report(table) }
    }
}
