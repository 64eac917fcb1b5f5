internal import Basics
internal import CSystem
internal import Glibc
internal import Synchronization

/// One program with all its descendants, run to its end under a supervisor (`mlops_supervise`).
struct StageProcess: Sendable {
    var executable: String
    var arguments: [String]
    var environment: [String: String]
    var directory: String
    var timeout: Duration?
    /// Between SIGTERM and SIGKILL.
    var grace: Duration

    typealias Status = StageEnding.Status

    /// Runs the program; what it prints goes to `output`.
    ///
    /// When the task is cancelled, the program gets SIGTERM, after `grace` SIGKILL; the ending is returned then, too.
    func run(_ output: StageOutput) async throws -> StageEnding {
        let control = StageControl(grace: grace)
        let watchdog = timeout.map { timeout in
            Task.detached {
                try await Task.sleep(for: timeout)
                control.stop(.timeout)
            }
        }
        defer { watchdog?.cancel() }
        return try await withTaskCancellationHandler {
            try await BlockingThreads.shared.run { try runBlocking(output, control: control) }
        } onCancel: {
            control.stop(.cancelled)
        }
    }

    private func runBlocking(_ target: StageOutput, control: StageControl) throws -> StageEnding {
        let log = try target.open()
        var ends: [Int32] = [-1, -1]
        guard mlops_pipe(&ends) == 0 else { throw MLOpsError.system("make a pipe for", target.path, errno: errno) }
        let output = OpenFile(descriptor: ends[0], path: target.path)
        let start = ContinuousClock.now
        let (supervisor, descriptor) = try spawn(output: ends[1])
        control.begin(descriptor)
        StageProcess.drain(output, into: log)
        var status: Int32 = 0
        var (user, system, peak): (Int64, Int64, Int64) = (0, 0, 0)
        let waited = mlops_wait(supervisor, 0, &status, &user, &system, &peak)
        let failure = errno
        control.end()
        guard waited == supervisor else { throw MLOpsError.system("wait for", executable, errno: failure) }
        try log.finish()
        let usage = ResourceUsage(
            wall: ContinuousClock.now - start, userSeconds: Double(user) * 1e-6, systemSeconds: Double(system) * 1e-6,
            peakByteCount: peak)
        let signal = status & 0x7F
        return StageEnding(
            status: signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal), usage: usage,
            stop: control.stopReason, lastLines: log.lastLines)
    }

    /// The pid of the supervisor and its control descriptor; closes `output`.
    private func spawn(output: Int32) throws -> (Int32, Int32) {
        defer { close(output) }
        let variables = environment.map { "\($0.key)=\($0.value)" }
        var control: Int32 = -1
        let pid = withCStrings(arguments) { arguments in
            withCStrings(variables) { variables in
                mlops_supervise(executable, arguments, variables, directory, output, output, &control)
            }
        }
        let failure = errno
        guard pid > 0 else {
            if failure == ENOEXEC {
                throw MLOpsError(
                    .failed, "`\(executable)` is not a program that the system can start",
                    hint: "begin a script with a line such as `#!/bin/sh`")
            }
            throw MLOpsError.system("start", executable, errno: failure)
        }
        return (pid, control)
    }

    /// Reads until every writer is gone; the supervisor sees to it that this ends with the program.
    private static func drain(_ output: OpenFile, into log: StageLog) {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { block in
            while true {
                let count = read(output.descriptor, block.baseAddress, block.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                log.append(UnsafeRawBufferPointer(rebasing: block[..<count]))
            }
        }
    }
}

/// The way to tell a supervisor to end its program, from any thread, before, while and after it runs.
final class StageControl: Sendable {
    private struct State {
        var descriptor: Int32?
        var stop: StageEnding.StopReason?
        var isEnded = false
    }

    private let state = Mutex(State())
    private let grace: Duration

    init(grace: Duration) { self.grace = grace }

    var stopReason: StageEnding.StopReason? { state.withLock { $0.stop } }

    /// SIGTERM now, SIGKILL after the grace; the first reason stays.
    func stop(_ reason: StageEnding.StopReason) {
        let isFirst = state.withLock { state in
            guard state.stop == nil, !state.isEnded else { return false }
            state.stop = reason
            if let descriptor = state.descriptor { StageControl.send("T", to: descriptor) }
            return true
        }
        if isFirst { killAfterGrace() }
    }

    func begin(_ descriptor: Int32) {
        state.withLock { state in
            state.descriptor = descriptor
            if state.stop != nil { StageControl.send("T", to: descriptor) }
        }
    }

    func end() {
        state.withLock { state in
            state.isEnded = true
            if let descriptor = state.descriptor { close(descriptor) }
            state.descriptor = nil
        }
    }

    private func killAfterGrace() {
        // Detached: the task that stops is cancelled itself.
        Task.detached { [self] in
            try await Task.sleep(for: grace)
            state.withLock { state in
                if let descriptor = state.descriptor { StageControl.send("K", to: descriptor) }
            }
        }
    }

    private static func send(_ order: Character, to descriptor: Int32) {
        // SIGPIPE cannot come: the supervisor holds the other end until it is waited for, and `end` follows that.
        var byte = order.asciiValue ?? 0x4B
        while write(descriptor, &byte, 1) < 0, errno == EINTR {}
    }
}

/// Calls `body` with a null-terminated array of C strings that live as long as the call.
func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = texts.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        // The buffer has at least the null at its end.
        buffer.withMemoryRebound(to: UnsafeMutablePointer<CChar>?.self) {
            body(UnsafePointer($0.baseAddress.unsafelyUnwrapped))
        }
    }
}
