package import Basics

/// A stage ready to run: interpolated, its step planned, its paths checked.
package struct Stage: Sendable {
    package enum Action: Sendable, Hashable {
        /// A line for `/bin/sh -c`.
        case shell(String)
        /// A program and its arguments, started without a shell.
        case command([String])
        case step(name: String, version: Int)
    }

    package var name: String
    package var location: SourceLocation
    package var action: Action
    /// For a step: interpolated, checked, defaults filled in.
    package var with: JSONValue
    package var deps: [StagePath]
    /// Artifacts whose pointers count.
    package var artifacts: [String]
    package var outs: [StagePath]
    package var metrics: [StagePath]
    /// Stages that it names, itself or through its step.
    package var needs: [LocatedName]
    /// The variables that it names, with their values; a variable that is not set has none.
    package var environment: [(name: String, value: String?)]
    package var timeout: Duration?
    /// Parameters that its `params:` names, by path: they count in the fingerprint.
    package var params: [String: JSONValue]
    /// Parameters whose values were put into its keys, by path: told when they change.
    package var usedParameters: [String: JSONValue]
    package var readsMetrics: Bool
    package var readsEnergy: Bool
    package var hasEffects: Bool
    package var external: JSONValue?

    /// The name that the file gives it: `train` of `train@seed=1`; equal to `name` without `matrix` and `foreach`.
    package var group = ""
    /// One line for people.
    package var summary: String?
    /// Its `if:`; a stage whose condition does not hold is skipped, and so is what waits for it.
    package var condition: StageCondition?
    package var retries = RetryPolicy()
    package var resources = Resources()
    package var executor = Executor.local
    /// The container image that it runs in where its executor or an exported manifest uses containers.
    package var image: String?
    /// Secrets that it gets as environment variables; their values are found when it starts.
    package var secrets: [LocatedName] = []
    /// Whether it runs even if a stage that it waits for failed, refused or was skipped.
    package var isAlways = false
    /// Whether it never runs: what it wrote stands as it is.
    package var isFrozen = false
    /// Whether it runs again even if nothing changed.
    package var isAlwaysChanged = false

    /// Everything that it writes and that is kept: outs, then the metrics files that are not among or inside them.
    package var outputs: [StagePath] {
        outs + metrics.filter { file in !outs.contains { FileSystem.contains($0.path, file.path) } }
    }

    /// The step's name; nil for a command.
    package var stepName: String? { if case .step(let name, _) = action { name } else { nil } }
}

/// A path in the repository, and where the pipeline says it, unless a step inferred it.
package struct StagePath: Sendable, Hashable {
    package var path: String
    package var location: SourceLocation?
    /// Of an output: whether its content goes into the store. If not, it stays in the workspace alone.
    package var isCached = true
    /// Of an output: whether it is left where it is when the stage runs again, so that the stage can add to it.
    package var persists = false
}

/// A stage's name and where it is mentioned.
package struct LocatedName: Sendable, Hashable {
    package var name: String
    package var location: SourceLocation?
}
