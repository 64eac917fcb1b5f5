internal import Basics

/// What stages upstream left, as far as a stage can see it.
struct UpstreamResults: Sendable {
    /// By path: outputs of stages that this one waits for.
    var outs: [String: StoredOutput] = [:]
    /// By stage, of all stages upstream.
    var metrics: [String: JSONValue] = [:]
    var energy: [(name: String, energy: JSONValue?)] = []
}

/// Decides whether a stage must run, and why.
struct StageLookup: Sendable {
    let pipeline: Pipeline
    let store: any StageStore
    let cache: StageCache
    let executables: ExecutableDigests
    let memory: DependencyMemory
    /// Finds secrets that would become part of a fingerprint.
    var masker = SecretMasker.none
    /// Why it runs even if nothing changed; nil if it does not.
    var forced: StageReason?
    /// Whether a dependency may be missing: that of a stage that runs after others failed.
    var toleratesMissing = false

    struct Found: Sendable {
        var entry: StageCacheEntry
        /// Outputs that the workspace lacks and the store has.
        var missing: [StoredOutput]
    }

    struct Needed: Sendable {
        var fingerprint: Digest
        var ingredients: Ingredients
        var reasons: [StageReason]
        /// Whether this stage succeeded before, so that its outputs are its own to remove.
        var hasRunBefore: Bool
    }

    enum Verdict: Sendable {
        case found(Found)
        case needed(Needed)
    }

    /// - Throws: when a dependency or the program is missing.
    func judge(_ stage: Stage, _ upstream: UpstreamResults) async throws -> Verdict {
        let ingredients = try await ingredients(of: stage, upstream)
        try refuseSecrets(in: ingredients, of: stage)
        let fingerprint = ingredients.fingerprint
        var reasons: [StageReason] = []
        let entry = cache.entry(fingerprint)
        if let forced {
            reasons = [forced]
        } else if let entry {
            switch try await check(entry, of: stage) {
            case .success(let found): return .found(found)
            case .failure(let reason): reasons = [reason]
            }
        }
        let last = cache.lastFingerprint(pipeline: pipeline.name, stage: stage.name)
        if reasons.isEmpty { reasons = await explain(stage, ingredients, last: last) }
        return .needed(
            Needed(
                fingerprint: fingerprint, ingredients: ingredients, reasons: reasons,
                hasRunBefore: last != nil || entry != nil))
    }

    /// Why a stage without an entry runs, against the last time that it succeeded.
    private func explain(_ stage: Stage, _ ingredients: Ingredients, last: Digest?) async -> [StageReason] {
        guard let last else { return [StageReason("new", "", "it has not run before")] }
        guard let entry = cache.entry(last) else {
            return [StageReason("new", "", "what it made before is no longer remembered")]
        }
        if last == ingredients.fingerprint { return [StageReason("new", "", "what it made before cannot be used")] }
        let comparison = IngredientComparison(old: entry, new: ingredients, parameters: stage.usedParameters)
        var reasons = comparison.reasons()
        for (index, reason) in reasons.enumerated() where reason.kind == "dep" {
            guard let old = comparison.old["deps"]?[reason.subject]?.string,
                let new = comparison.new["deps"]?[reason.subject]?.string,
                let difference = await memory.difference(of: reason.subject, from: old, to: new)
            else { continue }
            reasons[index].text += ": " + difference
        }
        return reasons
    }

    /// A fingerprint is kept and shared, and whoever knows the rest of what went into it could try values.
    private func refuseSecrets(in ingredients: Ingredients, of stage: Stage) throws {
        guard !masker.isEmpty, masker.finds(in: ingredients.json.canonicalBytes) else { return }
        throw MLOpsError(
            .usage,
            "the value of a secret is part of the command, parameters or variables of stage `\(stage.name)`",
            hint: "name it in `secrets`, and let the command read it from its environment", at: stage.location)
    }

    private enum Check {
        case success(Found)
        case failure(StageReason)
    }

