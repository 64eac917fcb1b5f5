internal import Basics
package import Tensors

/// An architecture as simple operations between numbered values, in an order in which they can run: what inference, ONNX and
/// the inspection of a model file are made from. Dropout, which does nothing in inference, is gone.
package struct NetworkGraph: Hashable, Sendable {
    /// One operation. All pictures are `[channels, height, width]`.
    package enum Operation: Hashable, Sendable {
        case linear(inputs: Int, outputs: Int, hasBias: Bool)
        case conv2d(ConvolutionSpec)
        case convTranspose2d(ConvolutionSpec, outputPadding: Int)
        /// Over the channels (or features) with the running statistics.
        case batchNorm(features: Int)
        /// Of a row of `features` numbers.
        case layerNorm(features: Int)
        case maxPool2d(Window)
        case avgPool2d(Window, countsPadding: Bool)
        /// The mean of each channel.
        case globalAvgPool2d
        case activation(Activation)
        case flatten
        /// The sum of two values of one shape.
        case add
        /// Two values, their channels one after the other.
        case concatenate
    }

    /// A function of each number alone.
    package enum Activation: Hashable, Sendable {
        case relu, relu6, tanh, sigmoid, gelu
        case leakyReLU(slope: Double)

        package var name: String {
            switch self {
            case .relu: "relu"
            case .relu6: "relu6"
            case .tanh: "tanh"
            case .sigmoid: "sigmoid"
            case .gelu: "gelu"
            case .leakyReLU: "leaky_relu"
            }
        }
    }

    package struct Node: Hashable, Sendable {
        /// The layer's place in the architecture, by which its tensors are named: `3.branch.0` for `3.branch.0.weight`.
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
        let places = try architecture.places()
        shapes = [architecture.input]
        // No two layers have one path, but a description from anywhere is no reason to stop the program.
        let outputs = Dictionary(places.map { ($0.path, $0.output) }, uniquingKeysWith: { first, _ in first })
        output = append(architecture.layers, below: "", to: 0, outputs)
    }

    /// The last value of `layers` after each other, the first of which takes `value`.
    private mutating func append(
        _ layers: [LayerSpec], below prefix: String, to value: Int, _ outputs: [String: [Int]]
    ) -> Int {
        var value = value
        for (index, layer) in layers.enumerated() {
            value = append(layer, at: prefix + "\(index)", to: value, outputs)
        }
        return value
    }

    private mutating func append(
        _ layer: LayerSpec, at path: String, to value: Int, _ outputs: [String: [Int]]
    ) -> Int {
        let branches = layer.parts.map { append($0.layers, below: "\(path).\($0.name).", to: value, outputs) }
        let (operation, inputs): (Operation, [Int])
        switch layer {
        case .linear(let inCount, let outCount, let hasBias):
            (operation, inputs) = (.linear(inputs: inCount, outputs: outCount, hasBias: hasBias), [value])
        case .conv2d(let convolution): (operation, inputs) = (.conv2d(convolution), [value])
        case .convTranspose2d(let convolution, let padding):
            (operation, inputs) = (.convTranspose2d(convolution, outputPadding: padding), [value])
        case .maxPool2d(let window): (operation, inputs) = (.maxPool2d(window), [value])
        case .avgPool2d(let window, let counts):
            (operation, inputs) = (.avgPool2d(window, countsPadding: counts), [value])
        case .globalAvgPool2d: (operation, inputs) = (.globalAvgPool2d, [value])
        case .flatten: (operation, inputs) = (.flatten, [value])
        case .relu: (operation, inputs) = (.activation(.relu), [value])
        case .relu6: (operation, inputs) = (.activation(.relu6), [value])
        case .leakyReLU(let slope): (operation, inputs) = (.activation(.leakyReLU(slope: slope)), [value])
        case .tanh: (operation, inputs) = (.activation(.tanh), [value])
        case .sigmoid: (operation, inputs) = (.activation(.sigmoid), [value])
        case .gelu: (operation, inputs) = (.activation(.gelu), [value])
        case .batchNorm1d(let features), .batchNorm2d(let features):
            (operation, inputs) = (.batchNorm(features: features), [value])
        case .layerNorm(let features): (operation, inputs) = (.layerNorm(features: features), [value])
        case .dropout: return value
        case .residual: (operation, inputs) = (.add, branches)
        case .concatenated: (operation, inputs) = (.concatenate, [value] + branches)
        }
        return append(operation, at: path, to: inputs, shape: outputs[path] ?? [])
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
        case .convTranspose2d: "conv_transpose2d"
        case .batchNorm: "batch_norm"
        case .layerNorm: "layer_norm"
        case .maxPool2d: "max_pool2d"
        case .avgPool2d: "avg_pool2d"
        case .globalAvgPool2d: "global_avg_pool2d"
        case .activation(let function): function.name
        case .flatten: "flatten"
        case .add: "add"
        case .concatenate: "concatenate"
        }
    }

    /// The tensors that it needs, by the last part of their names.
    package var tensorShapes: [(name: String, shape: [Int])] {
        switch self {
        case .linear(let inputs, let outputs, let hasBias):
            [("weight", [outputs, inputs])] + (hasBias ? [("bias", [outputs])] : [])
        case .conv2d(let sizes):
            [("weight", sizes.weightShape)] + (sizes.hasBias ? [("bias", [sizes.outputs])] : [])
        case .convTranspose2d(let sizes, _):
            [("weight", sizes.transposedWeightShape)] + (sizes.hasBias ? [("bias", [sizes.outputs])] : [])
        case .batchNorm(let features):
            ["weight", "bias", "running_mean", "running_var"].map { ($0, [features]) }
        case .layerNorm(let features): ["weight", "bias"].map { ($0, [features]) }
        case .maxPool2d, .avgPool2d, .globalAvgPool2d, .activation, .flatten, .add, .concatenate: []
        }
    }

    /// The trained numbers: running statistics are not trained.
    package var parameterCount: Int {
        tensorShapes.filter { !$0.name.hasPrefix("running_") }.reduce(0) { $0 + $1.shape.product }
    }
}

