internal import Basics

/// Runs stages as jobs of a Slurm cluster whose nodes see the repository's folder.
///
/// One executor serves the stages of one run.
package struct SlurmExecutor: StageExecutor {
    package var name: String { "slurm" }

    private let client: SlurmClient
    private let queue: SlurmQueue
    private let records: SlurmRecords
    private let program: String

    /// - Parameters:
    ///   - workspace: the folder `.mlops`, absolute.
    ///   - pipeline: the pipeline's name.
    ///   - executable: this program, as the nodes find it.
    ///   - environment: the caller's, with `PATH` and, where the site needs it, `SLURM_CONF`.
    package init(workspace: String, pipeline: String, executable: String, environment: [String: String]) {
        client = SlurmClient(environment: environment)
        queue = SlurmQueue(client: client)
        records = SlurmRecords(workspace: workspace, pipeline: pipeline)
        program = executable
    }

    package func run(_ command: StageCommand, output: StageOutput) async throws -> StageEnding {
        let start = ContinuousClock.now
        return ending(of: try await jobRun(command).run(output), command, start)
    }

    package func resume(_ command: StageCommand, output: StageOutput) async throws -> StageEnding? {
        let start = ContinuousClock.now
        guard let result = try await jobRun(command).takeUp(output) else { return nil }
        try SlurmExecutor.bringStepFiles(from: FileSystem.parent(of: result.folder), to: command.folder)
        return ending(of: result, command, start)
    }

    package func settle(stage: String) async throws {
        guard let record = records[stage] else { return }
        try await records.abandon(record, client: client, queue: queue)
    }

    /// What a built-in step wrote for its parent lies in the folder of the run that started it.
    private static func bringStepFiles(from folder: String, to own: String) throws {
        guard folder != own else { return }
        for name in [StepRequest.errorFile, StepRequest.effectsFile] {
            let path = FileSystem.join(folder, name)
            guard FileSystem.exists(path) else { continue }
            try FileSystem.createDirectories(own)
            try FileSystem.replace(FileSystem.join(own, name), with: try FileSystem.read(path))
        }
    }

    // MARK: To Slurm

    private func jobRun(_ command: StageCommand) -> SlurmJobRun {
        let token = RunRecord.token(length: 12)
        let folder = FileSystem.join(command.folder, "job-\(token)")
        return SlurmJobRun(
            client: client, queue: queue, records: records,
            submission: submission(command, token: token, folder: folder), order: order(command),
            fingerprint: command.fingerprint, folder: folder,
            program: "\(SlurmExecutor.quoted(program)) job \(SlurmExecutor.quoted(folder))",
            environment: SlurmExecutor.environment(command))
    }

    /// The stage's own, without what says of this process that it is part of another job.
    private static func environment(_ command: StageCommand) -> [String: String] {
        command.environment.filter { name, _ in
            !name.hasPrefix("SLURM_") || name == "SLURM_CONF" || command.givenVariables.contains(name)
        }
    }

    private func submission(_ command: StageCommand, token: String, folder: String) -> SlurmSubmission {
        let stage = command.stage
        let options = stage.executor.options
        var submission = SlurmSubmission(
            // A comma would part two names where `squeue` is asked for one.
            name: "\(command.pipeline).\(stage.name)".replacing(",", with: ";"), token: token,
            directory: command.directory, output: FileSystem.join(folder, SlurmSubmission.outputName))
        submission.cpus = stage.resources.cpus.map { max(1, Int($0.rounded(.up))) }
        submission.memoryByteCount = stage.resources.memory?.bytes
        submission.gpus = stage.resources.gpus
        // The node itself ends the program at `timeout`; Slurm's own limit is for a node that does not.
        submission.timeLimit = stage.timeout.map { $0 + command.grace + .seconds(30) }
        submission.partition = options["partition"]?.string
        submission.account = options["account"]?.string
        submission.qos = options["qos"]?.string
        submission.constraint = options["constraint"]?.string
        submission.reservation = options["reservation"]?.string
        submission.options = options["options"]?.array?.compactMap(\.string) ?? []
        return submission
    }

    private func order(_ command: StageCommand) -> SlurmOrder {
        let present = command.stage.outputs.map { FileSystem.join(command.directory, $0.path) }
        return SlurmOrder(
            stage: command.stage.name, executable: command.executable, arguments: command.arguments,
            directory: command.directory, timeoutSeconds: command.stage.timeout?.seconds,
            graceSeconds: command.grace.seconds, outs: present.filter { !FileSystem.exists($0) })
    }

    private static func quoted(_ word: String) -> String { "'" + word.replacing("'", with: "'\\''") + "'" }

    // MARK: From Slurm

    private func ending(
        of result: SlurmJobRun.Result, _ command: StageCommand, _ start: ContinuousClock.Instant
    ) -> StageEnding {
        let nothing = ResourceUsage(wall: .now - start, userSeconds: 0, systemSeconds: 0, peakByteCount: 0)
        var status = result.ending?.status ?? .exited(1)
        if case .ended(let own) = result.outcome { status = own }
        var ending = StageEnding(
            status: status, usage: result.ending?.usage ?? nothing, lastLines: result.lastLines)
        ending.energy = result.ending?.energy
        ending.place = [
            "executor": "slurm", "job": .string(result.job), "nodes": .string(result.nodes),
            "restarts": .int(Int64(result.restarts)),
        ]
        if result.isCancelled {
            ending.stop = .cancelled
        } else if result.outcome == .timedOut {
            ending.stop = .timeout
        } else {
            let limit = submission(command, token: "", folder: "").timeLimit
            ending.failure = result.outcome.error(
                stage: command.stage.name, job: result.job, limit: limit,
                memory: command.stage.resources.memory?.bytes,
                log: FileSystem.join(RunRecord.folder(command.run), command.stage.name) + ".log")
        }
        return ending
    }
}
