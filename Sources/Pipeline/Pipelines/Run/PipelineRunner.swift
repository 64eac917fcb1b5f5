package import Basics
internal import Synchronization

/// How to run a pipeline.
package struct RunOptions: Sendable {
    /// Stages that run at once, at least 1.
    package var jobs: Int
    /// Whether stages that do not wait for a failed one still start.
    package var keepsGoing = false
    /// Run the named stages (all, if none is named) even if nothing changed.
    package var isForced = false
    /// Stages to run, with all that they wait for; empty means all.
    package var stages: [String] = []
    /// Run these alone, by index: what they wait for besides is taken as it is. nil means that `stages` counts.
    package var touched: [Int]?
    /// Between SIGTERM and SIGKILL for a stage that is stopped.
    package var grace: Duration = .seconds(5)
    /// Whether to wait for another run of the pipeline to end; if not, the run is refused.
    package var waits = false
    /// How what commands read and write is checked.
    package var checks = CheckOptions()
    /// Stages at a time that run on other machines.
    package var remoteJobs = 256
    /// What this machine has, for stages that say what they need; the pipeline's own `resources` win.
    package var capacity = Resources()
    /// Handed to built-in steps as it is; `git` and `pipeline` are filled in.
    package var provenance: JSONValue = [:]
    /// What the run is on, for its record: `RunEnvironment.describe`.
    package var environment: JSONValue?
    /// Changes of tracked files that the run happens on.
    package var patch: [UInt8]?
    /// What `executor:` can name besides `local`.
    package var executors: [any StageExecutor] = []
    /// Runs this stage alone: what those before it made is in `given`.
    package var only: String?
    /// What stages before the only one handed over.
    package var given: [String: StageHandover] = [:]

    package init(jobs: Int) {
        precondition(jobs > 0, "jobs must be at least 1, not \(jobs)")
        self.jobs = jobs
    }
}

/// Runs a pipeline's stages, or tells which would run.
package struct PipelineRunner: Sendable {
    let pipeline: Pipeline
    let store: StampedStore
    let meter: any EnergyMeter
    let options: RunOptions
    let executable: String

    /// - Parameter executable: the absolute path of the program that performs a built-in step when it is started with
    ///   `step <folder>`: this program.
    package init(
        _ pipeline: Pipeline, store: any StageStore, meter: any EnergyMeter, options: RunOptions, executable: String
    ) {
        self.pipeline = pipeline
        self.store = StampedStore(
            store, workspace: FileSystem.join(pipeline.root, ".mlops"), root: pipeline.root)
        self.meter = meter
        self.options = options
        self.executable = executable
    }

    var workspace: String { FileSystem.join(pipeline.root, ".mlops") }

    /// The chosen stages by index, with all that they wait for.
    func selection() throws -> (all: [Int], named: Set<Int>) {
        if let only = options.only {
            let stage = try pipeline.stage(only)
            let index = pipeline.stages.firstIndex { $0.name == stage.name } ?? 0
            return ([index], [index])
        }
        if let touched = options.touched { return (pipeline.graph.closure(of: touched), Set(touched)) }
        guard !options.stages.isEmpty else { return (Array(pipeline.stages.indices), Set(pipeline.stages.indices)) }
        let named = try options.stages.flatMap { try pipeline.stageIndices($0) }
        return (pipeline.graph.closure(of: named), Set(named))
    }

    /// What runs the stage's process.
    func executor(for stage: Stage) throws -> any StageExecutor {
        let name = stage.executor.name.rawValue
        if let executor = options.executors.first(where: { $0.name == name }) { return executor }
        if name == Executor.Name.local.rawValue { return LocalExecutor() }
        throw MLOpsError(
            .failed, "stage `\(stage.name)` runs on `\(name)`, which this `mlops` cannot reach", at: stage.location)
    }

    func lookup(of selected: [Int], _ executables: ExecutableDigests) -> StageLookup {
        let isSelected = Set(selected)
        let names = pipeline.graph.order.filter { isSelected.contains($0) }.map { pipeline.stages[$0].name }
        let cache = StageCache(workspace: workspace).readingAhead(pipeline: pipeline.name, stages: names)
        return StageLookup(
            pipeline: pipeline, store: store, cache: cache, executables: executables,
            memory: DependencyMemory(workspace: workspace, root: pipeline.root, store: store))
    }

    /// Runs what must run.
    ///
    /// Cancelling the task stops it: running stages get SIGTERM, after `grace` SIGKILL, and the report's outcome is
    /// `interrupted`. A stage that fails or refuses is told in the report, not thrown.
    ///
    /// - Parameter events: called in order, by one thread at a time.
    /// - Throws: when nothing could be run: unknown stage, another run of the pipeline, no way to write the record.
    package func run(events: @escaping @Sendable (RunEvent) -> Void = { _ in }) async throws -> RunReport {
        let (selected, named) = try selection()
        try FileSystem.createDirectories(FileSystem.join(workspace, "cache"))
        let sink = EventSink(events)
        let lock = try await lock(sink)
        defer { withExtendedLifetime(lock) {} }
        let executables = ExecutableDigests(workspace: workspace, root: pipeline.root)
        let session = try RunSession(
            runner: self, selected: selected, named: named, lookup: lookup(of: selected, executables),
            secrets: try SecretValues(of: pipeline), events: sink)
        let report = try await session.run()
        executables.save()
        store.save()
        return report
    }

    private func lock(_ events: EventSink) async throws -> FileLock {
        let path = FileSystem.join(workspace, "cache/\(pipeline.name).lock")
        do {
            return try await FileLock(path, .exclusive)
        } catch let error as MLOpsError where error.kind == .conflict {
            guard options.waits else {
                throw MLOpsError(
                    .conflict, "another run of the pipeline `\(pipeline.name)` is going on",
                    hint: "run it with `--wait` to start when that has ended", cause: error)
            }
            events.send(.runWaiting(pipeline: pipeline.name))
            // Who waits on purpose waits as long as it takes; cancelling ends it.
            return try await FileLock(path, .exclusive, timeout: .seconds(1e9))
        }
    }
}

/// Hands events to the caller one at a time, in order.
final class EventSink: Sendable {
    private let handler: Mutex<@Sendable (RunEvent) -> Void>

    init(_ handler: @escaping @Sendable (RunEvent) -> Void) { self.handler = Mutex(handler) }

    func send(_ event: RunEvent) { handler.withLock { $0(event) } }
}
