internal import Basics

/// Runs one stage that must run: clears its outputs, starts its process, checks and keeps what it made; again if that failed
/// and its `retries` say so.
struct StageExecution: Sendable {
    let lookup: StageLookup
    let stage: Stage
    let upstream: UpstreamResults
    let needed: StageLookup.Needed
    let runID: String
    /// The run's folder, absolute.
    let runFolder: String
    let executor: any StageExecutor
    let surroundings: RunSurroundings
    let provenance: JSONValue
    /// Whether its result may be used again: not that of a stage that ran after others failed.
    let isRemembered: Bool
    let events: EventSink
    /// Called each time that the stage has come into its executor's queue.
    let onQueued: @Sendable () -> Void

    var pipeline: Pipeline { lookup.pipeline }
    var folder: String { FileSystem.join(runFolder, stage.name) }
    private var logPath: String { FileSystem.join(runFolder, stage.name + ".log") }
    var masker: SecretMasker { surroundings.secrets.masker }

    /// What an attempt failed with, and whether another one may help.
    struct Fault: Error {
        var error: MLOpsError
        /// What `retries` can name; nil for what only a list of nothing covers.
        var cause: RetryPolicy.Cause?
        var isFinal = false
    }

    /// Fills the report; never throws, an error is the stage's.
    func run() async -> StageReport {
        var report = StageReport(name: stage.name, state: .running)
        report.reasons = needed.reasons
        report.fingerprint = needed.fingerprint
        report.started = .now
        report.location = stage.location
        report.log = "\(FileSystem.join(RunRecord.folder(runID), stage.name)).log"
        do {
            try await run(&report)
            report.state = .succeeded
        } catch {
            let known = StepFailure((error as? Fault)?.error ?? error).error
            report.error = known
            report.state = known.kind == .refused ? .refused : known.kind == .interrupted ? .interrupted : .failed
        }
        return report
    }

    private func run(_ report: inout StageReport) async throws {
        try await tryUntilDone(&report)
        try Task.checkCancellation()
        report.outs = try await keepOutputs()
        if let changed = try await changedInput() {
            report.warnings.append("`\(changed)` changed while the stage ran, so its result is not remembered")
        } else if isRemembered {
            try await remember(report)
        }
    }

    /// What all attempts together used is told.
    private func tryUntilDone(_ report: inout StageReport) async throws {
        let token = surroundings.meter.start()
        var usage = ResourceUsage.zero
        defer {
            if usage.wall > .zero {
                report.duration = usage.wall
                report.usage = usage
                report.energy = report.energy ?? surroundings.meter.stop(token, usage: usage)
            }
        }
        var number = 1
        while true {
            do {
                return try await attempt(&report, &usage)
            } catch let fault as Fault {
                guard let wait = retryDelay(after: number, fault) else { throw fault }
                try keepLog(of: number)
                number += 1
                report.attempts = number
                events.send(
                    .stageRetried(stage: stage.name, attempt: number, delay: wait, error: masker.masked(fault.error)))
                try await Task.sleep(for: wait)
            }
        }
    }

    /// The wait before the next attempt; nil if this was the last.
    private func retryDelay(after number: Int, _ fault: Fault) -> Duration? {
        guard !fault.isFinal, number <= stage.retries.max, !Task.isCancelled else { return nil }
        let isCovered = fault.cause.map { stage.retries.covers($0) } ?? stage.retries.causes.isEmpty
        return isCovered ? stage.retries.wait(before: number) : nil
    }

    private func keepLog(of number: Int) throws {
        guard FileSystem.exists(logPath) else { return }
        try FileSystem.rename(logPath, to: FileSystem.join(runFolder, "\(stage.name).attempt-\(number).log"))
    }

    private func attempt(_ report: inout StageReport, _ usage: inout ResourceUsage) async throws {
        var command = try prepare()
        var output = StageOutput(path: logPath) { [events, name = stage.name] in
            events.send(.stageLog(stage: name, line: $0))
        }
        output.masker = masker
        output.onQueued = onQueued
        // What an executor took up again still writes its outputs.
        let resumed = try await executor.resume(command, output: output)
        let untouched = resumed == nil ? try await clearOutputs() : [:]
        let checks = surroundings.checks
        let isChecked = resumed == nil && checks.applies(to: command, executor: executor)
        let traceLog = FileSystem.join(runFolder, stage.name + ".trace")
        if isChecked {
            command = try checks.traced(command, log: traceLog)
            checks.begin(stage)
        }
        let result: Result<StageEnding, any Error>
        do {
            if let resumed {
                result = .success(resumed)
            } else {
                result = .success(try await executor.run(command, output: output))
            }
        } catch {
            result = .failure(error)
        }
        let findings = isChecked ? checks.end(stage, log: traceLog) : StageChecks.Findings()
        report.warnings = findings.warnings
        report.checks = findings.record
        let ending = try result.get()
        usage.add(ending.usage)
        report.energy = ending.energy
        report.place = ending.place
        report.exitCode = if case .exited(let code) = ending.status { code } else { nil }
        try check(ending)
        try checkOutputs(untouched)
        if let error = findings.error { throw Fault(error: error, isFinal: true) }
        try refuseSecrets()
        do {
            report.metrics = try MetricsFile.read(stage.metrics.map(\.path), root: pipeline.root, stage: stage.name)
        } catch let error as MLOpsError {
            throw Fault(error: error)
        }
    }

