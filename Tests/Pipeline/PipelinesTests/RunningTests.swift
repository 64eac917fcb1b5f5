import Basics
import Foundation
import TestSupport
import Synchronization
import Testing

@testable import Pipelines

/// Retries, stages that always run, frozen ones, outputs that stay, resources, and what is told of changes.
struct RunningTests {
    private func bench(_ stages: String) throws -> Bench { try Bench("version: 1\nname: p\nstages:\n" + stages) }

    // MARK: Retries

    @Test func aStageThatFailsIsStartedAgain() async throws {
        let bench = try bench(
            """
              a:
                run: "echo x >> count; [ $(wc -l < count) = 3 ] || exit 75; echo > a.txt"
                outs: [a.txt]
                retries: { max: 5, on: [75], delay: 0s }
            """)
        let report = try await bench.run()
        #expect(report.stages[0].state == .succeeded)
        #expect(report.stages[0].attempts == 3)
        #expect(try bench.text("count") == "x\nx\nx\n")
        let logs = try FileSystem.list(bench.folder(".mlops/runs/\(report.id)")).filter { $0.hasPrefix("a.") }.sorted()
        #expect(logs == ["a.attempt-1.log", "a.attempt-2.log", "a.log"])
        let retries = bench.events.withLock { $0.count { if case .stageRetried = $0 { true } else { false } } }
        #expect(retries == 2)
    }

    @Test func onlyTheNamedFailuresAreRetried() async throws {
        let bench = try bench(
            "  a: { run: \"echo x >> count; exit 3\", retries: { max: 5, on: [timeout, 75], delay: 0s } }\n")
        let report = try await bench.run()
        #expect(report.stages[0].exitCode == 3 && report.stages[0].attempts == nil)
        #expect(try bench.text("count") == "x\n")
    }

    @Test func aTimeoutCanBeRetriedAndTheLastFailureIsTold() async throws {
        let bench = try bench("  a: { run: sleep 60, timeout: 100ms, retries: { max: 1, on: [timeout], delay: 0s } }\n")
        let report = try await bench.run()
        #expect(report.stages[0].attempts == 2)
        #expect(report.stages[0].error?.message.contains("longer than its timeout") == true)
    }

    // MARK: Always, frozen, persist, cache

    @Test func anAlwaysStageRunsAfterAFailureAndIsNotRemembered() async throws {
        let bench = try bench(
            """
              a: { run: "exit 1", outs: [a.txt] }
              b: { run: cat a.txt, deps: [a.txt] }
              last: { run: "echo x >> count", needs: [b], always: true }
            """)
        for round in 1...2 {
            let report = try await bench.run { $0.jobs = 1 }
            #expect(Bench.states(report) == ["a: failed", "b: skipped", "last: succeeded"])
            #expect(report.outcome == .failed)
            #expect(try bench.text("count").count == 2 * round)
        }
    }

    @Test func aFrozenStageStandsAsItIs() async throws {
        let spec = """
              a: { run: "cat in.txt > a.txt", deps: [in.txt], outs: [a.txt] }
              b: { run: "cat a.txt > b.txt", deps: [a.txt], outs: [b.txt] }
            """
        let bench = try bench(spec)
        try bench.folder.write("in.txt", "1")
        try await bench.run()
        try bench.folder.write(
            "pipeline.yaml",
            "version: 1\nname: p\nstages:\n" + spec.replacing("outs: [a.txt]", with: "outs: [a.txt], frozen: true"))
        try bench.folder.write("in.txt", "2")
        try FileSystem.removeFile(bench.folder("a.txt"))
        #expect(Bench.states(try await bench.run()) == ["a: cached", "b: cached"])
        #expect(try bench.text("a.txt") == "1", "it came back from the store")
        try bench.folder.write("a.txt", "by hand")
        #expect(Bench.states(try await bench.run()) == ["a: cached", "b: succeeded"])
        #expect(try bench.text("b.txt") == "by hand")
    }

