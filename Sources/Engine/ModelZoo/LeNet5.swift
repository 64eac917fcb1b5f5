internal import Basics
package import Datasets
package import Interchange

/// LeNet-5 for small grey pictures.
///
/// LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998, figure 2.
/// It differs from the paper where today's practice does: the second convolution sees all maps of the first instead of table I's
/// choice, pooling has no trained weights, the units are ReLU by default instead of scaled tanh, the last layer gives logits for a
/// cross-entropy instead of radial basis functions, and the 28 × 28 picture is padded to 32 × 32 by the first convolution.
package struct LeNet5: Recipe {
    package let name = "vision/lenet5"
    package let summary = "LeNet-5 convolutional network for small grey pictures"
    package let source = "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998"
    package let deviations = [
        "the second convolution sees all maps of the first instead of table I's choice",
        "pooling has no trained weights, the units are ReLU by default instead of scaled tanh",
        "the last layer gives logits for a cross-entropy instead of radial basis functions",
        "the 28 × 28 picture is padded to 32 × 32 by the first convolution",
        "AdamW instead of the stochastic diagonal Levenberg–Marquardt method",
    ]
    package let goals = [
        RecipeGoal("Fashion-MNIST", accuracy: 0.892, settings: ["epochs": 3]),
        RecipeGoal(
            "MNIST, 5,000 pictures, 20 % held out", accuracy: 0.975,
            settings: ["epochs": 10, "width": 2, "crop": 1, "rotation": 10]),
    ]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            Blocks.activationSetting,
            HyperParameter("pooling", .choice(["max", "average"]), default: "max", "how 2 × 2 pixels become one"),
            HyperParameter(
                "width", .integer(1...16), default: 1, "factor on the 6 and 16 maps and the 120 and 84 units"),
            HyperParameter("batch_norm", .boolean, default: false, "normalise behind each convolution"),
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(epochs: 3, batchSize: 32, learningRate: 0.003, weightDecay: 0.01))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        guard input.count == 3, min(input[1], input[2]) >= 16, max(input[1], input[2]) <= 256 else {
            throw MLOpsError(
                .usage, "recipe `\(name)` takes pictures of 16 to 256 pixels a side, not examples of shape \(input)")
        }
        let width = settings.integer("width")
        let activation = Blocks.activation(named: settings.text("activation"))
        let pool: LayerSpec =
            settings.text("pooling") == "max" ? .maxPool2d(kernel: 2, stride: 2) : .avgPool2d(kernel: 2, stride: 2)
        func convolution(_ inputs: Int, _ outputs: Int, padding: Int) -> [LayerSpec] {
            [.conv2d(inputs: inputs, outputs: outputs, kernel: 5, stride: 1, padding: padding)]
                + (settings.boolean("batch_norm") ? [.batchNorm2d(features: outputs)] : []) + [activation, pool]
        }
        // The paper's input has a border of two pixels around the 28 × 28 of the digit.
        let features = convolution(input[0], 6 * width, padding: 2) + convolution(6 * width, 16 * width, padding: 0)
        let shapes = try Architecture(input: input, layers: features).shapes()
        let flat = shapes[shapes.count - 1].reduce(1, *)
        let head: [LayerSpec] = [
            .flatten, .linear(inputs: flat, outputs: 120 * width), activation,
            .linear(inputs: 120 * width, outputs: 84 * width), activation,
            .linear(inputs: 84 * width, outputs: classes),
        ]
        return Architecture(input: input, layers: features + head)
    }
}
