internal import Basics
internal import Interchange

/// What the recipes for pictures build their networks of.
struct Blocks {
    var activation: LayerSpec = .relu
    var hasNorm = true

    static let activationSetting = HyperParameter(
        "activation", .choice(["relu", "leaky_relu", "gelu", "tanh", "sigmoid"]), default: "relu",
        "what follows each layer but the last")
    static let normSetting = HyperParameter(
        "batch_norm", .boolean, default: true, "normalise behind each convolution")

    /// The activation of a setting's value.
    static func activation(named name: String) -> LayerSpec {
        switch name {
        case "leaky_relu": .leakyReLU(slope: 0.01)
        case "gelu": .gelu
        case "tanh": .tanh
        case "sigmoid": .sigmoid
        default: .relu
        }
    }

    init(activation: LayerSpec = .relu, hasNorm: Bool = true) {
        self.activation = activation
        self.hasNorm = hasNorm
    }

    init(_ settings: HyperParameters) {
        activation = Blocks.activation(named: settings.text("activation"))
        hasNorm = settings.boolean("batch_norm")
    }

    /// A convolution that keeps height and width but for its stride, and a norm instead of a bias.
    func convolution(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1
    ) -> [LayerSpec] {
        let layer = LayerSpec.conv2d(
            inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: kernel / 2, groups: groups,
            hasBias: !hasNorm)
        return [layer] + norm(outputs)
    }

    func norm(_ channels: Int) -> [LayerSpec] { hasNorm ? [.batchNorm2d(features: channels)] : [] }

    /// Checks that examples are pictures whose sides are in `sides`.
    static func requirePictures(_ input: [Int], sides: ClosedRange<Int>, of recipe: any Recipe) throws {
        guard input.count == 3, sides.contains(input[1]), sides.contains(input[2]) else {
            throw MLOpsError(
                .usage,
                "recipe `\(recipe.name)` takes pictures of \(sides.lowerBound) to \(sides.upperBound) pixels a side, "
                    + "not examples of shape \(input)")
        }
    }

    /// The numbers of one example behind `layers`.
    static func size(of layers: [LayerSpec], input: [Int]) throws -> Int {
        let shapes = try Architecture(input: input, layers: layers).shapes()
        return shapes[shapes.count - 1].reduce(1, *)
    }
}
