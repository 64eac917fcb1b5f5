package import Basics
package import NeuralNets

extension Architecture {
    /// The constant that batch norms add to the variance.
    package static let batchNormEpsilon = 1e-5

    /// A fresh network; its parameters are named by the layers' places: `0.weight`.
    ///
    /// - Throws: kind `.usage` if the layers do not fit each other.
    package func makeNetwork(using generator: inout Philox) throws -> Sequential {
        _ = try shapes()
        var modules: [Module] = []
        for layer in layers { modules.append(layer.makeModule(using: &generator)) }
        return Sequential(modules)
    }
}

extension LayerSpec {
    fileprivate func makeModule(using generator: inout Philox) -> Module {
        switch self {
        case .linear(let inputs, let outputs): Linear(inputs, outputs, using: &generator)
        case .conv2d(let inputs, let outputs, let kernel, let stride, let padding):
            Conv2d(inputs, outputs, kernel: kernel, stride: stride, padding: padding, using: &generator)
        case .maxPool2d(let kernel, let stride): MaxPool2d(kernel: kernel, stride: stride)
        case .avgPool2d(let kernel, let stride): AvgPool2d(kernel: kernel, stride: stride)
        case .flatten: Flatten()
        case .relu: ReLU()
        case .tanh: Tanh()
        case .sigmoid: Sigmoid()
        case .gelu: GELU()
        case .batchNorm1d(let features): BatchNorm1d(channels: features, epsilon: Architecture.batchNormEpsilon)
        case .batchNorm2d(let features): BatchNorm2d(channels: features, epsilon: Architecture.batchNormEpsilon)
        case .dropout(let probability): Dropout(probability)
        }
    }
}
