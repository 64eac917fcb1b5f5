internal import Basics

/// The cluster, through the programs that every user of Slurm has: `sbatch`, `squeue`, `scancel`.
struct SlurmClient: Sendable {
    /// The caller's environment: `PATH`, `SLURM_CONF`.
    var environment: [String: String]
    /// Waits between attempts to reach the controller.
    var pauses: [Duration] = [.seconds(1), .seconds(2), .seconds(4), .seconds(8)]

    /// Submits the script at `path`.
    ///
    /// The controller may have taken a job whose answer was lost; so a job that carries the submission's token is looked for
    /// before it is submitted again.
    ///
    /// - Returns: the job's id.
    func submit(
        _ submission: SlurmSubmission, script path: String, environment stage: [String: String]
    ) async throws
        -> String
    {
        let command = SlurmCommand(
            program: "sbatch", arguments: submission.arguments + [path], environment: stage,
            directory: submission.directory)
        var result = try await command.run()
        for pause in pauses where result.isUnreachable {
            try await Task.sleep(for: pause)
            if let id = try await find(token: submission.token, name: submission.name) { return id }
            result = try await command.run()
        }
        // `--parsable` prints `id` or `id;cluster`.
        let id = result.output.prefix { ("0"..."9").contains($0) }
        guard result.status == 0, !id.isEmpty else {
            throw MLOpsError(
                .failed, "Slurm did not take the job: \(result.message)", hint: submission.hint(for: result.message))
        }
        return String(id)
    }

    /// The job that a submission with this token made; nil if there is none.
    func find(token: String, name: String) async throws -> String? {
        let result = try await SlurmCommand(
            program: "squeue",
            arguments: ["--noheader", "--me", "--states=all", "--name=\(name)", "--Format=JobID:24,Comment:200"],
            environment: environment
        ).run()
        guard result.status == 0 else { return nil }
        return result.output.split(separator: "\n").first { $0.contains(token) }.map { line in
            String(line.prefix { $0 != " " })
        }
    }

    /// The user's jobs by id, those that ended lately too; nil while the controller cannot be asked.
    func jobs() async throws -> [String: SlurmJob]? {
        let result = try await SlurmCommand(
            program: "squeue", arguments: ["--noheader", "--me", "--states=all", "--Format=\(SlurmJob.format)"],
            environment: environment
        ).run()
        if result.isUnreachable { return nil }
        guard result.status == 0 else {
            throw MLOpsError(
                .failed, "Slurm does not tell the state of its jobs: \(result.message)",
                hint: "run `squeue --me` to see more")
        }
        let jobs = result.output.split(separator: "\n").compactMap { SlurmJob(line: $0) }
        return Dictionary(jobs.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
    }

    /// Ends jobs, those that wait and those that run; one that has ended already is no error.
    func cancel(_ ids: [String]) async throws {
        guard !ids.isEmpty else { return }
        let command = SlurmCommand(program: "scancel", arguments: ids, environment: environment)
        var result = try await command.run()
        for pause in pauses where result.isUnreachable {
            try? await Task.sleep(for: pause)
            result = try await command.run()
        }
        guard result.status == 0 || result.error.contains("Invalid job id") || result.error.contains("already") else {
            throw MLOpsError(
                .failed, "Slurm did not cancel the job \(ids.joined(separator: ", ")): \(result.message)",
                hint: "run `scancel \(ids.joined(separator: " "))`")
        }
    }
}