extension NetworkGraph {
    /// Multiplications with an addition that `node` takes for one example; the bias's additions are not counted.
    package func multiplyAdds(of node: Node) -> Int {
        switch node.operation {
        case .linear(let inputs, let outputs, _): inputs * outputs
        case .conv2d(let sizes): shapes[node.output].product * sizes.weightShape.dropFirst().reduce(1, *)
        case .convTranspose2d(let sizes, _):
            shapes[node.inputs[0]].product * sizes.transposedWeightShape.dropFirst().reduce(1, *)
        case .batchNorm, .layerNorm, .maxPool2d, .avgPool2d, .globalAvgPool2d, .activation, .flatten, .add,
            .concatenate:
            0
        }
    }

    /// Floating-point operations that `node` takes for one example: two for a multiplication with its addition, one for each
    /// other number that is added, compared or put through a function.
    package func operationCount(of node: Node) -> Int {
        let outputs = shapes[node.output].product
        switch node.operation {
        case .linear(_, _, let hasBias): return 2 * multiplyAdds(of: node) + (hasBias ? outputs : 0)
        case .conv2d(let sizes), .convTranspose2d(let sizes, _):
            return 2 * multiplyAdds(of: node) + (sizes.hasBias ? outputs : 0)
        case .batchNorm: return 2 * outputs
        // Mean, variance, and the affine map.
        case .layerNorm: return 7 * outputs
        case .maxPool2d(let window), .avgPool2d(let window, _):
            return outputs * window.kernelHeight * window.kernelWidth
        case .globalAvgPool2d: return shapes[node.inputs[0]].product
        case .activation, .add: return outputs
        case .flatten, .concatenate: return 0
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
