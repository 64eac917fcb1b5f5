internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineRun: Verb {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a pipeline; what is known already comes from the cache",
        discussion: """
            A stage runs if anything that it depends on has changed: its files, its parameters, its command. Stages that
            do not depend on each other run at the same time. Ends with 4 if a gate refuses.

            Examples:
              mlops pipeline run pipelines/census.yaml
              mlops pipeline run pipelines/census.yaml --set train.epochs=10
              mlops pipeline run pipelines/census.yaml --stage test --explain
              mlops pipeline run pipelines/census.yaml --report junit=build/junit.xml,github
              mlops pipeline run pipelines/census.yaml --since origin/main
              mlops pipeline run pipelines/census.yaml --strict --trace
            """)

    @OptionGroup var pipeline: PipelineOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Stages at a time; one for each processor by default.", valueName: "count"))
    var jobs: Int?

    @Option(
        name: .customLong("stage"),
        help: ArgumentHelp("Run only this stage and what it needs; may be given several times.", valueName: "name"))
    var stages: [String] = []

    @Flag(help: "Go on with stages that do not depend on a failed one.")
    var keepGoing = false

    @Flag(help: "Run stages although nothing has changed.")
    var force = false

    @Flag(help: "Say for each stage why it runs.")
    var explain = false

    @Flag(help: "Wait if another run of the pipeline goes on, instead of ending with 11.")
    var wait = false

    @Flag(help: "Fail a stage that writes files besides its outs, instead of warning.")
    var strict = false

    @Flag(help: "Run commands under strace, and warn of files that they read and no deps name.")
    var trace = false

    @Option(
        help: ArgumentHelp(
            "Run this stage alone, with what those before it handed over; needs --exchange.", valueName: "name"))
    var only: String?

    @Option(
        help: ArgumentHelp(
            "Hand results over through the remote under this name, the same for all stages of a run.",
            valueName: "name"))
    var exchange: String?

    @Option(help: ArgumentHelp("The remote to hand results over through.", valueName: "name"))
    var remote: String?

    @Option(
        help: ArgumentHelp(
            "Run only what differs from the commit that this revision and HEAD have in common.", valueName: "revision"))
    var since: String?

    @OptionGroup var report: ReportOptions

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if (only == nil) != (exchange == nil) { throw ValidationError("--only and --exchange go together") }
        if let jobs, !(1...1024).contains(jobs) { throw ValidationError("--jobs \(jobs) is not in 1...1024") }
    }

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        _ = try report.targets()
        let loaded = try workspace.loadPipeline(
            pipeline.file, from: global.workingDirectory, overrides: pipeline.overrides, steps: .builtIn(workspace))
        var options = RunOptions(jobs: jobs ?? GlobalOptions.processorCount)
        if let jobs { options.remoteJobs = jobs }
        options.stages = stages
        options.keepsGoing = keepGoing
        options.isForced = force
        options.environment = RunEnvironment.describe(version: MLOpsCommand.version, pipeline: loaded)
        options.patch = try workspace.dirtyPatch()
        if let since { try narrow(loaded, &options, since, workspace, console) }
        options.waits = wait
        options.checks.isStrict = strict
        options.checks.isTracing = trace
        options.capacity = GlobalOptions.capacity
        let (project, settings) = (workspace, options)
        let result = try await report.shielded(console) {
            try await RunDisplay(console: console, explains: explain).following { show in
                guard let only, let exchange else {
                    return try await project.run(loaded, options: settings, onEvent: show)
                }
                return try await project.run(
                    loaded, only: only, exchange: exchange, remoteName: remote, options: settings, onEvent: show)
            }
        }
        if !global.json { try console.report(RunSummary(report: result)) }
        try report.write(result, workspace, from: global.workingDirectory, console: console)
        tellOthers(try result.otherErrors.map { try report.harmless($0) }, console)
        if let error = result.error { throw try report.harmless(error) }
    }

    /// What failed besides the error that the command ends with, which stands last; events and the record have all of it.
    private func tellOthers(_ errors: [MLOpsError], _ console: Console) {
        if global.json { return }
        let limit = 10
        for error in errors.prefix(limit) { console.error(error) }
        if errors.count > limit {
            console.note("\(Format.count(errors.count - limit, "more error")), which `mlops run show latest` lists")
        }
    }

    /// Leaves what the change touches, with all that waits for it.
    private func narrow(
        _ pipeline: Pipeline, _ options: inout RunOptions, _ revision: String, _ workspace: Workspace,
        _ console: Console
    ) throws {
        guard stages.isEmpty else { throw MLOpsError(.usage, "`--since` and `--stage` exclude each other") }
        let touch = try workspace.touched(pipeline, since: revision)
        for stage in touch.stages { console.detail("\(stage.name): \(stage.reason)") }
        let untouched = pipeline.stages.count - touch.selected.count
        console.note(
            "\(touch.selected.count) of \(pipeline.stages.count) stages are touched since \(touch.commit.prefix(10))")
        options.touched = touch.selected
        if untouched > 0 { console.detail("\(untouched) taken as they are") }
    }
}
