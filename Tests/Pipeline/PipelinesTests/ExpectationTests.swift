import Basics
import Synchronization
import TestSupport
import Testing

@testable import Pipelines

/// Stages that are put into the queue of their executor before they may start.
struct ExpectationTests {
    /// A cluster on this machine: it notes who came into its queue and who left it.
    private final class Cluster: StageExecutor {
        let name = "slurm"
        let calls = Mutex<[String]>([])
        /// A stage runs when so many calls have come.
        private let patience: Int

        init(patience: Int = 0) { self.patience = patience }

        private func note(_ call: String) { calls.withLock { $0.append(call) } }

        func run(_ command: StageCommand, output: StageOutput) async throws -> StageEnding {
            note("run \(command.stage.name)")
            output.onQueued()
            for _ in 0..<1000 where calls.withLock({ $0.count }) < patience {
                try? await Task.sleep(for: .milliseconds(10))
            }
            return try await LocalExecutor().run(command, output: output)
        }

        func expect(_ setup: StageSetup, behind others: [String]) async -> Bool {
            note("expect \(setup.stage.name) behind \(others.joined(separator: " "))")
            return true
        }

        func withdraw(stage: String) async { note("withdraw \(stage)") }
    }

    private static let chain = """
        version: 1
        name: p
        executor: slurm
        stages:
          a: { run: "head -c 1 in > a", deps: [in], outs: [a] }
          b: { run: "cat a > b", deps: [a], outs: [b] }
          c: { run: "cat b > c; echo x >> count", deps: [b], outs: [c] }
        """

    private func bench(_ spec: String = chain) throws -> Bench {
        let bench = try Bench(spec)
        try bench.folder.write("in", "12")
        return bench
    }

    @Test func theStagesBehindOneAreInTheQueueWhileItRuns() async throws {
        let (bench, cluster) = (try bench(), Cluster(patience: 3))
        let report = try await bench.run { $0.executors = [cluster] }
        #expect(report.outcome == .succeeded)
        let calls = cluster.calls.withLock { $0 }
        #expect(calls.prefix(3) == ["run a", "expect b behind a", "expect c behind b"])
        #expect(calls.filter { $0.hasPrefix("run") } == ["run a", "run b", "run c"])
        #expect(try bench.text("count") == "x\n")
    }

    @Test func aStageWhoseResultsAreKnownLeavesTheQueue() async throws {
        let bench = try bench()
        try await bench.run { $0.executors = [Cluster()] }
        try bench.folder.write("in", "13")
        let cluster = Cluster(patience: 3)
        let report = try await bench.run { $0.executors = [cluster] }
        #expect(Bench.states(report) == ["a: succeeded", "b: cached", "c: cached"])
        let calls = cluster.calls.withLock { $0 }
        #expect(calls.prefix(3) == ["run a", "expect b behind a", "expect c behind b"])
        #expect(calls.contains("withdraw b") && calls.contains("withdraw c"))
        #expect(try bench.text("count") == "x\n")
    }

    @Test func aFailureTakesThemOutOfTheQueue() async throws {
        let bench = try bench(Self.chain.replacing("head -c 1 in > a", with: "exit 3"))
        let cluster = Cluster(patience: 3)
        let report = try await bench.run { $0.executors = [cluster] }
        #expect(Bench.states(report) == ["a: failed", "b: skipped", "c: skipped"])
        let calls = cluster.calls.withLock { $0.filter { $0 != "withdraw a" } }
        #expect(calls == ["run a", "expect b behind a", "expect c behind b", "withdraw c", "withdraw b"])
    }

    @Test func fewPlacesAreKeptForWhatMayStart() async throws {
        let (bench, cluster) = (try bench(), Cluster())
        let report = try await bench.run {
            $0.executors = [cluster]
            $0.remoteJobs = 1
        }
        #expect(report.outcome == .succeeded)
        #expect(!cluster.calls.withLock { $0.contains { $0.hasPrefix("expect") } })
    }
}