    // MARK: Before

    private func prepare() throws -> StageCommand {
        let program: String
        let arguments: [String]
        switch stage.action {
        case .shell(let line): (program, arguments) = ("/bin/sh", ["/bin/sh", "-c", line])
        case .command(let words): (program, arguments) = (try lookup.program(of: stage) ?? words[0], words)
        case .step(let name, let version):
            try writeRequest(step: name, version: version)
            program = surroundings.executable
            arguments = [program, "step", folder]
        }
        return StageCommand(
            setup: try surroundings.setup(of: stage, pipeline, run: runID), fingerprint: needed.fingerprint,
            executable: program, arguments: arguments)
    }

    private func writeRequest(step: String, version: Int) throws {
        try FileSystem.createDirectories(folder)
        try FileSystem.removeFile(FileSystem.join(folder, StepRequest.errorFile))
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
            throw Fault(error: MLOpsError(.interrupted, "stage `\(stage.name)` was interrupted"), isFinal: true)
        }
        if ending.stop == .timeout, let timeout = stage.timeout {
            let error = MLOpsError(
                .failed, "stage `\(stage.name)` ran longer than its timeout of \(Format.duration(timeout))",
                hint: "raise `timeout`, or see `\(logHint)` for what it was doing", at: stage.location)
            throw Fault(error: error, cause: .timeout)
        }
        if let failure = ending.failure { throw Fault(error: failure, cause: .signal) }
        guard ending.status != .exited(0) else { return }
        let cause: RetryPolicy.Cause =
            switch ending.status {
            case .exited(let code): .exit(code)
            case .signalled: .signal
            }
        if let error = reportedError() {
            throw Fault(error: error, cause: cause, isFinal: error.kind == .refused || error.kind == .interrupted)
        }
        let error = MLOpsError(
            .failed, "stage `\(stage.name)` \(text(of: ending.status))", hint: hint(ending), at: stage.location)
        throw Fault(error: error, cause: cause)
    }

    /// What a built-in step says itself; nil for a command and for a step that died without a word.
    private func reportedError() -> MLOpsError? {
        let path = FileSystem.join(folder, StepRequest.errorFile)
        guard stage.stepName != nil, let bytes = try? FileSystem.read(path),
            let json = try? JSONValue(parsing: bytes, source: path)
        else { return nil }
        let masked = masker.masked(json)
        if masked != json { try? FileSystem.replaceUnflushed(path, with: masked.canonicalBytes) }
        return StepFailure(masked).error
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

    private func remember(_ report: StageReport) async throws {
        let effectsPath = FileSystem.join(folder, StepRequest.effectsFile)
        var effects: JSONValue?
        if stage.stepName != nil, FileSystem.exists(effectsPath) {
            effects = try JSONValue(parsing: try FileSystem.read(effectsPath), source: effectsPath)
        }
        let entry = StageCacheEntry(
            fingerprint: needed.fingerprint, pipeline: pipeline.name, stage: stage.name, run: runID, created: .now,
            ingredients: needed.ingredients.json, parameters: stage.usedParameters, outs: report.outs,
            metrics: report.metrics, energy: report.energy, duration: report.duration ?? .zero, effects: effects)
        for (path, known) in needed.ingredients.json["deps"]?.object ?? [:] {
            guard let known = known.string, upstream.outs[path] == nil else { continue }
            await lookup.memory.remember(path, as: known, hiding: masker)
        }
        try lookup.cache.store(entry)
        try lookup.cache.setLast(needed.fingerprint, pipeline: pipeline.name, stage: stage.name)
    }
}

/// What all stages of a run share.
struct RunSurroundings: Sendable {
    let meter: any EnergyMeter
    /// The program that performs built-in steps: this one.
    let executable: String
    let grace: Duration
    let checks: StageChecks
    let secrets: SecretValues

    /// - Throws: kind `.failed` for a secret that is nowhere.
    func setup(of stage: Stage, _ pipeline: Pipeline, run: String) throws -> StageSetup {
        var environment = pipeline.environment
        // Only who names a secret gets it.
        for name in secrets.names { environment[name] = nil }
        let own = try secrets.environment(of: stage)
        for (name, value) in stage.environment { environment[name] = value }
        let told = ["MLOPS_RUN": run, "MLOPS_PIPELINE": pipeline.name, "MLOPS_STAGE": stage.name]
        environment.merge(own) { $1 }
        environment.merge(told) { $1 }
        return StageSetup(
            stage: stage, pipeline: pipeline.name, run: run, environment: environment,
            givenVariables: Set(stage.environment.map(\.name)).union(told.keys).union(own.keys),
            directory: pipeline.root,
            folder: FileSystem.join(FileSystem.join(pipeline.root, RunRecord.folder(run)), stage.name), grace: grace)
    }
}

extension ResourceUsage {
    static let zero = ResourceUsage(wall: .zero, userSeconds: 0, systemSeconds: 0, peakByteCount: 0)

    mutating func add(_ other: ResourceUsage) {
        wall += other.wall
        userSeconds += other.userSeconds
        systemSeconds += other.systemSeconds
        peakByteCount = max(peakByteCount, other.peakByteCount)
    }
}
