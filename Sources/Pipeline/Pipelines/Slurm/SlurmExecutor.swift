internal import Basics

/// Runs stages as jobs of a Slurm cluster whose nodes see the repository's folder.
///
/// One executor serves the stages of one run.
package struct SlurmExecutor: StageExecutor {
    package var name: String { "slurm" }

    private let jobs: SlurmJobs
    private let places = SlurmPlaces()
    private let program: String
    /// How often a stage that its job did not begin is submitted again.
    private static let resubmissions = 3

    /// - Parameters:
    ///   - workspace: the folder `.mlops`, absolute.
    ///   - pipeline: the pipeline's name.
    ///   - executable: this program, as the nodes find it.
    ///   - environment: the caller's, with `PATH` and, where the site needs it, `SLURM_CONF`.
    package init(workspace: String, pipeline: String, executable: String, environment: [String: String]) {
        let client = SlurmClient(environment: environment)
        jobs = SlurmJobs(
            client: client, queue: SlurmQueue(client: client),
            records: SlurmRecords(workspace: workspace, pipeline: pipeline))
        program = executable
    }

    package func run(_ command: StageCommand, output: StageOutput) async throws -> StageEnding {
        let start = ContinuousClock.now
        let log = try output.open()
        let order = order(command)
        var result: SlurmJobs.Result
        if let waiting = places.take(command.stage.name) {
            try jobs.begin(waiting, order, fingerprint: command.fingerprint)
            result = try await jobs.follow(waiting, into: log, saying: "is in the queue already, and may begin")
        } else {
            result = try await submit(command, order, log, output)
        }
        var restarts = 0
        for _ in 0..<SlurmExecutor.resubmissions where result.isWorthAnother && !Task.isCancelled {
            restarts += result.restarts
            // An attempt before the last one may have written something.
            for out in order.outs where FileSystem.exists(out) { try FileSystem.removeTree(out) }
            result = try await submit(command, order, log, output)
        }
        result.restarts += restarts
        return try ending(of: result, command, start, log)
    }

    package func resume(_ command: StageCommand, output: StageOutput) async throws -> StageEnding? {
        let start = ContinuousClock.now
        let stage = command.stage.name
        guard !places.isExpected(stage), let record = try await jobs.find(stage, fingerprint: command.fingerprint)
        else { return nil }
        places.note(record)
        output.onQueued()
        let log = try output.open()
        let result = try await jobs.follow(record, into: log, saying: "of an interrupted run is taken up again")
        guard !result.isWorthAnother else { return nil }
        try SlurmExecutor.bringStepFiles(from: FileSystem.parent(of: result.folder), to: command.setup.folder)
        return try ending(of: result, command, start, log)
    }

    package func settle(stage: String) async throws {
        // In this order: while this is called for the jobs of an interrupted run, the stage may get one of this run.
        guard let record = jobs.records[stage], !places.isExpected(stage) else { return }
        try await jobs.abandon(record)
    }

    package func expect(_ setup: StageSetup, behind others: [String]) async -> Bool {
        let before = others.compactMap { places.job(of: $0) }
        guard before.count == others.count else { return false }
        let token = RunRecord.token(length: 12)
        let folder = SlurmExecutor.folder(setup, token)
        var submission = submission(setup, token: token, folder: folder)
        submission.after = before
        submission.needsSuccess = !setup.stage.isAlways
        submission.timeLimit = submission.timeLimit.map { $0 + SlurmOrder.patience }
        do {
            try await settle(stage: setup.stage.name)
            places.announce(setup.stage.name)
            let record = try await jobs.submit(
                submission, stage: setup.stage.name, folder: folder, program: program(folder),
                environment: SlurmExecutor.environment(setup), work: nil)
            places.note(record, isExpected: true)
            return true
        } catch {
            places.announce(setup.stage.name, isArriving: false)
            // What is wrong with it is told when it is its turn.
            return false
        }
    }

    package func withdraw(stage: String) async {
        guard let record = places.take(stage) else { return }
        await jobs.withdraw(record)
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

    private func submit(
        _ command: StageCommand, _ order: SlurmOrder, _ log: StageLog, _ output: StageOutput
    ) async throws -> SlurmJobs.Result {
        let token = RunRecord.token(length: 12)
        let folder = SlurmExecutor.folder(command.setup, token)
        let record = try await jobs.submit(
            submission(command.setup, token: token, folder: folder), stage: command.stage.name, folder: folder,
            program: program(folder), environment: SlurmExecutor.environment(command.setup),
            work: (order, command.fingerprint))
        places.note(record)
        output.onQueued()
        return try await jobs.follow(record, into: log, saying: "is submitted")
    }

    private static func folder(_ setup: StageSetup, _ token: String) -> String {
        FileSystem.join(setup.folder, "job-\(token)")
    }

    private func program(_ folder: String) -> String {
        "\(SlurmExecutor.quoted(program)) job \(SlurmExecutor.quoted(folder))"
    }

    /// The stage's own, without what says of this process that it is part of another job.
    private static func environment(_ setup: StageSetup) -> [String: String] {
        setup.environment.filter { name, _ in
            !name.hasPrefix("SLURM_") || name == "SLURM_CONF" || setup.givenVariables.contains(name)
        }
    }

    private func submission(_ setup: StageSetup, token: String, folder: String) -> SlurmSubmission {
        let stage = setup.stage
        let options = stage.executor.options
        var submission = SlurmSubmission(
            // A comma would part two names where `squeue` is asked for one.
            name: "\(setup.pipeline).\(stage.name)".replacing(",", with: ";"), token: token,
            directory: setup.directory, output: FileSystem.join(folder, SlurmSubmission.outputName))
        submission.cpus = stage.resources.cpus.map { max(1, Int($0.rounded(.up))) }
        submission.memoryByteCount = stage.resources.memory?.bytes
        submission.gpus = stage.resources.gpus
        // The node itself ends the program at `timeout`; Slurm's own limit is for a node that does not.
        submission.timeLimit = stage.timeout.map { $0 + setup.grace + .seconds(30) }
        submission.partition = options["partition"]?.string
        submission.account = options["account"]?.string
        submission.qos = options["qos"]?.string
        submission.constraint = options["constraint"]?.string
        submission.reservation = options["reservation"]?.string
        submission.options = options["options"]?.array?.compactMap(\.string) ?? []
        return submission
    }

    private func order(_ command: StageCommand) -> SlurmOrder {
        let setup = command.setup
        let outputs = setup.stage.outputs.map { FileSystem.join(setup.directory, $0.path) }
        return SlurmOrder(
            stage: setup.stage.name, executable: command.executable, arguments: command.arguments,
            directory: setup.directory, timeoutSeconds: setup.stage.timeout?.seconds,
            graceSeconds: setup.grace.seconds, outs: outputs.filter { !FileSystem.exists($0) },
            secrets: setup.stage.secrets.map(\.name))
    }

    private static func quoted(_ word: String) -> String { "'" + word.replacing("'", with: "'\\''") + "'" }

    // MARK: From Slurm

    private func ending(
        of result: SlurmJobs.Result, _ command: StageCommand, _ start: ContinuousClock.Instant, _ log: StageLog
    ) throws -> StageEnding {
        try log.finish()
        let nothing = ResourceUsage(wall: .now - start, userSeconds: 0, systemSeconds: 0, peakByteCount: 0)
        var status = result.ending?.status ?? .exited(1)
        if case .ended(let own) = result.outcome { status = own }
        var ending = StageEnding(
            status: status, usage: result.ending?.usage ?? nothing, lastLines: log.lastLines)
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
            let limit = submission(command.setup, token: "", folder: "").timeLimit
            ending.failure = result.outcome.error(
                stage: command.stage.name, job: result.job, limit: limit,
                memory: command.stage.resources.memory?.bytes,
                log: FileSystem.join(RunRecord.folder(command.setup.run), command.stage.name) + ".log")
        }
        return ending
    }
}
