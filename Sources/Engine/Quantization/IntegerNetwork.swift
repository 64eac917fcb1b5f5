internal import Basics
package import Interchange
internal import CKernels
internal import Tensors

/// A network that runs in 8-bit integers from its input to its last product; immutable, for any number of threads.
///
/// Pictures lie as `[height, width, channels]` between the layers, so that a product's output is the next layer's input.
package struct IntegerNetwork: Sendable {
    package let architecture: Architecture
    package let shapes: [[Int]]
    /// Of the input and of each layer's output.
    package let activations: [QuantizationParameters]
    private let steps: [Step]

    private enum Step: Sendable {
        case linear(IntegerProduct)
        case convolution(IntegerProduct, ck_q_window)
        case maxPool(ck_q_window)
        case avgPool(ck_q_window)
        /// `[plane, channels]` to `[channels, plane]`, the order that a linear layer learned.
        case flatten(channels: Int, plane: Int)
        case lookup([UInt8])
        /// A ReLU that the product before carried out.
        case done
    }

    /// Builds the network from what the step `quantize` wrote.
    ///
    /// - Throws: kind `.damaged` naming every tensor that is missing or has another shape or dtype; kind `.usage` for a layer
    ///   that has no integer form.
    package init(_ model: ModelFile, path: String) throws {
        try self.init(architecture: model.description.architecture, tensors: model.tensors, path: path)
    }

    init(architecture: Architecture, tensors: [String: Tensor], path: String) throws {
        self.architecture = architecture
        shapes = try architecture.shapes()
        try IntegerNetwork.requireForms(architecture, path: path)
        let source = TensorChecker(tensors: tensors)
        let count = architecture.layers.count + 1
        let scales = source.floats("activation_scale", [count])
        let zeros = source.tensor("activation_zero_point", [count], .u8).map(IntegerNetwork.bytes) ?? []
        try source.finish(path: path)
        guard scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw MLOpsError(.damaged, "model `\(path)` has an activation scale that is not a positive number")
        }
        let activations = zip(scales, zeros).map { QuantizationParameters(scale: $0, zero: Int($1)) }
        self.activations = activations
        var steps: [Step] = []
        for index in architecture.layers.indices {
            steps.append(
                try IntegerNetwork.step(
                    index, of: architecture, shapes: shapes, activations: activations, source: source, path: path))
        }
        try source.finish(path: path)
        self.steps = steps
    }

    /// Whether layer `index` is a ReLU that is carried out by the product before it.
    static func isFusedReLU(_ index: Int, in architecture: Architecture) -> Bool {
        architecture.layers.indices.contains(index) && architecture.layers[index] == .relu && index > 0
            && architecture.layers[index - 1].hasWeights
    }

    /// Whether layer `index` gives the network's output as floats.
    private static func isLastProduct(_ index: Int, in architecture: Architecture) -> Bool {
        index == architecture.layers.count - 1 && architecture.layers[index].hasWeights
    }

    private static func step(
        _ index: Int, of architecture: Architecture, shapes: [[Int]], activations: [QuantizationParameters],
        source: TensorChecker, path: String
    ) throws -> Step {
        let (input, output) = (activations[index], activations[index + 1])
        switch architecture.layers[index] {
        case .linear:
            return .linear(
                try product(
                    index, of: architecture, activations: activations, source: source, path: path))
        case .conv2d(let convolution):
            let product = try product(
                index, of: architecture, activations: activations, source: source, path: path)
            return .convolution(product, window(shapes, index, convolution.window))
        case .maxPool2d(let pool): return .maxPool(window(shapes, index, pool))
        case .avgPool2d(let pool, _): return .avgPool(window(shapes, index, pool))
        case .flatten:
            let shape = shapes[index]
            return shape.count == 3 ? .flatten(channels: shape[0], plane: shape[1] * shape[2]) : .done
        case .relu where isFusedReLU(index, in: architecture): return .done
        case .relu, .relu6, .leakyReLU, .tanh, .sigmoid, .gelu:
            return .lookup(try table(of: architecture.layers[index], input: input, output: output))
        case .globalAvgPool2d, .batchNorm1d, .batchNorm2d, .layerNorm, .dropout, .residual, .concatenated,
            .convTranspose2d:
            throw missingForm(index, of: architecture, path: path)
        }
    }

    /// - Throws: kind `.usage` naming the first layer of `architecture` that has no integer form yet.
    static func requireForms(_ architecture: Architecture, path: String) throws {
        for (index, layer) in architecture.layers.enumerated() where !hasForm(layer) {
            throw missingForm(index, of: architecture, path: path)
        }
    }

    private static func hasForm(_ layer: LayerSpec) -> Bool {
        switch layer {
        case .linear, .flatten, .relu, .relu6, .leakyReLU, .tanh, .sigmoid, .gelu: true
        case .conv2d(let convolution): convolution.groups == 1 && isPlain(convolution.window)
        case .maxPool2d(let window), .avgPool2d(let window, _): isPlain(window) && window.paddingY == 0
        case .globalAvgPool2d, .batchNorm1d, .batchNorm2d, .layerNorm, .dropout, .residual, .concatenated,
            .convTranspose2d:
            false
        }
    }

    /// Square, alike in both directions, without gaps.
    private static func isPlain(_ window: Window) -> Bool {
        window.kernelHeight == window.kernelWidth && window.strideY == window.strideX
            && window.paddingY == window.paddingX && window.dilationY == 1 && window.dilationX == 1
    }

    private static func missingForm(_ index: Int, of architecture: Architecture, path: String) -> MLOpsError {
        let layer = architecture.layers[index]
        let hint =
            switch layer {
            case .batchNorm1d, .batchNorm2d:
                "put batch norm straight behind a linear or convolution layer, where it folds away"
            case .conv2d:
                "int8 takes convolutions of one group with a square kernel without dilation; use the float model"
            case .maxPool2d, .avgPool2d: "int8 takes square pools without padding; use the float model"
            default: "int8 takes plain chains of layers such as those of `vision/lenet5`; use the float model"
            }
        return MLOpsError(
            .usage, "`layers[\(index)]` (\(layer.type)) of `\(path)` has no integer form", hint: hint)
    }

    private static func window(_ shapes: [[Int]], _ index: Int, _ window: Window) -> ck_q_window {
        let (input, output) = (shapes[index], shapes[index + 1])
        return ck_q_window(
            channels: input[0], height: input[1], width: input[2], kernel: window.kernelHeight, step: window.strideY,
            padding: window.paddingY, outHeight: output[1], outWidth: output[2])
    }

    private static func product(
        _ index: Int, of architecture: Architecture, activations: [QuantizationParameters], source: TensorChecker,
        path: String
    ) throws -> IntegerProduct {
        let shape = architecture.layers[index].weightShape ?? []
        let depth = shape.dropFirst().reduce(1, *)
        guard depth <= IntegerProduct.maximumDepth else {
            throw MLOpsError(
                .usage, "layer \(index) of `\(path)` sums \(depth) products, int8 takes \(IntegerProduct.maximumDepth)")
        }
        let weights = source.tensor("\(index).weight", shape, .i8)
        let scales = source.floats("\(index).weight_scale", [shape[0]])
        let bias = source.tensor("\(index).bias", [shape[0]], .i32)
        try source.finish(path: path)
        let signed = weights.map { bytes($0).map(Int8.init(bitPattern:)) } ?? []
        let isFused = isFusedReLU(index + 1, in: architecture)
        return IntegerProduct(
            weights: channelsLast(signed, shape: shape), outputs: shape[0], bias: bias.map(integers) ?? [],
            weightScales: scales, input: activations[index],
            output: isLastProduct(index, in: architecture) ? nil : activations[index + 1], clipsAtZero: isFused)
    }

    /// `[outputs, inputs, height, width]` to `[outputs, height, width, inputs]`.
    private static func channelsLast(_ weights: [Int8], shape: [Int]) -> [Int8] {
        guard shape.count == 4 else { return weights }
        let (inputs, plane) = (shape[1], shape[2] * shape[3])
        var result = weights
        for o in 0..<shape[0] {
            for c in 0..<inputs {
                for k in 0..<plane { result[(o * plane + k) * inputs + c] = weights[(o * inputs + c) * plane + k] }
            }
        }
        return result
    }

    /// What each of the 256 values of a byte becomes.
    private static func table(
        of layer: LayerSpec, input: QuantizationParameters, output: QuantizationParameters
    ) throws -> [UInt8] {
        let reals = Tensor((0..<256).map { input.dequantize($0) }, shape: [256])
        let values = try layer.applyPointwise(reals).floats()
        return values.map { UInt8(output.quantize($0, in: QuantizationParameters.activationRange)) }
    }

    private static func bytes(_ tensor: Tensor) -> [UInt8] { tensor.withUnsafeBytes { Array($0) } }

    private static func integers(_ tensor: Tensor) -> [Int32] {
        tensor.withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
    }
}

