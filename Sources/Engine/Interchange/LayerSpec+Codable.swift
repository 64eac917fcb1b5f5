internal import Tensors

extension LayerSpec: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case type, inputs, outputs, bias, kernel, stride, padding, dilation, groups, features, probability, slope
        case branch, shortcut
        case countsPadding = "counts_padding"
        case outputPadding = "output_padding"
    }

    /// The keys that a layer of `type` may have besides `type`; nil for an unknown type.
    private static func keys(of type: String) -> Set<CodingKeys>? {
        switch type {
        case "linear": [.inputs, .outputs, .bias]
        case "conv2d": [.inputs, .outputs, .bias, .kernel, .stride, .padding, .dilation, .groups]
        case "conv_transpose2d":
            [.inputs, .outputs, .bias, .kernel, .stride, .padding, .dilation, .groups, .outputPadding]
        case "max_pool2d": [.kernel, .stride, .padding, .dilation]
        case "avg_pool2d": [.kernel, .stride, .padding, .countsPadding]
        case "global_avg_pool2d", "flatten", "relu", "relu6", "tanh", "sigmoid", "gelu": []
        case "leaky_relu": [.slope]
        case "batch_norm1d", "batch_norm2d", "layer_norm": [.features]
        case "dropout": [.probability]
        case "residual": [.branch, .shortcut]
        case "concatenated": [.branch]
        default: nil
        }
    }

    package init(from decoder: any Decoder) throws {
        let values = try LayerValues(decoder.container(keyedBy: CodingKeys.self))
        let type: String = try values.container.decode(String.self, forKey: .type)
        guard let keys = LayerSpec.keys(of: type) else {
            throw values.fault(.type, "layer type `\(type.prefix(60))` is not known")
        }
        // A key that is passed over would make another network than the file says.
        let present = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
        let allowed = Set(keys.map(\.rawValue)).union(["type"])
        if let key = present.filter({ !allowed.contains($0) }).min() {
            throw values.fault(nil, "a layer of type `\(type)` has no key `\(key.prefix(60))`")
        }
        guard
            decoder.codingPath.count(where: { $0.stringValue == "branch" || $0.stringValue == "shortcut" })
                <= Architecture.maximumDepth
        else { throw values.fault(nil, "blocks are nested deeper than \(Architecture.maximumDepth) levels") }
        self = try LayerSpec.decoded(type, values)
    }

    private static func decoded(_ type: String, _ values: LayerValues<CodingKeys>) throws -> LayerSpec {
        switch type {
        case "linear":
            return .linear(
                inputs: try values.size(.inputs), outputs: try values.size(.outputs), hasBias: try values.flag(.bias))
        case "conv2d": return .conv2d(try convolution(values))
        case "conv_transpose2d":
            return .convTranspose2d(
                try convolution(values), outputPadding: try values.size(.outputPadding, default: 0))
        case "max_pool2d": return .maxPool2d(try window(values))
        case "avg_pool2d":
            return .avgPool2d(try window(values), countsPadding: try values.flag(.countsPadding))
        case "global_avg_pool2d": return .globalAvgPool2d
        case "flatten": return .flatten
        case "relu": return .relu
        case "relu6": return .relu6
        case "leaky_relu": return .leakyReLU(slope: try values.number(.slope, in: -10...10))
        case "tanh": return .tanh
        case "sigmoid": return .sigmoid
        case "gelu": return .gelu
        case "batch_norm1d": return .batchNorm1d(features: try values.size(.features))
        case "batch_norm2d": return .batchNorm2d(features: try values.size(.features))
        case "layer_norm": return .layerNorm(features: try values.size(.features))
        case "dropout": return .dropout(probability: try values.number(.probability, in: 0...1))
        case "residual": return .residual(branch: try values.layers(.branch), shortcut: try values.layers(.shortcut))
        case "concatenated": return .concatenated(branch: try values.layers(.branch))
        default: throw values.fault(.type, "layer type `\(type)` is not known")
        }
    }

    private static func convolution(_ values: LayerValues<CodingKeys>) throws -> ConvolutionSpec {
        ConvolutionSpec(
            inputs: try values.size(.inputs), outputs: try values.size(.outputs), window: try window(values),
            groups: try values.size(.groups, default: 1), hasBias: try values.flag(.bias))
    }

    private static func window(_ values: LayerValues<CodingKeys>) throws -> Window {
        let kernel = try values.pair(.kernel)
        let stride = try values.pair(.stride)
        // Format 1 gives each convolution a padding and no pool one.
        let padding = try values.pair(.padding, default: 0)
        let dilation = try values.pair(.dilation, default: 1)
        var window = Window(height: kernel.y, width: kernel.x)
        (window.strideY, window.strideX) = (stride.y, stride.x)
        (window.paddingY, window.paddingX) = (padding.y, padding.x)
        (window.dilationY, window.dilationX) = (dilation.y, dilation.x)
        return window
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(type, forKey: .type)
        switch self {
        case .linear(let inputs, let outputs, let hasBias):
            try values.encode(inputs, forKey: .inputs)
            try values.encode(outputs, forKey: .outputs)
            if !hasBias { try values.encode(false, forKey: .bias) }
        case .conv2d(let convolution): try LayerSpec.encode(convolution, into: &values)
        case .convTranspose2d(let convolution, let outputPadding):
            try LayerSpec.encode(convolution, into: &values)
            if outputPadding != 0 { try values.encode(outputPadding, forKey: .outputPadding) }
        case .maxPool2d(let window): try LayerSpec.encode(window, isConvolution: false, into: &values)
        case .avgPool2d(let window, let countsPadding):
            try LayerSpec.encode(window, isConvolution: false, into: &values)
            if !countsPadding { try values.encode(false, forKey: .countsPadding) }
        case .batchNorm1d(let features), .batchNorm2d(let features), .layerNorm(let features):
            try values.encode(features, forKey: .features)
        case .dropout(let probability): try values.encode(probability, forKey: .probability)
        case .leakyReLU(let slope): try values.encode(slope, forKey: .slope)
        case .residual, .concatenated:
            for part in parts { try values.encode(part.layers, forKey: part.name == "branch" ? .branch : .shortcut) }
        case .globalAvgPool2d, .flatten, .relu, .relu6, .tanh, .sigmoid, .gelu: break
        }
    }

    private static func encode(
        _ convolution: ConvolutionSpec, into values: inout KeyedEncodingContainer<CodingKeys>
    ) throws {
        try values.encode(convolution.inputs, forKey: .inputs)
        try values.encode(convolution.outputs, forKey: .outputs)
        if !convolution.hasBias { try values.encode(false, forKey: .bias) }
        if convolution.groups != 1 { try values.encode(convolution.groups, forKey: .groups) }
        try encode(convolution.window, isConvolution: true, into: &values)
    }

    private static func encode(
        _ window: Window, isConvolution: Bool, into values: inout KeyedEncodingContainer<CodingKeys>
    ) throws {
        try values.encode(Pair(y: window.kernelHeight, x: window.kernelWidth), forKey: .kernel)
        try values.encode(Pair(y: window.strideY, x: window.strideX), forKey: .stride)
        let padding = Pair(y: window.paddingY, x: window.paddingX)
        if isConvolution || padding != Pair(y: 0, x: 0) { try values.encode(padding, forKey: .padding) }
        let dilation = Pair(y: window.dilationY, x: window.dilationX)
        if dilation != Pair(y: 1, x: 1) { try values.encode(dilation, forKey: .dilation) }
    }

    /// Whether a file with this layer can be read by a program that knows format 1 only.
    var isOfFirstFormat: Bool {
        switch self {
        case .linear(_, _, let hasBias): hasBias
        case .conv2d(let convolution):
            convolution.hasBias && convolution.groups == 1 && convolution.window.isPlain
        case .maxPool2d(let window): window.isPlain && window.paddingY == 0
        case .avgPool2d(let window, let countsPadding): window.isPlain && window.paddingY == 0 && countsPadding
        case .flatten, .relu, .tanh, .sigmoid, .gelu, .batchNorm1d, .batchNorm2d, .dropout: true
        case .globalAvgPool2d, .relu6, .leakyReLU, .layerNorm, .residual, .concatenated, .convTranspose2d: false
        }
    }
}

