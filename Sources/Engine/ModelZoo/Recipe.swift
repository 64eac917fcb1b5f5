internal import Basics
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
    /// The kind of dataset that it takes.
    var kind: DatasetDescription.Kind { get }
    /// The settings of its own, and `TrainingPlan.parameters` with its defaults.
    var hyperparameters: [HyperParameter] { get }

    /// The network for examples of shape `input`.
    ///
    /// - Throws: kind `.usage` if the input's shape or the settings do not fit.
    func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture
}

/// The recipes by name.
package enum Recipes {
    package static let all: [any Recipe] = [TabularMLP(), LeNet5()]

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
