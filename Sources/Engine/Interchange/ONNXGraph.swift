internal import Basics
internal import Tensors

/// The parts of a graph of ONNX as they are written (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), field after field
/// in the order of their numbers, so that the bytes are those that the package `onnx` would write.
struct ONNXGraph {
    /// An axis of a value: an extent, or a name for one that the caller chooses.
    enum Axis: Hashable {
        case extent(Int)
        case named(String)
    }

    /// `TensorProto.DataType`.
    enum ElementType: Int {
        case float = 1
        case uint8 = 2
        case int64 = 7
        case string = 8
        case bool = 9
        case double = 11
    }

    enum Attribute {
        case int(Int)
        case ints([Int])
        case float(Float)
        case string(String)
        case strings([String])
    }

    private var nodes: [ProtobufWriter] = []
    private var initializers: [ProtobufWriter] = []
    private var inputs: [ProtobufWriter] = []
    private var outputs: [ProtobufWriter] = []
    private var values: [ProtobufWriter] = []
    private var names: Set<String> = []
    /// A name that two values have, which a right graph has not.
    private(set) var clash: String?
    private(set) var usesMachineLearningDomain = false

    static let machineLearningDomain = "ai.onnx.ml"

    mutating func addInput(_ name: String, _ type: ElementType, _ shape: [Axis]) {
        use(name)
        inputs.append(ONNXGraph.value(name, type, shape))
    }

    mutating func addOutput(_ name: String, _ type: ElementType, _ shape: [Axis]) {
        outputs.append(ONNXGraph.value(name, type, shape))
    }

    /// A node with one output of its own name, whose type and shape are told to readers unless `shape` is nil.
    mutating func addNode(
        _ type: String, _ name: String, inputs: [String], attributes: [(String, Attribute)] = [], domain: String = "",
        shape: [Axis]? = nil, of elements: ElementType = .float
    ) {
        var node = ProtobufWriter()
        for input in inputs { node.add(1, input) }
        node.add(2, name)
        node.add(3, name)
        node.add(4, type)
        for (key, value) in attributes { node.add(5, ONNXGraph.attribute(key, value)) }
        if !domain.isEmpty { node.add(7, domain) }
        usesMachineLearningDomain = usesMachineLearningDomain || domain == ONNXGraph.machineLearningDomain
        use(name)
        nodes.append(node)
        if let shape { values.append(ONNXGraph.value(name, elements, shape)) }
    }

    /// A constant with the elements of `tensor`: f32, f64 or i64.
    mutating func addInitializer(_ name: String, _ tensor: Tensor) {
        var message = ProtobufWriter()
        for extent in tensor.shape { message.add(1, extent) }
        let type: ElementType =
            switch tensor.dtype {
            case .f32: .float
            case .f64: .double
            case .i64: .int64
            case let other: preconditionFailure("`\(name)` is of \(other), which no exported layer has")
            }
        message.add(2, type.rawValue)
        message.add(8, name)
        tensor.withUnsafeBytes { message.add(9, bytes: $0) }
        use(name)
        initializers.append(message)
    }

    /// The name of a scalar constant, which nodes share.
    mutating func constant(_ value: Double, _ type: DType = .f32) -> String {
        let name = "constant.\(type.rawValue).\(value)"
        if !names.contains(name) { addInitializer(name, Tensor(value, dtype: type)) }
        return name
    }

    private mutating func use(_ name: String) {
        if !names.insert(name).inserted { clash = clash ?? name }
    }

    /// The message `GraphProto`.
    func message(name: String, comment: String) -> ProtobufWriter {
        var graph = ProtobufWriter()
        for node in nodes { graph.add(1, node) }
        graph.add(2, name)
        for initializer in initializers { graph.add(5, initializer) }
        if !comment.isEmpty { graph.add(10, comment) }
        for input in inputs { graph.add(11, input) }
        for output in outputs { graph.add(12, output) }
        for value in values { graph.add(13, value) }
        return graph
    }

    private static func value(_ name: String, _ type: ElementType, _ shape: [Axis]) -> ProtobufWriter {
        var dimensions = ProtobufWriter()
        for axis in shape {
            var dimension = ProtobufWriter()
            switch axis {
            case .extent(let extent): dimension.add(1, extent)
            case .named(let name): dimension.add(2, name)
            }
            dimensions.add(1, dimension)
        }
        var tensor = ProtobufWriter()
        tensor.add(1, type.rawValue)
        tensor.add(2, dimensions)
        var kind = ProtobufWriter()
        kind.add(1, tensor)
        var value = ProtobufWriter()
        value.add(1, name)
        value.add(2, kind)
        return value
    }

    private static func attribute(_ name: String, _ value: Attribute) -> ProtobufWriter {
        var message = ProtobufWriter()
        message.add(1, name)
        let type: Int
        switch value {
        case .float(let number):
            message.add(2, number)
            type = 1
        case .int(let number):
            message.add(3, number)
            type = 2
        case .string(let text):
            message.add(4, text)
            type = 3
        case .ints(let numbers):
            for number in numbers { message.add(8, number) }
            type = 7
        case .strings(let texts):
            for text in texts { message.add(9, text) }
            type = 8
        }
        message.add(20, type)
        return message
    }
}
