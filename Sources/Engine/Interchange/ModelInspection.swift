package import Basics
internal import TensorFiles

/// What is in a file of weights: a model of this program, any other safetensors file, or an ONNX model.
package struct ModelInspection: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Sendable {
        /// A model file of this program.
        case model
        /// A safetensors file of anyone.
        case safetensors
        case onnx
    }

    /// A layer of a model or a node of a graph, in the order of their use.
    package struct Layer: Codable, Hashable, Sendable {
        package var path: String
        package var type: String
        /// Of its first output, without the batch; nil if the file does not tell.
        @Null package var output: [String]?
        /// Trained numbers.
        package var parameters: Int
        /// For one example; nil if a shape is not known.
        @Null package var multiplyAdds: Int?
        @Null package var operations: Int?

        private enum CodingKeys: String, CodingKey {
            case path, type, output, parameters, operations
            case multiplyAdds = "multiply_adds"
        }
    }

    package struct Weight: Codable, Hashable, Sendable {
        package var name: String
        package var dtype: String
        package var shape: [Int]
        package var byteCount: Int

        private enum CodingKeys: String, CodingKey {
            case name, dtype, shape
            case byteCount = "bytes"
        }
    }

    /// What a graph takes or gives.
    package struct Value: Codable, Hashable, Sendable {
        package var name: String
        package var dtype: String
        /// Extents, or names of axes that the caller chooses.
        @Null package var shape: [String]?
    }

    package var path: String
    package var kind: Kind
    package var byteCount: Int64
    package var digest: String
    /// As the files name them, with the count of numbers of each.
    package var dtypes: [String: Int]
    /// Trained numbers; of a file that does not tell what is trained, all numbers.
    package var parameters: Int
    /// For one example, of the nodes whose shapes are known; nil if there are none.
    @Null package var multiplyAdds: Int?
    /// Floating-point operations for one example, counted as `NetworkGraph.operationCount` does; nil for graphs of others.
    @Null package var operations: Int?
    package var inputs: [Value]
    package var outputs: [Value]
    package var layers: [Layer]
    package var tensors: [Weight]
    /// Texts by key; what is JSON in itself is told as such.
    package var metadata: [String: JSONValue]

    private enum CodingKeys: String, CodingKey {
        case path, kind, digest, dtypes, parameters, operations, inputs, outputs, layers, tensors, metadata
        case byteCount = "bytes"
        case multiplyAdds = "multiply_adds"
    }

    /// Which of the three the file at `path` seems to be, by its first bytes.
    package static func kind(of path: String) throws -> Kind {
        let file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.usage, "`\(path)` is not a regular file") }
        let start = try file.read(count: Int(min(status.size, 9)), at: 0)
        let isSafetensors = start.count == 9 && start[8] == UInt8(ascii: "{") || path.hasSuffix(".safetensors")
        return isSafetensors ? .safetensors : .onnx
    }

    /// Looks into the file at `path`.
    ///
    /// - Throws: kind `.usage` if it is neither of the three; kind `.damaged` if it is broken.
    package init(path: String) throws {
        let file = try OpenFile(reading: path)
        self.path = path
        byteCount = try file.status().size
        digest = ""
        (kind, dtypes, parameters, inputs, outputs, layers, tensors, metadata) = (.onnx, [:], 0, [], [], [], [], [:])
        switch try ModelInspection.kind(of: path) {
        case .model, .safetensors: try describe(SafetensorsFile(path: path, readsEveryType: false))
        case .onnx: try describe(ONNXFile(path: path))
        }
        digest = try Digest.of(file).description
    }

    private mutating func describe(_ file: SafetensorsFile) throws {
        kind = .safetensors
        for (key, text) in file.header.metadata {
            let json =
                text.hasPrefix("{") || text.hasPrefix("[")
                ? try? JSONValue(parsing: Array(text.utf8), source: key) : nil
            metadata[key] = json ?? .string(text)
        }
        for entry in file.header.entries {
            tensors.append(
                Weight(name: entry.name, dtype: entry.dtype, shape: entry.shape, byteCount: entry.range.count))
        }
        tensors.sort { $0.name < $1.name }
        count()
        guard let description = try ModelFile.description(of: file) else { return }
        kind = .model
        let network = try NetworkGraph(description.architecture)
        func shape(_ value: Int) -> [String] { network.shapes[value].map(String.init) }
        inputs = [Value(name: "input", dtype: "F32", shape: ["batch"] + shape(0))]
        outputs = [Value(name: "logits", dtype: "F32", shape: ["batch"] + shape(network.output))]
        layers = network.nodes.map { node in
            Layer(
                path: node.path, type: node.operation.name, output: shape(node.output),
                parameters: node.operation.parameterCount, multiplyAdds: network.multiplyAdds(of: node),
                operations: network.operationCount(of: node))
        }
        parameters = ModelInspection.sum(layers.map(\.parameters))
        multiplyAdds = ModelInspection.sum(layers.compactMap(\.multiplyAdds))
        operations = ModelInspection.sum(layers.compactMap(\.operations))
    }

    private mutating func describe(_ file: ONNXFile) throws {
        kind = .onnx
        for (key, text) in file.metadata { metadata[key] = .string(text) }
        metadata["ir_version"] = .int(file.format)
        metadata["producer"] = .string(file.producer)
        for (domain, version) in file.operatorSets {
            metadata["opset.\(domain.isEmpty ? "ai.onnx" : domain)"] = .int(version)
        }
        for weight in file.weights {
            tensors.append(
                Weight(name: weight.name, dtype: weight.type, shape: weight.shape, byteCount: weight.byteCount))
        }
        count()
        let names = Set(file.weights.map(\.name))
        // Before format 4, weights were inputs too.
        inputs = file.inputs.filter { !names.contains($0.name) }.map {
            Value(name: $0.name, dtype: $0.type, shape: $0.shape)
        }
        outputs = file.outputs.map { Value(name: $0.name, dtype: $0.type, shape: $0.shape) }
        layers = ONNXCosts(file).layers
        let known = layers.compactMap(\.multiplyAdds)
        multiplyAdds = known.isEmpty ? nil : ModelInspection.sum(known)
    }

    private mutating func count() {
        for tensor in tensors {
            dtypes[tensor.dtype] = ModelInspection.sum([dtypes[tensor.dtype] ?? 0, tensor.shape.reduce(1, *)])
        }
        parameters = ModelInspection.sum(Array(dtypes.values))
    }

    /// The sum, or the largest number if a file claims more.
    private static func sum(_ values: [Int]) -> Int {
        values.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
    }
}
