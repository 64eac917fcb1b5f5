package import Basics

/// How often and after what a failed stage is started again.
package struct RetryPolicy: Sendable, Hashable {
    /// What `on:` can name.
    package enum Cause: Sendable, Hashable {
        /// It ran longer than its timeout.
        case timeout
        /// A signal ended it: the system ran out of memory, a fault of its program, a node that went down.
        case signal
        /// It ended with this code.
        case exit(Int32)
    }

    /// Starts after the first one, at most.
    package var max = 0
    /// Empty means any failure; a refusal and an interruption are never retried.
    package var causes: Set<Cause> = []
    /// Before the first retry.
    package var delay: Duration = .seconds(1)
    /// What the delay is multiplied with after each retry, at least 1.
    package var backoff = 2.0

    package init() {}

    package func covers(_ cause: Cause) -> Bool { causes.isEmpty || causes.contains(cause) }

    /// The wait before retry `number`, which counts from 1: at most an hour.
    package func wait(before number: Int) -> Duration {
        var seconds = delay.seconds
        for _ in 1..<Swift.max(number, 1) where seconds < 3600 { seconds *= backoff }
        return .seconds(min(seconds, 3600))
    }
}

/// What a stage takes while it runs, or what all stages together may take.
package struct Resources: Sendable, Hashable {
    /// Processors; a fraction is fine.
    package var cpus: Double?
    package var memory: ByteCount?
    package var gpus: Int?
    /// Names of the pipeline's own, such as licences of a program.
    package var custom: [String: Int] = [:]

    package init(cpus: Double? = nil, memory: ByteCount? = nil, gpus: Int? = nil, custom: [String: Int] = [:]) {
        self.cpus = cpus
        self.memory = memory
        self.gpus = gpus
        self.custom = custom
    }

    package var isEmpty: Bool { self == Resources() }
}

/// What starts a stage's processes.
package struct Executor: Sendable, Hashable {
    package enum Name: String, Sendable, Hashable, CaseIterable { case local, slurm }

    package var name: Name
    /// Interpolated; its keys are among `optionKeys`.
    package var options: [String: JSONValue]

    package init(_ name: Name = .local, options: [String: JSONValue] = [:]) {
        self.name = name
        self.options = options
    }

    package static let local = Executor()

    /// What the options of each executor may be, with their types.
    package static func options(of name: Name) -> [StepParameter] {
        switch name {
        case .local: []
        case .slurm:
            [
                StepParameter("partition", .string, "the partition that jobs are submitted to"),
                StepParameter("account", .string, "the account that is charged"),
                StepParameter("qos", .string, "the quality of service"),
                StepParameter("constraint", .string, "features that a node must have"),
                StepParameter("reservation", .string, "the reservation to run in"),
                StepParameter("options", .list, "further options of `sbatch`, each a text"),
            ]
        }
    }
}

/// Whether a stage's `if:` lets it run.
package struct StageCondition: Sendable, Hashable {
    /// As the file says it.
    package var text: String
    package var holds: Bool
    /// The values of what it names: `${git.branch} is "dev"`.
    package var values: [String]

    /// Why the stage is skipped.
    package var explanation: String {
        "its `if` is false: \(text)" + (values.isEmpty ? "" : "; " + values.joined(separator: ", "))
    }
}