extension IntegerNetwork {
    /// The outputs for `count` examples that lie one after the other in `features`.
    package func run(_ features: [Float], count: Int) -> [Float] { run(features, count: count, observe: nil) }

    /// - Parameter observe: gets each layer's index and its output as reals, pictures as `[channels, height, width]`.
    func run(_ features: [Float], count: Int, observe: ((Int, [Float]) -> Void)?) -> [Float] {
        precondition(
            features.count == count * shapes[0].reduce(1, *), "\(features.count) numbers for \(count) examples")
        var bytes = quantizedInput(features, count: count)
        for (index, step) in steps.enumerated() {
            if index == steps.count - 1, let product = lastProduct(step) {
                let floats = runLast(product, step: step, bytes, count: count)
                observe?(index, floats)
                return floats
            }
            bytes = run(step, on: bytes, count: count, zero: activations[index].zero)
            if let observe { observe(index, reals(bytes, layer: index, count: count)) }
        }
        return reals(bytes, layer: steps.count - 1, count: count)
    }

    private func lastProduct(_ step: Step) -> IntegerProduct? {
        switch step {
        case .linear(let product), .convolution(let product, _): product
        default: nil
        }
    }

    private func quantizedInput(_ features: [Float], count: Int) -> [UInt8] {
        let input = activations[0]
        let bytes = filled(features.count) {
            ck_q_quantize(features.count, features, input.scale, Int32(input.zero), $0)
        }
        return shapes[0].count == 3
            ? transposed(bytes, channels: shapes[0][0], plane: shapes[0][1] * shapes[0][2], count: count) : bytes
    }

