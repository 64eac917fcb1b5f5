package import Basics

/// How a stage ended.
package enum StageState: String, Sendable, Codable {
    case waiting, running
    /// It ran, or what it makes was there already.
    case succeeded
    case failed
    /// A gate said no.
    case refused
    /// It never started, because of another stage.
    case skipped
    case interrupted
}

/// How a run ended.
package enum RunOutcome: String, Sendable, Codable { case succeeded, failed, refused, interrupted }

/// One sentence why a stage runs, and the thing that it is about.
package struct StageReason: Sendable, Hashable {
    /// `new`, `forced`, `condition`, `command`, `executable`, `step`, `with`, `param`, `env`, `dep`, `artifact`, `out`, `metrics`, `energy`,
    /// `external`, `effects` or `upstream`.
    package var kind: String
    /// The path, key or stage.
    package var subject: String
    package var text: String

    package init(_ kind: String, _ subject: String = "", _ text: String) {
        self.kind = kind
        self.subject = subject
        self.text = text
    }

    var json: JSONValue { ["kind": .string(kind), "subject": .string(subject), "text": .string(text)] }
}

/// What became of one stage of a run.
package struct StageReport: Sendable {
    package var name: String
    package var state: StageState
    /// Whether its results came from the cache; nothing was executed then.
    package var isCached = false
    /// Outputs brought back from the store.
    package var restoredCount = 0
    /// How often it was started, if more than once.
    package var attempts: Int?
    /// What was checked of its reads and writes: `{"reads": "unchecked", "writes": "compared"}`.
    package var checks: JSONValue?
    /// Why it ran, or why it was skipped.
    package var reasons: [StageReason] = []
    package var fingerprint: Digest?
    package var started: Timestamp?
    /// Of the execution; for a cached stage of the one that is remembered.
    package var duration: Duration?
    /// Exit code of the process; nil when it was killed by a signal or never ran.
    package var exitCode: Int32?
    package var usage: ResourceUsage?
    /// Where it ran, as its executor tells it: `{job, nodes, …}` of a cluster; nil on this machine.
    package var place: JSONValue?
    /// `{joules, kwh, method, …}`; for a cached stage as it was measured.
    package var energy: JSONValue?
    /// The content of its metrics files; nil if it has none.
    package var metrics: JSONValue?
    package var outs: [StoredOutput] = []
    /// The log's path relative to the repository.
    package var log: String?
    /// Things to know that are no failure.
    package var warnings: [String] = []
    package var error: MLOpsError?
    /// Where the stage stands in its file; told with what is wrong, for reports that point at a line.
    package var location: SourceLocation?

    package init(name: String, state: StageState) {
        self.name = name
        self.state = state
    }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(name), "state": .string(state.rawValue), "cached": .bool(isCached),
            "restored": .int(Int64(restoredCount)), "reasons": .array(reasons.map(\.json)),
        ]
        members["fingerprint"] = fingerprint.map { .string($0.description) }
        members["started"] = started.map { .string($0.description) }
        members["seconds"] = duration.map { .double(rounded($0.seconds)) }
        members["exitCode"] = exitCode.map { .int(Int64($0)) }
        if let usage {
            members["usage"] = [
                "userSeconds": .double(rounded(usage.userSeconds)),
                "systemSeconds": .double(rounded(usage.systemSeconds)),
                "peakBytes": .int(usage.peakByteCount),
            ]
        }
        members["attempts"] = attempts.map { .int(Int64($0)) }
        members["checks"] = checks
        members["place"] = place
        members["energy"] = energy
        members["metrics"] = metrics
        if !outs.isEmpty { members["outs"] = .array(outs.map(\.json)) }
        members["log"] = log.map(JSONValue.string)
        if !warnings.isEmpty { members["warnings"] = .array(warnings.map(JSONValue.string)) }
        members["error"] = error.map { StepFailure($0).json }
        if error != nil || !warnings.isEmpty { members["location"] = location?.json }
        return .object(members)
    }

    private func rounded(_ seconds: Double) -> Double { (seconds * 1e6).rounded() / 1e6 }
}

extension StageReport: Encodable {
    package func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }
}

extension StoredOutput {
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "path": .string(path), "digest": .string(digest.description), "kind": .string(kind),
            "byteCount": .int(byteCount), "fileCount": .int(Int64(fileCount)),
        ]
        if !isKept { members["kept"] = false }
        return .object(members)
    }
}

