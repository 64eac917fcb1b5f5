package import Basics

/// Where a stage's process runs: on this machine, or on a node that a scheduler chooses.
///
/// One executor serves all stages of a run, several at once. It is handed in through `RunOptions.executors` and chosen by
/// the stage's `executor:`.
package protocol StageExecutor: Sendable {
    /// What `executor:` says: `local`.
    var name: String { get }

    /// Runs the command to its end; what it prints goes to `output`.
    ///
    /// When the task is cancelled the command gets SIGTERM, after its `grace` SIGKILL; the ending is returned then, too, with
    /// `stop` set to `.cancelled`. On return nothing of the stage runs any more.
    ///
    /// - Throws: when it could not be started, or nobody knows how it ended. An exit code is no error.
    func run(_ command: StageCommand, output: StageOutput) async throws -> StageEnding

    /// Follows to its end what an interrupted run left running of the same command; ends what it left of another one.
    ///
    /// It is called before the stage's outputs are cleared.
    ///
    /// - Returns: nil if there is nothing to follow.
    func resume(_ command: StageCommand, output: StageOutput) async throws -> StageEnding?

    /// Ends what an interrupted run left running of a stage that need not run now, so that it writes no outputs any more.
    func settle(stage: String) async throws

    /// Puts a stage into the executor's queue before its inputs are there, behind stages that are in it. Nothing of it is
    /// done until `run` hands in its command.
    ///
    /// - Parameter others: stages of this run that `run` or `expect` put into the queue.
    /// - Returns: whether it is in the queue; if not, `run` begins from nothing.
    func expect(_ setup: StageSetup, behind others: [String]) async -> Bool

    /// Takes a stage out of the queue again, unless `run` has handed in its command.
    func withdraw(stage: String) async
}

extension StageExecutor {
    package func resume(_ command: StageCommand, output: StageOutput) async throws -> StageEnding? { nil }

    package func settle(stage: String) async throws {}

    package func expect(_ setup: StageSetup, behind others: [String]) async -> Bool { false }

    package func withdraw(stage: String) async {}
}

/// What is known of a stage's process before the stage's inputs are.
package struct StageSetup: Sendable {
    /// What the pipeline says of it: its name, its resources, the options of its executor.
    package var stage: Stage
    package var pipeline: String
    package var run: String
    /// The whole environment, secrets included: it goes to the process and nowhere else.
    package var environment: [String: String]
    /// The names of variables that the stage is given on purpose: those of `env`, of its secrets and `MLOPS_*`. All others
    /// are inherited from whoever started the run.
    package var givenVariables: Set<String>
    /// Where it is started: the repository's folder, absolute.
    package var directory: String
    /// The stage's folder in the run's record, absolute, for files that the executor itself needs; it may not exist yet.
    package var folder: String
    /// Between SIGTERM and SIGKILL. The time after which the command is told to end is `stage.timeout`.
    package var grace: Duration
}

/// A stage's process, ready to be started.
package struct StageCommand: Sendable {
    package var setup: StageSetup
    /// Equal for equal work: a job that an interrupted run left behind can be found again by it.
    package var fingerprint: Digest
    /// The program's absolute path.
    package var executable: String
    /// The program's own name first, as `execve` wants them.
    package var arguments: [String]

    package var stage: Stage { setup.stage }
}

/// How a stage's process ended.
package struct StageEnding: Sendable {
    package enum Status: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
    }

    package enum StopReason: Sendable, Hashable { case timeout, cancelled }

    package var status: Status
    package var usage: ResourceUsage
    /// Set when the program was told to end.
    package var stop: StopReason?
    /// The last lines that it printed.
    package var lastLines: [String]
    /// Where it ran, and what else is known of that, such as the number of a cluster's job; told in the report.
    package var place: JSONValue?
    /// The energy that was measured where it ran; nil if this machine's own is meant.
    package var energy: JSONValue?
    /// What ended it when that was not the program itself, such as the failure of its node: told in place of the status.
    package var failure: MLOpsError?

    package init(
        status: Status, usage: ResourceUsage, stop: StopReason? = nil, lastLines: [String] = [],
        place: JSONValue? = nil, failure: MLOpsError? = nil
    ) {
        self.status = status
        self.usage = usage
        self.stop = stop
        self.lastLines = lastLines
        self.place = place
        self.failure = failure
    }
}

/// Where the output of one stage goes: the file of its log, and whoever reads along.
package struct StageOutput: Sendable {
    /// The log's path, absolute.
    package var path: String
    /// Gets each line, without its newline and without control characters, from one thread at a time.
    package var onLine: @Sendable (String) -> Void
    /// Called each time that the executor has put the stage into its queue: others may be put behind it from then on.
    package var onQueued: @Sendable () -> Void = {}
    /// Hides secrets in all of it.
    var masker = SecretMasker.none

    package init(path: String, onLine: @escaping @Sendable (String) -> Void) {
        self.path = path
        self.onLine = onLine
    }

    /// Begins the log: hand it the bytes as they come, then call `finish`.
    package func open() throws -> StageLog { try StageLog(path: path, masker: masker, onLine: onLine) }
}
