import Basics
import Datasets
import Inference
import Interchange
import ModelZoo
import TestSupport
import Tensors
import Testing

@Suite struct ONNXExportTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func theGraphNamesItsNodesByTheLayersAndKeepsTheBatchOpen() throws {
        let recipe = LeNet5()
        let model = try ExampleModel.make(recipe, config: ["batch_norm": true], shape: [1, 28, 28])
        let bytes = try model.onnx(.raw, path: "m", digest: Digest.of("x"))
        let file = try ONNXFile(path: try folder.write("m.onnx", bytes))
        #expect(file.format == 8 && file.operatorSets == ["": 17])
        #expect(file.inputs == [.init(name: "pixels", type: "uint8", shape: ["batch", "1", "28", "28"])])
        #expect(file.outputs.map(\.name) == ["probabilities", "logits"])
        #expect(file.outputs.allSatisfy { $0.shape == ["batch", "10"] && $0.type == "float" })
        #expect(file.nodes.map(\.name).contains("0.conv2d"))
        #expect(file.nodes.map(\.name).contains("1.batch_norm"))
        #expect(file.nodes.last?.type == "Softmax")
        #expect(file.weights.map(\.name).contains("0.weight"))
        #expect(file.metadata["mlops.model_digest"] == Digest.of("x").description)
        #expect(file.metadata["mlops.classes"]?.hasPrefix("[\"class 0\"") == true)
        let weight = try #require(file.weights.first { $0.name == "0.weight" })
        #expect(try file.tensor(weight).isIdentical(to: try #require(model.tensors["0.weight"])))
    }

    @Test func anInt8ModelAndAClashOfNamesAreRefused() throws {
        let encoder = try ExampleModel.encoder(naming: "logits")
        let architecture = Architecture(input: [encoder.width], layers: [.linear(inputs: encoder.width, outputs: 2)])
        var model = try ExampleModel.make(architecture, input: .tabular(encoder), classes: 2)
        let clash = try #require(throws: MLOpsError.self) { try model.onnx(.raw, path: "m") }
        #expect(clash.kind == .usage && clash.message.contains("column `logits`"))
        _ = try model.onnx(.encoded, path: "m")
        model.tensors["0.bias"] = .zeros([3])
        model.tensors["0.weight"] = nil
        let fault = try #require(throws: MLOpsError.self) { try model.onnx(.encoded, path: "m") }
        #expect(fault.kind == .damaged)
        #expect(fault.message.contains("`0.weight` is missing") && fault.message.contains("`0.bias` is f32 [3]"))
        model.description.precision = .int8
        let int8 = try #require(throws: MLOpsError.self) { try model.onnx(.encoded, path: "m") }
        #expect(int8.kind == .usage && int8.message.contains("int8"))
    }
}
