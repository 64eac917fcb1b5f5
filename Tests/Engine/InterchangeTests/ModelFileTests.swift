import Basics
import Interchange
import TensorFiles
import Tensors
import TestSupport
import Testing

@Suite struct ModelFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func aModelFileKeepsItsDescription() throws {
        let layers: [LayerSpec] = [
            .conv2d(inputs: 1, outputs: 2, kernel: 3, stride: 2, padding: 1), .batchNorm2d(features: 2), .relu,
            .maxPool2d(kernel: 2, stride: 2), .avgPool2d(kernel: 1, stride: 1), .flatten,
            .linear(inputs: 8, outputs: 4),
            .batchNorm1d(features: 4), .tanh, .sigmoid, .gelu, .dropout(probability: 0.25),
            .linear(inputs: 4, outputs: 2),
        ]
        let description = ModelFile.Description(
            precision: .float32, recipe: "vision/test", architecture: Architecture(input: [1, 8, 8], layers: layers),
            input: ["kind": "images"], classes: ["no", "yes"], positiveClass: "yes",
            hyperparameters: ["epochs": 3, "learning_rate": 0.001], seed: UInt64(Int64.max))
        #expect(try description.architecture.shapes().last == [2])
        try ModelFile(description: description, tensors: ["x": .zeros([2])]).write(to: folder("m.safetensors"))
        let copy = try ModelFile(path: folder("m.safetensors"))
        #expect(copy.description == description)
        #expect(copy.tensors.keys.sorted() == ["x"])
    }

    @Test func aFileThatIsNoModelSaysWhy() throws {
        try SafetensorsFile.write(["x": .zeros([1])], to: folder("plain.safetensors"))
        let plain = try #require(throws: MLOpsError.self) { try ModelFile(path: folder("plain.safetensors")) }
        #expect(plain.kind == .usage && plain.message.contains("metadata key `mlops` is missing"))
        try SafetensorsFile.write([:], metadata: ["mlops": "{\"format\":3}"], to: folder("new.safetensors"))
        let new = try #require(throws: MLOpsError.self) { try ModelFile(path: folder("new.safetensors")) }
        #expect(new.kind == .usage && new.message.contains("format 3, this program reads 1 and 2"))
        try SafetensorsFile.write([:], metadata: ["mlops": "{\"format\":1}"], to: folder("bad.safetensors"))
        let bad = try #require(throws: MLOpsError.self) { try ModelFile(path: folder("bad.safetensors")) }
        #expect(bad.kind == .damaged)
    }

    @Test func layersThatDoNotFitAreNamed() throws {
        let wrong = Architecture(input: [4], layers: [.linear(inputs: 4, outputs: 3), .linear(inputs: 4, outputs: 2)])
        let error = try #require(throws: MLOpsError.self) { try wrong.shapes() }
        #expect(error.message == "`layers[1]` (linear) does not take an input of shape [3]")
        let pool = Architecture(input: [1, 3, 3], layers: [.maxPool2d(kernel: 4, stride: 2)])
        #expect(throws: MLOpsError.self) { try pool.shapes() }
    }
}
