internal import Basics

extension StageLookup {
    /// What a frozen stage left: its outputs as they are in the workspace, or, of those that are not there, as it last made them.
    ///
    /// - Returns: an entry that names them, and those that have to be restored.
    /// - Throws: kind `.failed` for one that is neither in the workspace nor in the store.
    func frozen(_ stage: Stage) async throws -> (entry: StageCacheEntry, missing: [StoredOutput]) {
        let last = cache.lastFingerprint(pipeline: pipeline.name, stage: stage.name).flatMap { cache.entry($0) }
        var outs: [StoredOutput] = []
        var missing: [StoredOutput] = []
        for output in stage.outputs {
            if var found = try await store.identify(path: output.path) {
                found.isKept = false
                outs.append(found)
                continue
            }
            guard let known = last?.outs.first(where: { $0.path == output.path }), known.isKept,
                try await store.has(known)
            else {
                throw MLOpsError(
                    .failed,
                    "the frozen stage `\(stage.name)` has no `\(output.path)`: it is neither here nor in the store",
                    hint: await store.recovery(of: output.path) ?? "take `frozen` off once, so that the stage makes it",
                    at: output.location ?? stage.location)
            }
            outs.append(known)
            missing.append(known)
        }
        let metrics =
            try missing.isEmpty
            ? MetricsFile.read(stage.metrics.map(\.path), root: pipeline.root, stage: stage.name) : last?.metrics
        let entry = StageCacheEntry(
            fingerprint: last?.fingerprint ?? Digest.of([UInt8]()), pipeline: pipeline.name, stage: stage.name,
            run: last?.run ?? "", created: last?.created ?? .now, ingredients: last?.ingredients ?? [:],
            parameters: [:],
            outs: outs, metrics: metrics, energy: last?.energy, duration: last?.duration ?? .zero, effects: nil)
        return (entry, missing)
    }
}
