internal import Basics
internal import Interchange
internal import Tensors

/// One layer of a folded network, with its values and, for a block, the layers inside it.
struct FoldedLayer: Sendable {
    var layer: LayerSpec
    var weights: LayerWeights?
    /// The same values for the engine.
    var tensors: (weight: Tensor, bias: Tensor)?
    var branch: [FoldedLayer] = []
    var shortcut: [FoldedLayer] = []

    /// A linear or convolution layer's `weight` and `bias`; of a batch norm that is left, the factor and the summand; of a
    /// layer norm its two vectors.
    struct LayerWeights: Sendable {
        var weight: [Float]
        var bias: [Float]
    }

    /// `layers` without dropout, each batch norm folded into the product before it.
    static func fold(_ layers: [LayerSpec], path: String, from source: TensorChecker) -> [FoldedLayer] {
        var result: [FoldedLayer] = []
        for (index, layer) in layers.enumerated() {
            let name = path + String(index)
            switch layer {
            case .dropout: continue
            case .batchNorm1d(let features), .batchNorm2d(let features):
                let norm = source.batchNorm(name, features: features)
                if let last = result.last, last.layer.hasWeights, let before = last.weights {
                    result[result.count - 1].weights = before.scaled(by: norm)
                } else {
                    result.append(FoldedLayer(layer: layer, weights: norm))
                }
            case .layerNorm(let features):
                let weights = LayerWeights(
                    weight: source.floats("\(name).weight", [features]),
                    bias: source.floats("\(name).bias", [features]))
                result.append(FoldedLayer(layer: layer, weights: weights))
            case .residual(let branch, let shortcut):
                let branch = fold(branch, path: "\(name).branch.", from: source)
                let shortcut = fold(shortcut, path: "\(name).shortcut.", from: source)
                result.append(FoldedLayer(layer: layer, branch: branch, shortcut: shortcut))
            case .concatenated(let branch):
                result.append(
                    FoldedLayer(layer: layer, branch: fold(branch, path: "\(name).branch.", from: source)))
            default: result.append(FoldedLayer(layer: layer, weights: source.product(name, layer)))
            }
        }
        return result
    }

    /// The layer as it runs: with a bias, and with what is left inside a block.
    var spec: LayerSpec {
        switch layer {
        case .linear(let inputs, let outputs, _): return .linear(inputs: inputs, outputs: outputs)
        case .conv2d(var convolution):
            convolution.hasBias = true
            return .conv2d(convolution)
        case .residual: return .residual(branch: branch.map(\.spec), shortcut: shortcut.map(\.spec))
        case .concatenated: return .concatenated(branch: branch.map(\.spec))
        default: return layer
        }
    }

    /// Makes the engine's tensors of the values, here and inside.
    mutating func makeTensors() {
        if let weights {
            let shape = layer.weightShape ?? [weights.weight.count]
            tensors = (Tensor(weights.weight, shape: shape), Tensor(weights.bias))
        }
        for index in branch.indices { branch[index].makeTensors() }
        for index in shortcut.indices { shortcut[index].makeTensors() }
    }
}

extension FoldedLayer.LayerWeights {
    /// The layer followed by a batch norm with factor `norm.weight` and summand `norm.bias`.
    fileprivate func scaled(by norm: FoldedLayer.LayerWeights) -> FoldedLayer.LayerWeights {
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

extension TensorChecker {
    /// Weight and bias of a linear layer or convolution named `name`, zeros for a bias that it does not have; nil for other
    /// layers.
    fileprivate func product(_ name: String, _ layer: LayerSpec) -> FoldedLayer.LayerWeights? {
        guard let shape = layer.weightShape else { return nil }
        return FoldedLayer.LayerWeights(
            weight: floats("\(name).weight", shape),
            bias: layer.hasBias ? floats("\(name).bias", [shape[0]]) : [Float](repeating: 0, count: shape[0]))
    }

    /// The affine map that the batch norm named `name` is in inference.
    fileprivate func batchNorm(_ name: String, features: Int) -> FoldedLayer.LayerWeights {
        let weight = floats("\(name).weight", [features])
        let bias = floats("\(name).bias", [features])
        let mean = floats("\(name).running_mean", [features])
        let variance = floats("\(name).running_var", [features])
        var norm = FoldedLayer.LayerWeights(weight: weight, bias: bias)
        guard [weight, bias, mean, variance].allSatisfy({ $0.count == features }) else { return norm }
        for k in 0..<features {
            let factor = Double(weight[k]) / (Double(variance[k]) + Architecture.batchNormEpsilon).squareRoot()
            norm.weight[k] = Float(factor)
            norm.bias[k] = Float(Double(bias[k]) - Double(mean[k]) * factor)
        }
        return norm
    }
}
