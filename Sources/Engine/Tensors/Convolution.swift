internal import Basics
internal import CKernels

/// One convolution's extents, and its three products: output, input gradient, weight gradient. Images are laid out as columns
/// (im2col) and multiplied by the weight; the batch is cut into pieces by its size alone, and sums run in order.
///
/// Legend: N batch, C input channels, O output channels, G groups, K values under the window of one group, P output pixels.
struct Convolution: Sendable {
    let batch: Int
    let inputShape: [Int]
    let weightShape: [Int]
    let outputShape: [Int]
    let groups: Int
    /// Of one group: its channels.
    let window: ck_window
    let dtype: DType

    private var pixels: Int { outputShape[2] * outputShape[3] }
    private var patch: Int { weightShape[1] * weightShape[2] * weightShape[3] }
    private var outputsPerGroup: Int { weightShape[0] / groups }
    private var imageBytes: Int { inputShape[1] / groups * inputShape[2] * inputShape[3] * dtype.size }
    private var resultBytes: Int { outputsPerGroup * pixels * dtype.size }
    private var weightBytes: Int { outputsPerGroup * patch * dtype.size }
    /// Whether columns and image are the same bytes.
    var isPointwise: Bool {
        window.kernelHeight == 1 && window.kernelWidth == 1 && window.strideX == 1 && window.strideY == 1
            && window.padX == 0 && window.padY == 0
    }

    /// - Throws: if the shapes do not fit each other.
    init(_ input: [Int], _ weight: [Int], window: Window, groups: Int, dtype: DType) throws {
        guard input.count == 4, weight.count == 4 else {
            throw shapeError("conv2d", input, weight, "expected [N, C, H, W] and [O, C / groups, height, width]")
        }
        guard groups > 0, input[1] == weight[1] * groups, weight[0] % groups == 0 else {
            throw shapeError(
                "conv2d", input, weight,
                "with \(groups) groups the input needs \(weight[1] * groups) channels and the outputs must divide by the groups"
            )
        }
        guard weight[2] == window.kernelHeight, weight[3] == window.kernelWidth else {
            throw shapeError("conv2d", weight, [window.kernelHeight, window.kernelWidth], "kernel and window differ")
        }
        self.window = try window.geometry("conv2d", channels: weight[1], height: input[2], width: input[3])
        batch = input[0]
        inputShape = input
        weightShape = weight
        outputShape = [input[0], weight[0], Int(self.window.outHeight), Int(self.window.outWidth)]
        self.groups = groups
        self.dtype = dtype
    }

    /// Throws unless the bias is `[O]` and the residual of the output's shape, both of the images' dtype.
    func check(_ bias: Tensor?, _ residual: Tensor?) throws {
        for (name, given, expected) in [("bias", bias, [weightShape[0]]), ("residual", residual, outputShape)] {
            guard let given else { continue }
            guard given.dtype == dtype, given.shape == expected else {
                throw MLOpsError(
                    .failed,
                    "`conv2d`: the \(name) is \(given.dtype) of shape \(given.shape), expected \(dtype) of \(expected) "
                        + "for an input of \(inputShape) and a weight of \(weightShape)", hint: "reshape or cast it")
            }
        }
    }

    func output(_ input: Tensor, _ weight: Tensor, _ bias: Tensor?) throws -> Tensor {
        let (input, weight, bias) = (input.contiguous(), weight.contiguous(), bias?.contiguous())
        try MatrixProduct.load(for: dtype)
        return Tensor(shape: outputShape, dtype: dtype) { out in
            inParallel(pieces: pieceCount) { piece in
                let columns = TensorStorage(byteCount: isPointwise ? 0 : patch * pixels * dtype.size)
                for job in jobs(of: piece) {
                    let group = job % groups
                    let image = input.pointer + job * imageBytes
                    let result = out + job * resultBytes
                    if let bias { spread(bias.pointer + group * outputsPerGroup * dtype.size, over: result) }
                    MatrixProduct(rows: outputsPerGroup, columns: pixels, depth: patch).run(
                        dtype, weight.pointer + group * weightBytes, strideA: patch, laidOut(image, columns),
                        strideB: pixels, result, strideC: pixels, adds: bias != nil)
                }
            }
        }
    }

