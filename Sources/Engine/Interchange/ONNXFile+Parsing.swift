internal import Basics

/// The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
extension ONNXFile {
    /// Nodes, values and weights of one file, together; graphs of real products have tens of thousands.
    private static let countLimit = 1_000_000
    private static let rankLimit = 64
    /// Graphs inside graphs.
    private static let depthLimit = 16

    func parse(_ reader: ProtobufReader) throws {
        do {
            try parseModel(reader)
        } catch let error as MLOpsError where error.kind == .damaged && format == 0 {
            // Nothing was found yet that only an ONNX model has.
            throw noModel(cause: error)
        }
        guard hasGraph, format > 0 else { throw noModel(cause: nil) }
    }

    private func noModel(cause: (any Error)?) -> MLOpsError {
        MLOpsError(
            .usage, "`\(path)` is no ONNX model", hint: "name a `.onnx` file that an exporter wrote", cause: cause)
    }

    private func parseModel(_ reader: ProtobufReader) throws {
        var reader = reader
        while let (field, value) = try reader.next() {
            switch field {
            case 1: format = try reader.integer(value)
            case 2, 3:
                let text = try reader.text(value)
                producer += producer.isEmpty || text.isEmpty ? text : " \(text)"
            case 7:
                hasGraph = true
                try parseGraph(try reader.message(value))
            case 8: try parseOperatorSet(try reader.message(value))
            case 14: try parseProperty(try reader.message(value))
            default: break
            }
        }
    }

    private func parseOperatorSet(_ reader: ProtobufReader) throws {
        var reader = reader
        var (domain, version) = ("", Int64(0))
        while let (field, value) = try reader.next() {
            if field == 1 { domain = try reader.text(value) }
            if field == 2 { version = try reader.integer(value) }
        }
        operatorSets[domain] = version
        try checkCount(reader)
    }

    private func parseProperty(_ reader: ProtobufReader) throws {
        var reader = reader
        var (key, text) = ("", "")
        while let (field, value) = try reader.next() {
            if field == 1 { key = try reader.text(value) }
            if field == 2 { text = try reader.text(value) }
        }
        metadata[key] = text
        try checkCount(reader)
    }

    private func checkCount(_ reader: ProtobufReader) throws {
        let count =
            nodes.count + values.count + weights.count + inputs.count + outputs.count + metadata.count
            + operatorSets.count
        guard count <= ONNXFile.countLimit else {
            throw reader.fault("the graph has more than \(ONNXFile.countLimit) parts")
        }
    }

    private func parseGraph(_ reader: ProtobufReader) throws {
        var reader = reader
        while let (field, value) = try reader.next() {
            switch field {
            case 1: nodes.append(try parseNode(try reader.message(value), depth: 0))
            case 2: graphName = try reader.text(value)
            case 5: weights.append(try parseWeight(try reader.message(value)))
            case 10: comment = try reader.text(value)
            case 11: inputs.append(try parseValue(try reader.message(value)))
            case 12: outputs.append(try parseValue(try reader.message(value)))
            case 13: values.append(try parseValue(try reader.message(value)))
            default: break
            }
            try checkCount(reader)
        }
    }

    private func parseNode(_ reader: ProtobufReader, depth: Int) throws -> Node {
        var reader = reader
        var node = Node(name: "", type: "", domain: "", inputs: [], outputs: [], integers: [:], innerNodeCount: 0)
        while let (field, value) = try reader.next() {
            switch field {
            case 1: node.inputs.append(try reader.text(value))
            case 2: node.outputs.append(try reader.text(value))
            case 3: node.name = try reader.text(value)
            case 4: node.type = try reader.text(value)
            case 5: try parseAttribute(try reader.message(value), of: &node, depth: depth)
            case 7: node.domain = try reader.text(value)
            default: break
            }
            guard node.inputs.count + node.outputs.count <= 1 << 16 else {
                throw reader.fault("a node has more than \(1 << 16) inputs and outputs")
            }
        }
        return node
    }

