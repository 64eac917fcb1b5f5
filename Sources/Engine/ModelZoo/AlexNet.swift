internal import Basics
package import Datasets
package import Interchange

/// AlexNet, scaled to small pictures.
package struct AlexNet: Recipe {
    package let name = "vision/alexnet"
    package let summary = "AlexNet, five convolutions and three dense layers with dropout, scaled to small pictures"
    package let source =
        "Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks, 2012"
    package let deviations = [
        "a quarter of the channels and a sixteenth of the dense units unless `width` says else",
        "below 128 pixels a side the first kernel is 5 × 5 with stride 1 instead of 11 × 11 with stride 4",
        "no local response normalisation; `batch_norm` instead, if asked for",
        "one group of channels instead of two graphics cards",
        "AdamW with warm-up and cosine instead of steps by hand",
    ]
    package let goals = [RecipeGoal("Fashion-MNIST", accuracy: 0.9, settings: ["epochs": 5])]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter("width", .number(0.0625...1), default: 0.25, "factor on the paper's channels and units"),
            HyperParameter("dropout", .number(0...0.9), default: 0.5, "share of dense units zeroed in training"),
            Blocks.activationSetting,
            HyperParameter("batch_norm", .boolean, default: false, "normalise behind each convolution"),
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(epochs: 10, batchSize: 64, learningRate: 0.001, weightDecay: 0.01))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 20...512, of: self)
        let blocks = Blocks(settings)
        func scaled(_ count: Int) -> Int { max(1, Int((Double(count) * settings.number("width")).rounded())) }
        let pool = LayerSpec.maxPool2d(kernel: 3, stride: 2)
        let isLarge = min(input[1], input[2]) >= 128
        var layers =
            blocks.convolution(input[0], scaled(96), kernel: isLarge ? 11 : 5, stride: isLarge ? 4 : 1)
            + [blocks.activation, pool]
        layers += blocks.convolution(scaled(96), scaled(256), kernel: 5) + [blocks.activation, pool]
        layers += blocks.convolution(scaled(256), scaled(384), kernel: 3) + [blocks.activation]
        layers += blocks.convolution(scaled(384), scaled(384), kernel: 3) + [blocks.activation]
        layers += blocks.convolution(scaled(384), scaled(256), kernel: 3) + [blocks.activation, pool, .flatten]
        let units = scaled(1024)
        var width = try Blocks.size(of: layers, input: input)
        for _ in 0..<2 {
            if settings.number("dropout") > 0 { layers.append(.dropout(probability: settings.number("dropout"))) }
            layers += [.linear(inputs: width, outputs: units), blocks.activation]
            width = units
        }
        return Architecture(input: input, layers: layers + [.linear(inputs: width, outputs: classes)])
    }
}
