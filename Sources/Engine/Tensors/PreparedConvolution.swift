internal import COneDNN

/// A forward convolution made ready for pictures of one shape: all that does not depend on their values.
package final class PreparedConvolution: Sendable {
    struct Piece: Sendable {
        let plan: ConvolutionPlan
        let weights: TensorStorage
        /// Where it starts in input and output, and its size, in bytes.
        let input: Int
        let output: Int
        let outputBytes: Int
    }

    private let outputShape: [Int]
    private let pieces: [Piece]

    init(outputShape: [Int], pieces: [Piece]) {
        self.outputShape = outputShape
        self.pieces = pieces
    }

    /// activation(convolution + bias + residual) as a constant, which lies channels last.
    ///
    /// - Parameters:
    ///   - input: of the shape that this was made for, f32.
    ///   - bias: `[O]`, if this was made for one.
    ///   - residual: of the output's shape, if this was made for one. Its memory becomes the output's if nobody else holds it.
    package func output(_ input: Tensor, _ bias: Tensor?, adding residual: consuming Tensor?) throws -> Tensor {
        let x = try input.channelsLast()
        let bias = bias?.contiguous()
        guard var sum = try residual?.channelsLast() else {
            return Tensor(channelsLast: outputShape, dtype: .f32) { run(x, bias, adding: nil, to: $0) }
        }
        residual = nil
        if sum.offset == 0, isKnownUniquelyReferenced(&sum.storage) {
            run(x, bias, adding: nil, to: sum.storage.pointer)
            sum.node = nil
            return sum
        }
        return Tensor(channelsLast: outputShape, dtype: .f32) { run(x, bias, adding: sum.base, to: $0) }
    }

    /// - Parameter summand: what is added before the activation; nil if it stands in `output` already, or nothing is added.
    private func run(
        _ x: Tensor, _ bias: Tensor?, adding summand: UnsafeRawPointer?, to output: UnsafeMutableRawPointer
    ) {
        let (base, bias) = (x.base, bias.map { floats($0.pointer) })
        inParallel(pieces: pieces.count) { index in
            let piece = pieces[index]
            let place = output + piece.output
            if let summand { place.copyMemory(from: summand + piece.output, byteCount: piece.outputBytes) }
            mlops_dnn_forward(
                piece.plan.pointer, floats(base + piece.input), floats(piece.weights.pointer), bias, floats(place))
        }
        withExtendedLifetime(x) {}
    }
}

extension PreparedConvolution {
    /// The convolution `Tensor.conv2d` with what follows it, for inputs of shape `input`; nil if there is no quick code for it.
    ///
    /// - Parameter adds: whether a residual is added before the activation.
    /// - Throws: if the shapes do not fit each other.
    package static func make(
        input: [Int], weight: Tensor, bias: Tensor?, window: Window, groups: Int, activation: FusedActivation,
        adds: Bool
    ) throws -> PreparedConvolution? {
        guard weight.dtype == .f32 else { return nil }
        let convolution = try Convolution(input, weight.shape, window: window, groups: groups, dtype: .f32)
        try convolution.check(bias, nil)
        return DirectConvolution(convolution)?.prepared(
            weight, hasBias: bias != nil, activation: activation, adds: adds)
    }
}
