internal import Basics

/// The gradients of `output` with respect to each of `targets`.
///
/// - Parameters:
///   - output: a scalar, unless `seed` gives the gradient that flows into it.
///   - targets: variables (`requiringGradient()`) or results of operations on them.
///   - seed: of `output`'s shape; 1 if nil.
///   - createGraph: whether the gradients can be differentiated again.
///   - keepsGraph: whether the graph of `output` stays for another call. Without it each operation gives back what it kept as soon
///     as the gradient has passed it, so that the memory of a training step does not grow on the way back.
/// - Throws: if `output` does not depend on a target, if an operation between them has no backward rule, or if `output` is no
///   scalar and there is no seed.
public func grad(
    of output: Tensor, with targets: [Tensor], seed: Tensor? = nil, createGraph: Bool = false, keepsGraph: Bool = true
) throws -> [Tensor] {
    precondition(
        keepsGraph || !createGraph, "gradients that can be differentiated again need the graph that they came from")
    let nodes = try targets.enumerated().map { index, target in
        guard let node = target.node else {
            throw MLOpsError(
                .failed, "`grad`: target \(index) of shape \(target.shape) is a constant",
                hint: "make it a variable with `requiringGradient()` before it is used")
        }
        return node
    }
    guard let root = output.node else {
        throw MLOpsError(
            .failed, "`grad`: the output of shape \(output.shape) does not depend on any variable",
            hint: "make the inputs variables with `requiringGradient()` and compute outside of `withoutGradients`")
    }
    let seed = try seed ?? defaultSeed(of: output)
    guard seed.shape == output.shape else {
        throw shapeError("grad", output.shape, seed.shape, "the seed must have the output's shape")
    }
    let gradients = try backpropagate(
        from: root, seed, to: nodes, stopsAtTargets: false, createGraph: createGraph, keepsGraph: keepsGraph)
    return try gradients.enumerated().map { index, gradient in
        guard let gradient else {
            throw MLOpsError(
                .failed, "`grad`: the output does not depend on target \(index) of shape \(targets[index].shape)",
                hint: "leave it out of `with`")
        }
        return gradient
    }
}

private func defaultSeed(of output: Tensor) throws -> Tensor {
    guard output.count == 1 else {
        throw shapeError("grad", output.shape, "without a seed the output must be a scalar")
    }
    return .ones(output.shape, dtype: output.dtype)
}

/// The gradient that reaches each of `targets` when `seed` flows back from `root`; nil where none does.
///
/// - Parameter stopsAtTargets: whether targets count as independent, even where one was computed from another.
func backpropagate(
    from root: GraphNode, _ seed: Tensor, to targets: [GraphNode], stopsAtTargets: Bool, createGraph: Bool,
    keepsGraph: Bool = true
) throws -> [Tensor?] {
    var pass = BackwardPass(from: root, to: targets, stopsAtTargets: stopsAtTargets, keepsGraph: keepsGraph)
    return try withRecording(createGraph) { try pass.run(createGraph ? seed : seed.detached) }
}

/// The part of the graph that a backward pass goes through, numbered, and the gradients on their way.
private struct BackwardPass {
    /// In the order of discovery; `root` is the first.
    private var nodes: [GraphNode] = []
    /// The numbers of the parents of each node one after the other, -1 for a constant, and where those of each start.
    private var parents: [Int] = []
    private var starts: [Int] = [0]
    /// Outputs before inputs.
    private var order: [Int] = []
    private var isTarget: [Bool]
    private var isNeeded: [Bool]
    private var gradients: [Tensor?]
    private let targets: [Int?]
    private let stopsAtTargets: Bool
    private let keepsGraph: Bool

    init(from root: GraphNode, to targets: [GraphNode], stopsAtTargets: Bool, keepsGraph: Bool) {
        let stops = stopsAtTargets ? Set(targets.map(ObjectIdentifier.init)) : []
        var numbers = [ObjectIdentifier(root): 0]
        nodes.append(root)
        var next = 0
        while next < nodes.count {
            let node = nodes[next]
            next += 1
            if !stops.contains(ObjectIdentifier(node)) {
                for parent in node.parents {
                    guard let parent else {
                        parents.append(-1)
                        continue
                    }
                    let number = numbers[ObjectIdentifier(parent), default: nodes.count]
                    if number == nodes.count {
                        numbers[ObjectIdentifier(parent)] = number
                        nodes.append(parent)
                    }
                    parents.append(number)
                }
            }
            starts.append(parents.count)
        }
        self.stopsAtTargets = stopsAtTargets
        self.keepsGraph = keepsGraph
        self.targets = targets.map { numbers[ObjectIdentifier($0)] }
        isTarget = [Bool](repeating: false, count: nodes.count)
        isNeeded = isTarget
        gradients = [Tensor?](repeating: nil, count: nodes.count)
        for case let target? in self.targets { isTarget[target] = true }
        let nodes = nodes
        order = nodes.indices.sorted { nodes[$0].number > nodes[$1].number }
        for index in order.reversed() {
            isNeeded[index] = isTarget[index] || isNeededAbove(index)
        }
    }