    private func check(_ entry: StageCacheEntry, of stage: Stage) async throws -> Check {
        let paths = stage.outputs.map(\.path)
        guard Set(entry.outs.map(\.path)) == Set(paths) else {
            return .failure(StageReason("out", "", "its cache entry lists other outputs"))
        }
        var missing: [StoredOutput] = []
        for out in entry.outs where !(try await store.isPresent(out, at: out.path)) {
            guard out.isKept, try await store.has(out) else {
                let state = FileSystem.exists(FileSystem.join(pipeline.root, out.path)) ? "changed" : "is missing"
                return .failure(
                    StageReason(
                        "out", out.path,
                        "`\(out.path)` \(state) and "
                            + (out.isKept ? "the store does not have what it was" : "is not kept in the store")))
            }
            missing.append(out)
        }
        guard try await effectsHold(entry, of: stage) else {
            return .failure(StageReason("effects", "", "what it did outside its outputs no longer holds"))
        }
        return .success(Found(entry: entry, missing: missing))
    }

    private func effectsHold(_ entry: StageCacheEntry, of stage: Stage) async throws -> Bool {
        guard let effects = entry.effects else { return !stage.hasEffects }
        guard let name = stage.stepName, let step = pipeline.steps[name] else { return true }
        do {
            return try await step.holds(effects)
        } catch is DecodingError {
            // Recorded by another version of the step.
            return false
        }
    }

    // MARK: Ingredients

    func ingredients(of stage: Stage, _ upstream: UpstreamResults) async throws -> Ingredients {
        var ingredients = Ingredients(stage)
        if let program = try program(of: stage) {
            ingredients.set("executable", .string(try executables.digest(of: program).description))
        }
        ingredients.set("deps", .object(try await deps(of: stage, upstream)))
        var artifacts: [String: JSONValue] = [:]
        for name in stage.artifacts {
            guard let digest = try await store.artifactDigest(name) else {
                throw MLOpsError(
                    .failed, "stage `\(stage.name)` reads the artifact `\(printable(name))`, which does not exist",
                    hint: "run `mlops registry list` to see those that do", at: stage.location)
            }
            artifacts[name] = .string(digest)
        }
        if !artifacts.isEmpty { ingredients.set("artifacts", .object(artifacts)) }
        var read: [String: JSONValue] = [:]
        if stage.readsMetrics { read["metrics"] = .object(upstream.metrics) }
        if stage.readsEnergy { read["energy"] = EnergyTotals.json(of: upstream.energy) }
        if !read.isEmpty { ingredients.set("upstream", .object(read)) }
        return ingredients
    }

    /// The program that the stage starts; nil for a built-in step.
    func program(of stage: Stage) throws -> String? {
        switch stage.action {
        case .step: nil
        case .shell: "/bin/sh"
        case .command(let arguments):
            try executables.find(
                arguments[0],
                searchPath: stage.environment.first { $0.name == "PATH" }?.value ?? pipeline.environment["PATH"],
                stage: stage)
        }
    }

    /// What the stage reads, by path, as `file:sha256:…` or `tree:sha256:…`.
    func deps(of stage: Stage, _ upstream: UpstreamResults) async throws -> [String: JSONValue] {
        var deps: [String: JSONValue] = [:]
        for dep in stage.deps {
            var found = upstream.outs[dep.path]
            if found == nil { found = try await store.identify(path: dep.path) }
            guard let found else {
                if toleratesMissing { continue }
                throw await missing(dep, of: stage)
            }
            deps[dep.path] = .string("\(found.kind):\(found.digest)")
        }
        return deps
    }

    private func missing(_ dep: StagePath, of stage: Stage) async -> MLOpsError {
        let near = nearestName(
            to: FileSystem.name(of: dep.path),
            among: (try? FileSystem.list(FileSystem.join(pipeline.root, FileSystem.parent(of: dep.path)))) ?? [])
        let folder = FileSystem.parent(of: dep.path)
        let suggestion = near.map { "did you mean `\(FileSystem.join(folder, $0))`?" }
        let recovery = await store.recovery(of: dep.path)
        return MLOpsError(
            .failed, "stage `\(stage.name)` reads `\(printable(dep.path))`, which does not exist",
            hint: recovery ?? suggestion
                ?? "create it, or correct the path; paths are relative to the repository's folder",
            at: dep.location ?? stage.location)
    }
}
