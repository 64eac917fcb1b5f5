internal import Basics
internal import Tensors

/// A model file as an ONNX model, opset 17 and format 8 (Documentation/formats/onnx.md).
package struct ONNXExport: Sendable {
    /// What the ONNX model takes.
    package enum Input: Sendable {
        /// `input`: f32, the numbers that the network sees.
        case encoded
        /// `pixels`: u8, 0...255; each channel becomes (p ÷ 255 − mean) ÷ deviation. One mean for all channels, or one for each.
        case pixels(mean: [Double], deviation: [Double])
        /// One input per column, `[batch, 1]`.
        case columns([Column])
    }

    /// A column of a table.
    package struct Column: Sendable {
        package enum Kind: Sendable {
            /// f32, NaN where missing: (value − mean) ÷ deviation, clipped to ±10⁶, 0 if missing.
            case number(mean: Double, deviation: Double)
            /// Text: one number per place, 1 at the place of its text, all 0 for a text without a place.
            case text(places: [(text: String, place: Int)], width: Int)
        }

        package var name: String
        package var kind: Kind

        package init(name: String, kind: Kind) {
            self.name = name
            self.kind = kind
        }
    }

    package static let format = 8
    package static let operatorSet = 17
    /// Of `ai.onnx.ml`, which holds the encoders of text.
    package static let machineLearningSet = 3

    private let model: ModelFile
    private let network: NetworkGraph
    private let input: Input
    private let metadata: [String: String]

    /// - Parameter metadata: goes into the ONNX model beside what the model file says of itself.
    /// - Throws: kind `.usage` for an int8 model or columns whose names clash with the graph's own; kind `.damaged` naming every
    ///   tensor that does not fit.
    package init(_ model: ModelFile, path: String, input: Input, metadata: [String: String] = [:]) throws {
        guard model.description.precision == .float32 else {
            throw MLOpsError(
                .usage, "`\(path)` is an int8 model, which is not exported to ONNX",
                hint: "convert the float model that it was made from")
        }
        self.model = model
        self.input = input
        self.metadata = metadata
        network = try NetworkGraph(model.description.architecture)
        try network.checkTensors(of: model, path: path)
        if let clash = try graph().clash {
            throw MLOpsError(
                .usage, "column `\(printable(clash))` has the name of another value of the ONNX model",
                hint: "convert with `--input encoded`")
        }
    }

    /// The bytes of the `.onnx` file.
    ///
    /// - Throws: kind `.usage` if they are 2 GiB or more, which no reader of Protocol Buffers takes.
    package func encode() throws -> [UInt8] {
        let graph = try graph()
        var message = ProtobufWriter()
        message.add(1, ONNXExport.format)
        message.add(2, "mlops")
        message.add(5, 1)
        message.add(7, graph.message(name: model.description.recipe, comment: ""))
        message.add(8, ONNXExport.set("", ONNXExport.operatorSet))
        if graph.usesMachineLearningDomain {
            message.add(8, ONNXExport.set(ONNXGraph.machineLearningDomain, ONNXExport.machineLearningSet))
        }
        for (key, value) in try properties().sorted(by: { $0.key < $1.key }) {
            var entry = ProtobufWriter()
            entry.add(1, key)
            entry.add(2, value)
            message.add(14, entry)
        }
        guard message.bytes.count < Int(Int32.max) else {
            throw MLOpsError(
                .usage, "the ONNX model would have \(message.bytes.count) bytes, its format ends at 2 GiB",
                hint: "use the safetensors file")
        }
        return message.bytes
    }

    private static func set(_ domain: String, _ version: Int) -> ProtobufWriter {
        var message = ProtobufWriter()
        message.add(1, domain)
        message.add(2, version)
        return message
    }

    /// What the file says of itself, as text by key.
    private func properties() throws -> [String: String] {
        var properties = metadata
        let description = model.description
        properties["mlops.recipe"] = description.recipe
        properties["mlops.classes"] = JSONValue.array(description.classes.map(JSONValue.string)).canonicalText
        properties["mlops.positive_class"] = description.positiveClass
        properties["mlops.encoding"] = description.input.canonicalText
        properties["mlops.hyperparameters"] = description.hyperparameters.canonicalText
        return properties
    }

    private static let batch = ONNXGraph.Axis.named("batch")

    private static func axes(_ shape: [Int]) -> [ONNXGraph.Axis] { [batch] + shape.map(ONNXGraph.Axis.extent) }

    private func graph() throws -> ONNXGraph {
        var graph = ONNXGraph()
        var values = [0: addInput(to: &graph)]
        for node in network.nodes {
            let isLast = node.output == network.output
            for (suffix, _) in node.operation.tensorShapes {
                let name = "\(node.path).\(suffix)"
                if let tensor = model.tensors[name] { graph.addInitializer(name, tensor) }
            }
            let layer = ONNXLayer(
                node: node, name: isLast ? "logits" : "\(node.path).\(node.operation.name)",
                inputs: node.inputs.map { values[$0] ?? "" },
                inputShape: ONNXExport.axes(network.shapes[node.inputs[0]]),
                outputShape: isLast ? nil : ONNXExport.axes(network.shapes[node.output]))
            layer.add(to: &graph)
            values[node.output] = layer.name
        }
        if network.nodes.isEmpty { graph.addNode("Identity", "logits", inputs: [values[0] ?? ""]) }
        let shape = ONNXExport.axes(network.shapes[network.output])
        graph.addNode("Softmax", "probabilities", inputs: ["logits"], attributes: [("axis", .int(-1))])
        graph.addOutput("probabilities", .float, shape)
        graph.addOutput("logits", .float, shape)
        return graph
    }

    /// The name of the value that the network's first layer takes.
    private func addInput(to graph: inout ONNXGraph) -> String {
        let shape = ONNXExport.axes(network.shapes[0])
        switch input {
        case .encoded:
            graph.addInput("input", .float, shape)
            return "input"
        case .pixels(let mean, let deviation):
            return graph.addPixels(mean: mean, deviation: deviation, shape: shape)
        case .columns(let columns):
            return graph.addColumns(columns, shape: shape)
        }
    }
}
