internal import CKernels
internal import COneDNN

/// One convolution on oneDNN: pictures of f32 laid out channels last, cut into pieces by their size alone, each of which one thread
/// computes. A piece is some pictures or, where there are too few of them, some rows of one picture.
struct DirectConvolution: Sendable {
    /// Some pictures, or with one picture some rows of the output.
    private struct Piece {
        var images: Range<Int>
        var rows: Range<Int>
    }

    private let batch: Int
    private let weightShape: [Int]
    private let inputShape: [Int]
    private let outputShape: [Int]
    /// Input and output as others see them.
    private let givenShape: [Int]
    private let resultShape: [Int]
    private let groups: Int
    private let window: ck_window

    /// nil if the pictures are not f32, or oneDNN is not to be used.
    init?(_ convolution: Convolution) {
        guard convolution.dtype == .f32, convolution.outputShape.product > 0, convolution.inputShape.product > 0,
            OneDNN.isUsable
        else { return nil }
        batch = convolution.batch
        weightShape = convolution.weightShape
        givenShape = convolution.inputShape
        resultShape = convolution.outputShape
        groups = convolution.groups
        guard batch == 1, convolution.isPointwise else {
            inputShape = convolution.inputShape
            outputShape = convolution.outputShape
            window = convolution.window
            return
        }
        // Pixels that do not see their neighbours are a column, which is cut more evenly than rows.
        var column = convolution.window
        column.height *= column.width
        column.outHeight = column.height
        column.width = 1
        column.outWidth = 1
        window = column
        inputShape = [1, convolution.inputShape[1], Int(column.height), 1]
        outputShape = [1, convolution.outputShape[1], Int(column.height), 1]
    }

    /// activation(convolution + bias + residual), or nil if oneDNN has no quick code for it.
    ///
    /// - Parameter residual: of the output's shape.
    func output(
        _ input: Tensor, _ weight: Tensor, _ bias: Tensor?, activation: FusedActivation = .none,
        adding residual: Tensor? = nil
    ) throws -> Tensor? {
        try prepared(weight, hasBias: bias != nil, activation: activation, adds: residual != nil)?
            .output(input, bias, adding: residual)
    }

    /// All of the forward convolution that does not depend on the values of the pictures, from what is kept beside the weight or made
    /// now; nil if oneDNN has no quick code for it.
    func prepared(
        _ weight: Tensor, hasBias: Bool, activation: FusedActivation, adds: Bool
    ) -> PreparedConvolution? {
        let whole = Piece(images: 0..<batch, rows: 0..<outputShape[2])
        let description = description(
            MLOPS_DNN_FORWARD, whole, hasBias: hasBias, activation: activation, adds: adds)
        return PackedWeights.prepared(weight, for: description) {
            prepare(weight, hasBias: hasBias, activation: activation, adds: adds)
        }
    }

    private func prepare(
        _ weight: Tensor, hasBias: Bool, activation: FusedActivation, adds: Bool
    ) -> PreparedConvolution? {
        let pieces = cut(most: 16, byRows: true)
        guard let plans = plans(MLOPS_DNN_FORWARD, pieces, hasBias: hasBias, activation: activation, adds: adds)
        else { return nil }
        let (from, to) = (imageStride(inputShape), imageStride(outputShape))
        return PreparedConvolution(
            outputShape: resultShape,
            pieces: zip(pieces, plans).map { piece, plan in
                .init(
                    plan: plan, weights: PackedWeights.of(weight, for: plan),
                    input: piece.images.lowerBound * from
                        + inputRows(piece.rows).rows.lowerBound * rowBytes(inputShape),
                    output: piece.images.lowerBound * to + piece.rows.lowerBound * rowBytes(outputShape),
                    outputBytes: piece.images.count * piece.rows.count * rowBytes(outputShape))
            })
    }

