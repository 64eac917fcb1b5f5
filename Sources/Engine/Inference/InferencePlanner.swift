internal import Basics
internal import Interchange
internal import Tensors

/// Turns the nodes of a network into steps, each with as much as one call can do.
struct InferencePlanner {
    private let network: NetworkGraph
    private let tensors: [String: Tensor]
    /// By value, how many nodes take it.
    private var uses: [Int]
    private var planned: [InferencePlan.Step] = []
    /// By value, the step that makes it.
    private var makers: [Int: Int] = [:]

    init(network: NetworkGraph, tensors: [String: Tensor]) {
        self.network = network
        self.tensors = tensors
        uses = Array(repeating: 0, count: network.shapes.count)
        for value in network.nodes.flatMap(\.inputs) { uses[value] += 1 }
        uses[network.output] += 1
    }

    mutating func steps() -> [InferencePlan.Step] {
        for node in network.nodes where !join(node) {
            makers[node.output] = planned.count
            planned.append(
                InferencePlan.Step(
                    path: node.path, name: node.operation.name, operations: network.operationCount(of: node),
                    kernel: kernel(of: node), input: node.inputs[0],
                    other: node.inputs.count > 1 ? node.inputs[1] : nil, output: node.output))
        }
        release()
        return planned
    }

    /// Makes `node` part of a step that is there already, if one can do it along with its own work; whether one could.
    private mutating func join(_ node: NetworkGraph.Node) -> Bool {
        if node.operation == .add { return joinSum(node) }
        guard node.inputs.count == 1, uses[node.inputs[0]] == 1, let index = makers[node.inputs[0]],
            let kernel = planned[index].kernel.followed(by: node, after: planned[index].other, weights(of: node))
        else { return false }
        planned[index].kernel = kernel
        extend(index, by: node)
        return true
    }

    /// The later of the two steps whose outputs are added does the sum, if it is a convolution that does no more yet.
    private mutating func joinSum(_ node: NetworkGraph.Node) -> Bool {
        let order = node.inputs.sorted { makers[$0] ?? -1 < makers[$1] ?? -1 }
        guard order.count == 2, order[0] != order[1], uses[order[1]] == 1, let index = makers[order[1]],
            planned[index].other == nil, case .conv2d(_, _, _, _, .none) = planned[index].kernel
        else { return false }
        planned[index].other = order[0]
        extend(index, by: node)
        return true
    }

    private mutating func extend(_ index: Int, by node: NetworkGraph.Node) {
        planned[index].path += " + \(node.path)"
        planned[index].name += " + \(node.operation.name)"
        planned[index].operations += network.operationCount(of: node)
        planned[index].output = node.output
        makers[node.output] = index
    }

    /// Marks where each value is needed last.
    private mutating func release() {
        var last: [Int: Int] = [:]
        for (index, step) in planned.enumerated() {
            for value in [step.input] + (step.other.map { [$0] } ?? []) { last[value] = index }
        }
        for (value, index) in last where value != network.output { planned[index].released.append(value) }
    }

    private func weights(of node: NetworkGraph.Node) -> [Tensor] {
        node.operation.tensorShapes.compactMap { tensors["\(node.path).\($0.name)"] }
    }

    private func kernel(of node: NetworkGraph.Node) -> InferencePlan.Kernel {
        let weights = weights(of: node)
        switch node.operation {
        case .linear(_, _, let hasBias):
            return .linear(weight: weights[0], bias: hasBias ? weights[1] : nil, .none)
        case .conv2d(let sizes):
            return .conv2d(
                weight: weights[0], bias: sizes.hasBias ? weights[1] : nil, sizes.window, groups: sizes.groups, .none)
        case .convTranspose2d(let sizes, let padding):
            return .convTranspose2d(
                weight: weights[0], bias: sizes.hasBias ? weights[1] : nil, sizes.window, outputPadding: padding,
                groups: sizes.groups)
        case .batchNorm:
            return .batchNorm(weight: weights[0], bias: weights[1], mean: weights[2], variance: weights[3], .none)
        case .layerNorm: return .layerNorm(weight: weights[0], bias: weights[1])
        case .maxPool2d(let window): return .maxPool2d(window)
        case .avgPool2d(let window, let countsPadding): return .avgPool2d(window, countsPadding: countsPadding)
        case .globalAvgPool2d: return .globalAvgPool2d
        case .add: return .add(.none)
        case .concatenate: return .concatenate
        case .activation(let function): return .activation(function)
        case .flatten: return .flatten
        }
    }
}

extension InferencePlan.Kernel {
    /// The kernel that does this and then `node`; nil if there is none.
    ///
    /// - Parameters:
    ///   - other: the value that this adds already: nothing but an activation can come after.
    ///   - weights: of the node.
    fileprivate func followed(
        by node: NetworkGraph.Node, after other: Int?, _ weights: [Tensor]
    ) -> InferencePlan.Kernel? {
        switch (self, node.operation) {
        case (.linear(let weight, let bias, .none), .batchNorm):
            let folded = BatchNormFold(weights).fold(weight, bias)
            return .linear(weight: folded.weight, bias: folded.bias, .none)
        case (.conv2d(let weight, let bias, let window, let groups, .none), .batchNorm) where other == nil:
            let folded = BatchNormFold(weights).fold(weight, bias)
            return .conv2d(weight: folded.weight, bias: folded.bias, window, groups: groups, .none)
        case (.linear(let weight, let bias, .none), .activation(let function)):
            return function.fused.map { .linear(weight: weight, bias: bias, $0) }
        case (.conv2d(let weight, let bias, let window, let groups, .none), .activation(let function)):
            return function.fused.map { .conv2d(weight: weight, bias: bias, window, groups: groups, $0) }
        case (.add(.none), .activation(let function)): return function.fused.map { .add($0) }
        case (.batchNorm(let weight, let bias, let mean, let variance, .none), .activation(let function)):
            return function.fused.map { .batchNorm(weight: weight, bias: bias, mean: mean, variance: variance, $0) }
        default: return nil
        }
    }
}

/// The affine map that a batch norm is in inference, worked out in double.
struct BatchNormFold {
    private let factors: [Double]
    private let summands: [Double]

    /// - Parameter tensors: weight, bias, running mean and running variance.
    init(_ tensors: [Tensor]) {
        let (weight, bias, mean, variance) = (
            tensors[0].doubles(), tensors[1].doubles(), tensors[2].doubles(), tensors[3].doubles()
        )
        factors = zip(weight, variance).map { $0 / ($1 + Architecture.batchNormEpsilon).squareRoot() }
        let factors = factors
        summands = bias.indices.map { bias[$0] - mean[$0] * factors[$0] }
    }

    /// Weight and bias of a layer, outputs first, followed by the batch norm.
    func fold(_ weight: Tensor, _ bias: Tensor?) -> (weight: Tensor, bias: Tensor) {
        var values = weight.floats()
        let depth = values.count / factors.count
        for (output, factor) in factors.enumerated() {
            for k in (output * depth)..<((output + 1) * depth) { values[k] = Float(Double(values[k]) * factor) }
        }
        let before = bias?.doubles() ?? Array(repeating: 0, count: factors.count)
        let sums = before.indices.map { Float(before[$0] * factors[$0] + summands[$0]) }
        return (Tensor(values, shape: weight.shape), Tensor(sums))
    }
}