    private func parseAttribute(_ reader: ProtobufReader, of node: inout Node, depth: Int) throws {
        var reader = reader
        var name = ""
        var numbers: [Int64] = []
        while let (field, value) = try reader.next() {
            switch field {
            case 1: name = try reader.text(value)
            case 3: numbers.append(try reader.integer(value))
            case 8: try reader.integers(value, into: &numbers, limit: 1 << 16)
            case 6, 11: node.innerNodeCount += try countNodes(try reader.message(value), depth: depth + 1)
            default: break
            }
            guard numbers.count <= 1 << 16 else { throw reader.fault("an attribute has more than \(1 << 16) numbers") }
        }
        if !numbers.isEmpty { node.integers[name] = numbers }
    }

    /// The nodes of a graph inside a node, and of those inside it.
    private func countNodes(_ reader: ProtobufReader, depth: Int) throws -> Int {
        guard depth <= ONNXFile.depthLimit else {
            throw reader.fault("graphs lie more than \(ONNXFile.depthLimit) deep inside each other")
        }
        var reader = reader
        var count = 0
        while let (field, value) = try reader.next() {
            guard field == 1 else { continue }
            count += 1 + (try parseNode(try reader.message(value), depth: depth)).innerNodeCount
            guard count <= ONNXFile.countLimit else {
                throw reader.fault("a graph inside a node has more than \(ONNXFile.countLimit) nodes")
            }
        }
        return count
    }

    private func parseWeight(_ reader: ProtobufReader) throws -> Weight {
        var reader = reader
        var extents: [Int64] = []
        var weight = Weight(name: "", type: "", shape: [], byteCount: 0, isExternal: false, range: nil, typeCode: 0)
        while let (field, value) = try reader.next() {
            switch field {
            case 1: try reader.integers(value, into: &extents, limit: ONNXFile.rankLimit)
            case 2: weight.typeCode = Int(try reader.integer(value))
            case 8: weight.name = try reader.text(value)
            case 9:
                guard case .bytes(let range) = value else { throw reader.fault("raw data are stored as a number") }
                weight.range = range
            case 14: weight.isExternal = try reader.integer(value) == 1
            default: break
            }
        }
        weight.type = ONNXType.names[weight.typeCode] ?? "type \(weight.typeCode)"
        var count = 1
        for extent in extents {
            let (product, overflows) = count.multipliedReportingOverflow(by: Int(extent))
            guard extent >= 0, !overflows, product < 1 << 40 else {
                throw reader.fault("weight `\(printable(weight.name))` cannot have shape \(extents)")
            }
            count = product
        }
        weight.shape = extents.map(Int.init)
        weight.byteCount = (count * (ONNXType.bits[weight.typeCode] ?? 0) + 7) / 8
        return weight
    }

    private func parseValue(_ reader: ProtobufReader) throws -> Value {
        var reader = reader
        var result = Value(name: "", type: "", shape: nil)
        while let (field, value) = try reader.next() {
            if field == 1 { result.name = try reader.text(value) }
            if field == 2 { try parseType(try reader.message(value), of: &result) }
        }
        return result
    }

    private func parseType(_ reader: ProtobufReader, of result: inout Value) throws {
        var reader = reader
        while let (field, value) = try reader.next() {
            switch field {
            case 1: try parseTensorType(try reader.message(value), of: &result)
            case 4: result.type = "sequence"
            case 5: result.type = "map"
            case 8: result.type = "sparse"
            case 9: result.type = "optional"
            default: break
            }
        }
    }

    private func parseTensorType(_ reader: ProtobufReader, of result: inout Value) throws {
        var reader = reader
        while let (field, value) = try reader.next() {
            switch field {
            case 1:
                let code = Int(try reader.integer(value))
                result.type = ONNXType.names[code] ?? "type \(code)"
            case 2:
                var axes = try reader.message(value)
                var shape: [String] = []
                while let (field, value) = try axes.next() {
                    guard field == 1 else { continue }
                    shape.append(try parseAxis(try axes.message(value)))
                    guard shape.count <= ONNXFile.rankLimit else {
                        throw axes.fault("a shape has more than \(ONNXFile.rankLimit) axes")
                    }
                }
                result.shape = shape
            default: break
            }
        }
    }

    private func parseAxis(_ reader: ProtobufReader) throws -> String {
        var reader = reader
        var axis = "?"
        while let (field, value) = try reader.next() {
            if field == 1 { axis = String(try reader.integer(value)) }
            if field == 2 { axis = try reader.text(value) }
        }
        return axis
    }
}
