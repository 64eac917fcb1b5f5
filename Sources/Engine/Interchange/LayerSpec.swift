/// One layer of an architecture, by its sizes.
package enum LayerSpec: Hashable, Sendable {
    /// `[batch, inputs]` to `[batch, outputs]`.
    case linear(inputs: Int, outputs: Int)
    /// `[batch, inputs, height, width]` to `[batch, outputs, …]` with a square kernel.
    case conv2d(inputs: Int, outputs: Int, kernel: Int, stride: Int, padding: Int)
    case maxPool2d(kernel: Int, stride: Int)
    case avgPool2d(kernel: Int, stride: Int)
    /// All but the batch dimension become one.
    case flatten
    case relu
    case tanh
    case sigmoid
    case gelu
    case batchNorm1d(features: Int)
    case batchNorm2d(features: Int)
    /// Zeroes with this probability in training; does nothing in inference.
    case dropout(probability: Double)

    /// As it stands in a model file.
    package var type: String {
        switch self {
        case .linear: "linear"
        case .conv2d: "conv2d"
        case .maxPool2d: "max_pool2d"
        case .avgPool2d: "avg_pool2d"
        case .flatten: "flatten"
        case .relu: "relu"
        case .tanh: "tanh"
        case .sigmoid: "sigmoid"
        case .gelu: "gelu"
        case .batchNorm1d: "batch_norm1d"
        case .batchNorm2d: "batch_norm2d"
        case .dropout: "dropout"
        }
    }

    /// The shape of one output example for one input example of shape `input`; nil if they do not fit.
    package func outputShape(for input: [Int]) -> [Int]? {
        switch self {
        case .linear(let inputs, let outputs): return input == [inputs] ? [outputs] : nil
        case .conv2d(let inputs, let outputs, let kernel, let stride, let padding):
            guard input.count == 3, input[0] == inputs else { return nil }
            guard let height = LayerSpec.extent(input[1], kernel, stride, padding),
                let width = LayerSpec.extent(input[2], kernel, stride, padding)
            else { return nil }
            return [outputs, height, width]
        case .maxPool2d(let kernel, let stride), .avgPool2d(let kernel, let stride):
            guard input.count == 3, let height = LayerSpec.extent(input[1], kernel, stride, 0),
                let width = LayerSpec.extent(input[2], kernel, stride, 0)
            else { return nil }
            return [input[0], height, width]
        case .flatten: return [input.reduce(1, *)]
        case .relu, .tanh, .sigmoid, .gelu, .dropout: return input
        case .batchNorm1d(let features): return input == [features] ? input : nil
        case .batchNorm2d(let features): return input.count == 3 && input[0] == features ? input : nil
        }
    }

    private static func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int) -> Int? {
        guard kernel > 0, stride > 0, padding >= 0, size + 2 * padding >= kernel else { return nil }
        return (size + 2 * padding - kernel) / stride + 1
    }
}

extension LayerSpec: Codable {
    private enum CodingKeys: String, CodingKey {
        case type, inputs, outputs, kernel, stride, padding, features, probability
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        /// Sizes beyond any real layer's would only make products overflow.
        func size(_ key: CodingKeys) throws -> Int {
            let value = try values.decode(Int.self, forKey: key)
            let most = [.kernel, .stride, .padding].contains(key) ? 4096 : 1 << 24
            guard (0...most).contains(value) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: values, debugDescription: "\(value) is not in 0...\(most)")
            }
            return value
        }
        switch try values.decode(String.self, forKey: .type) {
        case "linear": self = .linear(inputs: try size(.inputs), outputs: try size(.outputs))
        case "conv2d":
            self = .conv2d(
                inputs: try size(.inputs), outputs: try size(.outputs), kernel: try size(.kernel),
                stride: try size(.stride), padding: try size(.padding))
        case "max_pool2d": self = .maxPool2d(kernel: try size(.kernel), stride: try size(.stride))
        case "avg_pool2d": self = .avgPool2d(kernel: try size(.kernel), stride: try size(.stride))
        case "flatten": self = .flatten
        case "relu": self = .relu
        case "tanh": self = .tanh
        case "sigmoid": self = .sigmoid
        case "gelu": self = .gelu
        case "batch_norm1d": self = .batchNorm1d(features: try size(.features))
        case "batch_norm2d": self = .batchNorm2d(features: try size(.features))
        case "dropout": self = .dropout(probability: try values.decode(Double.self, forKey: .probability))
        case let type:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: values, debugDescription: "layer type `\(type)` is not known")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(type, forKey: .type)
        switch self {
        case .linear(let inputs, let outputs):
            try values.encode(inputs, forKey: .inputs)
            try values.encode(outputs, forKey: .outputs)
        case .conv2d(let inputs, let outputs, let kernel, let stride, let padding):
            try values.encode(inputs, forKey: .inputs)
            try values.encode(outputs, forKey: .outputs)
            try values.encode(kernel, forKey: .kernel)
            try values.encode(stride, forKey: .stride)
            try values.encode(padding, forKey: .padding)
        case .maxPool2d(let kernel, let stride), .avgPool2d(let kernel, let stride):
            try values.encode(kernel, forKey: .kernel)
            try values.encode(stride, forKey: .stride)
        case .batchNorm1d(let features), .batchNorm2d(let features): try values.encode(features, forKey: .features)
        case .dropout(let probability): try values.encode(probability, forKey: .probability)
        case .flatten, .relu, .tanh, .sigmoid, .gelu: break
        }
    }
}
