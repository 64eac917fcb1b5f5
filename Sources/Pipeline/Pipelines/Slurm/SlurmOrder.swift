internal import Basics
internal import CSystem
internal import Glibc

/// The work order of a job: `order.json` in a folder that the nodes see.
///
/// The file is there, empty, before the job is submitted. What is written into it is the word to begin; it is whole when it
/// ends in a newline. It is filled in place: a node that opens a file of a network's disk anew sees what is in it by now,
/// but may go on believing that a name is not there.
///
/// The environment is not in it: Slurm carries that from `sbatch` to the node.
package struct SlurmOrder: Codable, Sendable {
    static let fileName = "order.json"
    /// How long a job whose turn has come waits for its order.
    package static let patience = Duration.seconds(300)

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
    /// The names of the variables whose values are hidden in all that the program prints.
    var secrets: [String] = []

    /// Makes room for the order.
    static func prepare(in folder: String) throws {
        try FileSystem.createDirectories(folder)
        try FileSystem.replace(FileSystem.join(folder, fileName), with: [])
    }

    /// Fills the file that `prepare` made: from now on the job does the work.
    func write(to folder: String) throws {
        let path = FileSystem.join(folder, SlurmOrder.fileName)
        let descriptor = mlops_open(path, O_WRONLY | O_APPEND | O_NOCTTY, 0)
        guard descriptor >= 0 else { throw MLOpsError.system("open", path, errno: errno) }
        let file = OpenFile(descriptor: descriptor, path: path)
        try file.write(try JSONValue(encoding: self).canonicalBytes + [0x0A])
        try file.synchronize()
    }

    /// nil until all of it is there.
    ///
    /// - Throws: kind `.notFound` if the folder has been removed.
    static func read(from folder: String) throws -> SlurmOrder? {
        let path = FileSystem.join(folder, fileName)
        let bytes = try FileSystem.read(path)
        guard bytes.last == 0x0A else { return nil }
        return try JSONValue(parsing: bytes, source: path).decode()
    }

    /// Does what the order in `folder` says; called on the node by `mlops job <folder>`.
    ///
    /// When the task is cancelled, the program is ended as a stage is that runs here.
    ///
    /// - Parameters:
    ///   - environment: of this process, which the program gets.
    ///   - meter: measures this node.
    ///   - patience: how long the order may take to come.
    /// - Returns: the exit code that the job ends with: the program's, or 128 and the signal's number.
    /// - Throws: kind `.failed` if no order came; nothing was started then.
    package static func perform(
        in folder: String, environment: [String: String], meter: any EnergyMeter, patience: Duration = patience
    ) async throws -> Int32 {
        let attempt = environment["SLURM_RESTART_COUNT"].flatMap(Int.init) ?? 0
        let node = environment["SLURMD_NODENAME"] ?? ""
        guard let order = try await arrival(in: folder, patience) else {
            try SlurmEnding(unbegun: attempt, node: node).write(to: folder)
            throw MLOpsError(
                .failed, "the job was not told to begin within \(Format.duration(patience))",
                hint: "the `mlops` that submitted it has ended, or is still storing what the stages before made")
        }
        if attempt > 0 { for out in order.outs where FileSystem.exists(out) { try FileSystem.removeTree(out) } }
        let process = StageProcess(
            executable: order.executable, arguments: order.arguments, environment: environment,
            directory: order.directory, timeout: order.timeoutSeconds.map { .seconds($0) },
            grace: .seconds(order.graceSeconds))
        var output = StageOutput(
            path: FileSystem.join(folder, SlurmEnding.logName(attempt: attempt)), onLine: { _ in })
        output.masker = SecretMasker(order.secrets.compactMap { environment[$0] })
        let token = meter.start()
        let ending = try await process.run(output)
        let record = SlurmEnding(
            ending, attempt: attempt, energy: meter.stop(token, usage: ending.usage), node: node)
        try record.write(to: folder)
        switch ending.status {
        case .exited(let code): return ending.stop == nil ? code : 128 + 15
        case .signalled(let signal): return 128 + signal
        }
    }

    /// The order, once it is there; nil if it does not come.
    private static func arrival(in folder: String, _ patience: Duration) async throws -> SlurmOrder? {
        let end = ContinuousClock.now + patience
        while true {
            if let order = try read(from: folder) { return order }
            guard .now < end else { return nil }
            try await Task.sleep(for: .milliseconds(200))
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
    /// `timeout` or `cancelled`, where the program was told to end; `unbegun`, where the job was not told to begin.
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

    /// Of a job that was not told to begin.
    init(unbegun attempt: Int, node: String) {
        let nothing = ResourceUsage(wall: .zero, userSeconds: 0, systemSeconds: 0, peakByteCount: 0)
        self.init(StageEnding(status: .exited(1), usage: nothing), attempt: attempt, energy: nil, node: node)
        stop = "unbegun"
    }

    var isSuccess: Bool { status == .exited(0) && stop == nil }

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
