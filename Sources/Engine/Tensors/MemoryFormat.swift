internal import CKernels

extension Tensor {
    /// How far apart in memory, in elements, neighbours along each axis are; 0 where an axis repeats, 1 if its extent is 1.
    public var strides: [Int] { layout.strides(of: shape) }

    /// Whether the elements lie row by row without gaps.
    public var isContiguous: Bool { layout.isRowMajor }

    /// Whether images `[N, C, H, W]` lie as `[N, H, W, C]` without gaps.
    public var isChannelsLast: Bool {
        layout.isChannelsLast(shape)
    }

    /// The same tensor with elements row by row: itself if they are so already, else a copy. Gradients flow through.
    public func contiguous() -> Tensor {
        isContiguous ? self : arranged(Layout())
    }

    /// The same images `[N, C, H, W]` with memory as of `[N, H, W, C]`: themselves if it is so, else a copy. Gradients flow
    /// through.
    ///
    /// - Throws: unless there are four axes.
    public func channelsLast() throws -> Tensor {
        try requireRank("channelsLast", self, 4, "[N, C, H, W]")
        if isChannelsLast { return self }
        guard isContiguous, (2...4).contains(shape[1]), dtype == .f32 || dtype == .f64 else {
            return arranged(Layout(channelsLast: shape))
        }
        var result = Tensor.interleaved(base, shape: shape, dtype: dtype)
        result.node = node
        return result
    }

    /// A tensor whose elements `body` writes, all of them, at `strides`, which must fill the memory without gaps.
    package init(
        shape: [Int], dtype: DType, strides: [Int], writing body: (UnsafeMutableRawPointer) throws -> Void
    ) rethrows {
        let layout = Layout(shape, strides: strides)
        precondition(layout.isDense, "strides \(strides) leave gaps in a tensor of shape \(shape)")
        try self.init(shape: shape, dtype: dtype, layout: layout, writing: body)
    }

    /// Images of shape `[N, C, H, W]` whose bytes `body` writes, all of them, in the order `[N, H, W, C]`.
    package init(
        channelsLast shape: [Int], dtype: DType, writing body: (UnsafeMutableRawPointer) throws -> Void
    ) rethrows {
        try self.init(shape: shape, dtype: dtype, layout: Layout(channelsLast: shape), writing: body)
    }

    /// Pictures of few channels that lie row by row at `values`, as a constant with the channels of a pixel next to each other.
    private static func interleaved(_ values: UnsafeRawPointer, shape: [Int], dtype: DType) -> Tensor {
        let (channels, plane) = (shape[1], shape[2] * shape[3])
        let pieces = Swift.max(1, plane * channels / elementwiseGrain)
        return Tensor(channelsLast: shape, dtype: dtype) { bytes in
            inParallel(pieces: shape[0] * pieces) { job in
                let (image, piece) = (job / pieces, job % pieces)
                let start = image * channels * plane * dtype.size
                ck_interleave(
                    dtype.code, plane, channels, plane * piece / pieces, plane * (piece + 1) / pieces, values + start,
                    bytes + start)
            }
        }
    }

    /// A copy of what lies row by row at `values`; pictures `[N, C, H, W]` of few channels are laid out channels last on the way.
    package init(copying values: UnsafePointer<Float>, shape: [Int]) {
        if shape.count == 4, (2...4).contains(shape[1]) {
            self = .interleaved(values, shape: shape, dtype: .f32)
        } else {
            self.init(shape: shape, dtype: .f32) { $0.copyMemory(from: values, byteCount: shape.product * 4) }
        }
    }

    /// The same values and place in the graph, copied into a dense `target`.
    func arranged(_ target: Layout) -> Tensor {
        var result = Tensor(shape: shape, dtype: dtype, layout: target) { bytes in
            copyStrided(
                shape, size: dtype.size, from: base, strides, to: bytes, target.strides(of: shape), adds: nil)
        }
        result.node = node
        return result
    }

    /// This if its elements fill a block of memory in whatever order, else a row-major copy.
    func dense() -> Tensor { layout.isDense ? self : contiguous() }

    /// The same elements behind a dense `layout`: this, or a copy.
    func laidOut(as target: Layout) -> Tensor { layout == target ? self : arranged(target) }

    /// The axes reordered so that a dense tensor becomes row-major; a constant.
    func inMemoryOrder() -> (tensor: Tensor, order: [Int]) {
        let order = layout.order(of: shape)
        let strides = strides
        let reordered = order.map { shape[$0] }
        return (view(shape: reordered, strides: order.map { strides[$0] }), order)
    }

    /// A view of this tensor's memory, as a constant.
    func view(shape target: [Int], strides: [Int], from start: Int = 0) -> Tensor {
        Tensor(
            shape: target, dtype: dtype, layout: Layout(target, strides: strides), offset: offset + start,
            storage: storage)
    }
}