    /// The bytes that layer `layer` gave as reals.
    private func reals(_ bytes: [UInt8], layer: Int, count: Int) -> [Float] {
        let (shape, output) = (shapes[layer + 1], activations[layer + 1])
        let ordered =
            shape.count == 3
            ? transposed(bytes, channels: shape[1] * shape[2], plane: shape[0], count: count) : bytes
        return [Float](unsafeUninitializedCapacity: ordered.count) { buffer, initialized in
            ck_q_dequantize(ordered.count, ordered, output.scale, Int32(output.zero), buffer.baseAddress)
            initialized = ordered.count
        }
    }

    private func run(_ step: Step, on bytes: [UInt8], count: Int, zero: Int) -> [UInt8] {
        switch step {
        case .linear(let product):
            let rows = padded(bytes, width: product.depth, to: product.stride, count: count)
            return filled(count * product.outputs) { product.runBytes(rows: count, rows, into: $0) }
        case .convolution(let product, let window):
            let plane = window.outHeight * window.outWidth
            return filled(count * plane * product.outputs) { out in
                eachImage(window, product: product, bytes, count: count, zero: zero) { image, columns in
                    product.runBytes(rows: plane, columns, into: out + image * plane * product.outputs)
                }
            }
        case .maxPool(let window): return pooled(window, bytes, count: count, ck_q_max_pool)
        case .avgPool(let window): return pooled(window, bytes, count: count, ck_q_avg_pool)
        case .flatten(let channels, let plane):
            return transposed(bytes, channels: plane, plane: channels, count: count)
        case .lookup(let table): return filled(bytes.count) { ck_q_lookup(bytes.count, bytes, table, $0) }
        case .done: return bytes
        }
    }

