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
        case .linear: addNode("Gemm", tensors: ["weight", "bias"], [("transB", .int(1))], to: &graph)
        case .conv2d(let sizes):
            addNode("Conv", tensors: ["weight"] + (sizes.hasBias ? ["bias"] : []), attributes(of: sizes), to: &graph)
        case .batchNorm:
            addNode(
                "BatchNormalization", tensors: ["weight", "bias", "running_mean", "running_var"],
                [("epsilon", .float(Float(Architecture.batchNormEpsilon)))], to: &graph)
        case .maxPool2d(let window): addNode("MaxPool", attributes(of: window), to: &graph)
        case .avgPool2d(let window):
            addNode("AveragePool", attributes(of: window) + [("count_include_pad", .int(0))], to: &graph)
        case .activation(let function): add(function, to: &graph)
        case .flatten: addNode("Flatten", [("axis", .int(1))], to: &graph)
        }
    }

    private func addNode(
        _ type: String, tensors: [String] = [], _ attributes: [(String, ONNXGraph.Attribute)] = [],
        to graph: inout ONNXGraph
    ) {
        graph.addNode(
            type, name, inputs: inputs + tensors.map { "\(node.path).\($0)" }, attributes: attributes,
            shape: outputShape)
    }

    private func attributes(of sizes: NetworkGraph.Convolution) -> [(String, ONNXGraph.Attribute)] {
        [
            ("group", .int(sizes.groups)), ("kernel_shape", .ints([sizes.kernel, sizes.kernel])),
            ("pads", .ints(Array(repeating: sizes.padding, count: 4))),
            ("strides", .ints([sizes.stride, sizes.stride])),
        ]
    }

    private func attributes(of window: NetworkGraph.Pooling) -> [(String, ONNXGraph.Attribute)] {
        [
            ("kernel_shape", .ints([window.kernel, window.kernel])),
            ("pads", .ints(Array(repeating: window.padding, count: 4))),
            ("strides", .ints([window.stride, window.stride])),
        ]
    }

    private func add(_ function: NetworkGraph.Activation, to graph: inout ONNXGraph) {
        switch function {
        case .relu: addNode("Relu", to: &graph)
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
