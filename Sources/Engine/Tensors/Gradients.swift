internal import Basics

/// The gradients of `output` with respect to each of `targets`.
///
/// - Parameters:
///   - output: a scalar, unless `seed` gives the gradient that flows into it.
///   - targets: variables (`requiringGradient()`) or results of operations on them.
///   - seed: of `output`'s shape; 1 if nil.
///   - createGraph: whether the gradients can be differentiated again.
/// - Throws: if `output` does not depend on a target, if an operation between them has no backward rule, or if `output` is no
///   scalar and there is no seed.
public func grad(
    of output: Tensor, with targets: [Tensor], seed: Tensor? = nil, createGraph: Bool = false
) throws -> [Tensor] {
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
    let gradients = try backpropagate(from: root, seed, to: nodes, stopsAtTargets: false, createGraph: createGraph)
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
    from root: GraphNode, _ seed: Tensor, to targets: [GraphNode], stopsAtTargets: Bool, createGraph: Bool
) throws -> [Tensor?] {
    let isTarget = Set(targets.map(ObjectIdentifier.init))
    let order = reachable(from: root, stoppingAt: stopsAtTargets ? isTarget : [])
    var isNeeded: Set<ObjectIdentifier> = []
    for node in order.reversed() {
        let id = ObjectIdentifier(node)
        let isStop = stopsAtTargets && isTarget.contains(id)
        if isTarget.contains(id)
            || !isStop && node.parents.contains(where: { $0.map { isNeeded.contains(ObjectIdentifier($0)) } ?? false })
        {
            isNeeded.insert(id)
        }
    }
    var gradients: [ObjectIdentifier: Tensor] = [ObjectIdentifier(root): createGraph ? seed : seed.detached]
    var results: [ObjectIdentifier: Tensor] = [:]
    try withRecording(createGraph) {
        for node in order where isNeeded.contains(ObjectIdentifier(node)) {
            guard let gradient = gradients.removeValue(forKey: ObjectIdentifier(node)) else { continue }
            if isTarget.contains(ObjectIdentifier(node)) {
                results[ObjectIdentifier(node)] = gradient
                if stopsAtTargets { continue }
            }
            let isNeededAbove = node.parents.contains { $0.map { isNeeded.contains(ObjectIdentifier($0)) } ?? false }
            if isNeededAbove { try pass(gradient, through: node, isNeeded: isNeeded, into: &gradients) }
        }
    }
    return targets.map { results[ObjectIdentifier($0)] }
}

/// Adds the gradients of the inputs of `node` to `gradients`.
private func pass(
    _ gradient: Tensor, through node: GraphNode, isNeeded: Set<ObjectIdentifier>,
    into gradients: inout [ObjectIdentifier: Tensor]
) throws {
    guard let rule = node.rule else {
        throw MLOpsError(
            .failed, "operation `\(node.operation)` has no backward rule, so no gradient flows through it",
            hint: "detach its output where no gradient is wanted")
    }
    var output = node.output ?? gradient
    output.node = node
    let contributions = try rule(gradient, output)
    for (parent, contribution) in zip(node.parents, contributions) {
        guard let parent, let contribution, isNeeded.contains(ObjectIdentifier(parent)) else { continue }
        let id = ObjectIdentifier(parent)
        if var present = gradients.removeValue(forKey: id) {
            if !present.accumulate(contribution) { present = try present + contribution }
            gradients[id] = present
        } else {
            gradients[id] = contribution
        }
    }
}

/// All nodes that `root` was computed from, outputs before inputs.
private func reachable(from root: GraphNode, stoppingAt stops: Set<ObjectIdentifier>) -> [GraphNode] {
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(root)]
    var nodes = [root]
    var next = 0
    while next < nodes.count {
        let node = nodes[next]
        next += 1
        if stops.contains(ObjectIdentifier(node)) { continue }
        for case let parent? in node.parents where seen.insert(ObjectIdentifier(parent)).inserted {
            nodes.append(parent)
        }
    }
    return nodes.sorted { $0.number > $1.number }
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
