internal import Basics
package import Datasets
package import Interchange

/// The residual networks for small pictures, 20 layers by default.
package struct ResNet: Recipe {
    package let name = "vision/resnet20"
    package let summary = "ResNet for small pictures, with the activation behind or before each convolution"
    package let source = """
        He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015, section 4.2; with `preactivation`: \
        Identity mappings in deep residual networks, 2016
        """
    package let deviations = [
        "where the size changes, the shortcut is a 1 × 1 convolution (option B) instead of padded zeros (option A)",
        "with `preactivation` the 1 × 1 shortcut sees the block's input itself, not its normalised form",
        "Nesterov momentum, warm-up and a cosine instead of steps at 32,000 and 48,000 iterations",
    ]
    package let goals = [RecipeGoal("Fashion-MNIST", accuracy: 0.925, settings: ["epochs": 8])]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "depth", .integer(8...110), default: 20, "weighted layers, 6·n + 2; others are rounded down"),
            HyperParameter("width", .integer(4...256), default: 16, "channels of the first stage"),
            HyperParameter(
                "preactivation", .boolean, default: false, "norm and activation before each convolution, not behind"),
            HyperParameter("residual", .boolean, default: true, "false leaves the shortcuts out: a plain deep network"),
            Blocks.activationSetting, Blocks.normSetting,
        ]
            + TrainingPlan.augmentationParameters(crop: 2, flip: true)
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(
                    epochs: 8, batchSize: 128, learningRate: 0.1, weightDecay: 0.0005, optimizer: .sgd,
                    initialization: .kaimingNormal))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 8...256, of: self)
        let blocks = Blocks(settings)
        let isPreactivated = settings.boolean("preactivation")
        let width = settings.integer("width")
        var channels = width
        var layers = blocks.convolution(input[0], width, kernel: 3)
        if isPreactivated {
            // The first norm belongs to the first block.
            layers = [.conv2d(inputs: input[0], outputs: width, kernel: 3, padding: 1, hasBias: !blocks.hasNorm)]
        } else {
            layers.append(blocks.activation)
        }
        for stage in 0..<3 {
            let outputs = width << stage
            for block in 0..<max(1, (settings.integer("depth") - 2) / 6) {
                let stride = stage > 0 && block == 0 ? 2 : 1
                let branch = blocks.residualBranch(channels, outputs, stride: stride, isPreactivated: isPreactivated)
                let shortcut =
                    stride == 1 && channels == outputs
                    ? [] : blocks.shortcut(channels, outputs, stride: stride, isPreactivated: isPreactivated)
                layers +=
                    settings.boolean("residual") ? [.residual(branch: branch, shortcut: shortcut)] : branch
                if !isPreactivated { layers.append(blocks.activation) }
                channels = outputs
            }
        }
        if isPreactivated { layers += blocks.norm(channels) + [blocks.activation] }
        return Architecture(
            input: input, layers: layers + [.globalAvgPool2d, .linear(inputs: channels, outputs: classes)])
    }
}

extension Blocks {
    /// Two 3 × 3 convolutions, the first with the stride.
    fileprivate func residualBranch(
        _ inputs: Int, _ outputs: Int, stride: Int, isPreactivated: Bool
    ) -> [LayerSpec] {
        guard isPreactivated else {
            return convolution(inputs, outputs, kernel: 3, stride: stride) + [activation]
                + convolution(outputs, outputs, kernel: 3)
        }
        func product(_ inputs: Int, stride: Int) -> LayerSpec {
            .conv2d(
                inputs: inputs, outputs: outputs, kernel: 3, stride: stride, padding: 1, hasBias: !hasNorm)
        }
        return norm(inputs) + [activation, product(inputs, stride: stride)] + norm(outputs)
            + [activation, product(outputs, stride: 1)]
    }

    fileprivate func shortcut(_ inputs: Int, _ outputs: Int, stride: Int, isPreactivated: Bool) -> [LayerSpec] {
        isPreactivated
            ? [.conv2d(inputs: inputs, outputs: outputs, kernel: 1, stride: stride, hasBias: !hasNorm)]
            : convolution(inputs, outputs, kernel: 1, stride: stride)
    }
}
