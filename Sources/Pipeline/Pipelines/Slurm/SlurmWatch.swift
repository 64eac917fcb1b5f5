internal import Basics
internal import Synchronization

/// Watches one job until it has ended: asks for its state, follows its log, tells there what happens to it.
///
/// Only the task that watches touches it, but for `cancel`, which goes through a mutex.
final class SlurmWatch: @unchecked Sendable {
    private let id: String
    private let folder: String
    private let queue: SlurmQueue
    private let log: StageLog
    private let follower: SlurmLog
    private let isCancelled = Mutex(false)

    private var job: SlurmJob?
    private var unknownSince: ContinuousClock.Instant?
    private var isForgotten = false
    private var restarts = 0
    private var nodes = ""
    private var toldReason = ""
    private var isRunningTold = false
    private var isSilenceTold = false
    private var hasAskedToCancel = false
    /// Whether Slurm holds it because its node did not start it; it is cancelled then.
    private var hasLaunchFailed = false

    /// How often the node's files are looked at.
    private static let interval = Duration.milliseconds(200)
    /// How long a node's files may take to be seen here, once the job has ended.
    private static let fileLag = Duration.seconds(10)

    init(id: String, folder: String, queue: SlurmQueue, log: StageLog) {
        self.id = id
        self.folder = folder
        self.queue = queue
        self.log = log
        follower = SlurmLog(folder: folder, into: log)
    }

    /// From any thread: the job is to be cancelled.
    func cancel() { isCancelled.withLock { $0 = true } }

    /// Writes a line about the job between those that it prints.
    func tell(_ text: String) { follower.tell("Slurm job \(id) \(text)") }

    /// - Parameter client: cancels the job when that is asked for.
    func untilEnd(_ client: SlurmClient) async throws {
        while !isEnded {
            if isCancelled.withLock({ $0 }), !hasAskedToCancel {
                hasAskedToCancel = true
                try await cancel(client)
            }
            try await look()
            if job?.isLaunchFailure == true, !hasLaunchFailed {
                hasLaunchFailed = true
                try await cancel(client)
            }
            follower.follow(upTo: restarts)
            if !isEnded { await pause() }
        }
        try await waitForEnding()
        follower.follow(upTo: restarts)
    }

    /// In a task of its own, as this one may be cancelled.
    private func cancel(_ client: SlurmClient) async throws {
        let id = id
        try await Task.detached { try await client.cancel([id]) }.value
    }

    private var isEnded: Bool { isForgotten || job?.state.isFinal == true }

    /// Sleeps even in a cancelled task, whose own sleeps end at once.
    private func pause() async { await Task.detached { try? await Task.sleep(for: SlurmWatch.interval) }.value }

    private func look() async throws {
        // The node is done: Slurm will say so in a moment.
        let hasEnding = (try? SlurmEnding.read(from: folder, attempt: restarts)) != nil
        switch try await queue.state(of: id, isUrgent: hasEnding || hasAskedToCancel) {
        case .job(let new):
            isSilenceTold = false
            unknownSince = nil
            note(new)
        case .unknown:
            // A job that was submitted a moment ago may be missing from an answer that is older.
            let since = unknownSince ?? .now
            unknownSince = since
            isForgotten = .now - since > .seconds(5)
        case .silence(let time):
            guard time > .seconds(30), !isSilenceTold else { return }
            isSilenceTold = true
            tell("goes on, but Slurm has not answered for \(Format.duration(time))")
        }
    }

    private func note(_ new: SlurmJob) {
        if new.restarts > restarts {
            follower.follow(upTo: restarts)
            tell("lost \(nodes.isEmpty ? "its node" : "its node `\(nodes)`") and is back in the queue")
            restarts = new.restarts
            isRunningTold = false
            toldReason = ""
        }
        if !new.nodes.isEmpty { nodes = new.nodes }
        if new.isHeld {
            let reason = new.reason.isEmpty ? new.state.rawValue : new.reason
            if toldReason != reason {
                toldReason = reason
                let hint = new.isLaunchFailure ? "it is cancelled" : "`scontrol release \(id)` lets it start"
                tell("is held (\(reason)); \(hint)")
            }
        } else if new.state.isWaiting, !new.reason.isEmpty, toldReason != new.reason {
            toldReason = new.reason
            tell("waits: \(new.reason)")
        } else if new.state == .running || new.state.isFinal, !isRunningTold, !new.nodes.isEmpty {
            isRunningTold = true
            // A short job has ended before anybody saw it run.
            tell("\(new.state == .running ? "runs" : "ran") on `\(new.nodes)`")
        }
        job = new
    }

    /// The node's files may come later than Slurm's word, over a network's disk.
    private func waitForEnding() async throws {
        guard let job, job.state == .completed || job.state == .failed, !job.nodes.isEmpty else { return }
        // A program that was killed leaves nothing to wait for.
        let patience = ContinuousClock.now + (job.signal == 0 ? SlurmWatch.fileLag : .seconds(1))
        while try SlurmEnding.read(from: folder, attempt: restarts) == nil, .now < patience { await pause() }
    }

    func result() throws -> SlurmJobs.Result {
        let ending =
            isForgotten
            ? try SlurmEnding.last(in: folder) : try SlurmEnding.read(from: folder, attempt: restarts)
        // What Slurm's daemon on the node and the program that does the order said.
        let path = FileSystem.join(folder, SlurmSubmission.outputName)
        let output = FileSystem.exists(path) ? try FileSystem.readText(path) : ""
        Array(output.utf8).withUnsafeBytes { log.append($0) }
        let hasBegun =
            ending != nil || FileSystem.exists(FileSystem.join(folder, SlurmEnding.logName(attempt: restarts)))
        var outcome = SlurmOutcome(isForgotten ? nil : job, ending, output: output, hasBegun: hasBegun)
        if hasLaunchFailed, !hasBegun { outcome = .unstarted(nodes) }
        if outcome.isUnbegun, !hasAskedToCancel { tell("has ended without having begun the stage") }
        return SlurmJobs.Result(
            job: id, folder: folder, outcome: outcome, ending: ending, nodes: ending?.node ?? nodes,
            restarts: restarts, isCancelled: hasAskedToCancel)
    }
}
