internal import Basics
package import Datasets
package import Interchange

/// Rosenblatt's perceptron, and the linear classifier that the gradient of the cross-entropy finds in its place.
package struct Perceptron: Recipe {
    package let name = "tabular/perceptron"
    package let summary =
        "Linear classifier taught by Rosenblatt's rule; draws its boundary where there are two columns"
    package let source =
        "Rosenblatt: The perceptron, a probabilistic model for information storage and organization in the brain, 1958"
    package let deviations = [
        "one output for each class, the largest wins; of two classes that is the same as one threshold",
        "inputs are standardised, which makes the rule's steps alike for all columns",
        "`learning_rate` only scales the weights: the rule starts from zero and takes the same decisions for any",
    ]
    package let goals = [
        RecipeGoal("iris, setosa against versicolor, petal's length and width", accuracy: 1),
        RecipeGoal("breast cancer, 25 % held out", accuracy: 0.93, settings: ["average": true]),
    ]
    package let kind = DatasetDescription.Kind.tabular
    package let method = TrainingMethod.perceptronRule

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "average", .boolean, default: false,
                "keep the mean of all weights on the way, which wavers less on data that no line divides"),
            HyperParameter("epochs", .integer(1...100_000), default: 100, "at most; it stops once all are right"),
            HyperParameter("learning_rate", .number(1e-8...10), default: 1, "the step of one correction"),
            HyperParameter(
                "validation_share", .number(0...0.5), default: 0, "share of the training split held out, by class"),
            HyperParameter(
                "example_limit", .integer(0...1_000_000_000), default: 0, "training examples to use, 0 for all"),
        ]
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        guard input.count == 1 else {
            throw MLOpsError(
                .usage, "recipe `\(name)` takes tables, not examples of shape \(input)", hint: "use `vision/mlp`")
        }
        return Architecture(input: input, layers: [.linear(inputs: input[0], outputs: classes)])
    }
}
