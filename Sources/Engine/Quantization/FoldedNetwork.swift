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
    /// By the index of a layer in `architecture` (linear, convolution, or a batch norm that could not be folded).
    let weights: [Int: LayerWeights]
    /// The same for the engine.
    let tensors: [Int: (weight: Tensor, bias: Tensor)]

    /// A linear or convolution layer's `weight` and `bias`; of a batch norm that is left, the factor and the summand.
    struct LayerWeights: Sendable {
        var weight: [Float]
        var bias: [Float]
    }

    /// Folds a float model.
    ///
    /// - Throws: kind `.damaged` naming every tensor of the architecture that is missing or has another shape.
    package init(_ model: ModelFile, path: String) throws {
        try self.init(architecture: model.description.architecture, tensors: model.tensors, path: path)
    }

    init(architecture original: Architecture, tensors: [String: Tensor], path: String) throws {
        _ = try original.shapes()
        let source = TensorChecker(tensors: tensors)
        var layers: [LayerSpec] = []
        var weights: [Int: LayerWeights] = [:]
        for (index, layer) in original.layers.enumerated() {
            switch layer {
            case .dropout: continue
            case .batchNorm1d(let features), .batchNorm2d(let features):
                let norm = source.batchNorm(index, features: features)
                if let last = layers.last, last.hasWeights, let before = weights[layers.count - 1] {
                    weights[layers.count - 1] = before.scaled(by: norm)
                } else {
                    weights[layers.count] = norm
                    layers.append(layer)
                }
            default:
                if let shape = layer.weightShape {
                    weights[layers.count] = LayerWeights(
                        weight: source.floats("\(index).weight", shape),
                        bias: source.floats("\(index).bias", [shape[0]]))
                }
                layers.append(layer)
            }
        }
        try source.finish(path: path)
        self.weights = weights
        architecture = Architecture(input: original.input, layers: layers)
        shapes = try architecture.shapes()
        var folded: [Int: (weight: Tensor, bias: Tensor)] = [:]
        for (index, layer) in weights {
            let shape = layers[index].weightShape ?? [layer.weight.count]
            folded[index] = (Tensor(layer.weight, shape: shape), Tensor(layer.bias))
        }
        self.tensors = folded
    }
}

extension FoldedNetwork.LayerWeights {
    /// The layer followed by a batch norm with factor `norm.weight` and summand `norm.bias`.
    fileprivate func scaled(by norm: FoldedNetwork.LayerWeights) -> FoldedNetwork.LayerWeights {
        // Empty where a tensor is missing: `TensorChecker.finish` tells then.
        guard !bias.isEmpty, bias.count == norm.bias.count else { return self }
        var result = self
        let depth = weight.count / bias.count
        for o in bias.indices {
            for i in 0..<depth { result.weight[o * depth + i] *= norm.weight[o] }
            result.bias[o] = bias[o] * norm.weight[o] + norm.bias[o]
        }
        return result
    }
}

extension LayerSpec {
    /// The shape of the layer's weight, outputs first; nil for a layer without one.
    package var weightShape: [Int]? {
        switch self {
        case .linear(let inputs, let outputs): [outputs, inputs]
        case .conv2d(let inputs, let outputs, let kernel, _, _): [outputs, inputs, kernel, kernel]
        default: nil
        }
    }

    package var hasWeights: Bool { weightShape != nil }
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

    /// The affine map that the batch norm at `index` is in inference.
    func batchNorm(_ index: Int, features: Int) -> FoldedNetwork.LayerWeights {
        let weight = floats("\(index).weight", [features])
        let bias = floats("\(index).bias", [features])
        let mean = floats("\(index).running_mean", [features])
        let variance = floats("\(index).running_var", [features])
        var norm = FoldedNetwork.LayerWeights(weight: weight, bias: bias)
        guard [weight, bias, mean, variance].allSatisfy({ $0.count == features }) else { return norm }
        for k in 0..<features {
            let factor = Double(weight[k]) / (Double(variance[k]) + Architecture.batchNormEpsilon).squareRoot()
            norm.weight[k] = Float(factor)
            norm.bias[k] = Float(Double(bias[k]) - Double(mean[k]) * factor)
        }
        return norm
    }

    func finish(path: String) throws {
        guard !faults.isEmpty else { return }
        throw MLOpsError(
            .damaged, "model `\(path)` does not fit its architecture: \(faults.joined(separator: "; "))",
            hint: "train or fetch the model again")
    }
}
