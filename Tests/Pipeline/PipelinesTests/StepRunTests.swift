import Basics
import Synchronization
import TestSupport
import Testing

@testable import Pipelines

struct StepRunTests {
    private static let spec = """
        version: 1
        name: p
        stages:
          test: { run: "echo '{\\"accuracy\\": 0.85}' > build/test.json", metrics: [build/test.json] }
          gate:
            uses: gate
            with: { rules: [ { metric: test.accuracy, min: 0.9 }, { metric: energy.kwh, max: 1 } ] }
          promote: { run: touch promoted, needs: [gate], outs: [promoted] }
          card: { run: touch card, needs: [test], outs: [card] }
        """

    @Test func aRefusalIsNoFailureAndOnlyWhatNeedsTheGateIsSkipped() async throws {
        let bench = try Bench(StepRunTests.spec)
        try bench.installStepProgram(
            """
            echo judging
            cat > "$2/error.json" <<'X'
            {"kind": "refused", "message": "accuracy 0.85 is below 0.9", "hint": "train longer", "location": {"path": "p.yaml", "line": 3, "column": 2}}
            X
            exit 4
            """)
        let report = try await bench.run { $0.jobs = 1 }
        #expect(Bench.states(report) == ["test: succeeded", "gate: refused", "promote: skipped", "card: succeeded"])
        #expect(report.outcome == .refused)
        #expect(report.exitCode == 4)
        let error = try #require(report.error)
        #expect("\(error)" == "p.yaml:3:2: accuracy 0.85 is below 0.9")
        #expect(error.hint == "train longer")
        #expect(report.stages[2].reasons.map(\.text) == ["`gate` refused"])
        #expect(!FileSystem.exists(bench.folder("promoted")))
        let again = try await bench.run()
        #expect(Bench.states(again) == ["test: cached", "gate: refused", "promote: skipped", "card: cached"])
    }

    @Test func aStepGetsItsRequestWithWhatItReadsUpstream() async throws {
        let bench = try Bench(StepRunTests.spec)
        try bench.installStepProgram("cp \"$2/request.json\" given.json; [ \"$1\" = step ]")
        let report = try await bench.run()
        #expect(report.outcome == .succeeded)
        let request = try JSONValue(parsing: try bench.folder.read("given.json"), source: "given.json")
        #expect(request["step"] == "gate" && request["stage"] == "gate" && request["run"]?.string == report.id)
        #expect(request["upstream"]?["test"] == ["accuracy": 0.85])
        #expect(request["upstream"]?["energy"]?["kwh"] == 0.5)
        #expect(request["upstream"]?["energy"]?["test"]?["joules"] == 2)
        #expect(request["provenance"]?["git"]?["commit"] == "0123abc")
        #expect(Bench.states(try await bench.run()).allSatisfy { $0.hasSuffix("cached") })
    }

    @Test func otherMetricsRunTheGateAgain() async throws {
        let bench = try Bench(StepRunTests.spec)
        try bench.installStepProgram("true")
        try await bench.run()
        try bench.folder.write("pipeline.yaml", StepRunTests.spec.replacing("0.85", with: "0.95"))
        let report = try await bench.run()
        #expect(Bench.states(report) == ["test: succeeded", "gate: succeeded", "promote: cached", "card: cached"])
        #expect(report.stages[1].reasons.map(\.text) == ["the metrics of `test` changed"])
    }

    @Test func aStepThatDiesWithoutAWordIsAFailure() async throws {
        let bench = try Bench(StepRunTests.spec)
        try bench.installStepProgram("kill -SEGV $$")
        let report = try await bench.run()
        #expect(report.error?.message == "stage `gate` was killed by signal 11, a memory fault of its program")
        try bench.installStepProgram("exit 4")
        #expect(try await bench.run().error?.message == "stage `gate` failed with exit code 4")
        #expect(try await bench.run().exitCode == 1)
    }

    @Test func theKindOfAStepsErrorIsTheRunsExitCode() async throws {
        let bench = try Bench(StepRunTests.spec)
        try bench.installStepProgram("echo '{\"kind\": \"damaged\", \"message\": \"x\"}' > \"$2/error.json\"; exit 12")
        #expect(try await bench.run().exitCode == 12)
    }

