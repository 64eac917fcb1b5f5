internal import Basics
package import Datasets
package import Interchange

/// MobileNetV2, with strides for small pictures too.
package struct MobileNetV2: Recipe {
    package let name = "vision/mobilenetv2"
    package let summary = "MobileNetV2, inverted residuals of depthwise convolutions"
    package let source =
        "Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear bottlenecks, 2018, table 2"
    package let deviations = [
        "below 96 pixels a side the first convolution and the stage of 24 channels have stride 1 instead of 2",
        "AdamW with warm-up and a cosine instead of RMSProp with an exponential decay",
    ]
    package let goals = [
        RecipeGoal("Fashion-MNIST", accuracy: 0.9, settings: ["epochs": 3, "width": 0.5])
    ]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter("width", .number(0.1...2), default: 0.5, "factor on the paper's channels"),
            HyperParameter("dropout", .number(0...0.9), default: 0.2, "before the last layer"),
            Blocks.normSetting,
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(
                    epochs: 8, batchSize: 64, learningRate: 0.003, weightDecay: 0.01, initialization: .kaimingNormal))
    }

    /// Expansion, channels, blocks and stride of each stage.
    private static let stages = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 16...512, of: self)
        let blocks = Blocks(activation: .relu6, hasNorm: settings.boolean("batch_norm"))
        let width = settings.number("width")
        let isSmall = min(input[1], input[2]) < 96
        var channels = MobileNetV2.divisible(32 * width)
        var layers = blocks.convolution(input[0], channels, kernel: 3, stride: isSmall ? 1 : 2) + [.relu6]
        for (stage, (expansion, count, repeats, stride)) in MobileNetV2.stages.enumerated() {
            let outputs = MobileNetV2.divisible(Double(count) * width)
            for block in 0..<repeats {
                let stride = block > 0 || (isSmall && stage == 1) ? 1 : stride
                let branch = blocks.bottleneck(channels, outputs, stride: stride, expansion: expansion)
                layers +=
                    stride == 1 && channels == outputs ? [.residual(branch: branch, shortcut: [])] : branch
                channels = outputs
            }
        }
        let last = MobileNetV2.divisible(1280 * max(1, width))
        layers += blocks.convolution(channels, last, kernel: 1) + [.relu6, .globalAvgPool2d]
        if settings.number("dropout") > 0 { layers.append(.dropout(probability: settings.number("dropout"))) }
        return Architecture(input: input, layers: layers + [.linear(inputs: last, outputs: classes)])
    }

    /// The nearest multiple of 8, at least 8 and not below nine tenths of `count`.
    private static func divisible(_ count: Double) -> Int {
        let rounded = max(8, Int((count + 4) / 8) * 8)
        return Double(rounded) < 0.9 * count ? rounded + 8 : rounded
    }
}

extension Blocks {
    /// Wide inside, narrow at its ends, and linear at the last.
    fileprivate func bottleneck(_ inputs: Int, _ outputs: Int, stride: Int, expansion: Int) -> [LayerSpec] {
        let hidden = inputs * expansion
        let expanded = expansion == 1 ? [] : convolution(inputs, hidden, kernel: 1) + [activation]
        return expanded + convolution(hidden, hidden, kernel: 3, stride: stride, groups: hidden) + [activation]
            + convolution(hidden, outputs, kernel: 1)
    }
}
