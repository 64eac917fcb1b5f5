package import Basics

/// What happens during a run, as it happens; one JSON object each for `--json`.
package enum RunEvent: Sendable {
    case runStarted(id: String, pipeline: String, stages: [String])
    /// Another run of the pipeline goes on, and this one waits for its end.
    case runWaiting(pipeline: String)
    /// The stage's process is about to start.
    case stageStarted(stage: String, reasons: [StageReason])
    /// It failed, and is started again after `delay`; attempts count from 1.
    case stageRetried(stage: String, attempt: Int, delay: Duration, error: MLOpsError)
    /// A line that the stage printed, without its newline and without control characters.
    case stageLog(stage: String, line: String)
    /// It ended, was found in the cache, or was skipped.
    case stageFinished(StageReport)
    case runFinished(RunReport)

    package var json: JSONValue {
        switch self {
        case .runStarted(let id, let pipeline, let stages):
            [
                "event": "runStarted", "run": .string(id), "pipeline": .string(pipeline),
                "stages": .array(stages.map(JSONValue.string)),
            ]
        case .runWaiting(let pipeline): ["event": "runWaiting", "pipeline": .string(pipeline)]
        case .stageRetried(let stage, let attempt, let delay, let error):
            [
                "event": "stageRetried", "stage": .string(stage), "attempt": .int(Int64(attempt)),
                "delaySeconds": .double(delay.seconds), "error": StepFailure(error).json,
            ]
        case .stageStarted(let stage, let reasons):
            ["event": "stageStarted", "stage": .string(stage), "reasons": .array(reasons.map(\.json))]
        case .stageLog(let stage, let line):
            ["event": "stageLog", "stage": .string(stage), "line": .string(line)]
        case .stageFinished(let report): ["event": "stageFinished", "stage": report.json]
        case .runFinished(let report): ["event": "runFinished", "run": report.json]
        }
    }
}

extension RunEvent: Encodable {
    package func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }
}
