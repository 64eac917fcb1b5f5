import Basics
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Pipelines

extension StageProcess {
    fileprivate func run(log: String, onLine: @escaping @Sendable (String) -> Void) async throws -> StageEnding {
        try await run(StageOutput(path: log, onLine: onLine))
    }
}

struct ProcessTests {
    private let folder: TemporaryFolder
    /// A number of seconds that no other sleep on the machine has.
    private let mark = "\(Int.random(in: 100_000...999_999)).25"

    init() throws { folder = try TemporaryFolder() }

    private func process(_ line: String, timeout: Duration? = nil, grace: Duration = .milliseconds(200)) -> StageProcess
    {
        StageProcess(
            executable: "/bin/sh", arguments: ["sh", "-c", line], environment: ["PATH": "/usr/bin:/bin", "A": "é b"],
            directory: folder.path, timeout: timeout, grace: grace)
    }

    /// How many processes sleep for `mark` seconds.
    private func sleeperCount() -> Int {
        let processes = (try? FileSystem.list("/proc")) ?? []
        return processes.count { name in
            guard Int(name) != nil, let bytes = try? FileSystem.read("/proc/\(name)/cmdline") else { return false }
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.first?.hasSuffix("sleep") ?? false && words.last == mark
        }
    }

    @Test func aProgramGetsItsFolderEnvironmentAndAnEmptyInput() async throws {
        let lines = Mutex<[String]>([])
        let ending = try await process("pwd; echo \"$A\"; cat; echo err >&2; exit 3").run(log: folder("log")) { line in
            lines.withLock { $0.append(line) }
        }
        #expect(ending.status == .exited(3))
        #expect(lines.withLock { $0 } == [folder.path, "é b", "err"])
        #expect(ending.lastLines == [folder.path, "é b", "err"])
        #expect(try FileSystem.readText(folder("log")) == "\(folder.path)\né b\nerr\n")
        #expect(ending.stop == nil)
    }

    @Test func processorTimeOfAllDescendantsIsCounted() async throws {
        let ending = try await process("(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done) & wait").run(
            log: folder("log")
        ) { _ in }
        #expect(ending.usage.userSeconds > 0.02)
        #expect(ending.usage.wall > .zero && ending.usage.peakByteCount > 0)
    }

    @Test func aProgramThatIsNotThereIsAnError() async throws {
        let process = StageProcess(
            executable: "/no/such/program", arguments: ["x"], environment: [:], directory: folder.path, timeout: nil,
            grace: .zero)
        await #expect(throws: MLOpsError.self) {
            try await process.run(log: folder("log")) { _ in }
        }
    }

    @Test(.timeLimit(.minutes(1))) func aTimeoutEndsTheWholeGroup() async throws {
        let ending = try await process(
            "sleep \(mark) & setsid sleep \(mark) & sleep \(mark)", timeout: .milliseconds(150)
        ).run(log: folder("log")) { _ in }
        #expect(ending.stop == .timeout)
        #expect(ending.status == .signalled(SIGTERM))
        #expect(sleeperCount() == 0)
    }

    @Test func whatIgnoresSIGTERMIsKilledAfterTheGrace() async throws {
        let start = ContinuousClock.now
        let ending = try await process(
            "trap '' TERM; sleep \(mark) & while :; do sleep 0.05; done", timeout: .milliseconds(100)
        ).run(log: folder("log")) { _ in }
        #expect(ending.status == .signalled(SIGKILL))
        #expect(ContinuousClock.now - start > .milliseconds(290))
        #expect(sleeperCount() == 0)
    }

    @Test func cancellingTheTaskEndsEveryDescendant() async throws {
        let isUp = Mutex(false)
        let process = process("(sleep \(mark) &); setsid sh -c 'sleep \(mark) & wait' & echo up; wait")
        let task = Task { [folder] in
            try await process.run(log: folder("log")) { _ in isUp.withLock { $0 = true } }
        }
        while !isUp.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        #expect(try await task.value.stop == .cancelled)
        #expect(sleeperCount() == 0)
    }

    /// It holds the output open, and must not be waited for.
    @Test(.timeLimit(.minutes(1))) func aDaemonThatIsLeftBehindDoesNotOutliveItsStage() async throws {
        let ending = try await process("setsid sh -c 'sleep \(mark) & sleep \(mark)' & sleep \(mark) & exit 0")
            .run(log: folder("log")) { _ in }
        #expect(ending.status == .exited(0))
        #expect(sleeperCount() == 0)
    }

    @Test(arguments: [
        "while :; do setsid sleep MARK & sleep 0.01; done",
        "setsid sh -c 'while :; do sleep MARK; done' & (setsid sh -c 'trap \"\" TERM; while :; do sleep MARK; done' &) ; wait",
    ])
    func whatKeepsStartingProcessesIsEndedWithAllOfThem(_ line: String) async throws {
        let ending = try await process(line.replacing("MARK", with: mark), timeout: .milliseconds(300)).run(
            log: folder("log")
        ) { _ in }
        #expect(ending.stop == .timeout)
        #expect(sleeperCount() == 0)
        // Nothing that was overlooked starts another one.
        try await Task.sleep(for: .milliseconds(100))
        #expect(sleeperCount() == 0)
    }

    @Test func floodsOfOutputFillNeitherMemoryNorDisk() async throws {
        // 1 GB without a newline, then 4 MB in lines; a NUL is shown as six characters.
        let count = Mutex((lines: 0, longest: 0))
        let process = process("head -c 1000000000 /dev/zero; echo; yes 012345678 | head -c 4000000")
        let before = residentBytes()
        let ending = try await process.run(log: folder("log")) { line in
            count.withLock { $0 = ($0.lines + 1, max($0.longest, line.utf8.count)) }
        }
        #expect(ending.status == .exited(0))
        #expect(count.withLock { $0.lines } == 400_001)
        #expect(count.withLock { $0.longest } <= StageLog.lineLimit * 6)
        #expect(residentBytes() - before < 64 << 20)
        let size = try #require(try FileStatus.of(folder("log"))).size
        #expect(size <= Int64(StageLog.headLimit + StageLog.tailLimit + 100))
    }

    private func residentBytes() -> Int {
        let text = (try? FileSystem.readText("/proc/self/statm")) ?? ""
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4096
    }

    // MARK: Logs

    private func logged(
        _ pieces: [String], head: Int = 1 << 20, tail: Int = 1 << 10
    ) throws -> (lines: [String], file: String) {
        var lines: [String] = []
        let log = try StageLog(path: folder("log"), headLimit: head, tailLimit: tail) { lines.append($0) }
        for piece in pieces { Array(piece.utf8).withUnsafeBytes { log.append($0) } }
        try log.finish()
        return (lines, try FileSystem.readText(folder("log")))
    }

    @Test func linesAreSplitWhereverTheyArriveAndLoseTheirControlCharacters() throws {
        let (lines, file) = try logged([
            "a\nb", "c\r", "\nd\r50%\r100%\n\n", "\u{1B}[31mred\u{1B}[0m\u{1B}]0;t\u{07}!\u{8}x\ty",
        ])
        #expect(lines == ["a", "bc", "d", "50%", "100%", "", "red!\\u{8}x y"])
        #expect(file.hasPrefix("a\nbc\r\nd\r"))
    }

    @Test func aLongLogKeepsItsHeadAndItsTail() throws {
        let (_, file) = try logged((0..<100).map { "line \($0)\n" }, head: 20, tail: 16)
        #expect(file == "line 0\nline 1\nline 2\n… 754 bytes are left out here …\nline 98\nline 99\n")
    }
}
