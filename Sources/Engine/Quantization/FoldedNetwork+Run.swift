internal import Basics
internal import Interchange
internal import Tensors

extension FoldedNetwork {
    /// The count of numbers of one example.
    package var inputSize: Int { shapes[0].reduce(1, *) }

    /// The outputs for `count` examples that lie one after the other in `features`; nothing is recorded for gradients.
    package func run(_ features: [Float], count: Int) throws -> [Float] {
        try run(features, count: count, observe: nil)
    }

    /// - Parameter observe: gets each layer's index and its output.
    func run(_ features: [Float], count: Int, observe: ((Int, [Float]) -> Void)?) throws -> [Float] {
        precondition(features.count == count * inputSize, "\(features.count) numbers for \(count) examples")
        return try withoutGradients {
            var x = Tensor(features, shape: [count] + shapes[0])
            for (index, layer) in layers.enumerated() {
                x = try layer.run(x)
                observe?(index, x.floats())
            }
            return x.floats()
        }
    }
}

extension FoldedLayer {
    /// What the layer makes of a batch.
    fileprivate func run(_ x: Tensor) throws -> Tensor {
        switch layer {
        case .linear:
            guard let (weight, bias) = tensors else { return x }
            return try x.linear(weight: weight, bias: bias)
        case .conv2d(let convolution):
            guard let (weight, bias) = tensors else { return x }
            return try x.conv2d(
                weight: weight, bias: bias, window: convolution.window, groups: convolution.groups)
        case .convTranspose2d: preconditionFailure("\(layer.type) has no integer form, which is asked first")
        case .batchNorm1d, .batchNorm2d:
            guard let (factor, summand) = tensors else { return x }
            let shape = [factor.count] + [Int](repeating: 1, count: x.rank - 2)
            return try x * factor.reshaped(shape) + summand.reshaped(shape)
        case .layerNorm:
            return try x.layerNorm(
                weight: tensors?.weight, bias: tensors?.bias, epsilon: Architecture.batchNormEpsilon)
        case .maxPool2d(let window): return try x.maxPool2d(window)
        case .avgPool2d(let window, let countsPadding): return try x.avgPool2d(window, countsPadding: countsPadding)
        case .globalAvgPool2d: return try x.mean(axes: [2, 3])
        case .flatten: return try x.flattened(from: 1)
        case .dropout: return x
        case .relu, .relu6, .leakyReLU, .tanh, .sigmoid, .gelu: return try layer.applyPointwise(x)
        case .residual:
            return try branch.reduce(x) { try $1.run($0) } + shortcut.reduce(x) { try $1.run($0) }
        case .concatenated:
            return try .concatenated([x, branch.reduce(x) { try $1.run($0) }], axis: 1)
        }
    }
}

extension LayerSpec {
    /// The function of an activation layer; `x` itself for any other layer.
    func applyPointwise(_ x: Tensor) throws -> Tensor {
        switch self {
        case .relu: try x.relu()
        case .relu6: try x.relu6()
        case .leakyReLU(let slope): try x.leakyReLU(slope: slope)
        case .tanh: try x.tanh()
        case .sigmoid: try x.sigmoid()
        case .gelu: try x.gelu()
        default: x
        }
    }
}
