package import Basics
internal import TensorFiles
package import Tensors

/// A model: what it is, and its tensors by name; one safetensors file (Documentation/formats/model-file.md).
package struct ModelFile: Sendable {
    package enum Precision: String, Codable, Sendable { case float32, int8 }

    /// The metadata key `mlops`: all that is needed to run the model without its recipe.
    package struct Description: Codable, Hashable, Sendable {
        package var format: Int
        package var precision: Precision
        package var recipe: String
        package var architecture: Architecture
        /// How raw examples become input: an `InputEncoding` of Datasets.
        package var input: JSONValue
        /// In the order of the outputs.
        package var classes: [String]
        package var positiveClass: String?
        package var hyperparameters: JSONValue
        package var seed: UInt64 {
            get { UInt64(bitPattern: signedSeed) }
            set { signedSeed = Int64(bitPattern: newValue) }
        }
        /// JSON's whole numbers are signed.
        private var signedSeed: Int64
        /// The digest of the float file that an int8 model was made from.
        package var quantizedFrom: String?

        private enum CodingKeys: String, CodingKey {
            case format, precision, recipe, architecture, input, classes, hyperparameters
            case signedSeed = "seed"
            case positiveClass = "positive_class"
            case quantizedFrom = "quantized_from"
        }

        package init(
            precision: Precision, recipe: String, architecture: Architecture, input: JSONValue, classes: [String],
            positiveClass: String?, hyperparameters: JSONValue, seed: UInt64
        ) {
            format = architecture.format
            self.precision = precision
            self.recipe = recipe
            self.architecture = architecture
            self.input = input
            self.classes = classes
            self.positiveClass = positiveClass
            self.hyperparameters = hyperparameters
            signedSeed = Int64(bitPattern: seed)
        }
    }

    package var description: Description
    package var tensors: [String: Tensor]

    private static let key = "mlops"
    /// Format 2 nests layers and has more kinds of them; a file takes the lowest format that can say it.
    private static let newestFormat = 2

    package init(description: Description, tensors: [String: Tensor]) {
        self.description = description
        self.tensors = tensors
    }

    /// Reads the model at `path`.
    ///
    /// - Throws: what `SafetensorsFile` throws; kind `.usage` if the file is no model of this program or of a newer format.
    package init(path: String) throws {
        guard try !path.hasSuffix(".onnx") || ModelInspection.kind(of: path) != .onnx else {
            throw MLOpsError(
                .usage, "`\(path)` is an ONNX model: these are written and inspected here, but not run",
                hint: "name the safetensors file that it was exported from")
        }
        let file = try SafetensorsFile(path: path)
        guard let description = try ModelFile.description(of: file) else {
            throw MLOpsError(
                .usage,
                "`\(path)` is a safetensors file, but no model of this program: metadata key `mlops` is missing",
                hint: "name a file that the step `train` or `quantize` wrote")
        }
        self.description = description
        // f16 and bf16 save room in the file; the layers run in f32.
        tensors = try file.tensors().mapValues { $0.dtype.isHalf ? try $0.cast(to: .f32) : $0 }
    }

    /// What `file` says of its model; nil if it is no model of this program.
    ///
    /// - Throws: kind `.usage` if it is of a newer format; kind `.damaged` if it cannot be read.
    static func description(of file: SafetensorsFile) throws -> Description? {
        guard let text = file.header.metadata[ModelFile.key] else { return nil }
        let path = file.path
        let json = try JSONValue(parsing: Array(text.utf8), source: path)
        guard let format = json["format"]?.integer else {
            throw MLOpsError(
                .damaged, "model file `\(path)`: metadata `mlops` names no format",
                hint: "train or fetch the model again")
        }
        guard (1...ModelFile.newestFormat).contains(format) else {
            throw MLOpsError(
                .usage, "`\(path)` is a model of format \(format), this program reads 1 and \(ModelFile.newestFormat)",
                hint: "use the version of mlops that wrote it, or a newer one")
        }
        do {
            return try json.decode()
        } catch let error as DecodingError {
            throw MLOpsError(
                .damaged, "`\(path)`: metadata `mlops` cannot be read: \(ModelFile.describe(error))",
                hint: "train or fetch the model again", cause: error)
        }
    }

    /// Writes the model to `path`, all or nothing.
    package func write(to path: String) throws { try FileSystem.replace(path, with: encode()) }

    /// The bytes of the file.
    package func encode() throws -> [UInt8] {
        var description = description
        description.format = description.architecture.format
        let text = try JSONValue(encoding: description).canonicalText
        return SafetensorsFile.encode(tensors, metadata: [ModelFile.key: text])
    }

    /// What is wrong and where: ``architecture.layers[3].branch[1].kernel`: 5000 is not in 0...4096`.
    private static func describe(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            let text = path.reduce(into: "") { text, key in
                if let index = key.intValue {
                    text += "[\(index)]"
                } else {
                    text += (text.isEmpty ? "" : ".") + printable(key.stringValue)
                }
            }
            return text.isEmpty ? "the document" : "`\(text)`"
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context): return "\(place(context.codingPath)) is not of type \(type)"
        case .valueNotFound(_, let context): return "\(place(context.codingPath)) is null"
        case .dataCorrupted(let context):
            return "\(place(context.codingPath)): \(printable(context.debugDescription))"
        @unknown default: return "it is of another form"
        }
    }
}