    private func isNeededAbove(_ index: Int) -> Bool {
        parents[starts[index]..<starts[index + 1]].contains { $0 >= 0 && isNeeded[$0] }
    }

    mutating func run(_ seed: Tensor) throws -> [Tensor?] {
        gradients[0] = seed
        var results = [Int: Tensor]()
        for index in order where isNeeded[index] {
            guard let gradient = gradients[index] else { continue }
            gradients[index] = nil
            if isTarget[index] {
                results[index] = gradient
                if stopsAtTargets { continue }
            }
            if isNeededAbove(index) { try step(gradient, through: index) }
            if !keepsGraph { nodes[index].letGo() }
        }
        return targets.map { $0.flatMap { results[$0] } }
    }

    /// Adds the gradients of the inputs of a node to theirs.
    private mutating func step(_ gradient: Tensor, through index: Int) throws {
        let node = nodes[index]
        guard let rule = node.rule else {
            if node.isSpent {
                throw MLOpsError(
                    .failed, "`grad`: the graph below `\(node.operation)` was given back by an earlier call",
                    hint: "compute the output again, or call with `keepsGraph: true` first")
            }
            throw MLOpsError(
                .failed, "operation `\(node.operation)` has no backward rule, so no gradient flows through it",
                hint: "detach its output where no gradient is wanted")
        }
        if let place = node.place, !isRecording {
            let parent = parents[starts[index]]
            return try measured(node, gradient) { try add(gradient, at: place, to: parent) }
        }
        var output = node.output ?? gradient
        output.node = node
        var contributions = try measured(node, gradient) { try rule(gradient, output) }
        for position in contributions.indices {
            guard let contribution = contributions[position] else { continue }
            // Nobody else must hold what is added up in place.
            contributions[position] = nil
            let parent = parents[starts[index] + position]
            if parent >= 0, isNeeded[parent] { try add(contribution, to: parent) }
        }
    }

    private func measured<Result>(
        _ node: GraphNode, _ gradient: Tensor, _ body: () throws -> Result
    ) rethrows -> Result {
        guard OperationProfile.isOn else { return try body() }
        return try OperationProfile.measure(
            node.operation, .backward, shapes: [gradient.shape], node: node.number, body)
    }

    private mutating func add(_ contribution: consuming Tensor, to parent: Int) throws {
        guard var present = gradients[parent] else {
            gradients[parent] = contribution
            return
        }
        gradients[parent] = nil
        if present.accumulate(contribution) {
            gradients[parent] = present
        } else if contribution.accumulate(present) {
            gradients[parent] = contribution
        } else {
            gradients[parent] = try present + contribution
        }
    }

    /// Adds the gradient of a slice to that of the tensor that it was cut from, which is as large as that: many slices of one
    /// tensor cost no more than it does.
    private mutating func add(_ gradient: Tensor, at place: SlicePlace, to parent: Int) throws {
        guard var whole = gradients[parent] else {
            gradients[parent] = gradient.placed(place)
            return
        }
        gradients[parent] = nil
        let isAdded = whole.accumulate(gradient, at: place.part)
        gradients[parent] = isAdded ? whole : try whole + gradient.placed(place)
    }
}

/// The gradients of `inputs` from that of the fused operation that `composite` computes from simple ones.
///
/// Fused kernels have fused backward kernels, which cannot be differentiated themselves: their rules take this way when the
/// backward pass is recorded.
func gradients(of composite: Tensor, seed: Tensor, inputs: [Tensor]) throws -> [Tensor?] {
    var distinct: [GraphNode] = []
    for case let node? in inputs.map(\.node) where !distinct.contains(where: { $0 === node }) { distinct.append(node) }
    guard let root = composite.node else { return inputs.map { _ in nil } }
    let found = try backpropagate(from: root, seed, to: distinct, stopsAtTargets: true, createGraph: isRecording)
    var rest = Dictionary(uniqueKeysWithValues: zip(distinct.map(ObjectIdentifier.init), found))
    // An input that is given twice gets its whole gradient once.
    return inputs.map { input in input.node.flatMap { rest.removeValue(forKey: ObjectIdentifier($0)) ?? nil } }
}
