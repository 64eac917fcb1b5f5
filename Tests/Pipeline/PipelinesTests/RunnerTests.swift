import Basics
import Synchronization
import TestSupport
import Testing

@testable import Pipelines

struct RunnerTests {
    /// Two chains from `data.txt`: `a` upper-cases, `b` counts; `c` reads both.
    private static let spec = """
        version: 1
        name: p
        params: [params.yaml]
        stages:
          a:
            run: [sh, -c, "tr a-z A-Z < data.txt > build/a; echo a says $0", "${params.a}"]
            deps: [data.txt]
            outs: [build/a]
          b:
            run: [sh, -c, "mkdir -p build/b; wc -c < other.txt > build/b/count; printf '{\\"x\\": {\\"n\\": ${params.b}}, \\"m\\": null}' > build/b.json"]
            deps: [other.txt]
            outs: [build/b]
            metrics: [build/b.json]
          c:
            run: cat build/a build/b/count > build/c
            deps: [build/a, build/b]
            outs: [build/c]
        """

    private func bench() throws -> Bench {
        let bench = try Bench(RunnerTests.spec)
        try bench.folder.write("params.yaml", "a: 1\nb: 2\n")
        try bench.folder.write("data.txt", "hello\n")
        try bench.folder.write("other.txt", "12345")
        return bench
    }

    @Test func aRunMakesItsOutputsAndRecordsItself() async throws {
        let bench = try bench()
        let report = try await bench.run()
        #expect(report.outcome == .succeeded)
        #expect(report.exitCode == 0)
        #expect(Bench.states(report) == ["a: succeeded", "b: succeeded", "c: succeeded"])
        #expect(try bench.text("build/c") == "HELLO\n5\n")
        #expect(report.metrics == ["b": ["x": ["n": 2], "m": nil]])
        #expect(report.energy["joules"]?.number == 6 && report.energy["kwh"] == 1.5)
        #expect(report.stages[0].reasons.map(\.text) == ["it has not run before"])
        let record = try JSONValue(parsing: try bench.folder.read("\(report.folder)/run.json"), source: "run.json")
        #expect(record["outcome"] == "succeeded")
        #expect(record["git"] == ["commit": "0123abc", "branch": "main", "dirty": false])
        #expect(record["stages"]?.array?.map { $0["name"]?.string } == ["a", "b", "c"])
        #expect(try bench.text("\(report.folder)/a.log") == "a says 1\n")
        let names = bench.events.withLock { events in
            events.map { event in
                let json = event.json
                return "\(json["event"]?.string ?? "") \(json["stage"]?.string ?? json["stage"]?["name"]?.string ?? "")"
            }
        }
        #expect(names.first == "runStarted " && names.last == "runFinished ")
        #expect(names.filter { $0.hasSuffix(" a") } == ["stageStarted a", "stageLog a", "stageFinished a"])
    }

    @Test func aSecondRunDoesNothing() async throws {
        let bench = try bench()
        try await bench.run()
        let report = try await bench.run()
        #expect(Bench.states(report) == ["a: cached", "b: cached", "c: cached"])
        #expect(report.metrics == ["b": ["x": ["n": 2], "m": nil]])
        #expect(report.energy["joules"]?.number == 6, "cached stages keep the energy that was measured")
        #expect(bench.store.restored.withLock { $0 } == [])
        #expect(try await bench.runner().status().isUpToDate)
    }

