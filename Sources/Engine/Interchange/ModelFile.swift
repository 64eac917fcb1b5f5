package import Basics
package import Tensors

/// A model: what it is, and its tensors by name; one safetensors file (Documentation/formats/model-file.md).
package struct ModelFile: Sendable {
    package enum Precision: String, Codable, Sendable { case float32, int8 }

    /// The metadata key `mlops`: all that is needed to run the model without its recipe.
    package struct Description: Codable, Hashable, Sendable {
        package var format = 1
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

    package init(description: Description, tensors: [String: Tensor]) {
        self.description = description
        self.tensors = tensors
    }

    /// Reads the model at `path`.
    ///
    /// - Throws: what `SafetensorsFile` throws; kind `.usage` if the file is no model of this program or of a newer format.
    package init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        guard let text = file.header.metadata[ModelFile.key] else {
            throw MLOpsError(
                .usage,
                "`\(path)` is a safetensors file, but no model of this program: metadata key `mlops` is missing",
                hint: "name a file that the step `train` or `quantize` wrote")
        }
        let json = try JSONValue(parsing: Array(text.utf8), source: path)
        guard let format = json["format"]?.integer else {
            throw damaged(path, "metadata `mlops` names no format")
        }
        guard format == 1 else {
            throw MLOpsError(
                .usage, "`\(path)` is a model of format \(format), this program reads format 1",
                hint: "use the version of mlops that wrote it, or a newer one")
        }
        do {
            description = try json.decode()
        } catch let error as DecodingError {
            throw MLOpsError(
                .damaged, "`\(path)`: metadata `mlops` cannot be read", hint: "train or fetch the model again",
                cause: error)
        }
        tensors = try file.tensors()
    }

    /// Writes the model to `path`, all or nothing.
    package func write(to path: String) throws {
        let text = try JSONValue(encoding: description).canonicalText
        try SafetensorsFile.write(tensors, metadata: [ModelFile.key: text], to: path)
    }
}

/// A network as a list of layers, each fed by the one before.
package struct Architecture: Codable, Hashable, Sendable {
    /// The shape of one input example.
    package var input: [Int]
    package var layers: [LayerSpec]

    package init(input: [Int], layers: [LayerSpec]) {
        self.input = input
        self.layers = layers
    }

    /// The shape of one example before each layer and, last, of the output.
    ///
    /// - Throws: kind `.usage` naming the first layer that does not fit.
    package func shapes() throws -> [[Int]] {
        guard input.count == 1 || input.count == 3, Architecture.isPossible(input) else {
            throw MLOpsError(.usage, "input shape \(input) is not [features] or [channels, height, width]")
        }
        var shapes = [input]
        for (index, layer) in layers.enumerated() {
            guard let shape = layer.outputShape(for: shapes[index]), Architecture.isPossible(shape) else {
                throw MLOpsError(
                    .usage, "layer \(index) (\(layer.type)) does not take an input of shape \(shapes[index])")
            }
            shapes.append(shape)
        }
        return shapes
    }

    /// Whether all extents are positive and one example has at most 2²⁸ numbers, so that no product overflows.
    private static func isPossible(_ shape: [Int]) -> Bool {
        var count = 1
        for extent in shape {
            guard (1...(1 << 28)).contains(extent), count <= (1 << 28) / extent else { return false }
            count *= extent
        }
        return true
    }
}
