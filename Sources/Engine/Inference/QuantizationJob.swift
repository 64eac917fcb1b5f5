internal import Basics
package import Datasets
internal import Interchange
package import Quantization

/// What the step `quantize` tells of both models.
package struct QuantizationReport: Codable, Hashable, Sendable {
    package var calibration: CalibrationMethod
    package var calibrationExamples: Int
    package var floatByteCount: Int64
    package var int8ByteCount: Int64
    /// Float size ÷ int8 size.
    package var sizeRatio: Double
    package var layers: [LayerFidelity]
    package var floatAccuracy: Double
    package var int8Accuracy: Double
    /// int8 − float.
    package var accuracyChange: Double
    package var floatAUC: Double?
    package var int8AUC: Double?
    /// The share of examples for which both models name the same class.
    package var agreement: Double
    package var largestProbabilityError: Double
    package var examples: Int

    private enum CodingKeys: String, CodingKey {
        case calibration, layers, agreement, examples
        case calibrationExamples = "calibration_examples"
        case floatByteCount = "float_bytes"
        case int8ByteCount = "int8_bytes"
        case sizeRatio = "size_ratio"
        case floatAccuracy = "float_accuracy"
        case int8Accuracy = "int8_accuracy"
        case accuracyChange = "accuracy_change"
        case floatAUC = "float_auc"
        case int8AUC = "int8_auc"
        case largestProbabilityError = "max_probability_error"
    }
}

/// Makes an int8 model from a float one, calibrated on a dataset's training split and compared on another split.
package enum QuantizationJob {
    /// Reads the model at `path`, writes its int8 form to `output`, and compares the two on `split`.
    ///
    /// - Throws: what `ModelFile`, the dataset's readers and `Quantizer` throw; nothing is written then.
    package static func run(
        modelAt path: String, dataset: DatasetFolder, options: QuantizationOptions, output: String,
        comparedOn split: String = "test"
    ) throws -> QuantizationReport {
        let model = try ModelFile(path: path)
        let floats = try Predictor(model, path: path)
        let training = try floats.encoding.examples(of: dataset, split: "train")
        let chosen = Splits.sample(labels: training.labels, count: options.sampleCount, seed: options.seed)
        var (quantized, layers) = try Quantizer.quantize(
            model, path: path, sample: training.floats(at: chosen), sampleCount: chosen.count,
            calibration: options.calibration)
        quantized.description.quantizedFrom = Digest.of(try FileSystem.read(path)).description
        let integers = try Predictor(quantized, path: output)
        let examples = try floats.encoding.examples(of: dataset, split: split)
        let before = try floats.evaluate(examples)
        let after = try integers.evaluate(examples)
        try quantized.write(to: output)
        return try report(
            before, after, layers: layers, options: options, chosen: chosen.count, path: path, output: output)
    }

    private static func report(
        _ before: Evaluation, _ after: Evaluation, layers: [LayerFidelity], options: QuantizationOptions, chosen: Int,
        path: String, output: String
    ) throws -> QuantizationReport {
        let sizes = try [path, output].map { try OpenFile(reading: $0).status().size }
        let same = zip(before.predictions, after.predictions).count { $0 == $1 }
        let largest = zip(before.probabilities, after.probabilities).reduce(0) { max($0, abs($1.0 - $1.1)) }
        return QuantizationReport(
            calibration: options.calibration, calibrationExamples: chosen, floatByteCount: sizes[0],
            int8ByteCount: sizes[1], sizeRatio: Double(sizes[0]) / Double(max(sizes[1], 1)), layers: layers,
            floatAccuracy: before.accuracy, int8Accuracy: after.accuracy,
            accuracyChange: after.accuracy - before.accuracy, floatAUC: before.areaUnderCurve,
            int8AUC: after.areaUnderCurve, agreement: Double(same) / Double(max(before.count, 1)),
            largestProbabilityError: Double(largest), examples: before.count)
    }
}
