internal import Basics
internal import Tensors

/// Where a layer stands in its architecture, and what shapes it takes and gives.
package struct LayerPlace: Sendable {
    /// What its tensors' names begin with: `3.branch.0`.
    package var path: String
    /// The same as messages have it: `layers[3].branch[0]`.
    package var position: String
    package var layer: LayerSpec
    /// Of one example, without the batch.
    package var input: [Int]
    package var output: [Int]
}

extension Architecture {
    /// The shape of one example before each layer and, last, of the output.
    ///
    /// - Throws: kind `.usage` naming the first layer that does not fit, inside blocks too.
    package func shapes() throws -> [[Int]] {
        let outer = try places().filter { !$0.path.contains(".") }
        return [input] + outer.map(\.output)
    }

    /// All layers with their shapes in the order of their use; a block stands behind the layers inside it.
    ///
    /// - Throws: kind `.usage` naming the first layer that does not fit by its position: `layers[3].branch[1]`.
    package func places() throws -> [LayerPlace] {
        guard input.count == 1 || input.count == 3, ShapeWalk.isPossible(input) else {
            throw MLOpsError(.usage, "input shape \(input) is not [features] or [channels, height, width]")
        }
        var walk = ShapeWalk()
        _ = try walk.run(layers, from: input, path: "", position: "layers")
        return walk.places
    }
}

/// Follows the shape of one example through nested layers.
private struct ShapeWalk {
    var places: [LayerPlace] = []

    mutating func run(
        _ layers: [LayerSpec], from input: [Int], path: String, position: String, depth: Int = 0
    ) throws -> [Int] {
        guard depth <= Architecture.maximumDepth else {
            throw MLOpsError(
                .usage, "`\(position)`: blocks are nested deeper than \(Architecture.maximumDepth) levels")
        }
        var shape = input
        for (index, layer) in layers.enumerated() {
            let place = "\(position)[\(index)]"
            let name = path + String(index)
            var outputs: [[Int]] = []
            for part in layer.parts {
                outputs.append(
                    try run(
                        part.layers, from: shape, path: "\(name).\(part.name).", position: "\(place).\(part.name)",
                        depth: depth + 1))
            }
            guard let output = layer.outputShape(for: shape, parts: outputs), ShapeWalk.isPossible(output) else {
                throw ShapeWalk.misfit(layer, at: place, input: shape, parts: outputs)
            }
            places.append(LayerPlace(path: name, position: place, layer: layer, input: shape, output: output))
            shape = output
        }
        return shape
    }

    private static func misfit(_ layer: LayerSpec, at place: String, input: [Int], parts: [[Int]]) -> MLOpsError {
        switch layer {
        case .residual where parts.count == 2:
            MLOpsError(
                .usage,
                "`\(place)` (residual): the branch gives \(parts[0]), the shortcut \(parts[1]), which cannot be added",
                hint: "give the shortcut a 1 × 1 convolution of the branch's stride and channels")
        case .concatenated where parts.count == 1:
            MLOpsError(
                .usage, "`\(place)` (concatenated): the branch gives \(parts[0]), which does not fit beside \(input)",
                hint: "only the channels may differ")
        default: MLOpsError(.usage, "`\(place)` (\(layer.type)) does not take an input of shape \(input)")
        }
    }

    /// Whether all extents are positive and one example has at most 2²⁸ numbers, so that no product overflows.
    static func isPossible(_ shape: [Int]) -> Bool {
        var count = 1
        for extent in shape {
            guard (1...(1 << 28)).contains(extent), count <= (1 << 28) / extent else { return false }
            count *= extent
        }
        return true
    }
}

extension LayerSpec {
    /// The shape of one output example for one input example of shape `input`, where the layer's parts give `parts`; nil if
    /// they do not fit.
    fileprivate func outputShape(for input: [Int], parts: [[Int]]) -> [Int]? {
        switch self {
        case .linear(let inputs, let outputs, _): return input == [inputs] ? [outputs] : nil
        case .conv2d(let convolution): return convolution.outputShape(for: input)
        case .convTranspose2d(let convolution, let padding):
            return convolution.transposedOutputShape(for: input, outputPadding: padding)
        case .maxPool2d(let window), .avgPool2d(let window, _):
            // A window that lies in the padding alone would have nothing to pick.
            guard input.count == 3, window.paddingY <= window.kernelHeight / 2,
                window.paddingX <= window.kernelWidth / 2
            else { return nil }
            return window.outputExtents(input[1], input[2]).map { [input[0]] + $0 }
        case .globalAvgPool2d: return input.count == 3 ? [input[0]] : nil
        case .flatten: return [input.reduce(1, *)]
        case .relu, .relu6, .leakyReLU, .tanh, .sigmoid, .gelu, .dropout: return input
        case .batchNorm1d(let features), .layerNorm(let features): return input == [features] ? input : nil
        case .batchNorm2d(let features): return input.count == 3 && input[0] == features ? input : nil
        case .residual(let branch, _): return !branch.isEmpty && parts[0] == parts[1] ? parts[0] : nil
        case .concatenated(let branch):
            guard !branch.isEmpty, parts[0].count == input.count, parts[0].dropFirst() == input.dropFirst() else {
                return nil
            }
            return [input[0] + parts[0][0]] + input.dropFirst()
        }
    }
}

extension ConvolutionSpec {
    /// No weight of more numbers is made, so that no product overflows.
    private static let maximumWeightCount = 1 << 32

    fileprivate func outputShape(for input: [Int]) -> [Int]? {
        guard takes(input, weightShape) else { return nil }
        return window.outputExtents(input[1], input[2]).map { [outputs] + $0 }
    }

    fileprivate func transposedOutputShape(for input: [Int], outputPadding: Int) -> [Int]? {
        guard takes(input, transposedWeightShape) else { return nil }
        func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int) -> Int? {
            guard kernel > 0, stride > 0, dilation > 0, (0..<max(stride, dilation)).contains(outputPadding) else {
                return nil
            }
            return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + outputPadding + 1
        }
        guard
            let height = extent(
                input[1], window.kernelHeight, window.strideY, window.paddingY, window.dilationY),
            let width = extent(input[2], window.kernelWidth, window.strideX, window.paddingX, window.dilationX)
        else { return nil }
        return [outputs, height, width]
    }

    /// Whether the channels are right, groups divide them, and the weight has a possible size.
    private func takes(_ input: [Int], _ weight: [Int]) -> Bool {
        guard input.count == 3, input[0] == inputs, groups > 0, inputs % groups == 0, outputs % groups == 0 else {
            return false
        }
        var count = 1
        for extent in weight {
            guard extent > 0, count <= ConvolutionSpec.maximumWeightCount / extent else { return false }
            count *= extent
        }
        return true
    }
}

extension Window {
    /// Height and width of what the window gives for a picture of `height` × `width`; nil if it does not fit once.
    fileprivate func outputExtents(_ height: Int, _ width: Int) -> [Int]? {
        func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int) -> Int? {
            let span = dilation * (kernel - 1) + 1
            guard kernel > 0, stride > 0, padding >= 0, dilation > 0, size + 2 * padding >= span else { return nil }
            return (size + 2 * padding - span) / stride + 1
        }
        guard let height = extent(height, kernelHeight, strideY, paddingY, dilationY),
            let width = extent(width, kernelWidth, strideX, paddingX, dilationX)
        else { return nil }
        return [height, width]
    }
}
