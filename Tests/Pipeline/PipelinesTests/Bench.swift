import Basics
import Synchronization
import TestSupport

@testable import Pipelines

/// A repository in a temporary folder with one pipeline, `pipeline.yaml`.
final class Bench: Sendable {
    let folder: TemporaryFolder
    let store: FakeStore
    let events = Mutex<[RunEvent]>([])

    init(_ spec: String? = nil) throws {
        folder = try TemporaryFolder()
        store = try FakeStore(root: folder.path)
        if let spec { try folder.write("pipeline.yaml", spec) }
    }

    static let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "GREETING": "hello"]

    func source(set overrides: [String] = [], steps: [any BuiltInStep] = TestStep.all) -> PipelineSource {
        PipelineSource(
            root: folder.path, file: "pipeline.yaml", overrides: overrides, environment: Bench.environment,
            git: Lazy(value: GitContext(commit: "0123abc", branch: "main", isDirty: false)), steps: StepCatalog(steps))
    }

    func load(set overrides: [String] = [], steps: [any BuiltInStep] = TestStep.all) throws -> Pipeline {
        try Pipeline.load(source(set: overrides, steps: steps))
    }

    func runner(
        set overrides: [String] = [], steps: [any BuiltInStep] = TestStep.all,
        _ change: (inout RunOptions) -> Void = { _ in }
    ) throws -> PipelineRunner {
        var options = RunOptions(jobs: 2)
        options.grace = .milliseconds(500)
        change(&options)
        return PipelineRunner(
            try load(set: overrides, steps: steps), store: store, meter: FakeMeter(), options: options,
            executable: folder("fake-mlops"))
    }

    @discardableResult
    func run(
        set overrides: [String] = [], steps: [any BuiltInStep] = TestStep.all,
        _ change: (inout RunOptions) -> Void = { _ in }
    ) async throws -> RunReport {
        try await runner(set: overrides, steps: steps, change).run { [self] event in
            events.withLock { $0.append(event) }
        }
    }

    func text(_ name: String) throws -> String { String(decoding: try folder.read(name), as: UTF8.self) }

    /// `train: cached` and the like.
    static func states(_ report: RunReport) -> [String] {
        report.stages.map { "\($0.name): \($0.isCached ? "cached" : $0.state.rawValue)" }
    }

    /// Installs `lines` as the program that performs built-in steps: a shell script; `$2` is the request's folder.
    func installStepProgram(_ lines: String) throws {
        try FileSystem.replace(folder("fake-mlops"), with: Array("#!/bin/sh\n\(lines)\n".utf8), mode: 0o755)
    }
}

/// A step for tests; its plan and work are closures.
struct TestStep: BuiltInStep {
    var name: String
    var version = 1
    var summary = "for tests"
    var parameters: [StepParameter] = []
    var planned: @Sendable (JSONValue, StepPlanning) throws -> StepPlan = { _, planning in
        StepPlan(deps: planning.deps, outs: planning.outs, metrics: planning.metrics)
    }
    var work: @Sendable (StepContext) async throws -> Void = { _ in }
    var stillHolds: @Sendable (JSONValue) -> Bool = { _ in true }

    func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        try planned(with, environment)
    }

    func run(_ context: StepContext) async throws { try await work(context) }

    func holds(_ effects: JSONValue) async throws -> Bool { stillHolds(effects) }

    /// `train` with a parameter of each kind, `gate` that reads metrics and energy and needs the stages that its rules name.
    static let all: [any BuiltInStep] = [
        TestStep(
            name: "train",
            parameters: [
                StepParameter(
                    "recipe", .string, required: true, choices: ["tabular/mlp", "vision/lenet5"], "the model"),
                StepParameter("epochs", .int, default: 3, "how often the data are seen"),
                StepParameter("lr", .double, default: 0.1, "the learning rate"),
                StepParameter("shuffle", .bool, "whether rows are mixed"),
                StepParameter("layers", .list, "the widths"),
                StepParameter("optimizer", .map, "its settings"),
            ]),
        TestStep(
            name: "gate", parameters: [StepParameter("rules", .list, required: true, "what must hold")],
            planned: { with, planning in
                let needs = (with["rules"]?.array ?? []).compactMap { rule in
                    rule["metric"]?.string?.split(separator: ".").first.map(String.init)
                }
                return StepPlan(
                    outs: planning.outs, needs: needs.filter { $0 != "energy" }, readsMetrics: true,
                    readsEnergy: needs.contains("energy"))
            }),
    ]
}
