internal import Basics
package import Datasets
package import Interchange

/// A multi-layer perceptron for pictures.
package struct PictureMLP: Recipe {
    package let name = "vision/mlp"
    package let summary = "Multi-layer perceptron over the pixels of small pictures"
    package let source =
        "Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 323, 1986"
    package let deviations = [
        "ReLU instead of sigmoid units, cross-entropy instead of the squared error, AdamW instead of plain descent"
    ]
    package let goals = [
        RecipeGoal("Fashion-MNIST", accuracy: 0.874, settings: ["epochs": 3]),
        RecipeGoal("digits, 25 % held out", accuracy: 0.976, settings: ["epochs": 40, "batch_size": 32]),
    ]
    package let kind = DatasetDescription.Kind.images

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "hidden", .integers(1...8192, maximumCount: 32), default: [256, 128], "widths of the hidden layers"),
            HyperParameter("batch_norm", .boolean, default: false, "normalise each hidden layer over the batch"),
            HyperParameter("dropout", .number(0...0.9), default: 0, "share of hidden units zeroed in training"),
            Blocks.activationSetting,
        ]
            + TrainingPlan.augmentationParameters()
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(epochs: 3, batchSize: 64, learningRate: 0.001, weightDecay: 0.01))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        try Blocks.requirePictures(input, sides: 1...256, of: self)
        let size = input.reduce(1, *)
        return Architecture(
            input: input, layers: [.flatten] + TabularMLP.layers(from: size, to: classes, settings: settings))
    }
}
