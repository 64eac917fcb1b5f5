package import Basics

/// What a run would do, found out without running anything.
package struct PipelineStatusReport: Sendable, Encodable {
    package enum State: String, Sendable, Encodable {
        /// Its results are in the workspace, unchanged.
        case upToDate
        /// Its results would come from the store.
        case restorable
        /// It would run.
        case changed
        /// A stage before it would run; whether it runs depends on what that makes.
        case waiting
        /// It cannot run: a dependency is missing.
        case blocked
        /// Its condition does not hold, or it waits for such a stage.
        case skipped
    }

    package struct Stage: Sendable, Encodable {
        package var name: String
        package var state: State
        package var reasons: [StageReason]
        package var fingerprint: Digest?
        package var error: MLOpsError?

        package func encode(to encoder: any Encoder) throws {
            var members: [String: JSONValue] = [
                "name": .string(name), "state": .string(state.rawValue), "reasons": .array(reasons.map(\.json)),
            ]
            members["fingerprint"] = fingerprint.map { .string($0.description) }
            members["error"] = error.map { StepFailure($0).json }
            try JSONValue.object(members).encode(to: encoder)
        }
    }

    package var pipeline: String
    /// In the order of running.
    package var stages: [Stage]

    /// Whether a run would do nothing.
    package var isUpToDate: Bool { stages.allSatisfy { $0.state == .upToDate || $0.state == .skipped } }
}
