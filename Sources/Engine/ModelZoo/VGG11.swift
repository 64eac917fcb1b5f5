internal import Basics
package import Datasets
package import Interchange

/// VGG with eleven weighted layers, configuration A.
package struct VGG11: Recipe {
    package let name = "vision/vgg11"
    package let summary = "VGG-11, a plain stack of 3 × 3 convolutions"
    package let source =
        "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, 2014, configuration A"
    package let deviations = [
        "a quarter of the channels unless `width` says else, and dense layers of 1024 × `width` units",
        "a pool is left out where the picture is one pixel already: the fifth at 28 and 32 pixels a side or less",
        "batch norm behind each convolution (Ioffe, Szegedy, 2015) unless `batch_norm` is false",
        "AdamW with warm-up and cosine instead of steps by hand",
    ]
    package let goals = [RecipeGoal("Fashion-MNIST", accuracy: 0.91, settings: ["epochs": 5])]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter("width", .number(0.0625...1), default: 0.25, "factor on the paper's channels and units"),
            HyperParameter("dropout", .number(0...0.9), default: 0.5, "share of dense units zeroed in training"),
            Blocks.activationSetting, Blocks.normSetting,
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(epochs: 10, batchSize: 64, learningRate: 0.001, weightDecay: 0.01))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 16...512, of: self)
        let blocks = Blocks(settings)
        func scaled(_ count: Int) -> Int { max(1, Int((Double(count) * settings.number("width")).rounded())) }
        var layers: [LayerSpec] = []
        var channels = input[0]
        var side = min(input[1], input[2])
        for stage in [[64], [128], [256, 256], [512, 512], [512, 512]] {
            for count in stage {
                layers += blocks.convolution(channels, scaled(count), kernel: 3) + [blocks.activation]
                channels = scaled(count)
            }
            guard side >= 2 else { continue }
            layers.append(.maxPool2d(kernel: 2, stride: 2))
            side /= 2
        }
        layers.append(.flatten)
        var width = try Blocks.size(of: layers, input: input)
        for _ in 0..<2 {
            layers += [.linear(inputs: width, outputs: scaled(1024)), blocks.activation]
            if settings.number("dropout") > 0 { layers.append(.dropout(probability: settings.number("dropout"))) }
            width = scaled(1024)
        }
        return Architecture(input: input, layers: layers + [.linear(inputs: width, outputs: classes)])
    }
}
