internal import Basics

/// The state of one run: feeds the scheduler with what happens and does what it says.
///
/// Only the task that calls `run` touches it; stages run in child tasks that get what they need by value.
final class RunSession {
    private let runner: PipelineRunner
    private let lookup: StageLookup
    private let events: EventSink
    private let named: Set<Int>
    private var scheduler: Scheduler
    private var report: RunReport
    private let record: RunRecord
    private let start = ContinuousClock.now
    private var isExecuting = false
    private let surroundings: RunSurroundings
    private let notices = RunNotices()
    private let expectations: StageExpectations

    private var pipeline: Pipeline { runner.pipeline }

    init(
        runner: PipelineRunner, selected: [Int], named: Set<Int>, lookup: StageLookup, secrets: SecretValues,
        events: EventSink
    ) throws {
        self.runner = runner
        self.lookup = lookup
        self.events = events
        self.named = named
        let pipeline = runner.pipeline
        scheduler = runner.scheduler(for: selected)
        surroundings = RunSurroundings(
            meter: runner.meter, executable: runner.executable, grace: runner.options.grace,
            checks: StageChecks(pipeline, runner.options.checks), secrets: secrets)
        let started = Timestamp.now
        let id = RunRecord.newID(at: started)
        expectations = StageExpectations(runner: runner, surroundings: surroundings, runID: id, notices: notices)
        record = RunRecord(folder: FileSystem.join(pipeline.root, RunRecord.folder(id)))
        report = RunReport(
            id: id, pipeline: pipeline.name, file: pipeline.file, specDigest: pipeline.specDigest,
            parameters: secrets.masker.masked(pipeline.parameters),
            overrides: pipeline.overrides.map { secrets.masker.masked($0) }, git: try pipeline.git.get(),
            jobs: runner.options.jobs, started: started,
            stages: selected.map { StageReport(name: pipeline.stages[$0].name, state: .waiting) },
            folder: RunRecord.folder(id))
        report.environment = runner.options.environment
        slots = Dictionary(selected.enumerated().map { ($1, $0) }, uniquingKeysWith: { $1 })
    }

    /// Where a stage stands in the report.
    private let slots: [Int: Int]

    func run() async throws -> RunReport {
        // Before anything starts: a run that is killed leaves a record without an outcome.
        if let patch = runner.options.patch { report.patch = try keep(patch) }
        try record.update(report)
        events.send(.runStarted(id: report.id, pipeline: pipeline.name, stages: report.stages.map(\.name)))
        await withTaskGroup(of: Happening.self) { group in
            listen(in: &group)
            perform(scheduler.begin(), in: &group)
            while !scheduler.isDone, let happening = await group.next() {
                switch happening {
                case .ended(let ended): handle(ended, in: &group)
                case .noticed(let event):
                    listen(in: &group)
                    if let event { perform(scheduler.handle(event), in: &group) }
                }
            }
            notices.close()
        }
        await expectations.settle()
        return try finish()
    }

    /// Changes that hold a secret are not kept, nor is their digest, by which it could be guessed.
    private func keep(_ patch: [UInt8]) throws -> JSONValue {
        if surroundings.secrets.masker.finds(in: patch) {
            return ["byteCount": .int(Int64(patch.count)), "kept": false, "secret": true]
        }
        return try record.keep(patch: patch)
    }

    /// What the tasks of a run end with.
    private enum Happening: Sendable {
        case ended(StageWork.Ended)
        case noticed(Scheduler.Event?)
    }

    private func listen(in group: inout TaskGroup<Happening>) {
        group.addTask { [notices] in .noticed(await notices.next()) }
    }

    private func handle(_ ended: StageWork.Ended, in group: inout TaskGroup<Happening>) {
        isExecuting = isExecuting || ended.isExecuted
        end(ended.index, ended.report)
        var actions = scheduler.handle(.finished(ended.index, outcome(of: ended.report)))
        if Task.isCancelled { actions += scheduler.handle(.interrupt) }
        perform(actions, in: &group)
        // The run need not fail because its record cannot be written halfway; at its end it must.
        if ended.isExecuted { try? record.update(report) }
    }

    private func outcome(of stage: StageReport) -> Scheduler.Outcome {
        switch stage.state {
        case .succeeded: .succeeded
        case .refused: .refused
        case .interrupted: .interrupted
        default: .failed
        }
    }

    private func perform(_ actions: [Scheduler.Action], in group: inout TaskGroup<Happening>) {
        for action in actions {
            switch action {
            case .start(let index):
                let work = work(for: index)
                let pending = expectations.pending(of: index)
                group.addTask {
                    await pending?.value
                    return .ended(await work.run())
                }
            case .expect(let index, let others): expectations.expect(index, behind: others)
            case .withdraw(let index): expectations.withdraw(index)
            case .skip(let index, let cause): skip(index, cause)
            }
        }
    }