    /// The gradient of the input from that of the output; nil if oneDNN has no quick code for it.
    func inputGradient(_ gradient: Tensor, _ weight: Tensor) throws -> Tensor? {
        let pieces = cut(most: 16, byRows: false)
        guard let plans = plans(MLOPS_DNN_INPUT_GRADIENT, pieces) else { return nil }
        let g = try gradient.channelsLast()
        let packed = plans.map { PackedWeights.of(weight, for: $0) }
        let (from, to) = (imageStride(outputShape), imageStride(inputShape))
        return Tensor(channelsLast: givenShape, dtype: .f32) { out in
            inParallel(pieces: pieces.count) { index in
                let first = pieces[index].images.lowerBound
                mlops_dnn_input_gradient(
                    plans[index].pointer, floats(g.base + first * from), floats(packed[index].pointer),
                    floats(out + first * to))
            }
        }
    }

    /// The gradients of weight and bias from that of the output; nil if oneDNN has no quick code for it.
    func weightGradient(_ gradient: Tensor, _ input: Tensor, hasBias: Bool) throws -> (weight: Tensor, bias: Tensor?)? {
        // Each piece has sums of its own: no more of them than threads can share.
        let pieces = cut(most: 8, byRows: false)
        guard let plans = plans(MLOPS_DNN_WEIGHT_GRADIENT, pieces, hasBias: hasBias),
            plans.allSatisfy({ $0.weightBytes == plans[0].weightBytes })
        else { return nil }
        let (g, x) = (try gradient.channelsLast(), try input.channelsLast())
        let (from, to) = (imageStride(inputShape), imageStride(outputShape))
        let (weightBytes, biasBytes) = (plans[0].weightBytes, (hasBias ? weightShape[0] * 4 : 0))
        let (weights, biases) = ((weightBytes + 63) / 64 * 64, (biasBytes + 63) / 64 * 64)
        let sums = TensorStorage(byteCount: pieces.count * (weights + biases))
        inParallel(pieces: pieces.count) { index in
            let first = pieces[index].images.lowerBound
            let own = sums.pointer + index * (weights + biases)
            mlops_dnn_weight_gradient(
                plans[index].pointer, floats(g.base + first * to), floats(x.base + first * from), floats(own),
                hasBias ? floats(own + weights) : nil)
        }
        // In the order of the pieces, whoever computed them.
        let length = (weights + biases) / 4
        inParallel(length, grain: elementwiseGrain) { part in
            for index in 1..<max(1, pieces.count) {
                ck_accumulate(
                    DType.f32.code, part.count, 1, sums.pointer + index * (weights + biases) + part.lowerBound * 4,
                    sums.pointer + part.lowerBound * 4)
            }
        }
        let weight = Tensor(shape: weightShape, dtype: .f32) {
            mlops_dnn_unpack(plans[0].pointer, floats(sums.pointer), floats($0))
        }
        guard hasBias else { return (weight, nil) }
        let bias = Tensor(shape: [weightShape[0]], dtype: .f32) {
            $0.copyMemory(from: sums.pointer + weights, byteCount: biasBytes)
        }
        return (weight, bias)
    }

    // MARK: Pieces

    private func rowBytes(_ shape: [Int]) -> Int { shape[1] * shape[3] * 4 }
    private func imageStride(_ shape: [Int]) -> Int { rowBytes(shape) * shape[2] }

    /// Pieces that are worth a thread's while, at most `most`: half a million multiplications, fewer where each value is read for
    /// a few of them only.
    private func cut(most: Int, byRows: Bool) -> [Piece] {
        let patch = weightShape[1] * weightShape[2] * weightShape[3]
        let work = outputShape.product * (patch + 40)
        let wanted = max(1, min(most, work / 600_000))
        let rows = outputShape[2]
        if byRows, batch == 1, wanted > 1 {
            // A call costs as much as some 100,000 multiplications.
            let count = min(rows, wanted < 12 ? 2 : 4)
            return (0..<count).map {
                Piece(images: 0..<1, rows: rows * $0 / count..<rows * ($0 + 1) / count)
            }
        }
        // Pieces of one size need one plan; a rest needs another.
        let size = (batch + wanted - 1) / wanted
        return stride(from: 0, to: batch, by: size).map { Piece(images: $0..<min(batch, $0 + size), rows: 0..<rows) }
    }