    func inputGradient(_ gradient: Tensor, _ weight: Tensor) throws -> Tensor {
        let (gradient, weight) = (gradient.contiguous(), weight.contiguous())
        try MatrixProduct.load(for: dtype)
        return Tensor(shape: inputShape, dtype: dtype) { out in
            inParallel(pieces: pieceCount) { piece in
                let columns = TensorStorage(byteCount: isPointwise ? 0 : patch * pixels * dtype.size)
                for job in jobs(of: piece) {
                    let image = out + job * imageBytes
                    MatrixProduct(transposesLeft: true, rows: patch, columns: pixels, depth: outputsPerGroup).run(
                        dtype, weight.pointer + job % groups * weightBytes, strideA: patch,
                        gradient.pointer + job * resultBytes, strideB: pixels, isPointwise ? image : columns.pointer,
                        strideC: pixels)
                    guard !isPointwise else { continue }
                    image.initializeMemory(as: UInt8.self, repeating: 0, count: imageBytes)
                    withUnsafePointer(to: window) { ck_col2im(dtype.code, $0, columns.pointer, image) }
                }
            }
        }
    }

    func weightGradient(_ gradient: Tensor, _ input: Tensor) throws -> Tensor {
        let (gradient, input) = (gradient.contiguous(), input.contiguous())
        try MatrixProduct.load(for: dtype)
        let count = pieceCount
        let partial = Tensor(shape: [count] + weightShape, dtype: dtype) { out in
            inParallel(pieces: count) { piece in
                let columns = TensorStorage(byteCount: isPointwise ? 0 : patch * pixels * dtype.size)
                let sums = out + piece * groups * weightBytes
                for (position, job) in jobs(of: piece).enumerated() {
                    let columns = laidOut(input.pointer + job * imageBytes, columns)
                    MatrixProduct(transposesRight: true, rows: outputsPerGroup, columns: patch, depth: pixels).run(
                        dtype, gradient.pointer + job * resultBytes, strideA: pixels, columns, strideB: pixels,
                        sums + job % groups * weightBytes, strideC: patch, adds: position >= groups)
                }
            }
        }
        return try withoutGradients { try partial.sum(axes: [0]) }
    }

    /// Pieces of the batch; each is some images with all their groups.
    private var pieceCount: Int {
        let work = weightShape[0] * patch * pixels
        let images = max(1, min(batch, 400_000 / max(1, work)))
        return max(1, min(16, (batch + images - 1) / images))
    }

    /// Pairs of image and group, numbered `image * groups + group`.
    private func jobs(of piece: Int) -> Range<Int> {
        let count = pieceCount
        return batch * piece / count * groups..<batch * (piece + 1) / count * groups
    }

    private func laidOut(_ image: UnsafeRawPointer, _ columns: TensorStorage) -> UnsafeRawPointer {
        if isPointwise { return image }
        withUnsafePointer(to: window) { ck_im2col(dtype.code, $0, image, columns.pointer) }
        return UnsafeRawPointer(columns.pointer)
    }

    private func spread(_ bias: UnsafeRawPointer, over result: UnsafeMutableRawPointer) {
        for channel in 0..<outputsPerGroup {
            let value =
                dtype == .f32
                ? Double(bias.load(fromByteOffset: channel * 4, as: Float.self))
                : bias.load(fromByteOffset: channel * 8, as: Double.self)
            ck_fill(dtype.code, pixels, value, result + channel * pixels * dtype.size)
        }
    }
}

extension Tensor {
    /// Two-dimensional convolution (cross-correlation, as in every framework) of images `[N, C, H, W]`.
    ///
    /// - Parameters:
    ///   - weight: `[O, C / groups, height, width]`.
    ///   - bias: `[O]`, or nil.
    ///   - groups: how many groups the channels fall into; C makes it depthwise.
    /// - Returns: `[N, O, (H + 2·padding - dilation·(height - 1) - 1) / stride + 1, …]`.
    public func conv2d(
        weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1
    ) throws -> Tensor {
        guard weight.rank == 4 else {
            throw shapeError("conv2d", shape, weight.shape, "the weight needs 4 axes [O, C / groups, height, width]")
        }
        let window = Window(
            height: weight.shape[2], width: weight.shape[3], stride: stride, padding: padding, dilation: dilation)
        return try conv2d(weight: weight, bias: bias, window: window, groups: groups)
    }