    private func runLast(_ product: IntegerProduct, step: Step, _ bytes: [UInt8], count: Int) -> [Float] {
        let size = shapes[shapes.count - 1].reduce(1, *)
        return [Float](unsafeUninitializedCapacity: count * size) { buffer, initialized in
            initialized = count * size
            guard let out = buffer.baseAddress else { return }
            guard case .convolution(_, let window) = step else {
                let rows = padded(bytes, width: product.depth, to: product.stride, count: count)
                return product.runFloats(rows: count, rows, into: out)
            }
            let plane = window.outHeight * window.outWidth
            var pixels = [Float](repeating: 0, count: size)
            eachImage(window, product: product, bytes, count: count, zero: activations[steps.count - 1].zero) {
                image, columns in
                product.runFloats(rows: plane, columns, into: &pixels)
                for c in 0..<product.outputs {
                    for k in 0..<plane { out[image * size + c * plane + k] = pixels[k * product.outputs + c] }
                }
            }
        }
    }

    /// Lays out the windows of each picture as rows for the product.
    private func eachImage(
        _ window: ck_q_window, product: IntegerProduct, _ bytes: [UInt8], count: Int, zero: Int,
        _ body: (Int, UnsafePointer<UInt8>) -> Void
    ) {
        var window = window
        let size = window.channels * window.height * window.width
        var columns = [UInt8](repeating: 0, count: window.outHeight * window.outWidth * product.stride)
        bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            columns.withUnsafeMutableBufferPointer { columns in
                guard let rows = columns.baseAddress else { return }
                for image in 0..<count {
                    ck_q_im2col(&window, base + image * size, Int32(zero), product.stride, rows)
                    body(image, rows)
                }
            }
        }
    }

    private func pooled(
        _ window: ck_q_window, _ bytes: [UInt8], count: Int,
        _ kernel: (UnsafePointer<ck_q_window>?, UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt8>?) -> Void
    ) -> [UInt8] {
        var window = window
        let size = window.channels * window.height * window.width
        let outSize = window.channels * window.outHeight * window.outWidth
        return filled(count * outSize) { out in
            bytes.withUnsafeBufferPointer { bytes in
                for image in 0..<count {
                    kernel(&window, bytes.baseAddress.map { $0 + image * size }, out + image * outSize)
                }
            }
        }
    }

    /// Each example's `[channels, plane]` as `[plane, channels]`.
    private func transposed(_ bytes: [UInt8], channels: Int, plane: Int, count: Int) -> [UInt8] {
        guard channels > 1, plane > 1 else { return bytes }
        let size = channels * plane
        return filled(bytes.count) { out in
            bytes.withUnsafeBufferPointer { bytes in
                for image in 0..<count {
                    ck_q_transpose(channels, plane, bytes.baseAddress.map { $0 + image * size }, out + image * size)
                }
            }
        }
    }

    /// Rows of `width` bytes as rows of `stride`.
    private func padded(_ bytes: [UInt8], width: Int, to stride: Int, count: Int) -> [UInt8] {
        guard width != stride else { return bytes }
        var rows = [UInt8](repeating: 0, count: count * stride)
        for row in 0..<count {
            for k in 0..<width { rows[row * stride + k] = bytes[row * width + k] }
        }
        return rows
    }

    private func filled(_ count: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Void) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let base = buffer.baseAddress { fill(base) }
            initialized = count
        }
    }
}
