internal import Basics

/// Runs one stage that must run: clears its outputs, starts its process, checks and keeps what it made.
struct StageExecution: Sendable {
    let lookup: StageLookup
    let stage: Stage
    let upstream: UpstreamResults
    let needed: StageLookup.Needed
    let runID: String
    /// The run's folder, absolute.
    let runFolder: String
    let executor: any StageExecutor
    let meter: any EnergyMeter
    /// The program that performs built-in steps: this one.
    let executable: String
    let provenance: JSONValue
    let grace: Duration
    let onLine: @Sendable (String) -> Void

    private var pipeline: Pipeline { lookup.pipeline }
    private var folder: String { FileSystem.join(runFolder, stage.name) }
    private var logPath: String { FileSystem.join(runFolder, stage.name + ".log") }

    /// Fills the report; never throws, an error is the stage's.
    func run() async -> StageReport {
        var report = StageReport(name: stage.name, state: .running)
        report.reasons = needed.reasons
        report.fingerprint = needed.fingerprint
        report.started = .now
        report.log = "\(FileSystem.join(RunRecord.folder(runID), stage.name)).log"
        do {
            try await run(&report)
            report.state = .succeeded
        } catch {
            let known = StepFailure(error).error
            report.error = known
            report.state = known.kind == .refused ? .refused : known.kind == .interrupted ? .interrupted : .failed
        }
        return report
    }

    private func run(_ report: inout StageReport) async throws {
        let command = try prepare()
        let output = StageOutput(path: logPath, onLine: onLine)
        let token = meter.start()
        var untouched: [String: Int64] = [:]
        let ending: StageEnding
        if let resumed = try await executor.resume(command, output: output) {
            ending = resumed
        } else {
            untouched = try await clearOutputs()
            ending = try await executor.run(command, output: output)
        }
        report.duration = ending.usage.wall
        report.usage = ending.usage
        report.energy = ending.energy ?? meter.stop(token, usage: ending.usage)
        report.place = ending.place
        if case .exited(let code) = ending.status { report.exitCode = code }
        try check(ending)
        try checkOutputs(untouched)
        report.metrics = try MetricsFile.read(stage.metrics.map(\.path), root: pipeline.root, stage: stage.name)
        try Task.checkCancellation()
        report.outs = try await keepOutputs()
        if let changed = try await changedInput() {
            report.warnings.append("`\(changed)` changed while the stage ran, so its result is not remembered")
        } else {
            try remember(report)
        }
    }

    // MARK: Before

    /// Removes what an earlier run of the stage made, so that it cannot pass for new. What may be the user's own stays; it is
    /// returned with the time of its last change.
    private func clearOutputs() async throws -> [String: Int64] {
        var untouched: [String: Int64] = [:]
        for output in stage.outputs {
            let path = FileSystem.join(pipeline.root, output.path)
            try refuseLinks(above: output)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            guard FileSystem.exists(path) else { continue }
            if needed.hasRunBefore, let known = try await lookup.store.identify(path: output.path),
                try await lookup.store.has(known)
            {
                try FileSystem.removeTree(path)
            } else {
                untouched[output.path] = try newestChange(path)
            }
        }
        return untouched
    }

    /// A folder that is a link would carry the output, and the removal of an old one, to another place.
    private func refuseLinks(above output: StagePath) throws {
        var folder = pipeline.root
        for part in output.path.split(separator: "/").dropLast() {
            folder = FileSystem.join(folder, String(part))
            guard try FileStatus.of(folder)?.kind == .symlink else { continue }
            let link = folder.dropFirst(pipeline.root.count + 1)
            throw MLOpsError(
                .failed, "stage `\(stage.name)` writes `\(output.path)` through the link `\(link)`",
                hint: "write to a path without links; the command itself may link to it from elsewhere",
                at: output.location ?? stage.location)
        }
    }

    /// The latest change of `path` or of anything below it, in nanoseconds.
    private func newestChange(_ path: String) throws -> Int64 {
        guard let status = try FileStatus.of(path) else { return 0 }
        guard status.kind == .directory else { return status.changeNanoseconds }
        return try FileSystem.list(path).reduce(status.changeNanoseconds) {
            max($0, try newestChange(FileSystem.join(path, $1)))
        }
    }

    private func prepare() throws -> StageCommand {
        var environment = pipeline.environment
        for (name, value) in stage.environment { environment[name] = value }
        let own = ["MLOPS_RUN": runID, "MLOPS_PIPELINE": pipeline.name, "MLOPS_STAGE": stage.name]
        environment.merge(own) { $1 }
        let program: String
        let arguments: [String]
        switch stage.action {
        case .shell(let line): (program, arguments) = ("/bin/sh", ["/bin/sh", "-c", line])
        case .command(let words): (program, arguments) = (try lookup.program(of: stage) ?? words[0], words)
        case .step(let name, let version):
            try writeRequest(step: name, version: version)
            (program, arguments) = (executable, [executable, "step", folder])
        }
        return StageCommand(
            stage: stage, pipeline: pipeline.name, run: runID, fingerprint: needed.fingerprint, executable: program,
            arguments: arguments, environment: environment,
            givenVariables: Set(stage.environment.map(\.name)).union(own.keys), directory: pipeline.root,
            folder: folder,
            grace: grace)
    }

