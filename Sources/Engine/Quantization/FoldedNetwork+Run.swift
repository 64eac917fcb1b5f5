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
            for (index, layer) in architecture.layers.enumerated() {
                x = try apply(layer, index, to: x)
                observe?(index, x.floats())
            }
            return x.floats()
        }
    }

    private func apply(_ layer: LayerSpec, _ index: Int, to x: Tensor) throws -> Tensor {
        switch layer {
        case .linear:
            guard let (weight, bias) = tensors[index] else { return x }
            return try x.linear(weight: weight, bias: bias)
        case .conv2d(_, _, _, let stride, let padding):
            guard let (weight, bias) = tensors[index] else { return x }
            return try x.conv2d(weight: weight, bias: bias, stride: stride, padding: padding)
        case .batchNorm1d, .batchNorm2d:
            guard let (factor, summand) = tensors[index] else { return x }
            let shape = [factor.count] + [Int](repeating: 1, count: x.rank - 2)
            return try x * factor.reshaped(shape) + summand.reshaped(shape)
        case .maxPool2d(let kernel, let stride): return try x.maxPool2d(kernel: kernel, stride: stride)
        case .avgPool2d(let kernel, let stride): return try x.avgPool2d(kernel: kernel, stride: stride)
        case .flatten: return try x.flattened(from: 1)
        case .dropout: return x
        case .relu, .tanh, .sigmoid, .gelu: return try layer.applyPointwise(x)
        }
    }
}

extension LayerSpec {
    /// The function of an activation layer; `x` itself for any other layer.
    func applyPointwise(_ x: Tensor) throws -> Tensor {
        switch self {
        case .relu: try x.relu()
        case .tanh: try x.tanh()
        case .sigmoid: try x.sigmoid()
        case .gelu: try x.gelu()
        default: x
        }
    }
}
