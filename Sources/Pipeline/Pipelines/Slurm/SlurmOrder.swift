internal import Basics

/// The work order of a job: `order.json` in a folder that the nodes see.
///
/// The environment is not in it: Slurm carries that from `sbatch` to the node.
package struct SlurmOrder: Codable, Sendable {
    static let fileName = "order.json"

    var format = 1
    var stage: String
    var executable: String
    var arguments: [String]
    /// Where the program starts, absolute.
    var directory: String
    var timeoutSeconds: Double?
    /// Between SIGTERM and SIGKILL.
    var graceSeconds: Double
    /// What a second attempt removes first, absolute: the first one may have written half of it.
    var outs: [String]

    func write(to folder: String) throws {
        let json = try JSONValue(encoding: self)
        try FileSystem.replace(FileSystem.join(folder, SlurmOrder.fileName), with: json.canonicalBytes)
    }

    /// Does what the order in `folder` says; called on the node by `mlops job <folder>`.
    ///
    /// When the task is cancelled, the program is ended as a stage is that runs here.
    ///
    /// - Parameters:
    ///   - environment: of this process, which the program gets.
    ///   - meter: measures this node.
    /// - Returns: the exit code that the job ends with: the program's, or 128 and the signal's number.
    package static func perform(
        in folder: String, environment: [String: String], meter: any EnergyMeter
    ) async throws -> Int32 {
        let path = FileSystem.join(folder, fileName)
        let order: SlurmOrder = try JSONValue(parsing: try FileSystem.read(path), source: path).decode()
        let attempt = environment["SLURM_RESTART_COUNT"].flatMap(Int.init) ?? 0
        if attempt > 0 { for out in order.outs where FileSystem.exists(out) { try FileSystem.removeTree(out) } }
        let process = StageProcess(
            executable: order.executable, arguments: order.arguments, environment: environment,
            directory: order.directory, timeout: order.timeoutSeconds.map { .seconds($0) },
            grace: .seconds(order.graceSeconds))
        let token = meter.start()
        let log = FileSystem.join(folder, SlurmEnding.logName(attempt: attempt))
        let ending = try await process.run(StageOutput(path: log, onLine: { _ in }))
        let record = SlurmEnding(
            ending, attempt: attempt, energy: meter.stop(token, usage: ending.usage),
            node: environment["SLURMD_NODENAME"] ?? "")
        try record.write(to: folder)
        switch ending.status {
        case .exited(let code): return ending.stop == nil ? code : 128 + 15
        case .signalled(let signal): return 128 + signal
        }
    }
}

/// How an attempt of a job ended, as the node wrote it: `ending-<attempt>.json`.
struct SlurmEnding: Codable, Sendable {
    var format = 1
    /// 0, and one more each time that Slurm put the job back into the queue.
    var attempt: Int
    var node: String
    var exitCode: Int32?
    var signal: Int32?
    /// `timeout` or `cancelled`, where the program was told to end.
    var stop: String?
    var wallSeconds: Double
    var userSeconds: Double
    var systemSeconds: Double
    var peakByteCount: Int64
    var energy: JSONValue?

    init(_ ending: StageEnding, attempt: Int, energy: JSONValue?, node: String) {
        self.attempt = attempt
        self.node = node
        switch ending.status {
        case .exited(let code): exitCode = code
        case .signalled(let number): signal = number
        }
        stop = ending.stop.map { $0 == .timeout ? "timeout" : "cancelled" }
        wallSeconds = ending.usage.wall.seconds
        userSeconds = ending.usage.userSeconds
        systemSeconds = ending.usage.systemSeconds
        peakByteCount = ending.usage.peakByteCount
        self.energy = energy
    }

    var status: StageEnding.Status { signal.map { .signalled($0) } ?? .exited(exitCode ?? 1) }

    var usage: ResourceUsage {
        ResourceUsage(
            wall: .seconds(wallSeconds), userSeconds: userSeconds, systemSeconds: systemSeconds,
            peakByteCount: peakByteCount)
    }

    static func logName(attempt: Int) -> String { "output-\(attempt).log" }

    private static func fileName(attempt: Int) -> String { "ending-\(attempt).json" }

    func write(to folder: String) throws {
        let path = FileSystem.join(folder, SlurmEnding.fileName(attempt: attempt))
        try FileSystem.replace(path, with: try JSONValue(encoding: self).canonicalBytes)
    }

    /// That of the last attempt that wrote one.
    static func last(in folder: String) throws -> SlurmEnding? {
        var last: SlurmEnding?
        // An attempt that its node took with it wrote none.
        for attempt in 0..<100 { if let ending = try read(from: folder, attempt: attempt) { last = ending } }
        return last
    }

    /// nil until the node has written it.
    static func read(from folder: String, attempt: Int) throws -> SlurmEnding? {
        let path = FileSystem.join(folder, fileName(attempt: attempt))
        guard FileSystem.exists(path) else { return nil }
        return try JSONValue(parsing: try FileSystem.read(path), source: path).decode()
    }
}
