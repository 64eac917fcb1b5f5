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

    private var pipeline: Pipeline { runner.pipeline }

    init(runner: PipelineRunner, selected: [Int], named: Set<Int>, lookup: StageLookup, events: EventSink) {
        self.runner = runner
        self.lookup = lookup
        self.events = events
        self.named = named
        let pipeline = runner.pipeline
        scheduler = Scheduler(
            graph: pipeline.graph, selected: Set(selected), excluded: pipeline.excluded, width: runner.options.jobs,
            keepsGoing: runner.options.keepsGoing)
        let started = Timestamp.now
        let id = RunRecord.newID(at: started)
        record = RunRecord(folder: FileSystem.join(pipeline.root, RunRecord.folder(id)))
        report = RunReport(
            id: id, pipeline: pipeline.name, file: pipeline.file, specDigest: pipeline.specDigest,
            parameters: pipeline.parameters, overrides: pipeline.overrides, git: pipeline.git,
            jobs: runner.options.jobs, started: started,
            stages: selected.map { StageReport(name: pipeline.stages[$0].name, state: .waiting) },
            folder: RunRecord.folder(id))
        report.environment = runner.options.environment
        slots = Dictionary(selected.enumerated().map { ($1, $0) }, uniquingKeysWith: { $1 })
    }

    /// Where a stage stands in the report.
    private let slots: [Int: Int]

    /// What a stage's task ends with.
    private struct Ended: Sendable {
        var index: Int
        var report: StageReport
        /// Whether its process ran.
        var isExecuted: Bool
    }

    func run() async throws -> RunReport {
        // Before anything starts: a run that is killed leaves a record without an outcome.
        if let patch = runner.options.patch { report.patch = try record.keep(patch: patch) }
        try record.update(report)
        events.send(.runStarted(id: report.id, pipeline: pipeline.name, stages: report.stages.map(\.name)))
        await withTaskGroup(of: Ended.self) { group in
            perform(scheduler.begin(), in: &group)
            while let ended = await group.next() {
                isExecuting = isExecuting || ended.isExecuted
                end(ended.index, ended.report)
                var actions = scheduler.handle(.finished(ended.index, outcome(of: ended.report)))
                if Task.isCancelled { actions += scheduler.handle(.interrupt) }
                perform(actions, in: &group)
                // The run need not fail because its record cannot be written halfway; at its end it must.
                if ended.isExecuted { try? record.update(report) }
            }
        }
        return try finish()
    }

    private func outcome(of stage: StageReport) -> Scheduler.Outcome {
        switch stage.state {
        case .succeeded: .succeeded
        case .refused: .refused
        case .interrupted: .interrupted
        default: .failed
        }
    }

    private func perform(_ actions: [Scheduler.Action], in group: inout TaskGroup<Ended>) {
        for action in actions {
            switch action {
            case .start(let index):
                let work = work(for: index)
                group.addTask { await work.run() }
            case .skip(let index, let cause): skip(index, cause)
            }
        }
    }

    private func skip(_ index: Int, _ cause: Scheduler.SkipCause) {
        var stage = StageReport(name: pipeline.stages[index].name, state: .skipped)
        let reason: StageReason
        switch cause {
        case .condition:
            reason = StageReason("condition", "", pipeline.stages[index].condition?.explanation ?? "its `if` is false")
        case .upstream(let other):
            let name = pipeline.stages[other].name
            let state = scheduler.states[other]
            let what = state == .refused ? "refused" : state == .skipped ? "was skipped" : "failed"
            reason = StageReason("upstream", name, "`\(name)` \(what)")
        case .stopped(let other):
            let name = pipeline.stages[other].name
            reason = StageReason("upstream", name, "the run stopped after `\(name)` failed")
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
        events.send(.runFinished(report))
        return report
    }

    // MARK: One stage

    /// Everything that a stage's task needs, by value.
    private struct Work: Sendable {
        let index: Int
        let lookup: StageLookup
        let stage: Stage
        let upstream: UpstreamResults
        let runner: PipelineRunner
        let runID: String
        let events: EventSink
        /// Whether it is only there for what waits for it: `RunOptions.touched`.
        let isTakenAsIs: Bool

        func run() async -> Ended {
            do {
                try Task.checkCancellation()
                if isTakenAsIs, let report = try await takeAsIs() {
                    return Ended(index: index, report: report, isExecuted: false)
                }
                switch try await lookup.judge(stage, upstream) {
                case .found(let found): return Ended(index: index, report: try await use(found), isExecuted: false)
                case .needed(let needed):
                    return Ended(index: index, report: try await execute(needed), isExecuted: true)
                }
            } catch {
                var report = StageReport(name: stage.name, state: .failed)
                let known = StepFailure(error).error
                report.started = .now
                report.error = known
                if known.kind == .interrupted { report.state = .interrupted }
                return Ended(index: index, report: report, isExecuted: false)
            }
        }

        /// What it made when it last succeeded, with its outputs as they lie in the workspace; nil if nothing is remembered.
        private func takeAsIs() async throws -> StageReport? {
            guard let last = lookup.cache.lastFingerprint(pipeline: lookup.pipeline.name, stage: stage.name),
                let entry = lookup.cache.entry(last), Set(entry.outs.map(\.path)) == Set(stage.outputs.map(\.path))
            else { return nil }
            var outs: [StoredOutput] = []
            var restored = 0
            for out in entry.outs {
                if let present = try await lookup.store.identify(path: out.path) {
                    outs.append(present)
                } else if try await lookup.store.has(out) {
                    try await lookup.store.restore(out, to: out.path)
                    outs.append(out)
                    restored += 1
                } else {
                    return nil
                }
            }
            var report = StageReport(entry, of: stage.name)
            report.restoredCount = restored
            report.outs = outs
            report.reasons = [StageReason("since", "", "the change does not touch it")]
            return report
        }

        private func use(_ found: StageLookup.Found) async throws -> StageReport {
            let entry = found.entry
            try await runner.executor(for: stage).settle(stage: stage.name)
            for output in found.missing { try await lookup.store.restore(output, to: output.path) }
            let cache = lookup.cache
            if cache.lastFingerprint(pipeline: lookup.pipeline.name, stage: stage.name) != entry.fingerprint {
                try cache.setLast(entry.fingerprint, pipeline: lookup.pipeline.name, stage: stage.name)
            }
            var report = StageReport(entry, of: stage.name)
            report.restoredCount = found.missing.count
            return report
        }

        private func execute(_ needed: StageLookup.Needed) async throws -> StageReport {
            events.send(.stageStarted(stage: stage.name, reasons: needed.reasons))
            let folder = FileSystem.join(lookup.pipeline.root, RunRecord.folder(runID))
            try FileSystem.createDirectories(folder)
            let (events, name) = (events, stage.name)
            let execution = StageExecution(
                lookup: lookup, stage: stage, upstream: upstream, needed: needed, runID: runID, runFolder: folder,
                executor: try runner.executor(for: stage), meter: runner.meter, executable: runner.executable,
                provenance: provenance(),
                grace: runner.options.grace,
                onLine: { events.send(.stageLog(stage: name, line: $0)) })
            return await execution.run()
        }

        private func provenance() -> JSONValue {
            var members = runner.options.provenance.object ?? [:]
            members["git"] = lookup.pipeline.git.json
            members["pipeline"] = [
                "name": .string(lookup.pipeline.name), "file": .string(lookup.pipeline.file),
                "specDigest": .string(lookup.pipeline.specDigest.description),
            ]
            return .object(members)
        }
    }

    private func work(for index: Int) -> Work {
        var lookup = lookup
        lookup.isForced = runner.options.isForced && named.contains(index)
        return Work(
            index: index, lookup: lookup, stage: pipeline.stages[index], upstream: upstream(of: index), runner: runner,
            runID: report.id, events: events, isTakenAsIs: runner.options.touched != nil && !named.contains(index))
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
