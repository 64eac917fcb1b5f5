package import Basics
package import Datasets
package import Interchange
internal import Glibc
internal import Quantization

/// A model file that answers: raw records or encoded features in, class probabilities out.
///
/// Immutable: any number of threads may ask at once. The same inputs in the same batch give the same bits.
package struct Predictor: Sendable {
    package let description: ModelFile.Description
    /// How raw examples become features.
    package let input: InputEncoding
    private let network: Network

    private enum Network: Sendable {
        case float(InferencePlan)
        case integer(IntegerNetwork)
    }

    /// Probabilities of some examples.
    package struct Prediction: Sendable, Hashable {
        package var classes: [String]
        /// Row-major, `count × classes`; each row sums to 1.
        package var probabilities: [Float]

        package var count: Int { probabilities.count / max(classes.count, 1) }

        /// The probabilities of the example at `index`, in the order of the classes.
        package func row(_ index: Int) -> ArraySlice<Float> {
            probabilities[(index * classes.count)..<((index + 1) * classes.count)]
        }

        /// The index of the likeliest class; the first of equals.
        package func best(_ index: Int) -> Int {
            var best = 0
            let start = index * classes.count
            for k in 1..<max(classes.count, 1) where probabilities[start + k] > probabilities[start + best] { best = k }
            return best
        }
    }

    /// Opens the float or int8 model at `path`.
    ///
    /// - Throws: kind `.usage` for a file that is no model or of a newer format; kind `.damaged` if its tensors do not fit its
    ///   architecture.
    package init(path: String) throws { try self.init(ModelFile(path: path), path: path) }

    /// A predictor of a model in memory; `path` is for messages.
    package init(_ model: ModelFile, path: String) throws {
        description = model.description
        do {
            input = try model.description.input.decode()
        } catch let error as DecodingError {
            throw MLOpsError(
                .damaged, "model `\(path)`: the description of its input cannot be read: \(describe(error))",
                hint: "train or fetch the model again", cause: error)
        }
        switch model.description.precision {
        case .float32: network = .float(try InferencePlan(model, path: path))
        case .int8: network = .integer(try IntegerNetwork(model, path: path))
        }
        guard input.shape == inputShape, outputSize == description.classes.count else {
            throw MLOpsError(
                .damaged,
                "model `\(path)`: its encoding gives \(input.shape) and \(description.classes.count) classes, its network takes "
                    + "\(inputShape) and gives \(outputSize)", hint: "train or fetch the model again")
        }
    }

    /// The shape of one encoded example.
    package var inputShape: [Int] {
        switch network {
        case .float(let plan): plan.inputShape
        case .integer(let network): network.shapes[0]
        }
    }

    /// How a float model runs; nil for an int8 one.
    package var plan: InferencePlan? {
        if case .float(let plan) = network { plan } else { nil }
    }

    private var outputSize: Int {
        switch network {
        case .float(let plan): plan.outputShape.reduce(1, *)
        case .integer(let network): network.shapes[network.shapes.count - 1].reduce(1, *)
        }
    }

    /// The network's raw outputs for `count` encoded examples that lie one after the other, `count × classes`.
    package func logits(features: [Float], count: Int) throws -> [Float] {
        guard features.count == count * inputShape.reduce(1, *) else {
            throw MLOpsError(
                .usage, "\(features.count) numbers are not \(Format.count(count, "example")) of shape \(inputShape)")
        }
        guard features.allSatisfy(\.isFinite) else {
            throw MLOpsError(
                .usage, "the input holds NaN or an infinite number", hint: "clean the data before predicting")
        }
        guard count > 0 else { return [] }
        switch network {
        case .float(let plan): return try plan.run(features, count: count)
        case .integer(let network): return network.run(features, count: count)
        }
    }

    /// Probabilities for `count` encoded examples that lie one after the other.
    package func predict(features: [Float], count: Int) throws -> Prediction {
        var values = try logits(features: features, count: count)
        let width = description.classes.count
        for row in 0..<count { softmax(&values, from: row * width, count: width) }
        return Prediction(classes: description.classes, probabilities: values)
    }

    /// Probabilities for raw records, each a value per column; columns that the model does not know are ignored.
    ///
    /// - Throws: kind `.usage` naming the record (from 0) and its column.
    package func predict(records: [[String: JSONValue]]) throws -> Prediction {
        guard case .tabular(let encoder) = input else {
            throw MLOpsError(.usage, "the model takes pictures, not records", hint: "send pixels 0...255")
        }
        var features: [Float] = []
        features.reserveCapacity(records.count * encoder.width)
        for (index, record) in records.enumerated() {
            do {
                features += try encoder.encode(record)
            } catch var error as MLOpsError {
                error.message = "record \(index): \(error.message)"
                throw error
            }
        }
        return try predict(features: features, count: records.count)
    }

    /// Probabilities for `count` pictures of bytes 0...255, `[channels, height, width]` each.
    package func predict(pixels: [UInt8], count: Int) throws -> Prediction {
        guard case .images(let shape, let normalisation) = input else {
            throw MLOpsError(.usage, "the model takes records, not pictures", hint: "send a value for each column")
        }
        guard pixels.count == count * shape.reduce(1, *) else {
            throw MLOpsError(
                .usage, "\(pixels.count) pixels are not \(Format.count(count, "picture")) of shape \(shape)")
        }
        return try predict(features: normalisation.normalise(pixels, shape: shape), count: count)
    }

    private func softmax(_ values: inout [Float], from start: Int, count: Int) {
        let largest = values[start..<(start + count)].max() ?? 0
        var sum: Float = 0
        for k in start..<(start + count) {
            values[k] = expf(values[k] - largest)
            sum += values[k]
        }
        for k in start..<(start + count) { values[k] /= sum }
    }
}