extension Window {
    /// Whether it is square, moves alike in both directions and leaves no gaps.
    fileprivate var isPlain: Bool {
        kernelHeight == kernelWidth && strideY == strideX && paddingY == paddingX && dilationY == 1 && dilationX == 1
    }
}

/// Height and width: one number where they are equal, else `[height, width]`.
private struct Pair: Codable, Hashable {
    var y: Int
    var x: Int

    init(y: Int, x: Int) {
        self.y = y
        self.x = x
    }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let one = try? value.decode(Int.self) {
            self.init(y: one, x: one)
            return
        }
        let both = try value.decode([Int].self)
        guard both.count == 2 else {
            throw DecodingError.dataCorruptedError(
                in: value, debugDescription: "\(both.count) numbers, expected one or [height, width]")
        }
        self.init(y: both[0], x: both[1])
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        if y == x { try value.encode(y) } else { try value.encode([y, x]) }
    }
}

/// The values of one layer by key, each checked: sizes beyond any real layer's would only make products overflow.
private struct LayerValues<Key: CodingKey> {
    let container: KeyedDecodingContainer<Key>

    init(_ container: KeyedDecodingContainer<Key>) { self.container = container }

    func fault(_ key: Key?, _ text: String) -> DecodingError {
        .dataCorrupted(
            DecodingError.Context(
                codingPath: container.codingPath + (key.map { [$0 as any CodingKey] } ?? []), debugDescription: text))
    }

    func size(_ key: Key, default absent: Int? = nil) throws -> Int {
        if let absent, !container.contains(key) { return absent }
        let value = try container.decode(Int.self, forKey: key)
        guard (0...(1 << 24)).contains(value) else { throw fault(key, "\(value) is not in 0...\(1 << 24)") }
        return value
    }

    func pair(_ key: Key, default absent: Int? = nil) throws -> Pair {
        if let absent, !container.contains(key) { return Pair(y: absent, x: absent) }
        let value = try container.decode(Pair.self, forKey: key)
        for extent in [value.y, value.x] where !(0...4096).contains(extent) {
            throw fault(key, "\(extent) is not in 0...4096")
        }
        return value
    }

    func number(_ key: Key, in range: ClosedRange<Double>) throws -> Double {
        let value = try container.decode(Double.self, forKey: key)
        guard range.contains(value) else { throw fault(key, "\(value) is not in \(range)") }
        return value
    }

    /// True where it is absent.
    func flag(_ key: Key) throws -> Bool { try container.decodeIfPresent(Bool.self, forKey: key) ?? true }

    func layers(_ key: Key) throws -> [LayerSpec] { try container.decode([LayerSpec].self, forKey: key) }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
