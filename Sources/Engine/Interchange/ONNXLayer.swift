internal import Tensors

/// One operation of a network as nodes of ONNX; the last of them, and its output, is called `name`.
struct ONNXLayer {
    var node: NetworkGraph.Node
    var name: String
    /// The names of the values that it takes.
    var inputs: [String]
    var inputShape: [ONNXGraph.Axis]
    /// Nil for the graph's output, which is declared elsewhere.
    var outputShape: [ONNXGraph.Axis]?

    func add(to graph: inout ONNXGraph) {
        switch node.operation {
        case .linear(_, _, let hasBias):
            addNode("Gemm", tensors: ["weight"] + (hasBias ? ["bias"] : []), [("transB", .int(1))], to: &graph)
        case .conv2d(let sizes):
            addNode(
                "Conv", tensors: ["weight"] + (sizes.hasBias ? ["bias"] : []),
                [("group", .int(sizes.groups))] + attributes(of: sizes.window), to: &graph)
        case .convTranspose2d(let sizes, let padding):
            addNode(
                "ConvTranspose", tensors: ["weight"] + (sizes.hasBias ? ["bias"] : []),
                [("group", .int(sizes.groups)), ("output_padding", .ints([padding, padding]))]
                    + attributes(of: sizes.window), to: &graph)
        case .batchNorm:
            addNode(
                "BatchNormalization", tensors: ["weight", "bias", "running_mean", "running_var"], [ONNXLayer.epsilon],
                to: &graph)
        case .layerNorm:
            addNode(
                "LayerNormalization", tensors: ["weight", "bias"], [("axis", .int(-1)), ONNXLayer.epsilon], to: &graph)
        case .maxPool2d(let window): addNode("MaxPool", attributes(of: window), to: &graph)
        case .avgPool2d(let window, let countsPadding):
            addNode(
                "AveragePool", [("count_include_pad", .int(countsPadding ? 1 : 0))] + attributes(of: window),
                to: &graph)
        case .globalAvgPool2d:
            let pooled = Array(inputShape.prefix(2)) + [.extent(1), .extent(1)]
            graph.addNode("GlobalAveragePool", "\(name).pooled", inputs: inputs, shape: pooled)
            graph.addNode(
                "Flatten", name, inputs: ["\(name).pooled"], attributes: [("axis", .int(1))], shape: outputShape)
        case .activation(let function): add(function, to: &graph)
        case .flatten: addNode("Flatten", [("axis", .int(1))], to: &graph)
        case .add: addNode("Add", to: &graph)
        case .concatenate: addNode("Concat", [("axis", .int(1))], to: &graph)
        }
    }

    private static let epsilon = ("epsilon", ONNXGraph.Attribute.float(Float(Architecture.batchNormEpsilon)))

    private func addNode(
        _ type: String, tensors: [String] = [], _ attributes: [(String, ONNXGraph.Attribute)] = [],
        to graph: inout ONNXGraph
    ) {
        graph.addNode(
            type, name, inputs: inputs + tensors.map { "\(node.path).\($0)" }, attributes: attributes,
            shape: outputShape)
    }

    private func attributes(of window: Window) -> [(String, ONNXGraph.Attribute)] {
        let isDilated = window.dilationY != 1 || window.dilationX != 1
        return (isDilated ? [("dilations", .ints([window.dilationY, window.dilationX]))] : []) + [
            ("kernel_shape", .ints([window.kernelHeight, window.kernelWidth])),
            ("pads", .ints([window.paddingY, window.paddingX, window.paddingY, window.paddingX])),
            ("strides", .ints([window.strideY, window.strideX])),
        ]
    }

    private func add(_ function: NetworkGraph.Activation, to graph: inout ONNXGraph) {
        switch function {
        case .relu: addNode("Relu", to: &graph)
        case .relu6:
            let (least, most) = (graph.constant(0), graph.constant(6))
            graph.addNode("Clip", name, inputs: inputs + [least, most], shape: outputShape)
        case .leakyReLU(let slope): addNode("LeakyRelu", [("alpha", .float(Float(slope)))], to: &graph)
        case .tanh: addNode("Tanh", to: &graph)
        case .sigmoid: addNode("Sigmoid", to: &graph)
        case .gelu: addGELU(to: &graph)
        }
    }

    /// x · (erf(x ÷ √2) + 1) ÷ 2: a node of its own only from opset 20 on.
    private func addGELU(to graph: inout ONNXGraph) {
        let (half, one, root) = (graph.constant(0.5), graph.constant(1), graph.constant(2.0.squareRoot()))
        graph.addNode("Div", "\(name).scaled", inputs: [inputs[0], root], shape: inputShape)
        graph.addNode("Erf", "\(name).erf", inputs: ["\(name).scaled"], shape: inputShape)
        graph.addNode("Add", "\(name).shifted", inputs: ["\(name).erf", one], shape: inputShape)
        graph.addNode("Mul", "\(name).product", inputs: [inputs[0], "\(name).shifted"], shape: inputShape)
        graph.addNode("Mul", name, inputs: ["\(name).product", half], shape: outputShape)
    }
}
