internal import Basics
internal import Tensors

/// An architecture as simple operations between numbered values, in an order in which they can run: what inference, ONNX and
/// the inspection of a model file are made from. Dropout, which does nothing in inference, is gone.
package struct NetworkGraph: Hashable, Sendable {
    /// One operation. All pictures are `[channels, height, width]`.
    package enum Operation: Hashable, Sendable {
        case linear(inputs: Int, outputs: Int)
        case conv2d(Convolution)
        /// Over the channels (or features) with the running statistics.
        case batchNorm(features: Int)
        case maxPool2d(Pooling)
        case avgPool2d(Pooling)
        case activation(Activation)
        case flatten
    }

    /// The sizes of a convolution; the kernel is square.
    package struct Convolution: Hashable, Sendable {
        package var inputs: Int
        package var outputs: Int
        package var kernel: Int
        package var stride = 1
        package var padding = 0
        package var groups = 1
        package var hasBias = true

        /// `[outputs, inputs / groups, kernel, kernel]`.
        package var weightShape: [Int] { [outputs, inputs / max(groups, 1), kernel, kernel] }
    }

    /// The window of a pooling; averages do not count the padding's zeros.
    package struct Pooling: Hashable, Sendable {
        package var kernel: Int
        package var stride: Int
        package var padding = 0
    }

    /// A function of each number alone.
    package enum Activation: String, Hashable, Sendable {
        case relu, tanh, sigmoid, gelu
    }

    package struct Node: Hashable, Sendable {
        /// The layer's place in the architecture, by which its tensors are named: `3` for `3.weight`.
        package var path: String
        package var operation: Operation
        /// Numbers of values.
        package var inputs: [Int]
        /// The number of the value that it makes.
        package var output: Int
    }

    /// By value, the shape of one example; value 0 is the network's input.
    package private(set) var shapes: [[Int]]
    package private(set) var nodes: [Node] = []
    /// The number of the value that is the network's output.
    package private(set) var output = 0

    /// - Throws: kind `.usage` naming the first layer that does not fit.
    package init(_ architecture: Architecture) throws {
        _ = try architecture.shapes()
        shapes = [architecture.input]
        output = try append(architecture.layers, below: "", to: 0)
    }

    /// The last value of `layers` after each other, the first of which takes `value`.
    private mutating func append(_ layers: [LayerSpec], below prefix: String, to value: Int) throws -> Int {
        var value = value
        for (index, layer) in layers.enumerated() {
            value = try append(layer, at: prefix + "\(index)", to: value)
        }
        return value
    }

    private mutating func append(_ layer: LayerSpec, at path: String, to value: Int) throws -> Int {
        let operation: Operation
        switch layer {
        case .linear(let inputs, let outputs): operation = .linear(inputs: inputs, outputs: outputs)
        case .conv2d(let inputs, let outputs, let kernel, let stride, let padding):
            operation = .conv2d(
                Convolution(inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding))
        case .maxPool2d(let kernel, let stride): operation = .maxPool2d(Pooling(kernel: kernel, stride: stride))
        case .avgPool2d(let kernel, let stride): operation = .avgPool2d(Pooling(kernel: kernel, stride: stride))
        case .flatten: operation = .flatten
        case .relu: operation = .activation(.relu)
        case .tanh: operation = .activation(.tanh)
        case .sigmoid: operation = .activation(.sigmoid)
        case .gelu: operation = .activation(.gelu)
        case .batchNorm1d(let features), .batchNorm2d(let features): operation = .batchNorm(features: features)
        case .dropout: return value
        }
        guard let shape = layer.outputShape(for: shapes[value]) else {
            throw MLOpsError(.usage, "layer \(path) (\(layer.type)) does not take an input of shape \(shapes[value])")
        }
        return append(operation, at: path, to: [value], shape: shape)
    }

    private mutating func append(_ operation: Operation, at path: String, to inputs: [Int], shape: [Int]) -> Int {
        nodes.append(Node(path: path, operation: operation, inputs: inputs, output: shapes.count))
        shapes.append(shape)
        return shapes.count - 1
    }
}

extension NetworkGraph.Operation {
    /// As it stands in tables and in names of nodes.
    package var name: String {
        switch self {
        case .linear: "linear"
        case .conv2d: "conv2d"
        case .batchNorm: "batch_norm"
        case .maxPool2d: "max_pool2d"
        case .avgPool2d: "avg_pool2d"
        case .activation(let function): function.rawValue
        case .flatten: "flatten"
        }
    }

    /// The tensors that it needs, by the last part of their names.
    package var tensorShapes: [(name: String, shape: [Int])] {
        switch self {
        case .linear(let inputs, let outputs): [("weight", [outputs, inputs]), ("bias", [outputs])]
        case .conv2d(let sizes):
            [("weight", sizes.weightShape)] + (sizes.hasBias ? [("bias", [sizes.outputs])] : [])
        case .batchNorm(let features):
            ["weight", "bias", "running_mean", "running_var"].map { ($0, [features]) }
        case .maxPool2d, .avgPool2d, .activation, .flatten: []
        }
    }

    /// The trained numbers: running statistics are not trained.
    package var parameterCount: Int {
        tensorShapes.filter { !$0.name.hasPrefix("running_") }.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }
}

extension NetworkGraph {
    /// Multiplications with an addition that `node` takes for one example; the bias's additions are not counted.
    package func multiplyAdds(of node: Node) -> Int {
        switch node.operation {
        case .linear(let inputs, let outputs): inputs * outputs
        case .conv2d(let sizes):
            shapes[node.output].reduce(1, *) * sizes.weightShape.dropFirst().reduce(1, *)
        case .batchNorm, .maxPool2d, .avgPool2d, .activation, .flatten: 0
        }
    }

    /// Floating-point operations that `node` takes for one example: two for a multiplication with its addition, one for each
    /// other number that is added, compared or put through a function.
    package func operationCount(of node: Node) -> Int {
        let outputs = shapes[node.output].reduce(1, *)
        switch node.operation {
        case .linear: return 2 * multiplyAdds(of: node) + outputs
        case .conv2d(let sizes): return 2 * multiplyAdds(of: node) + (sizes.hasBias ? outputs : 0)
        case .batchNorm: return 2 * outputs
        case .maxPool2d(let window), .avgPool2d(let window): return outputs * window.kernel * window.kernel
        case .activation: return outputs
        case .flatten: return 0
        }
    }

    /// The tensors of a model file that the nodes need, in the nodes' order.
    ///
    /// - Throws: kind `.damaged` naming every one that is missing or has another shape or dtype.
    package func checkTensors(of model: ModelFile, path: String) throws {
        var faults: [String] = []
        for node in nodes {
            for (suffix, shape) in node.operation.tensorShapes {
                let name = "\(node.path).\(suffix)"
                guard let tensor = model.tensors[name] else {
                    faults.append("`\(printable(name))` is missing")
                    continue
                }
                if tensor.shape != shape || tensor.dtype != .f32 {
                    faults.append(
                        "`\(printable(name))` is \(tensor.dtype.rawValue) \(tensor.shape), expected f32 \(shape)")
                }
            }
        }
        guard faults.isEmpty else {
            throw MLOpsError(
                .damaged, "model `\(path)` does not fit its architecture: \(faults.joined(separator: "; "))",
                hint: "train or fetch the model again")
        }
    }
}
