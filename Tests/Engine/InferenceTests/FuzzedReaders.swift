import Basics
import Datasets
import Inference
import Interchange
import TensorFiles
import Tensors

/// The readers of files from anywhere as `Scripts/fuzz-readers` and the replay of the inputs that it kept call them. Whatever the bytes
/// are, each gives a value or throws an `MLOpsError`.
enum FuzzedReaders {
    /// By name; each gets the bytes and the path of a file that holds them.
    static let all: [String: @Sendable ([UInt8], String) throws -> Void] = [
        "safetensors": { _, path in
            let file = try SafetensorsFile(path: path)
            for name in file.names { _ = try file.tensor(name) }
        },
        "npy": { _, path in _ = try NPYReader.read(path).tensor(source: path) },
        "npz": { _, path in
            let archive = try ZipArchive(path: path)
            for name in archive.arrayNames { _ = try archive.array(name).floats() }
        },
        "idx": { _, path in _ = try IDXReader.read(path).floats() },
        "gzip": { _, path in _ = try ByteStream(path: path).readAll(limit: 1 << 22) },
        "csv": csv,
        "png": { bytes, path in
            _ = try orRefused { try decode(pngSignature, withCheckSums(bytes), path) }
            try decode(pngSignature, bytes, path)
        },
        "jpeg": { bytes, path in try decode([0xFF, 0xD8, 0xFF], bytes, path) },
        "description": { _, path in _ = try DatasetDescription(file: path) },
        "onnx": { _, path in
            let file = try ONNXFile(path: path)
            for weight in file.weights { _ = try orRefused { try file.tensor(weight) } }
            _ = try ModelInspection(path: path)
        },
        "model": model,
    ]

    /// What `body` gives, nil for an `MLOpsError`: that one part is refused does not end the reading of the next.
    private static func orRefused<Result>(_ body: () throws -> Result) throws -> Result? {
        do { return try body() } catch is MLOpsError { return nil }
    }

    /// The first byte chooses the form.
    private static func csv(_ bytes: [UInt8], _ path: String) throws {
        let first = bytes.first ?? 0
        let format = CSVFormat(
            delimiter: first & 1 == 0 ? "," : ";", hasHeader: first & 2 == 0, skipsSpaces: first & 4 == 0,
            commentPrefix: first & 8 == 0 ? nil : "#")
        let reader = try CSVReader(path: path, format: format, columns: format.hasHeader ? nil : ["a", "b"])
        while let row = try reader.next() {
            for index in 0..<row.count { _ = try orRefused { try row.number(index, column: reader.columns[index]) } }
            _ = row.fields
        }
    }

    private static func decode(_ magic: [UInt8], _ bytes: [UInt8], _ path: String) throws {
        guard bytes.starts(with: magic) else { return }
        let picture = try PictureReader.decode(bytes, path: path)
        if picture.pixels.count < 1 << 16 { _ = picture.converted(channels: 3).resized(width: 7, height: 5) }
    }

    private static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// The chunks of a PNG file with right check sums, which no fuzzer would find.
    private static func withCheckSums(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var start = pngSignature.count
        while start + 12 <= bytes.count {
            let length = bytes[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
            guard start + 12 + length <= bytes.count else { break }
            var sum = UInt32.max  // CRC-32 of the chunk's type and data
            for byte in bytes[(start + 4)..<(start + 8 + length)] {
                sum ^= UInt32(byte)
                for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0xEDB8_8320 }
            }
            for k in 0..<4 { bytes[start + 8 + length + k] = UInt8(truncatingIfNeeded: ~sum >> UInt32(24 - 8 * k)) }
            start += 12 + length
        }
        return bytes
    }

    /// A model file; or, if the bytes begin with `{`, the description of a model whose tensors are made to fit, since no fuzzer would find
    /// tensors that do.
    private static func model(_ bytes: [UInt8], _ path: String) throws {
        if bytes.first == UInt8(ascii: "{") {
            guard let model = try DescribedModel.make(bytes) else { return }
            return try use(model, path: path)
        }
        _ = try orRefused { try ModelInspection(path: path) }
        try use(ModelFile(path: path), path: path)
    }

    /// Answers one question, and exports.
    private static func use(_ model: ModelFile, path: String) throws {
        let predictor = try Predictor(model, path: path)
        let network = try NetworkGraph(model.description.architecture)
        guard network.nodes.allSatisfy({ network.operationCount(of: $0) < 1 << 20 }),
            network.nodes.count < 64, network.shapes.allSatisfy({ $0.reduce(1, *) < 1 << 14 })
        else { return }
        switch predictor.input {
        case .images(let shape, _):
            let count = 2 * shape.reduce(1, *)
            _ = try predictor.predict(pixels: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }, count: 2)
        case .tabular(let encoder):
            var record: [String: JSONValue] = [:]
            for field in encoder.fields {
                record[field.name] = field.isNumeric ? .double(0.5) : .string(field.categories?.last ?? "")
            }
            _ = try predictor.predict(records: [record, record.mapValues { _ in .null }])
        }
        for form in ONNXInputForm.allCases { _ = try orRefused { try model.onnx(form, path: path) } }
    }
}

/// A model of a description alone.
private enum DescribedModel {
    /// The model that the JSON `bytes` describe, its tensors drawn with the seed that stands there: any bits if it is odd. Nil if it is none
    /// or too large.
    static func make(_ bytes: [UInt8]) throws -> ModelFile? {
        let json = try JSONValue(parsing: bytes, source: "description")
        guard let description = try? json.decode() as ModelFile.Description else { return nil }
        let network = try NetworkGraph(description.architecture)
        let shapes = shapes(description, network)
        guard shapes.count < 256, shapes.allSatisfy({ $0.shape.reduce(1, *) < 1 << 12 }) else { return nil }
        var random = Philox(seed: description.seed)
        let isWild = description.seed & 1 == 1
        var tensors: [String: Tensor] = [:]
        for (name, shape, dtype) in shapes {
            if dtype == .f32, !isWild {
                tensors[name] = .uniform(shape, in: 0.01..<1, using: &random)
            } else {
                let bytes = (0..<(shape.reduce(1, *) * dtype.size)).map { _ in
                    UInt8(truncatingIfNeeded: random.nextWord())
                }
                tensors[name] = try Tensor(bytes: bytes, shape: shape, dtype: dtype)
            }
        }
        return ModelFile(description: description, tensors: tensors)
    }

    private static func shapes(
        _ description: ModelFile.Description, _ network: NetworkGraph
    ) -> [(name: String, shape: [Int], dtype: DType)] {
        guard description.precision == .int8 else {
            return network.nodes.flatMap { node in
                node.operation.tensorShapes.map { ("\(node.path).\($0.name)", $0.shape, .f32) }
            }
        }
        let layers = description.architecture.layers
        var shapes: [(name: String, shape: [Int], dtype: DType)] = [
            ("activation_scale", [layers.count + 1], .f32), ("activation_zero_point", [layers.count + 1], .u8),
        ]
        for (index, layer) in layers.enumerated() {
            guard let shape = layer.weightShape else { continue }
            shapes.append(("\(index).weight", shape, .i8))
            shapes.append(("\(index).weight_scale", [shape[0]], .f32))
            shapes.append(("\(index).bias", [shape[0]], .i32))
        }
        return shapes
    }
}
