internal import Basics
internal import Interchange
internal import TensorFiles
internal import Tensors

/// Writes what a file of weights holds in another format.
package struct ModelConversion: Sendable {
    package enum Target: String, CaseIterable, Sendable {
        /// An ONNX model, from a model file.
        case onnx
        /// The weights alone by the names that PyTorch would give them, from a model file or an ONNX model.
        case safetensors
        /// A model file, from weights for the architecture of another.
        case model
        /// The same safetensors file with its floats stored so.
        case f32, f16, bf16
    }

    /// What was written.
    package struct Report: Codable, Hashable, Sendable {
        package var source: String
        package var target: String
        package var output: String
        package var sourceByteCount: Int64
        package var byteCount: Int64
        package var digest: String
        /// Tensors in the file; the weights of an ONNX model.
        package var tensors: Int
        /// By how much a stored number differs at most from what it was.
        package var largestError: Double

        private enum CodingKeys: String, CodingKey {
            case source, target, output, digest, tensors
            case sourceByteCount = "source_bytes"
            case byteCount = "bytes"
            case largestError = "max_error"
        }
    }

    package var target: Target
    /// Of an ONNX model.
    package var input: ONNXInputForm
    /// The model file whose architecture, classes and encoding the weights get.
    package var pattern: String?

    package init(to target: Target, input: ONNXInputForm = .raw, like pattern: String? = nil) {
        self.target = target
        self.input = input
        self.pattern = pattern
    }

    /// Converts the file at `path` and writes `output`, all or nothing.
    ///
    /// - Throws: kind `.usage` if the file cannot become what is asked for; what the readers throw.
    package func run(_ path: String, output: String) throws -> Report {
        let sourceByteCount = try OpenFile(reading: path).status().size
        var before: [String: Tensor] = [:]
        let bytes: [UInt8]
        switch target {
        case .onnx:
            let model = try ModelFile(path: path)
            bytes = try model.onnx(input, path: path, digest: Digest.of(try FileSystem.read(path)))
        case .safetensors: bytes = SafetensorsFile.encode(try weights(of: path))
        case .model: bytes = try filled(with: try weights(of: path), from: path).encode()
        case .f32, .f16, .bf16: (bytes, before) = try stored(path)
        }
        try FileSystem.replace(output, with: bytes)
        let after = target == .onnx ? nil : try SafetensorsFile(path: output)
        var largestError = 0.0
        for (name, tensor) in before where tensor.dtype.isFloat {
            for (left, right) in zip(tensor.floats(), try after?.tensor(name).floats() ?? []) where left.isFinite {
                largestError = max(largestError, Double(abs(left - right)))
            }
        }
        return Report(
            source: path, target: target.rawValue, output: output, sourceByteCount: sourceByteCount,
            byteCount: Int64(bytes.count), digest: Digest.of(bytes).description,
            tensors: try after?.names.count ?? ONNXFile(path: output).weights.count,
            largestError: largestError)
    }

    /// The tensors of a safetensors file or the weights of an ONNX model.
    private func weights(of path: String) throws -> [String: Tensor] {
        let kind = try ModelInspection.kind(of: path)
        guard kind == .onnx else { return try SafetensorsFile(path: path).tensors() }
        let file = try ONNXFile(path: path)
        var tensors: [String: Tensor] = [:]
        for weight in file.weights {
            guard tensors.updateValue(try file.tensor(weight), forKey: weight.name) == nil else {
                throw MLOpsError(.damaged, "`\(path)` has two weights called `\(printable(weight.name))`")
            }
        }
        guard !tensors.isEmpty else { throw MLOpsError(.usage, "`\(path)` holds no weights") }
        return tensors
    }

    /// The pattern's model with `weights` in place of its own.
    private func filled(with weights: [String: Tensor], from path: String) throws -> ModelFile {
        guard let pattern else {
            throw MLOpsError(
                .usage, "weights alone are no model: its architecture and classes must come from another",
                hint: "name a model of the same layers with `--like`")
        }
        var model = try ModelFile(path: pattern)
        var rest = weights
        var faults: [String] = []
        for (name, present) in model.tensors.sorted(by: { $0.key < $1.key }) {
            guard let given = rest.removeValue(forKey: name) else {
                // PyTorch counts batches there; nothing reads it, and exporters leave it out.
                if !name.hasSuffix(".num_batches_tracked") { faults.append("`\(printable(name))` is missing") }
                continue
            }
            guard given.shape == present.shape else {
                faults.append("`\(printable(name))` is \(given.shape), expected \(present.shape)")
                continue
            }
            model.tensors[name] = try given.cast(to: present.dtype)
        }
        // What the export adds to the weights is no weight of the model.
        for name in rest.keys where name.hasPrefix("constant.") || name.hasPrefix("input.") { rest[name] = nil }
        faults += rest.keys.sorted().map { "`\(printable($0))` is too many" }
        guard faults.isEmpty else {
            throw MLOpsError(
                .usage, "the weights of `\(path)` do not fit `\(pattern)`: \(faults.joined(separator: "; "))",
                hint: "`mlops model inspect` shows the tensors of both")
        }
        return model
    }

    /// The safetensors file with its f32 numbers stored as the target says, and its tensors as they are.
    private func stored(_ path: String) throws -> (bytes: [UInt8], tensors: [String: Tensor]) {
        let dtype: DType = target == .f16 ? .f16 : target == .bf16 ? .bf16 : .f32
        if try ModelInspection.kind(of: path) == .onnx {
            throw MLOpsError(
                .usage, "`\(path)` is an ONNX model, whose weights are not stored anew",
                hint: "convert the safetensors file, or first `--to safetensors`")
        }
        let file = try SafetensorsFile(path: path)
        if let model = try? ModelFile(path: path), model.description.precision == .int8 {
            throw MLOpsError(
                .usage, "`\(path)` is an int8 model: its floats are scales, which need all their bits",
                hint: "convert the float model that it was made from")
        }
        let tensors = try file.tensors()
        var stored: [String: Tensor] = [:]
        for (name, tensor) in tensors {
            stored[name] = tensor.dtype.isFloat && tensor.dtype != .f64 ? try tensor.cast(to: dtype) : tensor
            guard let narrow = stored[name], narrow.isFinite || !tensor.isFinite else {
                throw MLOpsError(
                    .usage, "tensor `\(printable(name))` holds a number that \(dtype) cannot: it ends at 65504",
                    hint: "convert to bf16")
            }
        }
        return (SafetensorsFile.encode(stored, metadata: file.header.metadata), tensors)
    }
}
