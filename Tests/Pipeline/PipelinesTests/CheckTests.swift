import Basics
import TestSupport
import Testing

@testable import Pipelines

/// What commands read and write besides what they declare.
struct CheckTests {
    private func bench(_ command: String, deps: String = "[]") throws -> Bench {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a: { run: "\(command)", deps: \(deps), outs: [build/a.txt] }
            """)
        try bench.folder.write("src/code.py", "1")
        try bench.folder.write("ignored/big.bin", "1")
        try bench.folder.write("data.csv", "1")
        return bench
    }

    private func warnings(_ bench: Bench, _ change: (inout RunOptions) -> Void = { _ in }) async throws -> [String] {
        let report = try await bench.run {
            $0.checks.isIgnored = { $0.hasPrefix("ignored/") || $0.hasPrefix("build/") }
            change(&$0)
        }
        #expect(report.stages[0].state == .succeeded)
        return report.stages[0].warnings
    }

    @Test func aWriteBesidesTheOutsIsTold() async throws {
        let bench = try bench(
            "echo > build/a.txt; echo > src/new.txt; echo 22 > src/code.py; rm data.csv; mkdir d; echo > d/x")
        #expect(
            try await warnings(bench) == [
                "wrote `d/x`, `data.csv`, `src/code.py` and `src/new.txt`, which its `outs` do not name"
            ])
    }

    @Test func whatIsIgnoredOrBelongsToToolsIsNotTold() async throws {
        let bench = try bench(
            "echo > build/a.txt; echo > ignored/x; mkdir src/__pycache__; echo > src/__pycache__/x.pyc")
        #expect(try await warnings(bench) == [])
    }

    @Test func besidesAnOutputAnIgnoredFolderIsWatched() async throws {
        let bench = try bench("echo > build/a.txt; echo > build/left.tmp")
        #expect(try await warnings(bench) == ["wrote `build/left.tmp`, which its `outs` do not name"])
    }

    @Test func strictnessMakesItAFailureThatIsNotRemembered() async throws {
        let bench = try bench("echo > build/a.txt; echo > other.txt")
        for _ in 0..<2 {
            let report = try await bench.run { $0.checks.isStrict = true }
            #expect(report.stages[0].state == .failed)
            #expect(
                report.stages[0].error?.message == "stage `a` wrote `other.txt`, which its `outs` do not name")
            try FileSystem.removeFile(bench.folder("other.txt"))
        }
    }

    @Test func ofStagesThatRunAtOnceBothAreNamed() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a: { run: "echo > shared.txt; while [ ! -e b.up ]; do sleep 0.01; done; echo > a.txt", outs: [a.txt] }
              b: { run: "while [ ! -e shared.txt ]; do sleep 0.01; done; echo > b.up; sleep 0.2", outs: [b.up] }
            """)
        let report = try await bench.run()
        let all = report.stages.flatMap(\.warnings)
        #expect(all.contains { $0 == "while it and `b` ran, `shared.txt` was written, which no `outs` name" })
    }

    /// In a large folder they are told by the kernel.
    @Test(arguments: [0, 600]) func namesThatComeAndGoInAFolderOfOutputsAreTold(_ fileCount: Int) async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              z: { run: "echo > out/z0", outs: [out/z0] }
              a: { run: "echo > out/a; echo > out/x; echo > out/y", needs: [z], outs: [out/a] }
              b: { run: "rm out/x out/y; echo > out/b", needs: [a], outs: [out/b] }
              c: { run: "echo > out/x; echo > out/c; mv out/a out/z; cp out/z out/a", needs: [b], outs: [out/c] }
              d: { run: "mv out/x out/c2; mkdir out/d; echo > out/d/e; echo > out/d0", needs: [c], outs: [out/d0] }
              e: { run: "rm out/c2; mv out/d out/dd; echo > out/e0", needs: [d], outs: [out/e0] }
            """)
        for number in 0..<fileCount { try bench.folder.write("out/old\(number)", "") }
        let report = try await bench.run { $0.jobs = 1 }
        #expect(
            report.stages.map(\.warnings) == [
                [],
                ["wrote `out/x` and `out/y`, which its `outs` do not name"],
                ["removed `out/x` and `out/y`, which its `outs` do not name"],
                ["wrote `out/x` and `out/z`, which its `outs` do not name"],
                ["wrote `out/c2`, `out/d/e` and `out/x`, which its `outs` do not name"],
                ["wrote `out/c2` and `out/dd/e`, which its `outs` do not name"],
            ])
    }

    @Test func theReportSaysWhatWasChecked() async throws {
        let report = try await bench("echo > build/a.txt").run()
        #expect(report.stages[0].checks == ["reads": "unchecked", "writes": "compared"])
    }

    @Test(.enabled(if: StageTrace.find(searchPath: nil) != nil)) func aTraceNamesWhatIsReadAndWhoWrote() async throws {
        let bench = try bench(
            "cat src/code.py data.csv > build/a.txt; echo é > src/é.txt; cat ignored/big.bin > /dev/null",
            deps: "[data.csv]")
        let found = try await warnings(bench) { $0.checks.isTracing = true }
        #expect(
            found == [
                "wrote `src/é.txt`, which its `outs` do not name",
                "read `ignored/big.bin` and `src/code.py`, which its `deps` do not name",
            ])
        let report = try await bench.run {
            $0.checks.isTracing = true
            $0.isForced = true
        }
        #expect(report.stages[0].checks == ["reads": "traced", "writes": "traced"])
        #expect(try FileSystem.list(bench.folder(".mlops/runs/\(report.id)")).sorted() == ["a.log", "run.json"])
    }

    @Test func aTraceKnowsPathsByTheirBytes() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "log/t.1",
            #"""
            openat(AT_FDCWD</caf\303\251>, "x", O_RDONLY) = 3</caf\303\251/x>
            openat(AT_FDCWD</caf\303\251>, "\314\201y", O_WRONLY|O_CREAT) = 3</caf\303\251/\314\201y>
            unlink("\314\201z") = 0
            openat(AT_FDCWD</caf\303\251>, "/cafe\314\201/x", O_RDONLY) = 3</cafe\314\201/other>

            """#)
        let trace = try StageTrace(log: folder("log"), root: "/caf\u{e9}")
        #expect(trace.reads.map { Array($0.utf8) } == [Array("x".utf8)])
        #expect(Set(trace.writes.map { Array($0.utf8) }) == [Array("\u{301}y".utf8), Array("\u{301}z".utf8)])
    }

    @Test(.enabled(if: StageTrace.find(searchPath: nil) != nil)) func aTracedCommandEndsAsItWouldAlone() async throws {
        let bench = try bench("exit 7")
        let report = try await bench.run { $0.checks.isTracing = true }
        #expect(report.stages[0].exitCode == 7)
    }

    @Test(.enabled(if: StageTrace.find(searchPath: nil) != nil))
    func aTraceDoesNotWaitForWhatACommandLeavesBehind() async throws {
        let bench = try bench("setsid sleep 4711 & cat src/code.py > build/a.txt; exit 0")
        let report = try await bench.run { $0.checks.isTracing = true }
        #expect(report.stages[0].state == .succeeded)
        #expect(report.stages[0].warnings == ["read `src/code.py`, which its `deps` do not name"])
        #expect(try #require(report.stages[0].duration) < .seconds(60))
    }
}