/// One run of a pipeline: what `run.json` holds and what `pipeline run` prints.
package struct RunReport: Sendable {
    package var id: String
    package var pipeline: String
    package var file: String
    package var specDigest: Digest
    package var parameters: JSONValue
    package var overrides: [String]
    package var git: GitContext
    /// Digest and size of the patch of a dirty tree, and whether the run's folder keeps it: `{digest, byteCount, kept}`.
    package var patch: JSONValue?
    /// What it ran on: `RunEnvironment.describe`.
    package var environment: JSONValue?
    package var jobs: Int
    package var started: Timestamp
    /// nil while it runs.
    package var finished: Timestamp?
    package var duration: Duration?
    /// nil while it runs.
    package var outcome: RunOutcome?
    /// In the order of the file.
    package var stages: [StageReport]
    /// The run's folder relative to the repository.
    package var folder: String

    /// The metrics of all stages that have any, by stage.
    package var metrics: JSONValue {
        .object(
            Dictionary(stages.compactMap { stage in stage.metrics.map { (stage.name, $0) } }, uniquingKeysWith: { $1 }))
    }

    /// Joules and kWh of all stages, cached ones as they were measured.
    package var energy: JSONValue { EnergyTotals.json(of: stages.map { ($0.name, $0.energy) }) }

    /// The error that decides the exit code: the first failure, else the first refusal, else the interruption.
    package var error: MLOpsError? {
        outcome == .interrupted ? MLOpsError(.interrupted, "the run was interrupted") : decisive?.error
    }

    /// What went wrong in further stages, in the order in which they started.
    package var otherErrors: [MLOpsError] {
        stages.filter { [.failed, .refused].contains($0.state) && $0.name != decisive?.name }
            .sorted { ($0.started ?? started) < ($1.started ?? started) }.compactMap(\.error)
    }

    /// The stage whose error is the run's.
    private var decisive: StageReport? {
        let state: StageState
        switch outcome {
        case .failed: state = .failed
        case .refused: state = .refused
        case .interrupted, .succeeded, nil: return nil
        }
        return stages.filter { $0.state == state }.min { ($0.started ?? started) < ($1.started ?? started) }
    }

    /// 0, or the exit code of `error`.
    package var exitCode: Int32 { error?.exitCode ?? 0 }

    package var cachedCount: Int { stages.count(where: \.isCached) }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "format": 1, "id": .string(id), "pipeline": .string(pipeline), "file": .string(file),
            "specDigest": .string(specDigest.description), "params": parameters,
            "overrides": .array(overrides.map(JSONValue.string)), "git": git.json, "jobs": .int(Int64(jobs)),
            "started": .string(started.description), "stages": .array(stages.map(\.json)), "metrics": metrics,
            "energy": energy, "folder": .string(folder),
        ]
        if let patch, case .object(var head) = git.json {
            head["patch"] = patch
            members["git"] = .object(head)
        }
        members["environment"] = environment
        members["finished"] = finished.map { .string($0.description) }
        members["seconds"] = duration.map { .double(($0.seconds * 1e6).rounded() / 1e6) }
        members["outcome"] = outcome.map { .string($0.rawValue) }
        if outcome != nil { members["exitCode"] = .int(Int64(exitCode)) }
        return .object(members)
    }
}

extension RunReport: Encodable {
    package func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }
}

extension GitContext {
    package var json: JSONValue {
        [
            "commit": commit.map(JSONValue.string) ?? .null, "branch": branch.map(JSONValue.string) ?? .null,
            "dirty": isDirty.map(JSONValue.bool) ?? .null,
        ]
    }
}

/// Sums of what stages measured.
enum EnergyTotals {
    /// `{joules, kwh, <stage>: {joules, kwh, …}}`; stages without a measurement are left out.
    static func json(of stages: [(name: String, energy: JSONValue?)]) -> JSONValue {
        var members: [String: JSONValue] = [:]
        var (joules, kilowattHours) = (0.0, 0.0)
        for (name, energy) in stages {
            guard let energy else { continue }
            members[name] = energy
            joules += energy["joules"]?.number ?? 0
            kilowattHours += energy["kwh"]?.number ?? 0
        }
        members["joules"] = .double(joules)
        members["kwh"] = .double(kilowattHours)
        return .object(members)
    }
}
