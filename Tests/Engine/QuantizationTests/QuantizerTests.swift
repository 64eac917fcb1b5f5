import Basics
import Interchange
import NeuralNets
import TestSupport
import Tensors
import Testing

@testable import Quantization

/// A network with random weights.
private func model(_ layers: [LayerSpec], input: [Int], seed: UInt64 = 3) throws -> ModelFile {
    let architecture = Architecture(input: input, layers: layers)
    var random = Philox(seed: seed)
    var tensors = try architecture.makeNetwork(using: &random).state()
    // Means near those of the activations, or every ReLU after them would be dead.
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        if name.hasSuffix("running_mean") { tensors[name] = .uniform(tensor.shape, in: -0.1..<0.1, using: &random) }
        if name.hasSuffix("running_var") { tensors[name] = .uniform(tensor.shape, in: 0.5..<1.5, using: &random) }
    }
    let description = ModelFile.Description(
        precision: .float32, recipe: "test", architecture: architecture, input: nil, classes: ["a", "b", "c"],
        positiveClass: nil, hyperparameters: nil, seed: seed)
    return ModelFile(description: description, tensors: tensors)
}

/// Every kind of layer that has an integer form.
private let picture: [LayerSpec] = [
    .conv2d(inputs: 2, outputs: 6, kernel: 3, stride: 1, padding: 1), .batchNorm2d(features: 6), .relu,
    .maxPool2d(kernel: 2, stride: 2), .conv2d(inputs: 6, outputs: 7, kernel: 3, stride: 2, padding: 1), .tanh,
    .avgPool2d(kernel: 2, stride: 1), .flatten, .linear(inputs: 28, outputs: 9), .batchNorm1d(features: 9), .relu,
    .dropout(probability: 0.5), .linear(inputs: 9, outputs: 3),
]

@Suite struct QuantizerTests {
    private let sample: [Float]

    init() {
        var random = Philox(seed: 9)
        sample = Tensor.normal([64, 2, 12, 12], using: &random).floats()
    }

