import Basics
import Interchange
import NeuralNets
import TestSupport
import TensorFiles
import Tensors
import Testing

/// One of each layer that format 1 does not have.
private let nested: [LayerSpec] = [
    .conv2d(
        ConvolutionSpec(
            inputs: 1, outputs: 4, window: Window(height: 3, width: 5, stride: 1, padding: 1), hasBias: false)),
    .batchNorm2d(features: 4), .relu6,
    .residual(
        branch: [
            .conv2d(inputs: 4, outputs: 8, kernel: 3, stride: 2, padding: 1, groups: 4), .leakyReLU(slope: 0.1),
            .residual(branch: [.conv2d(inputs: 8, outputs: 8, kernel: 3, padding: 2, dilation: 2)], shortcut: []),
        ],
        shortcut: [.conv2d(inputs: 4, outputs: 8, kernel: 1, stride: 2, hasBias: false)]),
    .concatenated(branch: [.maxPool2d(kernel: 3, stride: 1, padding: 1), .conv2d(inputs: 8, outputs: 5, kernel: 1)]),
    .avgPool2d(kernel: 3, stride: 2, padding: 1, countsPadding: false), .globalAvgPool2d, .layerNorm(features: 13),
    .linear(inputs: 13, outputs: 2, hasBias: false),
]

private func description(_ layers: [LayerSpec]) -> ModelFile.Description {
    ModelFile.Description(
        precision: .float32, recipe: "vision/test", architecture: Architecture(input: [1, 8, 8], layers: layers),
        input: nil, classes: ["no", "yes"], positiveClass: nil, hyperparameters: nil, seed: 1)
}

