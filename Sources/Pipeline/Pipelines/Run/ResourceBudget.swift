internal import Basics

/// Amounts by the name of what they are of: `cpus`, `memory` in bytes, `gpus`, and a pipeline's own.
struct ResourceNeed: Sendable, Hashable {
    var amounts: [String: Double] = [:]

    init(_ amounts: [String: Double] = [:]) { self.amounts = amounts }

    init(_ resources: Resources) {
        amounts = resources.custom.mapValues(Double.init)
        amounts["cpus"] = resources.cpus
        amounts["memory"] = resources.memory.map { Double($0.bytes) }
        amounts["gpus"] = resources.gpus.map(Double.init)
    }
}

/// What is left of what a machine has. What it has no amount of is not counted.
struct ResourceBudget: Sendable {
    private var left: [String: Double]
    /// Sums of fractions need not come out even.
    private static let slack = 1e-9

    init(capacity: ResourceNeed) { left = capacity.amounts }

    func fits(_ need: ResourceNeed) -> Bool {
        need.amounts.allSatisfy { name, amount in left[name].map { amount <= $0 + ResourceBudget.slack } ?? true }
    }

    mutating func take(_ need: ResourceNeed) { for (name, amount) in need.amounts { left[name]? -= amount } }

    mutating func free(_ need: ResourceNeed) { for (name, amount) in need.amounts { left[name]? += amount } }
}
