internal import Basics

/// One job from its submission, or from where an earlier run left it, to its end.
struct SlurmJobRun: Sendable {
    let client: SlurmClient
    let queue: SlurmQueue
    let records: SlurmRecords
    let submission: SlurmSubmission
    let order: SlurmOrder
    let fingerprint: Digest
    /// The job's folder, absolute; the nodes see it.
    let folder: String
    /// The command line that does the order in the folder.
    let program: String
    /// The program's environment.
    let environment: [String: String]

    struct Result: Sendable {
        var job: String
        /// The job's folder: an earlier run's, where its job was taken up.
        var folder: String
        var outcome: SlurmOutcome
        var ending: SlurmEnding?
        /// Where it ran.
        var nodes: String
        var restarts: Int
        /// Whether this run cancelled it.
        var isCancelled: Bool
        var lastLines: [String]
    }

    /// Submits the job and follows it to its end.
    ///
    /// When the task is cancelled, so is the job; its result is returned then, too.
    func run(_ output: StageOutput) async throws -> Result {
        try FileSystem.createDirectories(folder)
        try order.write(to: folder)
        let script = FileSystem.join(folder, "job.sh")
        try FileSystem.replace(script, with: Array("#!/bin/sh\nexec \(program)\n".utf8), mode: 0o755)
        var record = SlurmRecord(
            stage: order.stage, name: submission.name, token: submission.token, fingerprint: fingerprint.description,
            folder: folder)
        try records.save(record)
        // A job must not be lost between its submission and its record, so a cancellation waits for both.
        let (client, submission, environment) = (client, submission, environment)
        let id: String
        do {
            id = try await Task { try await client.submit(submission, script: script, environment: environment) }.value
        } catch {
            try? records.remove(order.stage)
            throw error
        }
        record.job = id
        try records.save(record)
        return try await follow(id, in: folder, output, saying: "is submitted")
    }

    /// Follows a job that an interrupted run submitted for the same work; ends one of other work.
    ///
    /// - Returns: nil if there is none whose result can be had.
    func takeUp(_ output: StageOutput) async throws -> Result? {
        guard let record = records[order.stage] else { return nil }
        guard record.fingerprint == fingerprint.description, let id = try await client.findJob(of: record),
            try await isWorthFollowing(id, record)
        else {
            try await records.abandon(record, client: client, queue: queue)
            return nil
        }
        return try await follow(id, in: record.folder, output, saying: "of an interrupted run is taken up again")
    }

    /// Whether the job still waits or runs, or has ended well while nobody looked.
    private func isWorthFollowing(_ id: String, _ record: SlurmRecord) async throws -> Bool {
        switch try await queue.state(of: id, isUrgent: true) {
        case .job(let job) where !job.state.isFinal: return true
        case .job(let job):
            return try SlurmEnding.read(from: record.folder, attempt: job.restarts)?.status == .exited(0)
        case .unknown: return try SlurmEnding.last(in: record.folder)?.status == .exited(0)
        case .silence:
            throw MLOpsError(
                .failed, "Slurm does not answer, so it is not known what became of its job \(id)",
                hint: "see with `scontrol ping` whether its controller is up, then run the pipeline again")
        }
    }

    private func follow(
        _ id: String, in folder: String, _ output: StageOutput, saying text: String
    ) async throws -> Result {
        let watch = SlurmWatch(id: id, folder: folder, queue: queue, log: try output.open())
        watch.tell(text)
        let client = client
        try await withTaskCancellationHandler {
            try await watch.untilEnd(client)
        } onCancel: {
            watch.cancel()
        }
        let result = try watch.result()
        try records.remove(order.stage)
        // All that matters of it is in the log and in the run's record.
        try? FileSystem.removeTree(folder)
        return result
    }
}

extension SlurmRecords {
    /// Ends a job whose result nobody needs, and waits until it writes no more.
    func abandon(_ record: SlurmRecord, client: SlurmClient, queue: SlurmQueue) async throws {
        if let id = try await client.findJob(of: record) {
            try await client.cancel([id])
            // As long as a cluster may leave a program between SIGTERM and SIGKILL.
            for _ in 0..<600 {
                guard case .job(let job) = try await queue.state(of: id, isUrgent: true), !job.state.isFinal else {
                    break
                }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        try remove(record.stage)
    }
}

extension SlurmClient {
    /// The id of the record's job; nil if none was submitted.
    func findJob(of record: SlurmRecord) async throws -> String? {
        if let job = record.job { return job }
        return try await find(token: record.token, name: record.name)
    }
}
