internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Foundation
internal import GitIntegration
package import Pipelines

/// How a run that was repeated compares with its record.
package struct ReproductionReport: Sendable, Encodable {
    package struct Output: Sendable, Encodable {
        package var stage: String
        package var path: String
        package var old: String
        /// Absent if the repetition did not make it.
        package var new: String?
        package var isEqual: Bool { old == new }
    }

    package var run: String
    package var commit: String
    /// Whether the changes that were kept with the run were applied.
    package var isPatched: Bool
    package var outcome: RunOutcome?
    package var outputs: [Output]
    package var metrics: [MetricChange]
    /// Stages that were not repeated, as they act outside the repository.
    package var skipped: [String]
    /// Why a stage failed.
    package var failure: String?

    package var isEqual: Bool {
        outcome == .succeeded && outputs.allSatisfy(\.isEqual) && metrics.allSatisfy(\.isEqual)
    }
}

extension Workspace {
    /// Repeats `run` in a temporary worktree at its commit, with a store of its own, and compares what it makes.
    ///
    /// Stages that act outside the repository (push, promote) and what waits for them are left out.
    ///
    /// - Throws: kind `.notFound` if the commit, the data or the changes of a dirty tree are gone; `.io` or `.interrupted` if
    ///   the machine or somebody kept a stage from running, which says nothing about what it makes.
    package func reproduce(
        _ run: RecordedRun, jobs: Int, steps: @Sendable (Workspace) -> StepCatalog,
        onEvent: @escaping @Sendable (RunEvent) -> Void
    ) async throws -> ReproductionReport {
        let git = try requireGit()
        let program = GitProgram(in: git.workingTree)
        guard let commit = run.commit, try program.hasCommit(commit) else {
            throw MLOpsError(
                .notFound, "the commit of run `\(run.id)` is not here",
                hint: run.commit.map { "fetch it: `git fetch origin \($0)`" }
                    ?? "the run was not made in a git repository")
        }
        let patch = try keptPatch(of: run)
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent(
            "mlops-reproduce-\(UInt64.random(in: 0 ... .max))"
        ).path
        try program.bytes(["worktree", "add", "--detach", "--quiet", scratch, commit])
        defer { _ = try? program.bytes(["worktree", "remove", "--force", scratch]) }
        if let patch { try GitProgram(in: scratch).bytes(["apply", "--whitespace=nowarn", patch]) }
        // The project may lie below the repository's own folder.
        let place = FileSystem.parent(of: try gitPath(of: "registry"))
        let root = place.isEmpty || place == "." ? scratch : FileSystem.join(scratch, place)
        let twin = try await twin(at: root, of: run)
        let pipeline = try twin.loadPipeline(run.file, from: root, overrides: run.overrides, steps: steps(twin))
        return try await repeatRun(
            run, pipeline, in: twin, commit: commit, isPatched: patch != nil, jobs: jobs, onEvent: onEvent)
    }

    /// The path of the changes that the run happened on; nil if its tree was clean.
    private func keptPatch(of run: RecordedRun) throws -> String? {
        guard run.isDirty else { return nil }
        let path = FileSystem.join(runHistory.folder, "\(run.id)/dirty.patch")
        guard let digest = run.json["git"]?["patch"]?["digest"]?.string, FileSystem.exists(path) else {
            throw MLOpsError(
                .notFound, "run `\(run.id)` happened on changes that were not kept",
                hint: "commit, then run: changes of more than 4 MiB, or with a secret in them, are not kept")
        }
        guard Digest.of(try FileSystem.read(path)).description == digest else {
            throw MLOpsError(.damaged, "`\(path)` is not the patch that run `\(run.id)` happened on")
        }
        return path
    }

    /// A workspace at `root` with the data that its pointers name, from the store of this one.
    private func twin(at root: String, of run: RecordedRun) async throws -> Workspace {
        try FileSystem.createDirectories(FileSystem.join(root, ".mlops"))
        let events = FileSystem.join(folder, "events")
        if FileSystem.isDirectory(events) {
            try FileManager.default.copyItem(atPath: events, toPath: FileSystem.join(root, ".mlops/events"))
        }
        let twin = try Workspace.open(at: root, environment: environment)
        for pointer in try twin.pointers() {
            guard try store.contains(pointer.content) else {
                throw MLOpsError(
                    .notFound, "the data of `\(pointer.artifact)` as run `\(run.id)` read it is not in the store",
                    hint: "run `mlops fsck --heal`, or `mlops pull` at commit \(run.commit?.prefix(12) ?? "")")
            }
            let path = twin.absolute(pointer.path)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            _ = try await store.checkout(pointer.content, to: path, options: CheckoutOptions(force: true))
        }
        return twin
    }

    private func repeatRun(
        _ run: RecordedRun, _ pipeline: Pipeline, in twin: Workspace, commit: String, isPatched: Bool, jobs: Int,
        onEvent: @escaping @Sendable (RunEvent) -> Void
    ) async throws -> ReproductionReport {
        let recorded = Dictionary(run.stages.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let acting = Set(
            pipeline.stages.indices.filter { index in
                ([index] + pipeline.graph.ancestors(of: index)).contains { pipeline.stages[$0].hasEffects }
            })
        let chosen = pipeline.stages.indices.filter {
            !acting.contains($0) && recorded[pipeline.stages[$0].name]?.state == .succeeded
        }
        var options = RunOptions(jobs: jobs)
        options.touched = chosen
        let report = try await twin.run(pipeline, options: options, onEvent: onEvent)
        if let error = report.error, [.io, .interrupted].contains(error.kind) { throw error }
        let result = RecordedRun(report)
        var outputs: [ReproductionReport.Output] = []
        var metrics: [MetricChange] = []
        for stage in result.stages {
            guard let old = recorded[stage.name] else { continue }
            let made = stage.outs
            // Files of metrics hold times, so their numbers are compared instead.
            let files = Set((try? pipeline.stage(stage.name))?.metrics.map(\.path) ?? [])
            outputs += old.outs.filter { !files.contains($0.key) }.sorted { $0.key < $1.key }.map {
                ReproductionReport.Output(stage: stage.name, path: $0.key, old: $0.value, new: made[$0.key])
            }
        }
        let names = Set(result.stages.map(\.name))
        metrics = MetricChange.between(run, result).filter { change in
            !Self.isMeasurement(change.name) && names.contains { change.name.hasPrefix($0 + ".") }
        }
        return ReproductionReport(
            run: run.id, commit: commit, isPatched: isPatched, outcome: result.outcome, outputs: outputs,
            metrics: metrics,
            skipped: pipeline.stages.indices.filter { acting.contains($0) }.map { pipeline.stages[$0].name },
            failure: result.stages.first { $0.state == .failed }?.error)
    }

    /// Whether a metric is a time, a rate or energy, which differ each time.
    private static func isMeasurement(_ name: String) -> Bool {
        let last = name.split(separator: ".").last.map(String.init) ?? name
        return ["seconds", "_ms", "joules", "kwh", "per_second"].contains { last.hasSuffix($0) }
    }
}
