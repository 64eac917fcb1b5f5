internal import Audits
package import Basics
internal import Datasets
internal import Inference
package import Pipelines
internal import Quantization
internal import Workspaces

/// `uses: quantize`: makes the int8 form of a float model, and reports size, accuracy and latency before and after.
package struct QuantizeStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "quantize"
    package let version = 1
    package let summary = "make the int8 form of a model, calibrated on training examples"

    package let parameters = [
        StepParameter("model", .string, required: true, "the float model file"),
        StepParameter("data", .string, required: true, "the dataset: its folder, or an artifact's name"),
        StepParameter("to", .string, required: true, "where to write the int8 model file"),
        StepParameter(
            "calibration", .map, default: [:], "`method` (minmax, percentile, entropy) and `examples` (1024)"),
        StepParameter("split", .string, default: "test", "the split to compare both models on"),
        StepParameter("seed", .int, default: 0, "of the choice of calibration examples"),
    ]

    private struct Settings: Decodable {
        struct Calibration: Decodable {
            var method: CalibrationMethod?
            var examples: Int?
        }

        var model: RelativePath
        var data: String
        var to: RelativePath
        var calibration: Calibration
        var split: String
        var seed: UInt64
    }

    private static let latencyQueries = 300

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings = try settings(with)
        return StepPlan(
            deps: [settings.model.description, try workspace.folder(ofDataset: settings.data)],
            outs: [settings.to.description])
    }

    private func settings(_ with: JSONValue) throws -> Settings {
        let known = ["method", "examples"]
        if let unknown = (with["calibration"]?.object ?? [:]).keys.sorted().first(where: { !known.contains($0) }) {
            throw MLOpsError(
                .usage, "`calibration` has the unknown key `\(printable(unknown))`",
                hint: nearestName(to: unknown, among: known).map { "did you mean `\($0)`?" }
                    ?? "its keys are `method` and `examples`")
        }
        let settings: Settings = try decodeSettings(with)
        if let count = settings.calibration.examples, count < 1 {
            throw MLOpsError(.usage, "`calibration.examples` is \(count), expected at least 1")
        }
        return settings
    }

    package func run(_ context: StepContext) async throws {
        let settings = try settings(context.with)
        let dataset = try workspace.dataset(settings.data)
        let input = FileSystem.absolute(settings.model.description, from: context.root)
        let output = FileSystem.absolute(settings.to.description, from: context.root)
        try FileSystem.createDirectories(FileSystem.parent(of: output))
        let options = QuantizationOptions(
            calibration: settings.calibration.method ?? .minmax, sampleCount: settings.calibration.examples ?? 1024,
            seed: settings.seed)
        let report = try QuantizationJob.run(
            modelAt: input, dataset: dataset, options: options, output: output, comparedOn: settings.split)
        var metrics = try JSONValue(encoding: report).object ?? [:]
        metrics["accuracy_drop"] = .double(report.floatAccuracy - report.int8Accuracy)
        for (name, path) in [("float_latency", input), ("int8_latency", output)] {
            let predictor = try Predictor(path: path)
            let probe = LatencyProbe(
                predictor: predictor, examples: try predictor.encoding.examples(of: dataset, split: settings.split),
                batchSize: 1)
            metrics[name] = try JSONValue(
                encoding: try probe.measure(queries: QuantizeStep.latencyQueries, warmUp: 50))
        }
        context.log(
            """
            \(Format.bytes(report.floatByteCount)) → \(Format.bytes(report.int8ByteCount)), accuracy \
            \(Format.fixed(report.floatAccuracy, 4)) → \(Format.fixed(report.int8Accuracy, 4)), \
            \(Format.fixed(report.agreement * 100, 2)) % of the answers agree
            """)
        try context.writeMetrics(.object(metrics))
    }
}
