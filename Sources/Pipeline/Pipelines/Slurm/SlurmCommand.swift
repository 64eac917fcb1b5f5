internal import Basics
internal import CSystem
internal import Foundation
internal import Glibc

/// One call of a program of Slurm, such as `sbatch`.
struct SlurmCommand: Sendable {
    struct Result: Sendable {
        var status: Int32
        var output: String
        var error: String

        /// Whether the controller could not be asked, so that the same call may work later.
        var isUnreachable: Bool {
            status != 0
                && [
                    "Unable to contact slurm controller", "Socket timed out", "Connection refused", "Zero Bytes were",
                    "slurm_load_jobs error: Unexpected message received", "temporarily unable to accept job",
                ].contains { error.contains($0) }
        }

        /// The line that says what went wrong, without the program's name.
        var message: String {
            let lines = error.split(separator: "\n").map { line in
                line.firstRange(of: "error: ").map { String(line[$0.upperBound...]) } ?? String(line)
            }
            return printable(shortened(lines.last ?? "it ended with exit code \(status)", to: 300))
        }
    }

    var program: String
    var arguments: [String]
    var environment: [String: String]
    var directory = "/"
    /// How long the program may take.
    var patience: Duration = .seconds(100)

    /// - Throws: kind `.notFound` if the program is not installed, `.failed` if it hangs.
    func run() async throws -> Result {
        let path = try SlurmCommand.find(program, environment["PATH"])
        return try await BlockingThreads.shared.run { try runBlocking(path) }
    }

    private static func find(_ program: String, _ searchPath: String?) throws -> String {
        for folder in (searchPath ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let path = FileSystem.join(String(folder), program)
            if access(path, X_OK) == 0 { return path }
        }
        throw MLOpsError(
            .failed, "`\(program)` is not in `PATH`, so stages cannot be handed to Slurm",
            hint: "run this on a machine of the cluster that submits jobs, or use `executor: local`")
    }

    private func runBlocking(_ path: String) throws -> Result {
        var output: [Int32] = [-1, -1]
        var error: [Int32] = [-1, -1]
        guard mlops_pipe(&output) == 0 else { throw MLOpsError.system("make a pipe for", path, errno: errno) }
        let outputReader = OpenFile(descriptor: output[0], path: path)
        guard mlops_pipe(&error) == 0 else {
            let number = errno
            close(output[1])
            throw MLOpsError.system("make a pipe for", path, errno: number)
        }
        let errorReader = OpenFile(descriptor: error[0], path: path)
        let variables = environment.map { "\($0.key)=\($0.value)" }
        let pid = withCStrings([path] + arguments) { arguments in
            withCStrings(variables) { mlops_spawn(path, arguments, $0, directory, output[1], error[1]) }
        }
        let number = errno
        close(output[1])
        close(error[1])
        guard pid > 0 else { throw MLOpsError.system("start", path, errno: number) }
        let (texts, isLate) = drain([outputReader.descriptor, errorReader.descriptor], of: pid)
        var status: Int32 = 0
        var (user, system, peak): (Int64, Int64, Int64) = (0, 0, 0)
        _ = mlops_wait(pid, 0, &status, &user, &system, &peak)
        guard !isLate else {
            throw MLOpsError(
                .failed, "`\(program)` did not answer within \(Format.duration(patience))",
                hint: "see with `scontrol ping` whether Slurm's controller is up")
        }
        return Result(
            status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F), output: texts[0], error: texts[1])
    }

    /// All that comes out of both descriptors; a program that takes too long is killed.
    private func drain(_ descriptors: [Int32], of pid: pid_t) -> (texts: [String], isLate: Bool) {
        var bytes: [[UInt8]] = [[], []]
        var open = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let end = ContinuousClock.now + patience
        var isLate = false
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while open.contains(where: { $0.fd >= 0 }) {
            let left = Int32(max(0, min((end - .now).seconds * 1000, 100_000)))
            let ready = poll(&open, nfds_t(open.count), left)
            if ready < 0, errno == EINTR { continue }
            if ready <= 0 {
                isLate = true
                kill(-pid, SIGKILL)
                break
            }
            for index in open.indices where open[index].fd >= 0 && open[index].revents != 0 {
                let count = read(open[index].fd, &block, block.count)
                if count > 0 {
                    bytes[index] += block[..<count]
                } else if count == 0 || errno != EINTR {
                    open[index].fd = -1
                }
            }
        }
        return (bytes.map { String(decoding: $0, as: UTF8.self) }, isLate)
    }
}
