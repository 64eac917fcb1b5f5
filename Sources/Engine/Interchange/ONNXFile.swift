internal import Basics
package import Tensors

/// What an ONNX file says: its graph and its metadata, without the numbers of its weights.
///
/// Made for files from anywhere: lengths, counts and depth are bounded, and nothing in the file is run.
package final class ONNXFile {
    /// A tensor of the graph: an input, an output, a value between, or a weight.
    package struct Value: Hashable, Sendable {
        package var name: String
        /// As ONNX writes it: `float`, `int64`; `sequence`, `map` or `optional` for what is no tensor.
        package var type: String
        /// An extent, the name of an axis that the caller chooses, or `?`; nil if the rank is not known.
        package var shape: [String]?

        package init(name: String, type: String, shape: [String]?) {
            self.name = name
            self.type = type
            self.shape = shape
        }
    }

    package struct Weight: Hashable, Sendable {
        package var name: String
        package var type: String
        package var shape: [Int]
        /// Bytes of the numbers, in this file or another; by type and shape.
        package var byteCount: Int
        package var isExternal: Bool
        /// Where `raw_data` lies in the file.
        var range: Range<Int>?
        var typeCode: Int

        package var count: Int { shape.reduce(1, *) }
    }

    package struct Node: Hashable, Sendable {
        package var name: String
        package var type: String
        package var domain: String
        package var inputs: [String]
        package var outputs: [String]
        /// The whole numbers among the attributes.
        package var integers: [String: [Int64]]
        /// Nodes of the graphs inside, as of `If` and `Loop`.
        package var innerNodeCount: Int
    }

    package let path: String
    package let byteCount: Int
    package internal(set) var format: Int64 = 0
    package internal(set) var producer = ""
    package internal(set) var graphName = ""
    package internal(set) var comment = ""
    /// Versions by domain; the empty one is ONNX itself.
    package internal(set) var operatorSets: [String: Int64] = [:]
    package internal(set) var metadata: [String: String] = [:]
    package internal(set) var nodes: [Node] = []
    package internal(set) var inputs: [Value] = []
    package internal(set) var outputs: [Value] = []
    package internal(set) var values: [Value] = []
    package internal(set) var weights: [Weight] = []
    var hasGraph = false
    private let file: OpenFile

    /// Reads the graph of the file at `path`.
    ///
    /// - Throws: kind `.usage` if it is no ONNX model; kind `.damaged` naming the byte where its structure breaks.
    package init(path: String) throws {
        self.path = path
        file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.usage, "`\(path)` is not a regular file") }
        byteCount = Int(status.size)
        try parse(ProtobufReader(ProtobufReader.Source(file, count: byteCount), in: 0..<byteCount))
    }

    /// The numbers of the weight `name`.
    ///
    /// - Throws: kind `.notFound` if there is none; kind `.usage` if its numbers lie in another file, are not stored as raw bytes
    ///   or have a type that is not read here.
    package func tensor(_ weight: Weight) throws -> Tensor {
        guard let dtype = ONNXType.dtypes[weight.typeCode] else {
            throw MLOpsError(
                .usage,
                "`\(path)`: weight `\(printable(weight.name))` is of type \(weight.type), which is not read here")
        }
        guard let range = weight.range, !weight.isExternal else {
            throw MLOpsError(
                .usage,
                "`\(path)`: the numbers of weight `\(printable(weight.name))` are not stored as raw bytes in it",
                hint: "save the model in one file with `onnx.save(model, path)`")
        }
        guard range.count == weight.byteCount else {
            throw MLOpsError(
                .damaged,
                "`\(path)`: weight `\(printable(weight.name))` of \(weight.type) \(weight.shape) needs \(weight.byteCount) bytes, "
                    + "it has \(range.count)", hint: "fetch or make the file again")
        }
        let bytes = try file.read(count: range.count, at: Int64(range.lowerBound))
        return try Tensor(bytes: bytes, shape: weight.shape, dtype: dtype)
    }
}

/// `TensorProto.DataType` by number.
enum ONNXType {
    static let names: [Int: String] = [
        0: "undefined", 1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
        9: "bool", 10: "float16", 11: "double", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
        16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4",
        22: "int4", 23: "float4e2m1",
    ]

    /// Bits of one element; texts have no size of their own.
    static let bits: [Int: Int] = [
        1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
        17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4,
    ]

    static let dtypes: [Int: DType] = [
        1: .f32, 2: .u8, 3: .i8, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64, 16: .bf16,
    ]
}