    private func writeRequest(step: String, version: Int) throws {
        try FileSystem.createDirectories(folder)
        var metrics: [String: JSONValue] = stage.readsMetrics ? upstream.metrics : [:]
        if stage.readsEnergy { metrics["energy"] = EnergyTotals.json(of: upstream.energy) }
        let request = StepRequest(
            step: step, stepVersion: version, stage: stage.name, pipeline: pipeline.name, run: runID,
            root: pipeline.root, with: stage.with, deps: stage.deps.map(\.path), outs: stage.outs.map(\.path),
            metrics: stage.metrics.map(\.path), params: pipeline.parameters, upstream: .object(metrics),
            provenance: provenance)
        let json = try JSONValue(encoding: request)
        try FileSystem.replaceUnflushed(
            FileSystem.join(folder, StepRequest.requestFile), with: json.canonicalBytes)
    }

    // MARK: After

    private func check(_ ending: StageEnding) throws {
        if ending.stop == .cancelled || Task.isCancelled {
            throw MLOpsError(.interrupted, "stage `\(stage.name)` was interrupted")
        }
        if ending.stop == .timeout, let timeout = stage.timeout {
            throw MLOpsError(
                .failed, "stage `\(stage.name)` ran longer than its timeout of \(Format.duration(timeout))",
                hint: "raise `timeout`, or see `\(logHint)` for what it was doing", at: stage.location)
        }
        if let failure = ending.failure { throw failure }
        guard ending.status != .exited(0) else { return }
        if let error = reportedError() { throw error }
        throw MLOpsError(
            .failed, "stage `\(stage.name)` \(text(of: ending.status))", hint: hint(ending), at: stage.location)
    }

    /// What a built-in step says itself; nil for a command and for a step that died without a word.
    private func reportedError() -> MLOpsError? {
        let path = FileSystem.join(folder, StepRequest.errorFile)
        guard stage.stepName != nil, let bytes = try? FileSystem.read(path),
            let json = try? JSONValue(parsing: bytes, source: path)
        else { return nil }
        return StepFailure(json).error
    }

    private func text(of status: StageEnding.Status) -> String {
        switch status {
        case .exited(let code): "failed with exit code \(code)"
        case .signalled(9): "was killed by signal 9; the system may have run out of memory"
        case .signalled(11): "was killed by signal 11, a memory fault of its program"
        case .signalled(let signal): "was killed by signal \(signal)"
        }
    }

    private var logHint: String { FileSystem.join(RunRecord.folder(runID), stage.name) + ".log" }

    private func hint(_ ending: StageEnding) -> String {
        let lines = ending.lastLines.suffix(5).map { "\n    " + shortened($0, to: 200) }.joined()
        return "the whole log is `\(logHint)`" + (lines.isEmpty ? "" : "; it ends with" + lines)
    }

    private func checkOutputs(_ untouched: [String: Int64]) throws {
        let missing = stage.outputs.map(\.path).filter { !FileSystem.exists(FileSystem.join(pipeline.root, $0)) }
        if !missing.isEmpty {
            let names = missing.map { "`\($0)`" }.joined(separator: ", ")
            throw MLOpsError(
                .failed, "stage `\(stage.name)` ended without writing \(names)",
                hint: "correct its `outs` and `metrics`, or make it write them", at: stage.location)
        }
        for (path, change) in untouched.sorted(by: { $0.key < $1.key })
        where try newestChange(FileSystem.join(pipeline.root, path)) == change {
            throw MLOpsError(
                .failed, "stage `\(stage.name)` did not write `\(path)`, which was there before",
                hint: "move it away, then run the pipeline again", at: stage.location)
        }
    }

    private func keepOutputs() async throws -> [StoredOutput] {
        var kept: [StoredOutput] = []
        for output in stage.outputs {
            var stored = try await lookup.store.keep(path: output.path)
            stored.path = output.path
            kept.append(stored)
        }
        return kept
    }

    /// A dependency that is not what it was when the stage started.
    private func changedInput() async throws -> String? {
        guard let before = needed.ingredients.json["deps"]?.object else { return nil }
        for (path, value) in before.sorted(by: { $0.key < $1.key }) {
            let now = try await lookup.store.identify(path: path)
            if now.map({ "\($0.kind):\($0.digest)" }) != value.string { return path }
        }
        return nil
    }

    private func remember(_ report: StageReport) throws {
        let effectsPath = FileSystem.join(folder, StepRequest.effectsFile)
        var effects: JSONValue?
        if stage.stepName != nil, FileSystem.exists(effectsPath) {
            effects = try JSONValue(parsing: try FileSystem.read(effectsPath), source: effectsPath)
        }
        let entry = StageCacheEntry(
            fingerprint: needed.fingerprint, pipeline: pipeline.name, stage: stage.name, run: runID, created: .now,
            ingredients: needed.ingredients.json, parameters: stage.usedParameters, outs: report.outs,
            metrics: report.metrics, energy: report.energy, duration: report.duration ?? .zero, effects: effects)
        try lookup.cache.store(entry)
        try lookup.cache.setLast(needed.fingerprint, pipeline: pipeline.name, stage: stage.name)
    }
}
