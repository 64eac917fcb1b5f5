package import Tensors

/// One layer of an architecture, by its sizes. Layers nest: a block holds the layers of its branch.
package indirect enum LayerSpec: Hashable, Sendable {
    /// `[batch, inputs]` to `[batch, outputs]`.
    case linear(inputs: Int, outputs: Int, hasBias: Bool = true)
    /// `[batch, inputs, height, width]` to `[batch, outputs, …]`.
    case conv2d(ConvolutionSpec)
    /// What a convolution from `outputs` to `inputs` channels with this window does to gradients: it makes pictures larger. At the end
    /// `outputPadding` rows and columns more.
    case convTranspose2d(ConvolutionSpec, outputPadding: Int)
    /// The largest value under each window; padding never wins.
    case maxPool2d(Window)
    /// The mean under each window.
    case avgPool2d(Window, countsPadding: Bool)
    /// The mean of each channel: `[batch, channels, height, width]` to `[batch, channels]`.
    case globalAvgPool2d
    /// All but the batch dimension become one.
    case flatten
    case relu
    /// min(max(x, 0), 6).
    case relu6
    /// x if positive, else `slope`·x.
    case leakyReLU(slope: Double)
    case tanh
    case sigmoid
    case gelu
    case batchNorm1d(features: Int)
    case batchNorm2d(features: Int)
    /// Of a row of `features` numbers.
    case layerNorm(features: Int)
    /// Zeroes with this probability in training; does nothing in inference.
    case dropout(probability: Double)
    /// The sum of what `branch` and `shortcut` make of the input; an empty shortcut is the input itself (He et al., 2015).
    case residual(branch: [LayerSpec], shortcut: [LayerSpec])
    /// The input's channels, then those that `branch` makes of it (Huang et al., 2017).
    case concatenated(branch: [LayerSpec])

    /// As it stands in a model file.
    package var type: String {
        switch self {
        case .linear: "linear"
        case .conv2d: "conv2d"
        case .convTranspose2d: "conv_transpose2d"
        case .maxPool2d: "max_pool2d"
        case .avgPool2d: "avg_pool2d"
        case .globalAvgPool2d: "global_avg_pool2d"
        case .flatten: "flatten"
        case .relu: "relu"
        case .relu6: "relu6"
        case .leakyReLU: "leaky_relu"
        case .tanh: "tanh"
        case .sigmoid: "sigmoid"
        case .gelu: "gelu"
        case .batchNorm1d: "batch_norm1d"
        case .batchNorm2d: "batch_norm2d"
        case .layerNorm: "layer_norm"
        case .dropout: "dropout"
        case .residual: "residual"
        case .concatenated: "concatenated"
        }
    }

    /// The lists of layers inside this one by their names, in the order of their use; none for a layer that is no block.
    package var parts: [(name: String, layers: [LayerSpec])] {
        switch self {
        case .residual(let branch, let shortcut): [("branch", branch), ("shortcut", shortcut)]
        case .concatenated(let branch): [("branch", branch)]
        default: []
        }
    }

    /// The shape of the weight of a linear layer or convolution, outputs first; nil for any other layer.
    package var weightShape: [Int]? {
        switch self {
        case .linear(let inputs, let outputs, _): [outputs, inputs]
        case .conv2d(let convolution): convolution.weightShape
        default: nil
        }
    }

    /// Whether the layer is a product with a weight: linear or a convolution.
    package var hasWeights: Bool { weightShape != nil }

    /// Whether the product adds a bias; false for a layer without weights.
    package var hasBias: Bool {
        switch self {
        case .linear(_, _, let hasBias): hasBias
        case .conv2d(let convolution): convolution.hasBias
        default: false
        }
    }
}

/// The sizes of a convolution of pictures.
package struct ConvolutionSpec: Hashable, Sendable {
    package var inputs: Int
    package var outputs: Int
    package var window: Window
    /// Groups that the channels fall into, each convolved alone; `inputs` of them make it depthwise.
    package var groups: Int
    package var hasBias: Bool

    package init(inputs: Int, outputs: Int, window: Window, groups: Int = 1, hasBias: Bool = true) {
        self.inputs = inputs
        self.outputs = outputs
        self.window = window
        self.groups = groups
        self.hasBias = hasBias
    }

    /// `[outputs, inputs / groups, height, width]`.
    package var weightShape: [Int] {
        [outputs, inputs / max(groups, 1), window.kernelHeight, window.kernelWidth]
    }

    /// Of a transposed convolution: `[inputs, outputs / groups, height, width]`.
    package var transposedWeightShape: [Int] {
        [inputs, outputs / max(groups, 1), window.kernelHeight, window.kernelWidth]
    }
}

extension LayerSpec {
    /// A convolution with a square kernel.
    package static func conv2d(
        inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
        hasBias: Bool = true
    ) -> LayerSpec {
        .conv2d(
            ConvolutionSpec(
                inputs: inputs, outputs: outputs,
                window: Window(height: kernel, width: kernel, stride: stride, padding: padding, dilation: dilation),
                groups: groups, hasBias: hasBias))
    }

    /// A transposed convolution with a square kernel.
    package static func convTranspose2d(
        inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
        hasBias: Bool = true
    ) -> LayerSpec {
        .convTranspose2d(
            ConvolutionSpec(
                inputs: inputs, outputs: outputs,
                window: Window(height: kernel, width: kernel, stride: stride, padding: padding), hasBias: hasBias),
            outputPadding: outputPadding)
    }

    /// A pool with a square window.
    package static func maxPool2d(kernel: Int, stride: Int, padding: Int = 0) -> LayerSpec {
        .maxPool2d(Window(height: kernel, width: kernel, stride: stride, padding: padding))
    }

    /// A pool with a square window.
    package static func avgPool2d(
        kernel: Int, stride: Int, padding: Int = 0, countsPadding: Bool = true
    ) -> LayerSpec {
        .avgPool2d(
            Window(height: kernel, width: kernel, stride: stride, padding: padding), countsPadding: countsPadding)
    }
}
