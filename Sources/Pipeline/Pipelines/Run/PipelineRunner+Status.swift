internal import Basics

extension PipelineRunner {
    /// What `run` would do with the chosen stages, and why; nothing is run, restored or written.
    ///
    /// A stage after one that would run is `waiting`: whether it runs depends on what the other makes.
    package func status() async throws -> PipelineStatusReport {
        let (selected, named) = try selection()
        let executables = ExecutableDigests(workspace: workspace, root: pipeline.root)
        var lookup = lookup(of: selected, executables)
        lookup.masker = try SecretValues(of: pipeline).masker
        let isSelected = Set(selected)
        var entries: [Int: StageCacheEntry] = [:]
        var states: [Int: PipelineStatusReport.State] = [:]
        var report = PipelineStatusReport(pipeline: pipeline.name, stages: [])
        for index in pipeline.graph.order where isSelected.contains(index) {
            let stage: PipelineStatusReport.Stage
            if let reason = skipped(index, states) {
                stage = PipelineStatusReport.Stage(
                    name: pipeline.stages[index].name, state: .skipped, reasons: [reason])
            } else if let blocker = pipeline.graph.upstream[index].first(where: { entries[$0] == nil }) {
                stage = waiting(index, for: blocker, states[blocker])
            } else {
                var own = lookup
                own.forced = forced(index, isNamed: named.contains(index))
                stage = try await judged(index, own, &entries)
            }
            states[index] = stage.state
            report.stages.append(stage)
        }
        executables.save()
        store.save()
        return report
    }

    /// Why a run would skip the stage; nil if it would not.
    private func skipped(_ index: Int, _ states: [Int: PipelineStatusReport.State]) -> StageReason? {
        if let condition = pipeline.stages[index].condition, !condition.holds {
            return StageReason("condition", "", condition.explanation)
        }
        guard !pipeline.stages[index].isAlways,
            let other = pipeline.graph.upstream[index].first(where: { states[$0] == .skipped })
        else { return nil }
        let name = pipeline.stages[other].name
        return StageReason("upstream", name, "`\(name)` is skipped")
    }

    private func waiting(
        _ index: Int, for blocker: Int, _ state: PipelineStatusReport.State?
    ) -> PipelineStatusReport.Stage {
        let name = pipeline.stages[blocker].name
        let text = state == .blocked ? "`\(name)` cannot run" : "`\(name)` would run first"
        return PipelineStatusReport.Stage(
            name: pipeline.stages[index].name, state: .waiting, reasons: [StageReason("upstream", name, text)])
    }

    private func judged(
        _ index: Int, _ lookup: StageLookup, _ entries: inout [Int: StageCacheEntry]
    ) async throws -> PipelineStatusReport.Stage {
        let stage = pipeline.stages[index]
        var report = PipelineStatusReport.Stage(name: stage.name, state: .changed, reasons: [])
        do {
            if stage.isFrozen {
                let (entry, missing) = try await lookup.frozen(stage)
                entries[index] = entry
                report.state = missing.isEmpty ? .upToDate : .restorable
                report.reasons = [StageReason("frozen", "", "it is frozen")]
                return report
            }
            switch try await lookup.judge(stage, upstream(of: index, entries)) {
            case .found(let found):
                entries[index] = found.entry
                report.fingerprint = found.entry.fingerprint
                report.state = found.missing.isEmpty ? .upToDate : .restorable
                report.reasons = found.missing.map {
                    StageReason("out", $0.path, "`\($0.path)` would come from the store")
                }
            case .needed(let needed):
                report.fingerprint = needed.fingerprint
                report.reasons = needed.reasons
            }
        } catch let error as MLOpsError where error.kind == .failed {
            report.state = .blocked
            report.error = error
            report.reasons = [StageReason("dep", "", error.message)]
        }
        return report
    }

    private func upstream(of index: Int, _ entries: [Int: StageCacheEntry]) -> UpstreamResults {
        var results = UpstreamResults()
        for other in pipeline.graph.upstream[index] {
            for output in entries[other]?.outs ?? [] { results.outs[output.path] = output }
        }
        let stage = pipeline.stages[index]
        guard stage.readsMetrics || stage.readsEnergy else { return results }
        for other in pipeline.graph.ancestors(of: index) {
            let name = pipeline.stages[other].name
            if let metrics = entries[other]?.metrics { results.metrics[name] = metrics }
            results.energy.append((name, entries[other]?.energy))
        }
        return results
    }
}
