package import Basics
internal import Datasets
internal import Gates
package import Pipelines
internal import Workspaces

/// `uses: gate`: refuses what comes after it unless the metrics of the stages before it meet all rules.
package struct GateStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "gate"
    package let version = 1
    package let summary = "refuse what comes after unless the metrics meet all rules"

    package let parameters = [
        StepParameter("rules", .list, required: true, "rules such as `{ metric: test.accuracy, min: 0.85 }`"),
        StepParameter(
            "report", .string,
            "where to write the verdicts, as JSON, by default `build/<pipeline>/<stage>.json`; written when it refuses, too"
        ),
        StepParameter("seed", .int, default: 0, "of the bootstrap for rules with `confidence`"),
    ]

    private struct Settings: Decodable {
        var report: RelativePath?
        var seed: UInt64
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        let rules = try GateRule.list(from: with["rules"] ?? .null, at: "rules")
        let stages = Set(environment.stages.map(\.name))
        let named = rules.compactMap { rule in
            environment.stageName(of: rule.metric) ?? rule.metric.split(separator: ".").first.map(String.init)
        }
        if let unknown = named.first(where: { !stages.contains($0) && $0 != "energy" }) {
            throw MLOpsError(
                .usage, "a rule measures `\(unknown).…`, but no stage is called `\(unknown)`",
                hint: nearestName(to: unknown, among: stages).map { "did you mean `\($0)`?" })
        }
        // Energy is that of everything which makes what the gate is about: all stages before it.
        // The verdicts are metrics: a version records them, a card shows them.
        let report = settings.report?.description ?? "build/\(environment.pipeline)/\(stage).json"
        return StepPlan(
            metrics: [report], needs: named.filter { $0 != "energy" && $0 != stage },
            readsMetrics: true, readsEnergy: named.contains("energy"),
            external: try external(rules.compactMap(\.baseline)))
    }

    /// The newest events of the artifacts that rules compare with: a new production version changes the verdict.
    private func external(_ baselines: [String]) throws -> JSONValue? {
        if baselines.isEmpty { return nil }
        var heads: [String: JSONValue] = [:]
        for name in Set(baselines) { heads[name] = try workspace.baselineState(of: name) }
        return .object(heads)
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let rules = try GateRule.list(from: context.with["rules"] ?? .null, at: "rules")
        let input = GateInput(
            metrics: context.metrics, samples: try samples(for: rules, in: context),
            baselines: try await workspace.baselines(of: rules))
        let report = evaluate(rules: rules, input: input, seed: settings.seed)
        for verdict in report.verdicts { context.log("\(verdict.passed ? "pass" : "FAIL")  \(verdict.reason)") }
        try context.writeMetrics(try JSONValue(encoding: report))
        guard report.passed else {
            throw MLOpsError(
                .refused, "gate `\(context.stage)` refuses: \(report.failures.joined(separator: "; "))",
                hint: "all verdicts are in \(context.metricsPaths.joined(separator: ", "))")
        }
    }

    /// The per-example values of the metrics that rules want confidence in, from the files that the `test` stages wrote.
    ///
    /// A file that is not the one that the metrics were computed from is left out, so that its rule refuses.
    private func samples(for rules: [GateRule], in context: StepContext) throws -> [String: [Double]] {
        var samples: [String: [Double]] = [:]
        for rule in rules where rule.confidence != nil {
            let stages = (context.metrics.object ?? [:]).keys
            guard let stage = stages.first(where: { rule.metric.hasPrefix($0 + ".") }),
                let place = context.metrics[stage]?["samples"]?[String(rule.metric.dropFirst(stage.count + 1))],
                let file = place["file"]?.string, let column = place["column"]?.string
            else { continue }
            let path = FileSystem.absolute(try RelativePath(file).description, from: context.root)
            guard FileSystem.exists(path), Digest.of(try FileSystem.read(path)).description == place["digest"]?.string
            else {
                context.log("`\(file)` is not the file that \(rule.metric) was computed from")
                continue
            }
            samples[rule.metric] = try PredictionFile(path: path).numbers(in: column)
        }
        return samples
    }
}