@Suite struct ArchitectureTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func load(layers: String) throws -> ModelFile {
        let text = """
            {"architecture":{"input":[1,8,8],"layers":\(layers)},"classes":["a"],"format":2,"hyperparameters":null,\
            "input":null,"precision":"float32","recipe":"x","seed":0}
            """
        try SafetensorsFile.write([:], metadata: ["mlops": text], to: folder("m.safetensors"))
        return try ModelFile(path: folder("m.safetensors"))
    }

    @Test func nestedLayersSurviveAFileOfFormatTwo() throws {
        let written = description(nested)
        #expect(written.format == 2)
        try ModelFile(description: written, tensors: [:]).write(to: folder("m.safetensors"))
        #expect(try ModelFile(path: folder("m.safetensors")).description == written)
        // What format 1 can say stays readable for programs that know no other.
        #expect(description([.conv2d(inputs: 1, outputs: 2, kernel: 3, padding: 1), .relu, .flatten]).format == 1)
    }

    @Test func transposedConvolutionsSurviveAFile() throws {
        let layers: [LayerSpec] = [
            .convTranspose2d(inputs: 1, outputs: 4, kernel: 4, stride: 2, padding: 1),
            .convTranspose2d(
                ConvolutionSpec(
                    inputs: 4, outputs: 2, window: Window(height: 3, width: 2, stride: 3), groups: 2, hasBias: false),
                outputPadding: 2),
        ]
        let written = description(layers)
        #expect(written.format == 2)
        #expect(try written.architecture.shapes() == [[1, 8, 8], [4, 16, 16], [2, 50, 49]])
        try ModelFile(description: written, tensors: [:]).write(to: folder("m.safetensors"))
        #expect(try ModelFile(path: folder("m.safetensors")).description == written)
        var random = Philox(seed: 1)
        let network = try written.architecture.makeNetwork(using: &random)
        #expect(try network(.ones([3, 1, 8, 8])).shape == [3, 2, 50, 49])
        let wrong = Architecture(
            input: [1, 8, 8],
            layers: [.convTranspose2d(inputs: 1, outputs: 4, kernel: 4, stride: 2, outputPadding: 2)])
        let error = try #require(throws: MLOpsError.self) { try wrong.shapes() }
        #expect(error.message.contains("(conv_transpose2d)"))
    }

    @Test func aFileOfFormatOneStillLoads() throws {
        let text = """
            {"architecture":{"input":[1,8,8],"layers":[{"inputs":1,"kernel":3,"outputs":2,"padding":0,"stride":1,"type":"conv2d"},\
            {"type":"relu"},{"kernel":2,"stride":2,"type":"max_pool2d"},{"type":"flatten"},\
            {"inputs":18,"outputs":2,"type":"linear"}]},"classes":["a","b"],"format":1,"hyperparameters":{},"input":null,\
            "precision":"float32","recipe":"x","seed":0}
            """
        try SafetensorsFile.write([:], metadata: ["mlops": text], to: folder("m.safetensors"))
        let layers = try ModelFile(path: folder("m.safetensors")).description.architecture.layers
        #expect(
            layers == [
                .conv2d(inputs: 1, outputs: 2, kernel: 3), .relu, .maxPool2d(kernel: 2, stride: 2), .flatten,
                .linear(inputs: 18, outputs: 2),
            ])
    }

    @Test func shapesAndPathsFollowTheTree() throws {
        let architecture = Architecture(input: [1, 8, 8], layers: nested)
        let expected = [
            [1, 8, 8], [4, 8, 6], [4, 8, 6], [4, 8, 6], [8, 4, 3], [13, 4, 3], [13, 2, 2], [13], [13], [2],
        ]
        #expect(try architecture.shapes() == expected)
        let places = try architecture.places()
        let inner = try #require(places.first { $0.path == "3.branch.2.branch.0" })
        #expect(inner.position == "layers[3].branch[2].branch[0]" && inner.input == [8, 4, 3])
        var random = Philox(seed: 1)
        let network = try architecture.makeNetwork(using: &random)
        let names = network.parameters().map(\.path)
        #expect(
            names == [
                "0.weight", "1.weight", "1.bias", "3.branch.0.weight", "3.branch.0.bias",
                "3.branch.2.branch.0.weight", "3.branch.2.branch.0.bias", "3.shortcut.0.weight", "4.branch.1.weight",
                "4.branch.1.bias", "7.weight", "7.bias", "8.weight",
            ])
        #expect(try network(.normal([3, 1, 8, 8], using: &random)).shape == [3, 2])
    }

    private static let misfits: [([LayerSpec], String)] = [
        (
            [.residual(branch: [.conv2d(inputs: 1, outputs: 2, kernel: 3)], shortcut: [])],
            "`layers[0]` (residual): the branch gives [2, 6, 6], the shortcut [1, 8, 8], which cannot be added"
        ),
        (
            [.relu, .concatenated(branch: [.relu, .avgPool2d(kernel: 2, stride: 2)])],
            "`layers[1]` (concatenated): the branch gives [1, 4, 4], which does not fit beside [1, 8, 8]"
        ),
        (
            [.residual(branch: [.relu, .batchNorm2d(features: 3)], shortcut: [])],
            "`layers[0].branch[1]` (batch_norm2d) does not take an input of shape [1, 8, 8]"
        ),
        (
            [.conv2d(inputs: 1, outputs: 3, kernel: 1, groups: 2)],
            "`layers[0]` (conv2d) does not take an input of shape [1, 8, 8]"
        ),
        (
            [.maxPool2d(kernel: 2, stride: 1, padding: 2)],
            "`layers[0]` (max_pool2d) does not take an input of shape [1, 8, 8]"
        ),
        (
            [.flatten, .globalAvgPool2d], "`layers[1]` (global_avg_pool2d) does not take an input of shape [64]"
        ),
    ]

    @Test(arguments: misfits)
    func aLayerThatDoesNotFitIsNamedByItsPosition(_ layers: [LayerSpec], _ message: String) throws {
        let error = try #require(throws: MLOpsError.self) {
            try Architecture(input: [1, 8, 8], layers: layers).shapes()
        }
        #expect(error.kind == .usage && error.message == message)
    }

    private static let hostile: [(String, String)] = [
        (#"[{"type":"relu"},{"type":"swish"}]"#, "`architecture.layers[1].type`: layer type `swish` is not known"),
        (
            #"[{"type":"residual","shortcut":[],"branch":[{"type":"relu"},{"type":"dropout","probability":1.5}]}]"#,
            "`architecture.layers[0].branch[1].probability`: 1.5 is not in 0.0...1.0"
        ),
        (
            #"[{"type":"max_pool2d","kernel":[2,5000],"stride":1}]"#,
            "`architecture.layers[0].kernel`: 5000 is not in 0...4096"
        ),
        (
            #"[{"type":"max_pool2d","kernel":[2,2,2],"stride":1}]"#,
            "`architecture.layers[0].kernel`: 3 numbers, expected one or [height, width]"
        ),
        (
            #"[{"type":"linear","inputs":-1,"outputs":1}]"#,
            "`architecture.layers[0].inputs`: -1 is not in 0...16777216"
        ),
        (#"[{"type":"linear","inputs":1}]"#, "`architecture.layers[0].outputs` is missing"),
        (
            #"[{"type":"relu","groups":2}]"#,
            "`architecture.layers[0]`: a layer of type `relu` has no key `groups`"
        ),
        (#"[{"type":"residual","branch":[]}]"#, "`architecture.layers[0].shortcut` is missing"),
    ]

    @Test(arguments: hostile)
    func aBrokenLayerIsDamageNamedByItsPath(_ layers: String, _ words: String) throws {
        let error = try #require(throws: MLOpsError.self) { try load(layers: layers) }
        #expect(error.kind == .damaged && error.message.contains(words), "\(error.message)")
    }

    @Test func blocksNestOnlySoDeep() throws {
        func blocks(_ count: Int) -> String {
            String(repeating: #"[{"type":"concatenated","branch":"#, count: count) + #"[{"type":"relu"}]"#
                + String(repeating: "}]", count: count)
        }
        #expect(try load(layers: blocks(8)).description.architecture.shapes().last == [9, 8, 8])
        let deep = try #require(throws: MLOpsError.self) { try load(layers: blocks(9)) }
        #expect(deep.message.contains("blocks are nested deeper than 8 levels"))
        #expect(throws: MLOpsError.self) { try load(layers: blocks(5000)) }
    }

    @Test func weightsTooLargeToCountAreRefused() throws {
        let layer = #"{"type":"conv2d","inputs":1,"outputs":16777216,"kernel":4096,"stride":4096,"padding":4096}"#
        let model = try load(layers: "[\(layer)]")
        var random = Philox(seed: 0)
        #expect(throws: MLOpsError.self) { try model.description.architecture.makeNetwork(using: &random) }
    }
}