    private func skip(_ index: Int, _ cause: Scheduler.SkipCause) {
        var stage = StageReport(name: pipeline.stages[index].name, state: .skipped)
        let reason: StageReason
        switch cause {
        case .upstream(let other):
            let name = pipeline.stages[other].name
            let what =
                switch scheduler.states[other] {
                case .refused: "refused"
                case .skipped: "was skipped"
                case .interrupted: "was interrupted"
                default: "failed"
                }
            reason = StageReason("upstream", name, "`\(name)` \(what)")
        case .stopped(let other):
            let name = pipeline.stages[other].name
            reason = StageReason("upstream", name, "the run stopped after `\(name)` failed")
        case .condition:
            reason = StageReason("condition", "", pipeline.stages[index].condition?.explanation ?? "its `if` is false")
        case .interrupted: reason = StageReason("upstream", "", "the run was interrupted")
        }
        stage.reasons = [reason]
        end(index, stage)
    }

    private func end(_ index: Int, _ stage: StageReport) {
        guard let slot = slots[index] else { return }
        report.stages[slot] = stage
        events.send(.stageFinished(stage))
    }

    private func finish() throws -> RunReport {
        report.finished = .now
        report.duration = ContinuousClock.now - start
        let states = Set(report.stages.map(\.state))
        report.outcome =
            Task.isCancelled || states.contains(.interrupted)
            ? .interrupted : states.contains(.failed) ? .failed : states.contains(.refused) ? .refused : .succeeded
        try record.finish(report, durably: isExecuting)
        if isExecuting { lookup.memory.prune() }
        events.send(.runFinished(report))
        return report
    }

    // MARK: One stage

    private func work(for index: Int) -> StageWork {
        let stage = pipeline.stages[index]
        let hasFailedUpstream = pipeline.graph.upstream[index].contains { scheduler.states[$0] != .succeeded }
        var lookup = lookup
        lookup.masker = surroundings.secrets.masker
        lookup.toleratesMissing = hasFailedUpstream
        lookup.forced = runner.forced(
            index, isNamed: named.contains(index), hasFailedUpstream: hasFailedUpstream)
        return StageWork(
            index: index, lookup: lookup, stage: stage, upstream: upstream(of: index), runner: runner,
            surroundings: surroundings, runID: report.id, hasFailedUpstream: hasFailedUpstream,
            isTakenAsIs: runner.options.touched != nil && !named.contains(index), events: events,
            onQueued: { [notices] in notices.post(.queued(index)) })
    }

    private func upstream(of index: Int) -> UpstreamResults {
        var results = UpstreamResults()
        let stage = pipeline.stages[index]
        for other in pipeline.graph.upstream[index] {
            let outs = slots[other].map { report.stages[$0].outs }
            for output in outs ?? given(other)?.outs ?? [] { results.outs[output.path] = output }
        }
        guard stage.readsMetrics || stage.readsEnergy else { return results }
        for other in pipeline.graph.ancestors(of: index) {
            let name = pipeline.stages[other].name
            let done = slots[other].map { report.stages[$0] }
            guard done != nil || given(other) != nil else { continue }
            if let metrics = done?.metrics ?? given(other)?.metrics { results.metrics[name] = metrics }
            results.energy.append((name, done?.energy ?? given(other)?.energy))
        }
        return results
    }

    /// What a stage that is not part of this run handed over.
    private func given(_ index: Int) -> StageHandover? { runner.options.given[pipeline.stages[index].name] }
}

extension PipelineRunner {
    /// What may start when, of the chosen stages.
    func scheduler(for selected: [Int]) -> Scheduler {
        var rules: [Int: Scheduler.Rule] = [:]
        for index in selected {
            let stage = pipeline.stages[index]
            let isExcluded = stage.condition.map { !$0.holds } ?? false
            let isRemote = stage.executor.name != .local
            guard stage.isAlways || isExcluded || isRemote || !stage.resources.isEmpty else { continue }
            let isTaken = options.touched.map { !$0.contains(index) } ?? false
            rules[index] = Scheduler.Rule(
                isAlways: stage.isAlways, isExcluded: isExcluded, isRemote: isRemote,
                canBeExpected: isRemote && !stage.isFrozen && !isTaken, need: ResourceNeed(stage.resources))
        }
        let capacity = ResourceNeed(options.capacity).amounts.merging(ResourceNeed(pipeline.limits).amounts) { $1 }
        return Scheduler(
            graph: pipeline.graph, selected: Set(selected), width: options.jobs, remoteWidth: options.remoteJobs,
            keepsGoing: options.keepsGoing, rules: rules, capacity: ResourceNeed(capacity))
    }
}
