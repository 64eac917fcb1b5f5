internal import Audits
package import Basics
internal import Datasets
internal import Inference
package import Pipelines
internal import Workspaces

/// `uses: benchmark`: measures the latency of a model, one query after another, after a warm-up.
package struct BenchmarkStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "benchmark"
    package let version = 1
    package let summary = "measure the latency of a model: percentiles after a warm-up"

    package let parameters = [
        StepParameter("model", .string, required: true, "the model file, float or int8"),
        StepParameter("data", .string, required: true, "the dataset: its folder, or an artifact's name"),
        StepParameter("split", .string, default: "test", "the split that queries are taken from"),
        StepParameter("queries", .int, default: 1000, "queries that count"),
        StepParameter("warm_up", .int, default: 100, "queries before that do not count"),
        StepParameter("batch", .int, default: 1, "examples of one query"),
    ]

    private struct Settings: Decodable {
        var model: RelativePath
        var data: String
        var split: String
        var queries: Int
        var warmUp: Int
        var batch: Int

        enum CodingKeys: String, CodingKey {
            case model, data, split, queries, batch
            case warmUp = "warm_up"
        }
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        guard (1...10_000_000).contains(settings.queries), (0...1_000_000).contains(settings.warmUp),
            (1...65536).contains(settings.batch)
        else {
            throw MLOpsError(
                .usage,
                "`queries` \(settings.queries), `warm_up` \(settings.warmUp) or `batch` \(settings.batch) is out of range",
                hint: "use queries in 1...10000000, warm_up in 0...1000000 and batch in 1...65536")
        }
        return StepPlan(deps: [settings.model.description, try workspace.folder(ofDataset: settings.data)])
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let path = FileSystem.absolute(settings.model.description, from: context.root)
        let predictor = try Predictor(path: path)
        let examples = try predictor.encoding.examples(of: try workspace.dataset(settings.data), split: settings.split)
        let probe = LatencyProbe(predictor: predictor, examples: examples, batchSize: settings.batch)
        let summary = try probe.measure(queries: settings.queries, warmUp: settings.warmUp)
        context.log(
            """
            p50 \(Format.fixed(summary.p50Milliseconds, 3)) ms, p95 \(Format.fixed(summary.p95Milliseconds, 3)) ms, \
            p99 \(Format.fixed(summary.p99Milliseconds, 3)) ms over \(Format.count(summary.count, "query", plural: "queries"))
            """)
        var metrics = try JSONValue(encoding: summary).object ?? [:]
        metrics["batch"] = .int(Int64(settings.batch))
        metrics["model_bytes"] = .int(try FileStatus.of(path)?.size ?? 0)
        try context.writeMetrics(.object(metrics))
    }
}
