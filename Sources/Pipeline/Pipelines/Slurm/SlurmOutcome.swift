internal import Basics

/// What became of a stage's job, from Slurm's word on it and the node's.
enum SlurmOutcome: Sendable, Hashable {
    /// The program ended by itself.
    case ended(StageEnding.Status)
    /// It ran longer than the stage's own `timeout`; the node ended it.
    case timedOut
    /// It ran longer than Slurm allows it.
    case limitReached
    /// Its node failed, and Slurm did not start it again.
    case nodeFailed(String)
    /// It took more memory than it had asked for.
    case outOfMemory
    /// Somebody else cancelled it, or a job that it waited for did not succeed.
    case cancelled(String)
    /// Slurm gave its nodes to a more important job.
    case preempted
    /// Slurm says that it failed on that node, but its program never started there.
    case unstarted(String)
    /// It never started: no node can ever run it.
    case unstartable(String)
    /// Its turn came, but not the word to begin: nothing of the stage was done.
    case unbegun
    /// Slurm does not know it any more, and the node left no result.
    case lost

    /// - Parameters:
    ///   - job: nil if Slurm does not know it any more.
    ///   - ending: what the node wrote of the last attempt; nil if it wrote nothing.
    ///   - output: what Slurm's own daemon said on the node.
    ///   - hasBegun: whether the node began the last attempt, as far as its files tell.
    init(_ job: SlurmJob?, _ ending: SlurmEnding?, output: String, hasBegun: Bool = true) {
        // What the node wrote of an end of its own accord is the most exact: Slurm tells a program's signal as its code.
        if let ending, ending.stop == nil, job.map({ SlurmOutcome.agrees($0.state) }) ?? true,
            !SlurmOutcome.isKill(ending, output)
        {
            self = .ended(ending.status)
            return
        }
        if ending?.stop == "unbegun" {
            self = .unbegun
            return
        }
        if ending?.stop == "timeout" {
            self = .timedOut
            return
        }
        guard let job else {
            self = ending == nil ? .lost : .cancelled("")
            return
        }
        self = SlurmOutcome.of(job, output)
        // Such as a node that was down for a moment, and still refuses the job that was killed there.
        if case .ended(.exited(let code)) = self, code != 0, !hasBegun { self = .unstarted(job.nodes) }
    }

    /// Whether Slurm's state leaves the word to the node.
    private static func agrees(_ state: SlurmState) -> Bool {
        switch state {
        case .timeout, .outOfMemory, .cancelled, .preempted, .deadline: false
        default: true
        }
    }

    /// Whether Slurm killed the program for its memory.
    private static func isKill(_ ending: SlurmEnding, _ output: String) -> Bool {
        ending.status == .signalled(9) && isMemory(output)
    }

    private static func isMemory(_ output: String) -> Bool {
        output.contains("Exceeded job memory limit") || output.contains("oom-kill") || output.contains("oom_kill")
            || output.contains("exceeded memory limit")
    }

    private static func of(_ job: SlurmJob, _ output: String) -> SlurmOutcome {
        switch job.state {
        case .timeout, .deadline: .limitReached
        case .outOfMemory: .outOfMemory
        case .nodeFailure, .bootFailure: .nodeFailed(job.nodes)
        case .preempted: .preempted
        case .cancelled, .revoked: .cancelled(job.reason)
        case .failed where isMemory(output): .outOfMemory
        case .failed where job.nodes.isEmpty: .unstartable(job.reason)
        case _ where job.signal != 0: .ended(.signalled(job.signal))
        default: .ended(.exited(job.exitCode))
        }
    }
}

extension SlurmOutcome {
    /// Whether the job ended by itself without having begun the stage.
    var isUnbegun: Bool {
        if case .unstarted = self { return true }
        return self == .unbegun || self == .cancelled("DependencyNeverSatisfied")
    }

    /// The error that the stage ends with; nil if its program succeeded, and where the program's own end says it all.
    func error(stage: String, job: String, limit: Duration?, memory: Int64?, log: String) -> MLOpsError? {
        let its = "Slurm job \(job) of stage `\(stage)`"
        switch self {
        case .ended, .timedOut: return nil
        case .limitReached:
            let size = limit.map { " of \(Format.duration($0))" } ?? ""
            return MLOpsError(
                .failed, "\(its) ran longer than its time limit\(size)",
                hint: "raise `timeout`, or see `\(log)` for what it was doing")
        case .nodeFailed(let nodes):
            return MLOpsError(
                .failed, "\(its) was lost when its node `\(nodes)` failed",
                hint: "run the pipeline again; with `retries` it is tried again by itself")
        case .outOfMemory:
            let size = memory.map { " of \(Format.bytes($0))" } ?? ""
            return MLOpsError(
                .failed, "\(its) used more memory than its limit\(size)", hint: "raise `memory` in its `resources`")
        case .cancelled("DependencyNeverSatisfied"):
            return MLOpsError(.failed, "\(its) did not start, as a job that it waits for failed")
        case .cancelled(let reason):
            return MLOpsError(
                .failed, "\(its) was cancelled from outside" + (reason.isEmpty ? "" : " (\(reason))"),
                hint: "run the pipeline again if that was a mistake")
        case .preempted:
            return MLOpsError(
                .failed, "\(its) had to give its node to a more important job", hint: "run the pipeline again")
        case .unstartable(let reason):
            return MLOpsError(
                .failed, "\(its) cannot start on this cluster (\(reason))",
                hint: "run `sinfo --Format=nodelist,cpus,memory`, and lower its `resources`")
        case .unstarted(let nodes):
            return MLOpsError(
                .failed, "\(its) ended on `\(nodes)` before it had begun the stage",
                hint: "see `\(log)`; the node must see the repository and this `mlops` under the same paths")
        case .unbegun:
            return MLOpsError(.failed, "\(its) was not told in time to begin", hint: "run the pipeline again")
        case .lost:
            return MLOpsError(
                .failed, "\(its) is not known to Slurm any more, and left no result",
                hint: "run the pipeline again; check that the nodes see `\(log)`")
        }
    }
}