    /// The rows of the input under `rows` of the output, and the rows of padding above and below them.
    private func inputRows(_ rows: Range<Int>) -> (rows: Range<Int>, above: Int, below: Int) {
        let height = inputShape[2]
        if rows.count == outputShape[2] { return (0..<height, Int(window.padY), paddingBelow(rows)) }
        let first = rows.lowerBound * Int(window.strideY) - Int(window.padY)
        let inside = min(height - 1, max(0, first))..<max(1, min(height, lastRow(under: rows) + 1))
        return (inside, max(0, -first), paddingBelow(rows))
    }

    private func lastRow(under rows: Range<Int>) -> Int {
        (rows.upperBound - 1) * Int(window.strideY) - Int(window.padY)
            + Int(window.dilationY) * (Int(window.kernelHeight) - 1)
    }

    private func paddingBelow(_ rows: Range<Int>) -> Int { max(0, lastRow(under: rows) - (inputShape[2] - 1)) }

    private func plans(
        _ kind: Int, _ pieces: [Piece], hasBias: Bool = false, activation: FusedActivation = .none, adds: Bool = false
    ) -> [ConvolutionPlan]? {
        var known: [(count: Int, rows: Range<Int>, plan: ConvolutionPlan)] = []
        return pieces.reduce(into: [ConvolutionPlan]?.some([])) { plans, piece in
            if let same = known.first(where: { $0.count == piece.images.count && $0.rows == piece.rows }) {
                plans?.append(same.plan)
                return
            }
            let plan = ConvolutionPlan(
                description(kind, piece, hasBias: hasBias, activation: activation, adds: adds))
            guard let plan else { return plans = nil }
            known.append((piece.images.count, piece.rows, plan))
            plans?.append(plan)
        }
    }

    private func description(
        _ kind: Int, _ piece: Piece, hasBias: Bool, activation: FusedActivation, adds: Bool
    ) -> mlops_dnn_convolution {
        let span = inputRows(piece.rows)
        var result = mlops_dnn_convolution()
        result.kind = Int32(kind)
        result.batch = Int32(piece.images.count)
        result.inputs = Int32(inputShape[1])
        result.height = Int32(span.rows.count)
        result.width = window.width
        result.outputs = Int32(weightShape[0])
        result.groups = Int32(groups)
        result.kernelHeight = window.kernelHeight
        result.kernelWidth = window.kernelWidth
        result.strideY = window.strideY
        result.strideX = window.strideX
        result.dilationY = window.dilationY
        result.dilationX = window.dilationX
        result.padTop = Int32(span.above)
        result.padBottom = Int32(span.below)
        result.padLeft = window.padX
        let right =
            (window.outWidth - 1) * window.strideX + window.dilationX * (window.kernelWidth - 1) - window.padX
            - (window.width - 1)
        result.padRight = max(0, right)
        result.outHeight = Int32(piece.rows.count)
        result.outWidth = window.outWidth
        result.hasBias = hasBias ? 1 : 0
        result.addsToOutput = adds ? 1 : 0
        switch activation {
        case .none: result.activation = Int32(MLOPS_DNN_NO_ACTIVATION)
        case .relu: result.activation = Int32(MLOPS_DNN_RELU)
        case .relu6: result.activation = Int32(MLOPS_DNN_RELU6)
        }
        return result
    }
}

func floats(_ pointer: UnsafeRawPointer) -> UnsafePointer<Float> { pointer.assumingMemoryBound(to: Float.self) }

func floats(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Float> {
    pointer.assumingMemoryBound(to: Float.self)
}
