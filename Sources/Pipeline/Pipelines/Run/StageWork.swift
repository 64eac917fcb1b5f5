internal import Basics

/// One stage's share of a run: looks whether it must run, and runs it or brings its results back.
struct StageWork: Sendable {
    let index: Int
    var lookup: StageLookup
    let stage: Stage
    let upstream: UpstreamResults
    let runner: PipelineRunner
    let surroundings: RunSurroundings
    let runID: String
    /// Whether a stage that it waits for did not succeed.
    let hasFailedUpstream: Bool
    /// Whether it is only there for what waits for it: `RunOptions.touched`.
    let isTakenAsIs: Bool
    let events: EventSink
    /// Called each time that the stage has come into its executor's queue.
    let onQueued: @Sendable () -> Void

    struct Ended: Sendable {
        var index: Int
        var report: StageReport
        /// Whether its process ran.
        var isExecuted: Bool
    }

    func run() async -> Ended {
        var ended = await perform()
        // It was expected, but did not have to run after all, or could not be started.
        try? await runner.executor(for: stage).withdraw(stage: stage.name)
        ended.report = surroundings.secrets.masker.masked(ended.report)
        return ended
    }

    private func perform() async -> Ended {
        do {
            try Task.checkCancellation()
            if isTakenAsIs, let report = try await takeAsIs() {
                return Ended(index: index, report: report, isExecuted: false)
            }
            if stage.isFrozen {
                let (entry, missing) = try await lookup.frozen(stage)
                return Ended(index: index, report: try await use(entry, missing), isExecuted: false)
            }
            switch try await lookup.judge(stage, upstream) {
            case .found(let found):
                return Ended(index: index, report: try await use(found.entry, found.missing), isExecuted: false)
            case .needed(let needed):
                return Ended(index: index, report: try await execute(needed), isExecuted: true)
            }
        } catch {
            var report = StageReport(name: stage.name, state: .failed)
            let known = StepFailure(error).error
            report.started = .now
            report.location = stage.location
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

    private func use(_ entry: StageCacheEntry, _ missing: [StoredOutput]) async throws -> StageReport {
        try await runner.executor(for: stage).settle(stage: stage.name)
        for output in missing { try await lookup.store.restore(output, to: output.path) }
        let cache = lookup.cache
        if !stage.isFrozen,
            cache.lastFingerprint(pipeline: lookup.pipeline.name, stage: stage.name) != entry.fingerprint
        {
            try cache.setLast(entry.fingerprint, pipeline: lookup.pipeline.name, stage: stage.name)
        }
        var report = StageReport(entry, of: stage.name)
        report.restoredCount = missing.count
        if stage.isFrozen { report.fingerprint = nil }
        return report
    }

    private func execute(_ needed: StageLookup.Needed) async throws -> StageReport {
        events.send(.stageStarted(stage: stage.name, reasons: needed.reasons))
        // Jobs of an interrupted run may still read what this stage is about to write anew.
        for reader in lookup.pipeline.graph.downstream[index].map({ lookup.pipeline.stages[$0] }) {
            try await (try? runner.executor(for: reader))?.settle(stage: reader.name)
        }
        let folder = FileSystem.join(lookup.pipeline.root, RunRecord.folder(runID))
        try FileSystem.createDirectories(folder)
        let execution = StageExecution(
            lookup: lookup, stage: stage, upstream: upstream, needed: needed, runID: runID, runFolder: folder,
            executor: try runner.executor(for: stage), surroundings: surroundings, provenance: try provenance(),
            isRemembered: !hasFailedUpstream, events: events, onQueued: onQueued)
        return await execution.run()
    }

    private func provenance() throws -> JSONValue {
        var members = runner.options.provenance.object ?? [:]
        members["git"] = try lookup.pipeline.git.get().json
        members["pipeline"] = [
            "name": .string(lookup.pipeline.name), "file": .string(lookup.pipeline.file),
            "specDigest": .string(lookup.pipeline.specDigest.description),
        ]
        return .object(members)
    }
}

extension PipelineRunner {
    /// Why the stage runs whatever is known of it.
    func forced(_ index: Int, isNamed: Bool, hasFailedUpstream: Bool = false) -> StageReason? {
        if options.isForced, isNamed { return StageReason("forced", "", "it was asked to run anyway") }
        if hasFailedUpstream {
            return StageReason("forced", "", "it always runs, and a stage before it did not succeed")
        }
        if pipeline.stages[index].isAlwaysChanged { return StageReason("forced", "", "it is `always_changed`") }
        return nil
    }
}

extension SecretMasker {
    /// The report without secrets in what it says.
    func masked(_ report: StageReport) -> StageReport {
        if isEmpty { return report }
        var report = report
        report.reasons = report.reasons.map { StageReason($0.kind, masked($0.subject), masked($0.text)) }
        report.warnings = report.warnings.map { masked($0) }
        report.error = report.error.map { masked($0) }
        report.metrics = report.metrics.map { masked($0) }
        report.place = report.place.map { masked($0) }
        return report
    }
}
