import Basics
import Datasets
import Interchange
import ModelZoo
import NeuralNets
import Tensors

/// Untrained model files in which no tensor is like another, running statistics included.
enum ExampleModel {
    static func make(
        _ architecture: Architecture, input: InputEncoding, classes: Int, recipe: String = "test", seed: UInt64 = 1
    ) throws -> ModelFile {
        var random = Philox(seed: seed)
        let network = try architecture.makeNetwork(using: &random)
        var tensors: [String: Tensor] = [:]
        for (name, tensor) in network.state().sorted(by: { $0.key < $1.key }) {
            if name.hasSuffix("running_var") {
                tensors[name] = .uniform(tensor.shape, in: 0.5..<2, using: &random)
            } else if tensor.dtype == .f32, tensor.rank == 1 {
                tensors[name] = .uniform(tensor.shape, in: -0.3..<0.9, using: &random)
            } else {
                tensors[name] = tensor
            }
        }
        let description = ModelFile.Description(
            precision: .float32, recipe: recipe, architecture: architecture, input: try JSONValue(encoding: input),
            classes: (0..<classes).map { "class \($0)" }, positiveClass: nil, hyperparameters: [:], seed: seed)
        return ModelFile(description: description, tensors: tensors)
    }

    /// A recipe's network: for pictures of `shape`, or for the columns of `encoder`.
    static func make(_ recipe: any Recipe, config: JSONValue = .null, shape: [Int] = [1, 28, 28]) throws -> ModelFile {
        let settings = try HyperParameters(
            resolving: config, of: recipe.name, declared: recipe.hyperparameters)
        let input: InputEncoding =
            switch recipe.kind {
            case .tabular: .tabular(try encoder())
            case .images: .images(shape: shape, normalisation: PixelNormalisation(mean: 0.286, deviation: 0.353))
            }
        let architecture = try recipe.architecture(input: input.shape, classes: 10, settings: settings)
        return try make(architecture, input: input, classes: 10, recipe: recipe.name)
    }

    /// Two numbers, a text with a place for missing ones, a number, a text without.
    static func encoder(naming first: String = "age") throws -> TabularEncoder {
        let json: JSONValue = [
            "missing": "?",
            "fields": [
                ["name": .string(first), "mean": 38.58, "deviation": 13.64],
                ["name": "weight", "mean": 189_778.3, "deviation": 105_549.9],
                ["name": "work", "categories": ["Private", "State, gov", "é \"quoted\""], "missing_category": true],
                ["name": "gain", "mean": 0, "deviation": 1],
                ["name": "sex", "categories": ["Female", "Male"]],
            ],
        ]
        return try json.decode()
    }

    /// Every kind of layer, in places that exercise what joins them.
    static let architectures: [(name: String, Architecture)] = [
        (
            "flat",
            Architecture(
                input: [9],
                layers: [
                    .linear(inputs: 9, outputs: 8, hasBias: false), .batchNorm1d(features: 8), .sigmoid,
                    .dropout(probability: 0.5), .batchNorm1d(features: 8), .relu, .layerNorm(features: 8),
                    .concatenated(branch: [.linear(inputs: 8, outputs: 4), .leakyReLU(slope: 0.1)]),
                    .residual(branch: [.linear(inputs: 12, outputs: 12), .relu], shortcut: []),
                    .linear(inputs: 12, outputs: 6), .gelu, .tanh, .linear(inputs: 6, outputs: 3),
                ])
        ),
        (
            "pictures",
            Architecture(
                input: [2, 9, 11],
                layers: [
                    .conv2d(inputs: 2, outputs: 4, kernel: 3, stride: 2, padding: 1), .batchNorm2d(features: 4), .relu,
                    .maxPool2d(kernel: 3, stride: 1), .avgPool2d(kernel: 2, stride: 1), .batchNorm2d(features: 4),
                    .gelu, .flatten, .linear(inputs: 24, outputs: 5),
                ])
        ),
        ("blocks", Architecture(input: [3, 12, 10], layers: blocks)),
        (
            "enlarged",
            Architecture(
                input: [4, 5, 3],
                layers: [
                    .convTranspose2d(inputs: 4, outputs: 6, kernel: 4, stride: 2, padding: 1),
                    .batchNorm2d(features: 6),
                    .relu,
                    .convTranspose2d(
                        ConvolutionSpec(
                            inputs: 6, outputs: 4, window: Window(height: 3, width: 2, stride: 3), groups: 2,
                            hasBias: false), outputPadding: 2),
                    .tanh, .convTranspose2d(inputs: 4, outputs: 3, kernel: 3, padding: 1), .globalAvgPool2d,
                    .linear(inputs: 3, outputs: 4),
                ])
        ),
    ]

    private static let blocks: [LayerSpec] = [
        .conv2d(
            ConvolutionSpec(
                inputs: 3, outputs: 8, window: Window(height: 3, width: 5, stride: 1, padding: 2), hasBias: false)),
        .batchNorm2d(features: 8), .relu6,
        // As in MobileNetV2: depthwise, a linear bottleneck, and the input added.
        .residual(
            branch: [
                .conv2d(inputs: 8, outputs: 16, kernel: 1, hasBias: false), .batchNorm2d(features: 16), .relu6,
                .conv2d(inputs: 16, outputs: 16, kernel: 3, padding: 1, groups: 16, hasBias: false),
                .batchNorm2d(features: 16), .relu6, .conv2d(inputs: 16, outputs: 8, kernel: 1, hasBias: false),
                .batchNorm2d(features: 8),
            ], shortcut: []),
        // As in ResNet: a projection, and an activation of the sum.
        .residual(
            branch: [
                .conv2d(inputs: 8, outputs: 12, kernel: 3, stride: 2, padding: 1), .batchNorm2d(features: 12), .relu,
                .conv2d(inputs: 12, outputs: 12, kernel: 3, padding: 1), .batchNorm2d(features: 12),
            ],
            shortcut: [
                .conv2d(inputs: 8, outputs: 12, kernel: 1, stride: 2, hasBias: false), .batchNorm2d(features: 12),
            ]),
        .relu,
        // Before the activation, and an activation that both ways read.
        .batchNorm2d(features: 12), .relu,
        .residual(
            branch: [.conv2d(inputs: 12, outputs: 12, kernel: 3, padding: 2, dilation: 2, groups: 3)], shortcut: []),
        .residual(branch: [.tanh], shortcut: [.sigmoid]), .relu6,
        .concatenated(branch: [
            .batchNorm2d(features: 12), .relu, .conv2d(inputs: 12, outputs: 4, kernel: 3, padding: 1),
        ]),
        .concatenated(branch: [.batchNorm2d(features: 16), .leakyReLU(slope: 0.2)]),
        .maxPool2d(kernel: 3, stride: 2, padding: 1), .avgPool2d(kernel: 3, stride: 1, padding: 1, countsPadding: true),
        .avgPool2d(kernel: 2, stride: 1, padding: 1, countsPadding: false), .globalAvgPool2d,
        .linear(inputs: 32, outputs: 6),
    ]
}
