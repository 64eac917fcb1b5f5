internal import CKernels

extension Tensor {
    /// A view with axes in another order: axis i of the result is axis `order[i]` of this.
    public func permuted(_ order: [Int]) throws -> Tensor {
        let axes = try order.map { try checkedAxis("permute", $0, rank: rank, shape: shape) }
        guard Set(axes).count == rank, axes.count == rank else {
            throw shapeError("permute", shape, "\(order) does not name each axis once")
        }
        if axes == Array(0..<rank) { return self }
        return reordered(axes)
    }

    /// A view with two axes exchanged.
    public func transposed(_ first: Int = -2, _ second: Int = -1) throws -> Tensor {
        let first = try checkedAxis("transpose", first, rank: rank, shape: shape)
        let second = try checkedAxis("transpose", second, rank: rank, shape: shape)
        if first == second { return self }
        var order = Array(0..<rank)
        order.swapAt(first, second)
        return reordered(order)
    }

    private func reordered(_ axes: [Int]) -> Tensor {
        let strides = strides
        let output = view(shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] })
        guard isRecorded(self) else { return output }
        var inverse = [Int](repeating: 0, count: rank)
        for (position, axis) in axes.enumerated() { inverse[axis] = position }
        return record("permute", output, inputs: [self]) { [inverse] gradient, _ in [gradient.reordered(inverse)] }
    }

    /// A view of elements `range` of `axis`, every `step`-th of them.
    public func slice(axis: Int, _ range: Range<Int>, step: Int = 1) throws -> Tensor {
        let axis = try checkedAxis("slice", axis, rank: rank, shape: shape)
        let extent = shape[axis]
        guard range.lowerBound >= 0, range.upperBound <= extent else {
            throw shapeError("slice", shape, "\(range) is not within 0..<\(extent) of axis \(axis)")
        }
        guard step > 0 else { throw shapeError("slice", shape, "step \(step) is not positive") }
        if range == 0..<extent, step == 1 { return self }
        return sliced(
            AxisSlice(axis: axis, start: range.lowerBound, count: (range.count + step - 1) / step, step: step))
    }

    /// A view of entry `index` of `axis`, without this axis.
    ///
    /// - Parameter index: negative ones count from the back.
    public func selected(axis: Int, _ index: Int) throws -> Tensor {
        let axis = try checkedAxis("select", axis, rank: rank, shape: shape)
        let place = index < 0 ? index + shape[axis] : index
        guard (0..<shape[axis]).contains(place) else {
            throw shapeError("select", shape, "entry \(index) is not within \(shape[axis]) of axis \(axis)")
        }
        return try sliced(AxisSlice(axis: axis, start: place, count: 1, step: 1)).squeezed(axis)
    }

    private func sliced(_ part: AxisSlice) -> Tensor {
        var target = shape
        target[part.axis] = part.count
        var strides = strides
        let start = part.count == 0 ? 0 : part.start * strides[part.axis]
        strides[part.axis] *= part.step
        let output = view(shape: target, strides: strides, from: start)
        guard isRecorded(self) else { return output }
        let place = SlicePlace(part: part, shape: shape, layout: layout.isDense ? layout : Layout())
        return record("slice", output, inputs: [self], place: place) { gradient, _ in [gradient.placed(place)] }
    }

    /// The adjoint of `sliced`: this at a place in zeros.
    func placed(_ place: SlicePlace) -> Tensor {
        let output = Tensor(shape: place.shape, dtype: dtype, layout: place.layout) { bytes in
            ck_fill(dtype.code, place.shape.product, 0, bytes)
            write(to: bytes, place.part, strides: place.layout.strides(of: place.shape), adds: false)
        }
        return record("place", output, inputs: [self]) { gradient, _ in [gradient.sliced(place.part)] }
    }

    /// Writes (or adds) the elements to `part` of a tensor whose elements lie at `strides`.
    func write(to bytes: UnsafeMutableRawPointer, _ part: AxisSlice, strides: [Int], adds: Bool) {
        if count == 0 { return }
        var strides = strides
        let start = part.start * strides[part.axis] * dtype.size
        strides[part.axis] *= part.step
        copyStrided(
            shape, size: dtype.size, from: base, self.strides, to: bytes + start, strides, adds: adds ? dtype : nil)
    }

    /// A view of windows of `size` neighbours along `axis`, `step` apart; the windows' elements are a new last axis.
    ///
    /// - Returns: extent `(extent - size) / step + 1` at `axis`, and `size` at the back.
    public func windows(axis: Int, size: Int, step: Int = 1) throws -> Tensor {
        let axis = try checkedAxis("windows", axis, rank: rank, shape: shape)
        guard size > 0, step > 0, size <= shape[axis] else {
            throw shapeError("windows", shape, "windows of \(size) at steps of \(step) along axis \(axis)")
        }
        var target = shape + [size]
        target[axis] = (shape[axis] - size) / step + 1
        var strides = strides
        strides.append(strides[axis])
        strides[axis] *= step
        let output = view(shape: target, strides: strides)
        return record("windows", output, inputs: [self]) { [shape] gradient, _ in
            [gradient.folded(axis: axis, step: step, shape: shape)]
        }
    }

    /// The adjoint of `windows`: elements that lie at the same place are added up.
    private func folded(axis: Int, step: Int, shape target: [Int]) -> Tensor {
        let size = shape[rank - 1]
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            ck_fill(dtype.code, target.product, 0, bytes)
            for element in 0..<size {
                let column = view(
                    shape: shape.dropLast(), strides: strides.dropLast(), from: element * strides[rank - 1])
                let part = AxisSlice(axis: axis, start: element, count: shape[axis], step: step)
                column.write(to: bytes, part, strides: contiguousStrides(target), adds: true)
            }
        }
        return record("fold", output, inputs: [self]) { gradient, _ in
            [try gradient.windows(axis: axis, size: size, step: step)]
        }
    }
}

/// Where a slice lies in the tensor that it was cut from.
struct SlicePlace: Sendable {
    var part: AxisSlice
    /// Of the whole tensor.
    var shape: [Int]
    /// That the whole gradient is to have; dense.
    var layout: Layout
}

/// Entries `start`, `start + step`, … of an axis, `count` of them.
struct AxisSlice: Sendable {
    var axis: Int
    var start: Int
    var count: Int
    var step: Int
}