    @Test func aChangedParameterRerunsOnlyWhatDependsOnIt() async throws {
        let bench = try bench()
        try await bench.run()
        let report = try await bench.run(set: ["b=3"])
        // `c` reads the folder that `b` wrote, and that is the same as before.
        #expect(Bench.states(report) == ["a: cached", "b: succeeded", "c: cached"])
        #expect(
            report.stages[1].reasons.map(\.text) == [
                "parameter `b` changed from 2 to 3", "argument 2 of its command changed",
            ])
        let back = try await bench.run()
        #expect(Bench.states(back) == ["a: cached", "b: cached", "c: cached"])
        #expect(try bench.text("build/b.json") == "{\"x\": {\"n\": 2}, \"m\": null}")
    }

    @Test func aChangedFileRerunsWhatDependsOnItAndNothingElse() async throws {
        let bench = try bench()
        try await bench.run()
        try bench.folder.write("other.txt", "1234567")
        let status = try await bench.runner().status()
        #expect(status.stages.map { "\($0.name): \($0.state)" } == ["a: upToDate", "b: changed", "c: waiting"])
        #expect(
            status.stages[1].reasons.map(\.text) == ["`other.txt` changed: line 1 was `12345` and is `1234567`"])
        let report = try await bench.run()
        #expect(Bench.states(report) == ["a: cached", "b: succeeded", "c: succeeded"])
        #expect(report.stages[2].reasons.map(\.text) == ["`build/b` changed"])
        #expect(try bench.text("build/c") == "HELLO\n7\n")
    }

    @Test func lostAndEditedOutputsComeBackFromTheStore() async throws {
        let bench = try bench()
        try await bench.run()
        try FileSystem.removeTree(bench.folder("build/b"))
        try bench.folder.write("build/c", "edited")
        let status = try await bench.runner().status()
        #expect(status.stages.map { "\($0.name): \($0.state)" } == ["a: upToDate", "b: restorable", "c: restorable"])
        let report = try await bench.run()
        #expect(Bench.states(report) == ["a: cached", "b: cached", "c: cached"])
        #expect(report.stages.map(\.restoredCount) == [0, 1, 1])
        #expect(try bench.text("build/b/count") == "5\n")
        #expect(try bench.text("build/c") == "HELLO\n5\n")
    }

    @Test func whatTheStoreLacksIsMadeAgain() async throws {
        let bench = try bench()
        try await bench.run()
        try bench.store.empty()
        try FileSystem.removeFile(bench.folder("build/a"))
        let report = try await bench.run()
        #expect(Bench.states(report) == ["a: succeeded", "b: cached", "c: cached"])
        #expect(
            report.stages[0].reasons.map(\.text) == ["`build/a` is missing and the store does not have what it was"])
    }

    @Test func aBrokenCacheEntryCostsARunOnly() async throws {
        let bench = try bench()
        try await bench.run()
        for name in try FileSystem.list(bench.folder(".mlops/cache/stages")) {
            try bench.folder.write(".mlops/cache/stages/\(name)", "{\"format\": 1")
        }
        #expect(Bench.states(try await bench.run()) == ["a: succeeded", "b: succeeded", "c: succeeded"])
    }

    @Test func whatIsKnownOfAFileIsKnownToTheNextRun() async throws {
        let folder = try TemporaryFolder()
        let store = try FakeStore(root: folder.path)
        func stamped() -> StampedStore {
            // Files of the last two seconds are not remembered.
            StampedStore(store, workspace: folder(".mlops"), root: folder.path) {
                Timestamp(milliseconds: Timestamp.now.milliseconds + 10_000)
            }
        }
        try folder.write("a b.txt", "1")
        for _ in 0..<3 {
            let run = stamped()
            #expect(try await run.identify(path: "a b.txt")?.digest == Digest.of("1"))
            run.save()
        }
        #expect(store.identified.withLock { $0 } == ["a b.txt"])
        try folder.write("a b.txt", "22")
        #expect(try await stamped().identify(path: "a b.txt")?.digest == Digest.of("22"))
    }

    @Test func forcedStagesRunAlthoughNothingChanged() async throws {
        let bench = try bench()
        try await bench.run()
        let report = try await bench.run { options in
            options.isForced = true
            options.stages = ["c"]
        }
        #expect(Bench.states(report) == ["a: cached", "b: cached", "c: succeeded"])
        let one = try await bench.run { $0.stages = ["a"] }
        #expect(Bench.states(one) == ["a: cached"])
    }

    @Test func aMissingDependencyIsNamedWithTheWayToGetIt() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a: { run: "true", deps: [data/census] }
              b: { run: "true", deps: [scripts/trian.sh] }
              c: { run: [no-such-program] }
              d: { run: [./scripts/train.sh] }
            """)
        try bench.folder.write("scripts/train.sh", "true\n")
        let report = try await bench.run { $0.keepsGoing = true }
        #expect(report.outcome == .failed)
        #expect(report.exitCode == 1)
        let errors = report.stages.compactMap { stage in stage.error.map { "\($0) / \($0.hint ?? "")" } }
        #expect(
            errors == [
                "pipeline.yaml:4:28: stage `a` reads `data/census`, which does not exist / run `mlops checkout data/census`",
                "pipeline.yaml:5:28: stage `b` reads `scripts/trian.sh`, which does not exist / did you mean `scripts/train.sh`?",
                "pipeline.yaml:6:3: stage `c` starts `no-such-program`, which does not exist / install it, or check PATH",
                "pipeline.yaml:7:3: stage `d` starts `./scripts/train.sh`, which is not executable / run `chmod +x ./scripts/train.sh`",
            ])
        let status = try await bench.runner().status()
        #expect(status.stages.allSatisfy { $0.state == .blocked })
    }

    @Test func aFailureStopsTheRunAndIsNeverCached() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              bad: { run: "echo half > out; echo one; echo two >&2; exit 7", outs: [out] }
              after: { run: "true", deps: [out] }
              apart: { run: "true" }
            """)
        let report = try await bench.run { $0.jobs = 1 }
        #expect(Bench.states(report) == ["bad: failed", "after: skipped", "apart: skipped"])
        #expect(report.exitCode == 1)
        let error = try #require(report.error)
        #expect("\(error)" == "pipeline.yaml:4:3: stage `bad` failed with exit code 7")
        #expect(error.hint == "the whole log is `\(report.folder)/bad.log`; it ends with\n    one\n    two")
        #expect(try bench.text("out") == "half\n")
        #expect(report.stages[1].reasons.map(\.text) == ["`bad` failed"])
        #expect(report.stages[2].reasons.map(\.text) == ["the run stopped after `bad` failed"])
        let again = try await bench.run { $0.keepsGoing = true }
        #expect(Bench.states(again) == ["bad: failed", "after: skipped", "apart: succeeded"])
    }

    @Test func aStageThatWritesNothingFailsEvenIfOldOutputsAreThere() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: \"true\", outs: [x, dir/y], metrics: [m.json] }\n")
        let report = try await bench.run()
        #expect(
            "\(try #require(report.error))"
                == "pipeline.yaml:4:3: stage `a` ended without writing `x`, `dir/y`, `m.json`")
        for name in ["x", "dir/y", "m.json"] { try bench.folder.write(name, "old") }
        let again = try await bench.run()
        #expect(
            "\(try #require(again.error))"
                == "pipeline.yaml:4:3: stage `a` did not write `dir/y`, which was there before")
        #expect(try bench.text("x") == "old", "what may be the user's own is never removed")
    }

    @Test func whatAnEarlierRunMadeCannotPassForNew() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: \"if [ -e in ]; then cp in out; fi\", deps: [switch], outs: [out] }\n"
        )
        try bench.folder.write("switch", "1")
        try bench.folder.write("in", "x")
        #expect(try await bench.run().outcome == .succeeded)
        try bench.folder.write("switch", "2")
        try FileSystem.removeFile(bench.folder("in"))
        let report = try await bench.run()
        #expect("\(try #require(report.error))".hasSuffix("ended without writing `out`"))
    }

    @Test func aDependencyThatChangesMeanwhileIsToldAndNotRemembered() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: \"cp in out; echo more >> in\", deps: [in], outs: [out] }\n")
        try bench.folder.write("in", "x\n")
        let report = try await bench.run()
        #expect(report.stages[0].warnings == ["`in` changed while the stage ran, so its result is not remembered"])
        #expect(Bench.states(try await bench.run()) == ["a: succeeded"])
    }

    @Test(arguments: [
        ("[1]", "the metrics `m.json` of stage `a` are not a JSON object"),
        ("{\"x\": NaN}", "the metrics `m.json` of stage `a` are not JSON"),
        ("{", "the metrics `m.json` of stage `a` are not JSON"),
    ])
    func metricsMustBeAnObjectOfJSON(_ text: String, _ message: String) async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: cp given m.json, metrics: [m.json] }\n")
        try bench.folder.write("given", text)
        let report = try await bench.run()
        let error = try #require(report.error)
        #expect(error.message == message)
        if text.contains("NaN") { #expect(error.hint == "JSON has no NaN and no Infinity; write null") }
    }

    @Test func metricsInsideOfAnOutputAreReadAndComeBackWithIt() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a:
                run: mkdir -p build/run; echo '{"x":1}' > build/run/metrics.json
                outs: [build/run]
                metrics: [build/run/metrics.json]
            """)
        #expect(try await bench.run().metrics["a"]?["x"] == 1)
        try FileSystem.removeTree(bench.folder("build/run"))
        let again = try await bench.run()
        #expect(again.stages[0].isCached && again.metrics["a"]?["x"] == 1)
        #expect(FileSystem.exists(bench.folder("build/run/metrics.json")))
    }

    @Test func aMetricInTwoFilesIsAFailure() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: \"echo '{\\\"x\\\":1}' | tee m.json > n.json\", metrics: [m.json, n.json] }\n"
        )
        #expect(try await bench.run().error?.message == "stage `a` sets the metric `x` in `m.json` and in `n.json`")
    }

    @Test func theEnvironmentThatIsNamedCounts() async throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages:\n  a: { run: \"echo $SEED $MLOPS_STAGE $HOME > out\", env: { SEED: 5 }, outs: [out] }\n"
        )
        try await bench.run()
        #expect(try bench.text("out") == "5 a /tmp\n")
        try bench.folder.write(
            "pipeline.yaml",
            "version: 1\nname: p\nstages:\n  a: { run: \"echo $SEED $MLOPS_STAGE $HOME > out\", env: { SEED: 6 }, outs: [out] }\n"
        )
        let report = try await bench.run()
        #expect(report.stages[0].reasons.map(\.text) == ["the environment variable `SEED` changed"])
    }

    @Test func anOutputBehindALinkIsRefusedAndNothingIsTouched() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: touch link/out, outs: [link/out] }\n")
        let elsewhere = try TemporaryFolder()
        try elsewhere.write("out", "precious")
        #expect(symbolicLink(elsewhere.path, bench.folder("link")))
        #expect(
            try await bench.run().error?.message == "stage `a` writes `link/out` through the link `link`")
        #expect(try elsewhere.read("out") == Array("precious".utf8))
    }

    @Test func twoRunsOfOnePipelineAtOnceAreRefused() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: \"echo up; sleep 5\" }\n")
        let first = Task { try await bench.run() }
        while !bench.events.withLock({ $0.contains { if case .stageLog = $0 { true } else { false } } }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        await #expect {
            try await bench.runner().run()
        } throws: {
            ($0 as? MLOpsError)?.kind == .conflict
        }
        first.cancel()
        #expect(try await first.value.outcome == .interrupted)
    }

    @Test func stagesRunAtOnceUpToTheJobs() async throws {
        // Each of the two waits for the other's file: they can only end together.
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a: { run: "touch ./a; until [ -e ./b ]; do sleep 0.01; done", timeout: 5s }
              b: { run: "touch ./b; until [ -e ./a ]; do sleep 0.01; done", timeout: 5s }
            """)
        #expect(try await bench.run().outcome == .succeeded)
    }
}
