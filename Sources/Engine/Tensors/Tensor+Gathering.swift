internal import Basics
internal import CKernels

extension Tensor {
    /// Element `index[…]` of `axis` at each place of `index`: `output[i, j] = self[index[i, j], j]` for axis 0 of a matrix.
    ///
    /// - Parameter index: i64, of this rank, with extents no larger than this but along `axis`.
    /// - Returns: of `index`'s shape.
    public func gather(axis: Int, _ index: Tensor) throws -> Tensor {
        let axis = try checkedAxis("gather", axis, rank: rank, shape: shape)
        let places = try checkedPlaces("gather", axis, index)
        let x = try narrowed(to: index.shape, but: axis).contiguous()
        return try x.gathered(
            AxisLayout(x.shape, axis: axis), picked: index.shape[axis], places, shape: index.shape)
    }

    /// This with elements of `source` added at `index` of `axis`: the adjoint of `gather`. Equal places add up.
    public func scatterAdd(axis: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
        let axis = try checkedAxis("scatterAdd", axis, rank: rank, shape: shape)
        try requireAnyFloat("scatterAdd", self)
        try requireSameType("scatterAdd", self, source)
        guard source.shape == index.shape else {
            throw shapeError("scatterAdd", source.shape, index.shape, "each element needs its place")
        }
        let places = try checkedPlaces("scatterAdd", axis, index)
        var target = index.shape
        target[axis] = shape[axis]
        var sums = try source.scattered(
            AxisLayout(target, axis: axis), picked: index.shape[axis], places, shape: target)
        for other in shape.indices where target[other] < shape[other] {
            sums = try sums.padded(axis: other, before: 0, after: shape[other] - target[other])
        }
        return try self + sums
    }

    /// This with elements of `source` put at `index` of `axis`; of equal places the last wins.
    public func scatter(axis: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
        let axis = try checkedAxis("scatter", axis, rank: rank, shape: shape)
        try requireSameType("scatter", self, source)
        guard source.shape == index.shape else {
            throw shapeError("scatter", source.shape, index.shape, "each element needs its place")
        }
        let places = try checkedPlaces("scatter", axis, index)
        guard shape.indices.allSatisfy({ $0 == axis || shape[$0] == index.shape[$0] }) else {
            throw shapeError("scatter", shape, index.shape, "only axis \(axis) may differ")
        }
        let layout = AxisLayout(shape, axis: axis)
        let values = source.contiguous()
        var output = detached.arranged(Layout())
        let size = dtype.size
        output.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            inParallel(layout.outer, grain: elementwiseGrain / Swift.max(1, layout.extent * layout.inner)) { part in
                ck_put(
                    size, part.lowerBound, part.upperBound, layout.extent, index.shape[axis], layout.inner,
                    values.pointer, places.pointer.assumingMemoryBound(to: Int32.self), base)
            }
        }
        guard isRecorded(self, source) else { return output }
        return record("scatter", output, inputs: [self, source]) { g, _ in
            [
                requiresGradient
                    ? try g.scatter(axis: axis, index, Tensor.zeros(index.shape, dtype: g.dtype)) : nil,
                source.requiresGradient ? try g.gather(axis: axis, index) : nil,
            ]
        }
    }

    /// Entries `indices` (i64, one axis) of `axis`, in that order.
    public func indexSelect(axis: Int, _ indices: Tensor) throws -> Tensor {
        let axis = try checkedAxis("indexSelect", axis, rank: rank, shape: shape)
        try requireRank("indexSelect", indices, 1, "of the indices")
        return try transposed(0, axis).gatherRows(indices).transposed(0, axis)
    }

    /// The elements where `mask` (of bool, broadcast to this shape) holds, in row-major order.
    public func maskedSelect(_ mask: Tensor) throws -> Tensor {
        guard try broadcastShape("maskedSelect", shape, mask.shape) == shape else {
            throw shapeError("maskedSelect", shape, mask.shape, "the mask must broadcast to the shape")
        }
        let places = try mask.broadcast(to: shape).flatNonzero()
        return try reshaped([count]).gatherRows(Tensor(places))
    }

    /// Where the elements that are not 0 lie, in row-major order: i64 `[how many, rank]`.
    public func nonzero() throws -> Tensor {
        let places = flatNonzero()
        let strides = contiguousStrides(shape)
        var values: [Int64] = []
        values.reserveCapacity(places.count * rank)
        for place in places {
            for axis in 0..<rank { values.append(place / Int64(strides[axis]) % Int64(shape[axis])) }
        }
        return Tensor(values, shape: [places.count, rank])
    }

    private func flatNonzero() -> [Int64] {
        converted(to: .bool).withUnsafeBytes { bytes in
            var places: [Int64] = []
            for (place, byte) in bytes.enumerated() where byte != 0 { places.append(Int64(place)) }
            return places
        }
    }

    /// Rows of zeros with a 1 at each of these i64 labels: `[…, classes]`.
    public func oneHot(classes: Int, dtype: DType = .f32) throws -> Tensor {
        try requireIndices("oneHot", self)
        try Tensor.checkIndices("oneHot", self, below: classes)
        let numbers = Tensor.arange(classes, dtype: .i64)
        return try (unsqueezed(-1) .== numbers).cast(to: dtype)
    }

    /// Checks `index` against `axis` of this; gives its elements as i32 in row-major order.
    private func checkedPlaces(_ name: String, _ axis: Int, _ index: Tensor) throws -> TensorStorage {
        try requireIndices(name, index)
        guard index.rank == rank, shape.indices.allSatisfy({ $0 == axis || index.shape[$0] <= shape[$0] }) else {
            throw shapeError(name, shape, index.shape, "the index has more axes, fewer, or longer ones")
        }
        guard shape[axis] <= Int32.max else { throw shapeError(name, shape, "axis \(axis) has 2³¹ elements or more") }
        try Tensor.checkIndices(name, index, below: shape[axis])
        return index.contiguous().converted(to: .i32).exactStorage
    }

    /// The first elements of each axis up to `target`, but all of `axis`.
    private func narrowed(to target: [Int], but axis: Int) throws -> Tensor {
        var x = self
        for other in shape.indices where other != axis { x = try x.slice(axis: other, 0..<target[other]) }
        return x
    }
}