    @Test func whatAStepDidElsewhereIsCheckedBeforeItIsBelieved() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { uses: publish }\n")
        try bench.installStepProgram("echo '{\"version\": 3}' > \"$2/effects.json\"")
        let isThere = Mutex(true)
        let seen = Mutex<[JSONValue]>([])
        let holds: @Sendable (JSONValue) -> Bool = { effects in
            seen.withLock { $0.append(effects) }
            return isThere.withLock { $0 }
        }
        let steps = [TestStep(name: "publish", stillHolds: holds)]
        try await bench.run(steps: steps)
        #expect(Bench.states(try await bench.run(steps: steps)) == ["a: cached"])
        #expect(seen.withLock { $0 } == [["version": 3]])
        isThere.withLock { $0 = false }
        let report = try await bench.run(steps: steps)
        #expect(Bench.states(report) == ["a: succeeded"])
        #expect(report.stages[0].reasons.map(\.text) == ["what it did outside its outputs no longer holds"])
    }

    @Test func aStepThatForgotToRecordItsEffectsIsNotBelieved() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { uses: publish }\n")
        try bench.installStepProgram("true")
        var step = TestStep(name: "publish")
        step.planned = { _, _ in StepPlan(hasEffects: true) }
        try await bench.run(steps: [step])
        #expect(Bench.states(try await bench.run(steps: [step])) == ["a: succeeded"])
    }

    @Test func aNewVersionOfAStepAndAnotherArtifactRunItAgain() async throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { uses: import, outs: [out] }\n")
        try bench.installStepProgram("touch out")
        var step = TestStep(name: "import")
        step.planned = { _, planning in StepPlan(artifacts: ["datasets/census"], outs: planning.outs, external: "v1") }
        let missing = try await bench.run(steps: [step])
        #expect(missing.error?.message == "stage `a` reads the artifact `datasets/census`, which does not exist")
        bench.store.setArtifact("datasets/census", "sha256:aa")
        try await bench.run(steps: [step])
        bench.store.setArtifact("datasets/census", "sha256:bb")
        var report = try await bench.run(steps: [step])
        #expect(report.stages[0].reasons.map(\.text) == ["the artifact `datasets/census` changed"])
        step.version = 2
        report = try await bench.run(steps: [step])
        #expect(report.stages[0].reasons.map(\.text) == ["step `import` is version 2, was 1"])
        step.planned = { _, planning in StepPlan(artifacts: ["datasets/census"], outs: planning.outs, external: "v2") }
        report = try await bench.run(steps: [step])
        #expect(report.stages[0].reasons.map(\.text) == ["what it compares with outside the pipeline changed"])
    }

    @Test func aPlanWithAPathOutsideIsRefusedAtItsStage() throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { uses: train, with: { recipe: tabular/mlp } }\n")
        let step = TestStep(name: "train", parameters: [StepParameter("recipe", .string, "x")]) { _, _ in
            StepPlan(outs: ["../evil"])
        }
        #expect(
            try Pipeline.lint(bench.source(steps: [step])).map { "\($0)" }
                == ["pipeline.yaml:4:14: path `../evil` leaves the repository"])
    }

    @Test func theChildPerformsTheRequestAndWritesItsError() async throws {
        let folder = try TemporaryFolder()
        let request = StepRequest(
            step: "train", stepVersion: 1, stage: "s", pipeline: "p", run: "r", root: folder.path, with: ["x": 1],
            deps: [],
            outs: ["o"], metrics: ["m"], params: [:], upstream: ["test": ["n": 1]], provenance: [:])
        try folder.write("request.json", try JSONValue(encoding: request).canonicalBytes)
        let lines = Mutex<[String]>([])
        let work: @Sendable (StepContext) async throws -> Void = { context in
            context.log(
                "\(context.stage) \(context.with["x"]?.integer ?? 0) \(context.outs) \(context.metrics.canonicalText)")
            try context.recordEffects(["v": 2])
            let below = MLOpsError(.io, "disk")
            throw MLOpsError(
                .refused, "no", hint: "try", at: Basics.SourceLocation(path: "f", line: 2, column: 3), cause: below)
        }
        let step = TestStep(name: "train", work: work)
        await #expect(throws: MLOpsError.self) {
            try await StepRequest.perform(in: folder.path, steps: StepCatalog([step])) { line in
                lines.withLock { $0.append(line) }
            }
        }
        #expect(lines.withLock { $0 } == ["s 1 [\"o\"] {\"test\":{\"n\":1}}"])
        #expect(try folder.read("effects.json") == Array("{\"v\":2}".utf8))
        let error = StepFailure(try JSONValue(parsing: try folder.read("error.json"), source: "e")).error
        #expect(error.kind == .refused && "\(error)" == "f:2:3: no" && error.hint == "try")
        #expect((error.cause as? MLOpsError)?.message == "disk")
    }

    @Test func aRequestForAnotherVersionOfTheStepIsRefused() async throws {
        let folder = try TemporaryFolder()
        let request = StepRequest(
            step: "train", stepVersion: 9, stage: "s", pipeline: "p", run: "r", root: folder.path, with: [:], deps: [],
            outs: [], metrics: [], params: [:], upstream: [:], provenance: [:])
        try folder.write("request.json", try JSONValue(encoding: request).canonicalBytes)
        await #expect(throws: MLOpsError.self) {
            try await StepRequest.perform(in: folder.path, steps: StepCatalog([TestStep(name: "train")])) { _ in }
        }
        #expect(FileSystem.exists(folder("error.json")))
    }
}
