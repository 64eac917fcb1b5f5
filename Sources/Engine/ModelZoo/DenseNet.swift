internal import Basics
package import Datasets
package import Interchange

/// The densely connected network for small pictures, 40 layers by default.
package struct DenseNet: Recipe {
    package let name = "vision/densenet40"
    package let summary = "DenseNet without bottlenecks: each layer sees all those before it"
    package let source =
        "Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks, 2017, table 2 (L = 40, k = 12)"
    package let deviations = [
        "Nesterov momentum with warm-up and a cosine over few epochs instead of steps over 300"
    ]
    package let goals = [
        RecipeGoal("Fashion-MNIST, 10,000 examples", accuracy: 0.86, settings: ["epochs": 4, "example_limit": 10000])
    ]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "depth", .integer(7...100), default: 40, "weighted layers, 3·n + 4; others are rounded down"),
            HyperParameter("growth", .integer(2...48), default: 12, "channels that each layer adds"),
            HyperParameter("dropout", .number(0...0.9), default: 0, "share of a layer's values zeroed in training"),
            Blocks.activationSetting, Blocks.normSetting,
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(
                    epochs: 8, batchSize: 64, learningRate: 0.1, weightDecay: 0.0001, optimizer: .sgd,
                    initialization: .kaimingNormal))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 8...256, of: self)
        let blocks = Blocks(settings)
        let growth = settings.integer("growth")
        let dropout: [LayerSpec] =
            settings.number("dropout") > 0 ? [.dropout(probability: settings.number("dropout"))] : []
        func product(_ inputs: Int, _ outputs: Int, kernel: Int) -> LayerSpec {
            .conv2d(
                inputs: inputs, outputs: outputs, kernel: kernel, padding: kernel / 2, hasBias: !blocks.hasNorm)
        }
        var channels = 16
        var layers = [product(input[0], channels, kernel: 3)]
        for stage in 0..<3 {
            for _ in 0..<max(1, (settings.integer("depth") - 4) / 3) {
                let branch = blocks.norm(channels) + [blocks.activation, product(channels, growth, kernel: 3)]
                layers.append(.concatenated(branch: branch + dropout))
                channels += growth
            }
            layers += blocks.norm(channels) + [blocks.activation]
            guard stage < 2 else { continue }
            layers += [product(channels, channels, kernel: 1)] + dropout + [.avgPool2d(kernel: 2, stride: 2)]
        }
        return Architecture(
            input: input, layers: layers + [.globalAvgPool2d, .linear(inputs: channels, outputs: classes)])
    }
}
