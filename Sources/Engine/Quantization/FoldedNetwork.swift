internal import Basics
package import Interchange
internal import Tensors

/// A trained network as values, for inference: dropout gone, batch norms folded into the layers before them.
///
/// Immutable, so any number of threads may run it at once.
package struct FoldedNetwork: Sendable {
    /// What is left after folding.
    package let architecture: Architecture
    /// The shape of one example before each layer and of the output.
    package let shapes: [[Int]]
    /// As in `architecture`.
    let layers: [FoldedLayer]

    /// Folds a float model.
    ///
    /// - Throws: kind `.damaged` naming every tensor of the architecture that is missing or has another shape.
    package init(_ model: ModelFile, path: String) throws {
        try self.init(architecture: model.description.architecture, tensors: model.tensors, path: path)
    }

    init(architecture original: Architecture, tensors: [String: Tensor], path: String) throws {
        _ = try original.shapes()
        let source = TensorChecker(tensors: tensors)
        var layers = FoldedLayer.fold(original.layers, path: "", from: source)
        try source.finish(path: path)
        for index in layers.indices { layers[index].makeTensors() }
        self.layers = layers
        architecture = Architecture(input: original.input, layers: layers.map(\.spec))
        shapes = try architecture.shapes()
    }
}

/// Takes tensors of expected shapes and remembers all that are wrong, to name them at once.
final class TensorChecker {
    private let tensors: [String: Tensor]
    private var faults: [String] = []

    init(tensors: [String: Tensor]) { self.tensors = tensors }

    func tensor(_ name: String, _ shape: [Int], _ dtype: DType) -> Tensor? {
        guard let tensor = tensors[name] else {
            faults.append("`\(printable(name))` is missing")
            return nil
        }
        guard tensor.shape == shape, tensor.dtype == dtype else {
            faults.append(
                "`\(printable(name))` is \(tensor.dtype.rawValue) \(tensor.shape), expected \(dtype.rawValue) \(shape)")
            return nil
        }
        return tensor
    }

    /// The values, or none if the tensor is missing or wrong.
    func floats(_ name: String, _ shape: [Int]) -> [Float] { tensor(name, shape, .f32)?.floats() ?? [] }

    func finish(path: String) throws {
        guard !faults.isEmpty else { return }
        throw MLOpsError(
            .damaged, "model `\(path)` does not fit its architecture: \(faults.joined(separator: "; "))",
            hint: "train or fetch the model again")
    }
}
