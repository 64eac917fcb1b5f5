internal import Basics

/// The jobs of one pipeline: submits them, finds those of interrupted runs, follows them to their end.
struct SlurmJobs: Sendable {
    let client: SlurmClient
    let queue: SlurmQueue
    let records: SlurmRecords

    /// What became of a job.
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

        /// Whether it ended without having begun the stage, for a reason that another job does not have.
        var isWorthAnother: Bool {
            switch outcome {
            case _ where isCancelled: false
            // The node came back at once, and Slurm started the job where the node still held it for killed.
            case .unstarted: restarts > 0
            default: outcome.isUnbegun
            }
        }
    }

    /// Submits a job.
    ///
    /// - Parameters:
    ///   - folder: the job's own, absolute; the nodes see it.
    ///   - program: the command line that does the order in the folder.
    ///   - environment: the program's.
    ///   - work: nil for a job that waits in the folder for its order.
    /// - Returns: its record, which is kept.
    func submit(
        _ submission: SlurmSubmission, stage: String, folder: String, program: String, environment: [String: String],
        work: (order: SlurmOrder, fingerprint: Digest)?
    ) async throws -> SlurmRecord {
        try SlurmOrder.prepare(in: folder)
        try work?.order.write(to: folder)
        let script = FileSystem.join(folder, "job.sh")
        try FileSystem.replace(script, with: Array("#!/bin/sh\nexec \(program)\n".utf8), mode: 0o755)
        var record = SlurmRecord(
            stage: stage, name: submission.name, token: submission.token, fingerprint: work?.fingerprint.description,
            folder: folder)
        try records.save(record)
        // A job must not be lost between its submission and its record, so a cancellation waits for both.
        let client = client
        do {
            record.job = try await Task {
                try await client.submit(submission, script: script, environment: environment)
            }.value
        } catch {
            try? records.remove(stage)
            throw error
        }
        try records.save(record)
        return record
    }

    /// Tells a job that waits for its order to do it.
    func begin(_ record: SlurmRecord, _ order: SlurmOrder, fingerprint: Digest) throws {
        var record = record
        record.fingerprint = fingerprint.description
        // First: whoever finds the order carried out must know of which work.
        try records.save(record)
        try order.write(to: record.folder)
    }

    /// The job of an interrupted run that does this work, if its result can still be had; one of other work is ended.
    func find(_ stage: String, fingerprint: Digest) async throws -> SlurmRecord? {
        guard var record = records[stage] else { return nil }
        guard record.fingerprint == fingerprint.description, let id = try await client.findJob(of: record),
            try await isWorthFollowing(id, record)
        else {
            try await abandon(record)
            return nil
        }
        record.job = id
        return record
    }

    /// Whether the job has its order and still waits or runs, or has ended well while nobody looked.
    private func isWorthFollowing(_ id: String, _ record: SlurmRecord) async throws -> Bool {
        guard (try? SlurmOrder.read(from: record.folder)) ?? nil != nil else { return false }
        switch try await queue.state(of: id, isUrgent: true) {
        case .job(let job) where !job.state.isFinal: return true
        case .job(let job):
            return try SlurmEnding.read(from: record.folder, attempt: job.restarts)?.isSuccess == true
        case .unknown: return try SlurmEnding.last(in: record.folder)?.isSuccess == true
        case .silence:
            throw MLOpsError(
                .failed, "Slurm does not answer, so it is not known what became of its job \(id)",
                hint: "see with `scontrol ping` whether its controller is up, then run the pipeline again")
        }
    }

    /// Follows a job to its end.
    ///
    /// When the task is cancelled, so is the job; its result is returned then, too.
    ///
    /// - Parameter text: what has happened to it so far.
    func follow(_ record: SlurmRecord, into log: StageLog, saying text: String) async throws -> Result {
        let watch = SlurmWatch(id: record.job ?? "", folder: record.folder, queue: queue, log: log)
        watch.tell(text)
        let client = client
        try await withTaskCancellationHandler {
            try await watch.untilEnd(client)
        } onCancel: {
            watch.cancel()
        }
        let result = try watch.result()
        try forget(record)
        return result
    }

    /// Ends a job that waits for an order: it will never come, so nobody need wait for the job's end.
    func withdraw(_ record: SlurmRecord) async {
        // What cannot be cancelled now keeps its record for the next run; by itself the job does nothing.
        guard let job = record.job, (try? await client.cancel([job])) != nil else { return }
        try? forget(record)
    }

    /// Ends a job whose result nobody needs, and waits until it writes no more.
    func abandon(_ record: SlurmRecord) async throws {
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
        // The stage may have another job by now.
        if records[record.stage]?.token == record.token { try records.remove(record.stage) }
    }

    private func forget(_ record: SlurmRecord) throws {
        try records.remove(record.stage)
        // All that matters of it is in the log and in the run's record.
        try? FileSystem.removeTree(record.folder)
    }
}

extension SlurmClient {
    /// The id of the record's job; nil if none was submitted.
    func findJob(of record: SlurmRecord) async throws -> String? {
        if let job = record.job { return job }
        return try await find(token: record.token, name: record.name)
    }
}