    @Test func anOutputThatPersistsIsAddedTo() async throws {
        let bench = try bench(
            "  a: { run: \"cat in.txt >> log.txt\", deps: [in.txt], outs: [ { path: log.txt, persist: true } ] }\n")
        for text in ["1", "2"] {
            try bench.folder.write("in.txt", text)
            try await bench.run()
        }
        #expect(try bench.text("log.txt") == "12")
        try FileSystem.removeFile(bench.folder("log.txt"))
        try bench.folder.write("in.txt", "3")
        try await bench.run()
        #expect(try bench.text("log.txt") == "123", "a lost one is brought back before it is added to")
    }

    @Test func anOutputOutsideTheCacheIsNotKeptAndIsMadeAgain() async throws {
        let bench = try bench(
            "  a: { run: \"echo x >> count; echo > big.bin\", outs: [ { path: big.bin, cache: false } ] }\n")
        let report = try await bench.run()
        #expect(report.stages[0].outs.first?.isKept == false)
        #expect(Bench.states(try await bench.run()) == ["a: cached"])
        try FileSystem.removeFile(bench.folder("big.bin"))
        let again = try await bench.run()
        #expect(again.stages[0].reasons.first?.text == "`big.bin` is missing and is not kept in the store")
        #expect(try bench.text("count") == "x\nx\n")
    }

    // MARK: At once

    @Test func aSecondRunWaitsIfItIsAskedTo() async throws {
        let bench = try bench("  a: { run: \"echo up; sleep 0.3; echo > a.txt\", outs: [a.txt] }\n")
        async let first = bench.run()
        while !bench.events.withLock({ $0.contains { if case .stageLog = $0 { true } else { false } } }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        let second = try await bench.run { $0.waits = true }
        #expect(Bench.states(second) == ["a: cached"])
        #expect(Bench.states(try await first) == ["a: succeeded"])
        #expect(bench.events.withLock { $0.contains { if case .runWaiting = $0 { true } else { false } } })
    }

    @Test func stagesShareWhatTheMachineHas() async throws {
        let bench = try bench(
            (0..<4).map { "  s\($0): { run: \"mkdir lock && sleep 0.05 && rmdir lock\", resources: { cpus: 3 } }\n" }
                .joined())
        let report = try await bench.run {
            $0.jobs = 4
            $0.capacity = Resources(cpus: 4)
        }
        #expect(report.outcome == .succeeded, "two at once would find the folder of the other")
    }

    // MARK: Why

    private func reason(_ bench: Bench, set: [String] = []) async throws -> String? {
        try await bench.run(set: set).stages[0].reasons.first?.text
    }

    @Test func theVeryFileAndLineThatChangedAreNamed() async throws {
        let bench = try bench("  a: { run: \"true\", deps: [code.py, data] }\n")
        try bench.folder.write("code.py", "import os\nlr = 0.1\nrun()\n")
        try bench.folder.write("data/a.csv", "1")
        try bench.folder.write("data/sub/b.csv", "2")
        try await bench.run()
        try bench.folder.write("code.py", "import os\nlr = 0.2\nrun()\n")
        #expect(try await reason(bench) == "`code.py` changed: line 2 was `lr = 0.1` and is `lr = 0.2`")
    }

    @Test func theArgumentThatChangedIsNamed() async throws {
        let bench = try bench("  a: { run: [echo, --lr, \"1\"] }\n")
        try await bench.run()
        try bench.folder.write("pipeline.yaml", "version: 1\nname: p\nstages:\n  a: { run: [echo, --lr, \"2\"] }\n")
        #expect(try await reason(bench) == "argument 2 of its command changed from \"1\" to \"2\"")
    }

    @Test func theLineOfAShellTextThatChangedIsNamed() async throws {
        let bench = try bench("  a:\n    run: |\n      echo 1\n      echo 2\n")
        try await bench.run()
        try bench.folder.write(
            "pipeline.yaml", "version: 1\nname: p\nstages:\n  a:\n    run: |\n      echo 1\n      echo 3\n")
        #expect(try await reason(bench) == "its command changed: line 2 was `echo 2` and is `echo 3`")
    }
}
