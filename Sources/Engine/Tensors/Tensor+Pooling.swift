internal import CKernels

extension Tensor {
    /// The largest value under a moving window of images `[N, C, H, W]`; padding never wins.
    ///
    /// - Parameter stride: nil means that windows do not overlap: the kernel's extent.
    public func maxPool2d(kernel: Int, stride: Int? = nil, padding: Int = 0) throws -> Tensor {
        try maxPool2d(Window(height: kernel, width: kernel, stride: stride ?? kernel, padding: padding))
    }

    public func maxPool2d(_ window: Window) throws -> Tensor {
        if dtype.isHalf { return try cast(to: .f32).maxPool2d(window).cast(to: dtype) }
        let (geometry, target) = try pooling("maxPool2d", window)
        if isChannelsLast { return try maxPoolChannelsLast(geometry, target) }
        let x = contiguous()
        let planes = AxisLayout(outer: shape[0] * shape[1], extent: shape[2] * shape[3], inner: 1)
        let picked = target[2] * target[3]
        let index = TensorStorage(byteCount: target.product * 4)
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            forEachPlane(grain: planes.extent) { part in
                var piece = geometry
                piece.channels = Int32(part.count)
                ck_max_pool(
                    dtype.code, &piece, x.pointer + part.lowerBound * planes.extent * dtype.size,
                    bytes + part.lowerBound * picked * dtype.size,
                    index.pointer.assumingMemoryBound(to: Int32.self) + part.lowerBound * picked)
            }
        }
        return record("maxPool2d", output, inputs: [self]) { [shape] gradient, _ in
            [try gradient.scattered(planes, picked: picked, index, shape: shape)]
        }
    }

    /// The mean under a moving window of images `[N, C, H, W]`.
    ///
    /// - Parameters:
    ///   - stride: nil means that windows do not overlap: the kernel's extent.
    ///   - countsPadding: whether the zeros of the padding count, as PyTorch has it unless told otherwise.
    public func avgPool2d(
        kernel: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true
    ) throws -> Tensor {
        try avgPool2d(
            Window(height: kernel, width: kernel, stride: stride ?? kernel, padding: padding),
            countsPadding: countsPadding)
    }

    public func avgPool2d(_ window: Window, countsPadding: Bool = true) throws -> Tensor {
        if dtype.isHalf {
            return try cast(to: .f32).avgPool2d(window, countsPadding: countsPadding).cast(to: dtype)
        }
        let (geometry, target) = try pooling("avgPool2d", window)
        let output =
            isChannelsLast
            ? avgPoolChannelsLast(geometry, target, countsPadding: countsPadding)
            : contiguous().avgPoolPlanes(geometry, target, countsPadding: countsPadding)
        return record("avgPool2d", output, inputs: [self]) { [target = (shape, isChannelsLast)] gradient, _ in
            [try gradient.avgPoolGradient(window, countsPadding, to: target)]
        }
    }

    private func avgPoolPlanes(_ geometry: ck_window, _ target: [Int], countsPadding: Bool) -> Tensor {
        let plane = shape[2] * shape[3]
        let picked = target[2] * target[3]
        return Tensor(shape: target, dtype: dtype) { bytes in
            forEachPlane(grain: plane) { part in
                var piece = geometry
                piece.channels = Int32(part.count)
                ck_avg_pool(
                    dtype.code, &piece, countsPadding ? 1 : 0, pointer + part.lowerBound * plane * dtype.size,
                    bytes + part.lowerBound * picked * dtype.size)
            }
        }
    }

    /// - Parameter target: the shape of the input, and whether it lay channels last.
    private func avgPoolGradient(
        _ window: Window, _ countsPadding: Bool, to target: (shape: [Int], isChannelsLast: Bool)
    ) throws -> Tensor {
        let geometry = try window.geometry("avgPool2d", channels: 1, height: target.shape[2], width: target.shape[3])
        let output =
            target.isChannelsLast
            ? try channelsLast().avgPoolGradientChannelsLast(geometry, target.shape, countsPadding: countsPadding)
            : contiguous().avgPoolGradientPlanes(geometry, target.shape, countsPadding: countsPadding)
        return record("avgPool2dGradient", output, inputs: [self]) { gradient, _ in
            [try gradient.avgPool2d(window, countsPadding: countsPadding)]
        }
    }

    private func avgPoolGradientPlanes(_ geometry: ck_window, _ target: [Int], countsPadding: Bool) -> Tensor {
        let plane = target[2] * target[3]
        let picked = shape[2] * shape[3]
        return Tensor(shape: target, dtype: dtype) { bytes in
            forEachPlane(grain: plane) { part in
                var piece = geometry
                piece.channels = Int32(part.count)
                ck_avg_pool_gradient(
                    dtype.code, &piece, countsPadding ? 1 : 0, pointer + part.lowerBound * picked * dtype.size,
                    bytes + part.lowerBound * plane * dtype.size)
            }
        }
    }

    private func pooling(_ name: String, _ window: Window) throws -> (ck_window, [Int]) {
        try requireFloat(name, self)
        try requireRank(name, self, 4, "[N, C, H, W]")
        guard 2 * window.paddingY <= window.kernelHeight, 2 * window.paddingX <= window.kernelWidth else {
            throw shapeError(name, shape, "padding \(window.paddingY) is more than half of the kernel")
        }
        let geometry = try window.geometry(name, channels: 1, height: shape[2], width: shape[3])
        guard name == "maxPool2d" || geometry.dilationX == 1 && geometry.dilationY == 1 else {
            throw shapeError(name, shape, "an average has no dilation")
        }
        return (geometry, [shape[0], shape[1], Int(geometry.outHeight), Int(geometry.outWidth)])
    }

    private func forEachPlane(grain plane: Int, _ body: (Range<Int>) -> Void) {
        inParallel(shape[0] * shape[1], grain: elementwiseGrain / Swift.max(1, plane), body)
    }
}
