internal import Basics

/// A job that was submitted and whose result has not been taken: what the next run needs after this one was killed.
///
/// It is written before `sbatch` is called, so no job goes without one: `.mlops/cache/slurm/<pipeline>/<stage>.json`.
struct SlurmRecord: Codable, Sendable {
    var format = 1
    var stage: String
    /// The job's name in Slurm.
    var name: String
    /// In the job's comment: by it the job is found if the run was killed before it learned the id.
    var token: String
    /// Of the work that the job does; nil while it waits for others and its work is not known.
    var fingerprint: String?
    /// The job's folder, absolute.
    var folder: String
    var job: String?
}

/// The records of one pipeline.
struct SlurmRecords: Sendable {
    let folder: String

    /// - Parameter workspace: the folder `.mlops`.
    init(workspace: String, pipeline: String) { folder = FileSystem.join(workspace, "cache/slurm/\(pipeline)") }

    /// nil if there is none, or none that can be read.
    subscript(stage: String) -> SlurmRecord? {
        let path = path(of: stage)
        guard let bytes = try? FileSystem.read(path), let json = try? JSONValue(parsing: bytes, source: path) else {
            return nil
        }
        return try? json.decode()
    }

    /// The stages that have one.
    var stages: [String] {
        guard FileSystem.isDirectory(folder), let names = try? FileSystem.list(folder) else { return [] }
        return names.filter { !$0.hasPrefix(".") && $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
    }

    func save(_ record: SlurmRecord) throws {
        try FileSystem.createDirectories(folder)
        try FileSystem.replace(path(of: record.stage), with: try JSONValue(encoding: record).canonicalBytes)
    }

    func remove(_ stage: String) throws { try FileSystem.removeFile(path(of: stage)) }

    private func path(of stage: String) -> String { FileSystem.join(folder, stage + ".json") }
}