    /// The same with a window whose directions may differ, and what may follow in the same pass:
    /// activation(convolution + bias + residual).
    ///
    /// The output lies channels last where the quick path (`DirectConvolution`) was taken, so that the next layer finds it so.
    ///
    /// - Parameter residual: of the output's shape.
    public func conv2d(
        weight: Tensor, bias: Tensor? = nil, window: Window, groups: Int = 1, adding residual: Tensor? = nil,
        activation: FusedActivation = .none
    ) throws -> Tensor {
        if let type = Tensor.productType(self, weight) {
            return try cast(to: type).conv2d(
                weight: weight.cast(to: type), bias: bias?.cast(to: type), window: window, groups: groups,
                adding: residual?.cast(to: type), activation: activation)
        }
        if dtype.isHalf {
            try requireSameType("conv2d", self, weight)
            return try withAutocast(nil) {
                try cast(to: .f32).conv2d(
                    weight: weight.cast(to: .f32), bias: bias?.cast(to: .f32), window: window, groups: groups,
                    adding: residual?.cast(to: .f32), activation: activation
                ).cast(to: dtype)
            }
        }
        try requireFloat("conv2d", self)
        try requireSameType("conv2d", self, weight)
        let convolution = try Convolution(shape, weight.shape, window: window, groups: groups, dtype: dtype)
        try convolution.check(bias, residual)
        let direct = DirectConvolution(convolution)
        guard isRecording else { return try convolved(weight, bias, convolution, direct, residual, activation) }
        let inputs = [self, weight] + (bias.map { [$0] } ?? [])
        if let residual, (inputs + [residual]).contains(where: \.requiresGradient) {
            return try conv2d(weight: weight, bias: bias, window: window, groups: groups)
                .finished(adding: residual, activation)
        }
        let output = try convolved(weight, bias, convolution, direct, residual, activation)
        return record("conv2d", output, inputs: inputs, keepsOutput: activation != .none) { given, y in
            let gradient = try given.gated(by: y, activation)
            var result: [Tensor?] = [
                requiresGradient ? try gradient.convolutionInputGradient(weight, convolution, window) : nil
            ]
            let biasIsWanted = bias?.requiresGradient == true
            if weight.requiresGradient, !isRecording,
                let sums = try direct?.weightGradient(gradient, self, hasBias: biasIsWanted)
            {
                result.append(sums.weight)
                if bias != nil { result.append(sums.bias) }
                return result
            }
            result.append(
                weight.requiresGradient ? try gradient.convolutionWeightGradient(self, convolution, window) : nil)
            if bias != nil { result.append(biasIsWanted ? try gradient.sum(axes: [0, 2, 3]) : nil) }
            return result
        }
    }

    /// The convolution as a constant.
    private func convolved(
        _ weight: Tensor, _ bias: Tensor?, _ convolution: Convolution, _ direct: DirectConvolution?,
        _ residual: Tensor?, _ activation: FusedActivation
    ) throws -> Tensor {
        if let quick = try direct?.output(self, weight, bias, activation: activation, adding: residual) { return quick }
        return try withoutGradients {
            try convolution.output(contiguous(), weight.contiguous(), bias).finished(adding: residual, activation)
        }
    }

    /// The gradient of a convolution's input from this, that of its output: bilinear in this and the weight.
    func convolutionInputGradient(_ weight: Tensor, _ convolution: Convolution, _ window: Window) throws -> Tensor {
        let output =
            try DirectConvolution(convolution)?.inputGradient(self, weight)
            ?? convolution.inputGradient(contiguous(), weight.contiguous())
        return record("conv2dInputGradient", output, inputs: [self, weight]) { g, _ in
            [
                requiresGradient ? try g.conv2d(weight: weight, window: window, groups: convolution.groups) : nil,
                weight.requiresGradient ? try self.convolutionWeightGradient(g, convolution, window) : nil,
            ]
        }
    }

    /// The gradient of a convolution's weight from this, that of its output: bilinear in this and the input.
    func convolutionWeightGradient(_ input: Tensor, _ convolution: Convolution, _ window: Window) throws -> Tensor {
        let output =
            try DirectConvolution(convolution)?.weightGradient(self, input, hasBias: false)?.weight
            ?? convolution.weightGradient(contiguous(), input.contiguous())
        return record("conv2dWeightGradient", output, inputs: [self, input]) { g, _ in
            [
                requiresGradient ? try input.conv2d(weight: g, window: window, groups: convolution.groups) : nil,
                input.requiresGradient ? try self.convolutionInputGradient(g, convolution, window) : nil,
            ]
        }
    }
}
