import Basics
import Datasets
import Inference
import Interchange
import ModelZoo
import Quantization
import TensorFiles
import TestSupport
import Tensors
import Testing

/// Exported models under `onnx.checker` and in onnxruntime. `Scripts/peer-tools` sets `MLOPS_PEER_PYTHON`; without it the tests
/// are skipped.
@Suite(.enabled(if: PeerPython.path != nil, "Scripts/peer-tools could not install the peers"))
struct ONNXPeerTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let count = 7

    /// A case of `check_onnx.py`: inputs, and what the engine says of them.
    private func write(
        _ name: String, _ form: String, inputs: [String: Tensor], texts: [String: [String]] = [:],
        prediction: Predictor.Prediction, logits: [Float]
    ) throws {
        let shape = [Self.count, logits.count / Self.count]
        var tensors = ["out.logits": Tensor(logits, shape: shape)]
        tensors["out.probabilities"] = Tensor(prediction.probabilities, shape: shape)
        for (key, value) in inputs { tensors["in.\(key)"] = value }
        var metadata: [String: String] = [:]
        for (key, value) in texts { metadata["in.\(key)"] = JSONValue.array(value.map(JSONValue.string)).canonicalText }
        try SafetensorsFile.write(tensors, metadata: metadata, to: folder("\(name)-\(form).case.safetensors"))
    }

    private func export(_ name: String, _ model: ModelFile) throws {
        for form in ONNXInputForm.allCases {
            try folder.write("\(name)-\(form.rawValue).onnx", try model.onnx(form, path: name, digest: Digest.of(name)))
        }
        let predictor = try Predictor(model, path: name)
        var random = Philox(seed: 5)
        let features: [Float]
        switch predictor.input {
        case .images(let shape, let normalisation):
            let pixels = (0..<(Self.count * shape.reduce(1, *))).map { _ in UInt8(random.nextIndex(below: 256)) }
            features = pixels.map { normalisation.table[Int($0)] }
            try write(
                name, "raw", inputs: ["pixels": Tensor(pixels, shape: [Self.count] + shape)],
                prediction: try predictor.predict(pixels: pixels, count: Self.count),
                logits: try predictor.logits(features: features, count: Self.count))
        case .tabular(let encoder):
            let (records, inputs, texts) = Self.records(encoder)
            features = try records.flatMap { try encoder.encode($0) }
            try write(
                name, "raw", inputs: inputs, texts: texts, prediction: try predictor.predict(records: records),
                logits: try predictor.logits(features: features, count: Self.count))
        }
        try write(
            name, "encoded", inputs: ["input": Tensor(features, shape: [Self.count] + predictor.inputShape)],
            prediction: try predictor.predict(features: features, count: Self.count),
            logits: try predictor.logits(features: features, count: Self.count))
    }

    /// Known, unknown and missing values of each column.
    private static func records(
        _ encoder: TabularEncoder
    ) -> (records: [[String: JSONValue]], inputs: [String: Tensor], texts: [String: [String]]) {
        var records = [[String: JSONValue]](repeating: [:], count: count)
        var inputs: [String: Tensor] = [:]
        var texts: [String: [String]] = [:]
        for field in encoder.fields {
            if let categories = field.categories {
                let values = (0..<count).map { (categories + ["", "?", "unheard of"])[$0 % (categories.count + 3)] }
                for (row, value) in values.enumerated() { records[row][field.name] = .string(value) }
                texts[field.name] = values
            } else {
                let deviation = field.deviation ?? 1
                let values = (0..<count).map { row -> Float in
                    row == 3 ? .nan : row == 4 ? 3e12 : Float((field.mean ?? 0) + (Double(row) - 2.25) * deviation)
                }
                for (row, value) in values.enumerated() {
                    records[row][field.name] = value.isNaN ? .null : .double(Double(value))
                }
                inputs[field.name] = Tensor(values, shape: [count, 1])
            }
        }
        return (records, inputs, texts)
    }

    @Test func everyRecipeGivesTheSameNumbersInOnnxruntime() throws {
        for recipe in Recipes.all {
            let name = recipe.name.replacing("/", with: "-")
            var configs: [JSONValue] = [.null]
            for parameter in recipe.hyperparameters
            where ["activation", "pooling", "batch_norm"].contains(parameter.name) {
                let values: [JSONValue]
                if case .choice(let choices) = parameter.kind {
                    values = choices.map(JSONValue.string)
                } else {
                    values = [true, false]
                }
                configs += values.filter { $0 != parameter.defaultValue }.map { [parameter.name: $0] }
            }
            for (index, config) in configs.enumerated() {
                try export("\(name)-\(index)", try ExampleModel.make(recipe, config: config))
            }
        }
        try PeerPython.run("check_onnx.py", folder.path)
    }

    @Test func everyLayerGivesTheSameNumbersInOnnxruntime() throws {
        for (name, architecture) in ExampleModel.architectures {
            let input: InputEncoding =
                architecture.input.count == 1
                ? .tabular(try ExampleModel.encoder())
                : .images(
                    shape: architecture.input, normalisation: PixelNormalisation(mean: 0.4, deviation: 0.25))
            let classes = try #require(try architecture.shapes().last).reduce(1, *)
            try export(name, try ExampleModel.make(architecture, input: input, classes: classes))
        }
        try PeerPython.run("check_onnx.py", folder.path)
    }
}
