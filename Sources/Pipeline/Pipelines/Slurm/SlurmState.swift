/// The state of a Slurm job, as `squeue` names it.
enum SlurmState: String, Sendable, Hashable, CaseIterable {
    // Not started, or between two attempts.
    case pending = "PENDING"
    case configuring = "CONFIGURING"
    case requeued = "REQUEUED"
    case requeueHold = "REQUEUE_HOLD"
    case requeueFederation = "REQUEUE_FED"
    case specialExit = "SPECIAL_EXIT"
    case heldForReservation = "RESV_DEL_HOLD"
    // On its nodes.
    case running = "RUNNING"
    case completing = "COMPLETING"
    case signaling = "SIGNALING"
    case stagingOut = "STAGE_OUT"
    case resizing = "RESIZING"
    case stopped = "STOPPED"
    case suspended = "SUSPENDED"
    // Ended.
    case completed = "COMPLETED"
    case failed = "FAILED"
    case cancelled = "CANCELLED"
    case timeout = "TIMEOUT"
    case nodeFailure = "NODE_FAIL"
    case outOfMemory = "OUT_OF_MEMORY"
    case bootFailure = "BOOT_FAIL"
    case deadline = "DEADLINE"
    case preempted = "PREEMPTED"
    case revoked = "REVOKED"

    /// Whether the job will not run any more.
    var isFinal: Bool {
        switch self {
        case .completed, .failed, .cancelled, .timeout, .nodeFailure, .outOfMemory, .bootFailure, .deadline, .preempted,
            .revoked:
            true
        default: false
        }
    }

    /// Whether the job waits for nodes.
    var isWaiting: Bool {
        switch self {
        case .pending, .configuring, .requeued, .requeueHold, .requeueFederation, .specialExit, .heldForReservation:
            true
        default: false
        }
    }

    /// Whether it waits for somebody: such a job does not start by itself.
    var isHeld: Bool { self == .requeueHold || self == .specialExit || self == .heldForReservation }
}

/// A job as a line of `squeue` tells it.
struct SlurmJob: Sendable, Hashable {
    var id: String
    var state: SlurmState
    /// Why it waits or ended, in Slurm's words; empty if there is nothing to say.
    var reason: String
    /// How often it was put back into the queue after it had started.
    var restarts: Int
    var exitCode: Int32
    /// The signal that ended it; 0 if none did.
    var signal: Int32
    /// `n[1-2]`; empty before it starts.
    var nodes: String

    /// Whether it waits for somebody, and does not start by itself.
    var isHeld: Bool { state.isHeld || state.isWaiting && reason.lowercased().contains("held") }

    /// Whether its node failed to start it, so that Slurm put it back into the queue and holds it there.
    var isLaunchFailure: Bool { isHeld && reason.lowercased().contains("launch failed") }

    /// The columns of `squeue --Format`, with their widths: a text may hold any character, so the place parts them.
    private static let columns = [
        ("JobID", 24), ("State", 20), ("RestartCnt", 10), ("exit_code", 12), ("Reason", 64), ("NodeList", 200),
    ]

    static let format = columns.map { "\($0):\($1)" }.joined(separator: ",")

    /// nil for a line of another form, and for a state that this version does not know.
    init?(line: some StringProtocol) {
        var rest = Array(line.utf8)[...]
        let fields = SlurmJob.columns.map { column in
            defer { rest = rest.dropFirst(column.1) }
            return SlurmJob.trimmed(String(decoding: rest.prefix(column.1), as: UTF8.self))
        }
        guard !fields[0].isEmpty, fields[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let state = SlurmState(rawValue: fields[1]), let restarts = Int(fields[2]),
            let (code, signal) = SlurmJob.ending(fields[3])
        else { return nil }
        id = fields[0]
        self.state = state
        self.restarts = restarts
        exitCode = code
        self.signal = signal
        reason = fields[4] == "None" ? "" : fields[4]
        nodes = fields[5]
    }

    /// The exit code and the signal of a status as wait(2) gives it (`1792`), or of `7:0`, as other versions write it.
    private static func ending(_ text: String) -> (Int32, Int32)? {
        let parts = text.split(separator: ":")
        if parts.count == 2, let code = Int32(parts[0]), let signal = Int32(parts[1]) { return (code, signal) }
        guard parts.count == 1, let status = Int32(parts[0]) else { return nil }
        return (status >> 8 & 0xFF, status & 0x7F)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last == " " { text.removeLast() }
        return String(text.drop { $0 == " " })
    }
}
