package import Basics
package import NeuralNets

extension Architecture {
    /// The constant that batch and layer norms add to the variance.
    package static let batchNormEpsilon = 1e-5

    /// A fresh network; its parameters are named by the layers' places: `0.weight`, `3.branch.1.weight`.
    ///
    /// - Parameter initializer: of the weights of linear layers and convolutions.
    /// - Throws: kind `.usage` if the layers do not fit each other.
    package func makeNetwork(
        using generator: inout Philox, initializer: Initializer = .standard
    ) throws -> Sequential {
        _ = try places()
        return LayerSpec.makeModules(layers, initializer, using: &generator)
    }
}

extension LayerSpec {
    fileprivate static func makeModules(
        _ layers: [LayerSpec], _ initializer: Initializer, using generator: inout Philox
    ) -> Sequential {
        var modules: [Module] = []
        for layer in layers { modules.append(layer.makeModule(initializer, using: &generator)) }
        return Sequential(modules)
    }

    private func makeModule(_ initializer: Initializer, using generator: inout Philox) -> Module {
        switch self {
        case .linear(let inputs, let outputs, let hasBias):
            return Linear(inputs, outputs, hasBias: hasBias, initializer: initializer, using: &generator)
        case .conv2d(let convolution):
            return Conv2d(
                convolution.inputs, convolution.outputs, window: convolution.window, groups: convolution.groups,
                hasBias: convolution.hasBias, initializer: initializer, using: &generator)
        case .convTranspose2d(let convolution, let outputPadding):
            return ConvTranspose2d(
                convolution.inputs, convolution.outputs, window: convolution.window, outputPadding: outputPadding,
                groups: convolution.groups, hasBias: convolution.hasBias, initializer: initializer, using: &generator)
        case .maxPool2d(let window): return MaxPool2d(window)
        case .avgPool2d(let window, let countsPadding): return AvgPool2d(window, countsPadding: countsPadding)
        case .globalAvgPool2d: return GlobalAvgPool2d()
        case .flatten: return Flatten()
        case .relu: return ReLU()
        case .relu6: return ReLU6()
        case .leakyReLU(let slope): return LeakyReLU(slope: slope)
        case .tanh: return Tanh()
        case .sigmoid: return Sigmoid()
        case .gelu: return GELU()
        case .batchNorm1d(let features):
            return BatchNorm1d(channels: features, epsilon: Architecture.batchNormEpsilon)
        case .batchNorm2d(let features):
            return BatchNorm2d(channels: features, epsilon: Architecture.batchNormEpsilon)
        case .layerNorm(let features): return LayerNorm(features, epsilon: Architecture.batchNormEpsilon)
        case .dropout(let probability): return Dropout(probability)
        case .residual(let branch, let shortcut):
            let branch = LayerSpec.makeModules(branch, initializer, using: &generator)
            return Residual(
                branch,
                shortcut: shortcut.isEmpty ? nil : LayerSpec.makeModules(shortcut, initializer, using: &generator))
        case .concatenated(let branch):
            return DenseBlock(named: [
                ("branch", LayerSpec.makeModules(branch, initializer, using: &generator))
            ])
        }
    }
}