    @Test func foldingChangesNothingButRounding() throws {
        let file = try model(picture, input: [2, 12, 12])
        var random = Philox(seed: 0)
        let network = try file.description.architecture.makeNetwork(using: &random)
        try network.load(file.tensors)
        let expected = try network.inferring { try network(Tensor(sample, shape: [64, 2, 12, 12])) }.floats()
        let folded = try FoldedNetwork(file, path: "x")
        #expect(!folded.architecture.layers.contains { $0.type.contains("norm") || $0.type == "dropout" })
        let found = try folded.run(sample, count: 64)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-4 })
    }

    @Test(arguments: CalibrationMethod.allCases)
    func theIntegerNetworkStaysCloseLayerByLayer(_ calibration: CalibrationMethod) throws {
        let file = try model(picture, input: [2, 12, 12])
        let (quantized, layers) = try Quantizer.quantize(
            file, path: "x", sample: sample, sampleCount: 64, calibration: calibration)
        #expect(layers.map(\.type) == quantized.description.architecture.layers.map(\.type))
        for layer in layers {
            let decibels = try #require(layer.sqnrDecibels)
            #expect(decibels > 20, "\(layer)")
        }
        #expect(quantized.tensors["0.weight"]?.dtype == .i8)
        #expect(quantized.tensors["0.bias"]?.dtype == .i32)
    }

    @Test func anInt8FileGivesTheSameBitsAfterReading() throws {
        let folder = try TemporaryFolder()
        let file = try model(picture, input: [2, 12, 12])
        let (quantized, _) = try Quantizer.quantize(
            file, path: "x", sample: sample, sampleCount: 64, calibration: .minmax)
        try quantized.write(to: folder("m.safetensors"))
        let before = try IntegerNetwork(quantized, path: "x").run(sample, count: 64)
        let after = try IntegerNetwork(ModelFile(path: folder("m.safetensors")), path: "m").run(sample, count: 64)
        #expect(before == after)
        let alone = try IntegerNetwork(quantized, path: "x").run(Array(sample[..<288]), count: 1)
        #expect(alone == Array(before[..<3]), "an example alone gives what it gives in a batch")
    }

    @Test func aBatchNormThatCannotFoldIsRefusedByPlace() throws {
        let file = try model([.batchNorm1d(features: 4), .linear(inputs: 4, outputs: 3)], input: [4])
        let error = try #require(throws: MLOpsError.self) {
            try Quantizer.quantize(file, path: "m", sample: [1, 2, 3, 4], sampleCount: 1, calibration: .minmax)
        }
        #expect(error.message == "`layers[0]` (batch_norm1d) of `m` has no integer form")
        // In float it runs.
        #expect(try FoldedNetwork(file, path: "m").run([1, 2, 3, 4], count: 1).count == 3)
    }

    /// Blocks of a residual, an inverted and a dense network, with all that folds and does not.
    private static let blocks: [LayerSpec] = [
        .conv2d(inputs: 2, outputs: 4, kernel: 3, padding: 1, hasBias: false), .batchNorm2d(features: 4), .relu6,
        .residual(
            branch: [
                .batchNorm2d(features: 4), .leakyReLU(slope: 0.2),
                .conv2d(inputs: 4, outputs: 6, kernel: 3, stride: 2, padding: 1, groups: 2, hasBias: false),
                .batchNorm2d(features: 6),
            ],
            shortcut: [.conv2d(inputs: 4, outputs: 6, kernel: 1, stride: 2), .batchNorm2d(features: 6)]),
        .residual(
            branch: [.conv2d(inputs: 6, outputs: 6, kernel: 3, padding: 2, dilation: 2, groups: 6)], shortcut: []),
        .concatenated(branch: [
            .maxPool2d(kernel: 3, stride: 1, padding: 1), .conv2d(inputs: 6, outputs: 3, kernel: 1), .gelu,
        ]),
        .batchNorm2d(features: 9), .avgPool2d(kernel: 3, stride: 2, padding: 1, countsPadding: false),
        .globalAvgPool2d, .layerNorm(features: 9), .dropout(probability: 0.5),
        .linear(inputs: 9, outputs: 3, hasBias: false),
    ]

    @Test func foldedBlocksGiveWhatTheNetworkGives() throws {
        let file = try model(QuantizerTests.blocks, input: [2, 12, 12])
        var random = Philox(seed: 0)
        let network = try file.description.architecture.makeNetwork(using: &random)
        try network.load(file.tensors)
        let expected = try network.inferring { try network(Tensor(sample, shape: [64, 2, 12, 12])) }.floats()
        let folded = try FoldedNetwork(file, path: "x")
        let found = try folded.run(sample, count: 64)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-4 })
        // Two norms behind convolutions of blocks are gone, the one in front of a branch is left.
        let norms = try folded.architecture.places().filter { $0.layer.type == "batch_norm2d" }
        #expect(norms.map(\.position) == ["layers[2].branch[0]", "layers[5]"])
    }

    @Test func aBlockIsRefusedBeforeAnythingIsMeasured() throws {
        let file = try model(QuantizerTests.blocks, input: [2, 12, 12])
        let error = try #require(throws: MLOpsError.self) {
            try Quantizer.quantize(file, path: "m", sample: sample, sampleCount: 64, calibration: .minmax)
        }
        #expect(error.kind == .usage && error.message == "`layers[2]` (residual) of `m` has no integer form")
        #expect(error.hint?.contains("use the float model") == true)
    }

    @Test func aMissingTensorOfABlockIsNamedByItsPath() throws {
        var file = try model(QuantizerTests.blocks, input: [2, 12, 12])
        file.tensors["3.branch.2.weight"] = nil
        file.tensors["3.shortcut.1.running_mean"] = nil
        let error = try #require(throws: MLOpsError.self) { try FoldedNetwork(file, path: "m") }
        #expect(
            error.message.contains("`3.branch.2.weight` is missing; `3.shortcut.1.running_mean` is missing"))
    }

    @Test func missingAndMisshapenTensorsAreAllNamed() throws {
        var file = try model([.linear(inputs: 4, outputs: 3), .relu, .linear(inputs: 3, outputs: 3)], input: [4])
        file.tensors["0.weight"] = .zeros([4, 3])
        file.tensors["2.bias"] = nil
        let error = try #require(throws: MLOpsError.self) { try FoldedNetwork(file, path: "m") }
        #expect(error.kind == .damaged)
        #expect(error.message.contains("`0.weight` is f32 [4, 3], expected f32 [3, 4]; `2.bias` is missing"))
    }

    @Test func anInt8ModelIsNotQuantizedAgain() throws {
        var file = try model([.linear(inputs: 4, outputs: 3)], input: [4])
        file.description.precision = .int8
        let error = try #require(throws: MLOpsError.self) {
            try Quantizer.quantize(file, path: "m", sample: [1, 2, 3, 4], sampleCount: 1, calibration: .minmax)
        }
        #expect(error.message == "`m` is an int8 model already")
    }
}
