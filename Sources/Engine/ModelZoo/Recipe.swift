package import Basics
package import Datasets
package import Interchange

/// An architecture with the settings that train it and the result that it must reach.
package protocol Recipe: Sendable {
    /// `<field>/<architecture>`, such as `tabular/mlp`.
    var name: String { get }
    /// One line without a full stop.
    var summary: String { get }
    /// The paper or book that the architecture comes from.
    var source: String { get }
    /// Where it differs from its source, each one line without a full stop.
    var deviations: [String] { get }
    /// What it must reach, and on what.
    var goals: [RecipeGoal] { get }
    /// The kind of dataset that it takes.
    var kind: DatasetDescription.Kind { get }
    /// The settings of its own, and `TrainingPlan.parameters` with its defaults.
    var hyperparameters: [HyperParameter] { get }
    /// How it learns.
    var method: TrainingMethod { get }

    /// The network for examples of shape `input`.
    ///
    /// - Throws: kind `.usage` if the input's shape or the settings do not fit.
    func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture
}

extension Recipe {
    package var method: TrainingMethod { .gradientDescent }
}

/// How a recipe finds its weights.
package enum TrainingMethod: Sendable {
    /// By the gradient of the cross-entropy.
    case gradientDescent
    /// By Rosenblatt's rule: only examples that are classified wrongly change the weights.
    case perceptronRule
}

/// A result that a recipe must reach.
package struct RecipeGoal: Codable, Hashable, Sendable {
    /// The dataset, for people.
    package var dataset: String
    /// What `mlops train --set` is given, where it differs from the defaults.
    package var settings: [String: JSONValue]
    /// The least accuracy on the test split.
    package var accuracy: Double

    package init(_ dataset: String, accuracy: Double, settings: [String: JSONValue] = [:]) {
        self.dataset = dataset
        self.accuracy = accuracy
        self.settings = settings
    }
}

/// The recipes by name.
package enum Recipes {
    package static let all: [any Recipe] = [
        Perceptron(), TabularMLP(), PictureMLP(), LeNet5(), AlexNet(), VGG11(), ResNet(), DenseNet(), MobileNetV2(),
    ]

    /// The recipe `name`.
    ///
    /// - Throws: kind `.notFound` with the nearest name.
    package static func named(_ name: String) throws -> any Recipe {
        if let recipe = all.first(where: { $0.name == name }) { return recipe }
        let names = all.map(\.name)
        throw MLOpsError(
            .notFound, "recipe `\(printable(name))` does not exist",
            hint: nearestName(to: name, among: names).map { "did you mean `\($0)`?" }
                ?? "there are \(names.joined(separator: ", "))")
    }
}
