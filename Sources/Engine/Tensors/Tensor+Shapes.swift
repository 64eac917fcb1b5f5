internal import CKernels

extension Tensor {
    /// The same elements under another shape; one extent may be -1 and is worked out.
    public func reshaped(_ shape: [Int]) throws -> Tensor {
        var target = shape
        if let free = target.firstIndex(of: -1) {
            target[free] = 1
            let rest = target.product
            guard rest > 0, count % rest == 0 else {
                throw shapeError("reshape", self.shape, shape, "\(count) elements do not divide by \(rest)")
            }
            target[free] = count / rest
        }
        guard target.allSatisfy({ $0 >= 0 }), target.product == count else {
            throw shapeError("reshape", self.shape, shape, "they have \(count) and \(target.product) elements")
        }
        if target == self.shape { return self }
        let original = self.shape
        let output = Tensor(shape: target, dtype: dtype, storage: storage)
        return record("reshape", output, inputs: [self]) { gradient, _ in [try gradient.reshaped(original)] }
    }

    /// All axes from `axis` on as one.
    public func flattened(from axis: Int = 0) throws -> Tensor {
        if rank == 0 { return try reshaped([1]) }
        let axis = try checkedAxis("flatten", axis, rank: rank, shape: shape)
        return try reshaped(Array(shape[..<axis]) + [Array(shape[axis...]).product])
    }

    /// A new axis of extent 1 before `axis`; -1 is the back.
    public func unsqueezed(_ axis: Int) throws -> Tensor {
        let axis = try checkedAxis("unsqueeze", axis, rank: rank + 1, shape: shape)
        var target = shape
        target.insert(1, at: axis)
        return try reshaped(target)
    }

    /// Without `axis`, whose extent must be 1.
    public func squeezed(_ axis: Int) throws -> Tensor {
        let axis = try checkedAxis("squeeze", axis, rank: rank, shape: shape)
        guard shape[axis] == 1 else { throw shapeError("squeeze", shape, "axis \(axis) has extent \(shape[axis])") }
        var target = shape
        target.remove(at: axis)
        return try reshaped(target)
    }

    /// Axes in another order: axis i of the result is axis `order[i]` of this.
    public func permuted(_ order: [Int]) throws -> Tensor {
        let axes = try order.map { try checkedAxis("permute", $0, rank: rank, shape: shape) }
        guard Set(axes).count == rank, axes.count == rank else {
            throw shapeError("permute", shape, "\(order) does not name each axis once")
        }
        if axes == Array(0..<rank) { return self }
        let strides = contiguousStrides(shape)
        let output = copied(shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] })
        var inverse = [Int](repeating: 0, count: rank)
        for (position, axis) in axes.enumerated() { inverse[axis] = position }
        return record("permute", output, inputs: [self]) { [inverse] gradient, _ in [try gradient.permuted(inverse)] }
    }

    /// Two axes exchanged.
    public func transposed(_ first: Int = -2, _ second: Int = -1) throws -> Tensor {
        let first = try checkedAxis("transpose", first, rank: rank, shape: shape)
        let second = try checkedAxis("transpose", second, rank: rank, shape: shape)
        var order = Array(0..<rank)
        order.swapAt(first, second)
        return try permuted(order)
    }

    /// Elements `range` of `axis`.
    public func slice(axis: Int, _ range: Range<Int>) throws -> Tensor {
        let axis = try checkedAxis("slice", axis, rank: rank, shape: shape)
        let extent = shape[axis]
        guard range.lowerBound >= 0, range.upperBound <= extent else {
            throw shapeError("slice", shape, "\(range) is not within 0..<\(extent) of axis \(axis)")
        }
        if range == 0..<extent { return self }
        var target = shape
        target[axis] = range.count
        let strides = contiguousStrides(shape)
        let output = copied(shape: target, strides: strides, from: range.lowerBound * strides[axis])
        return record("slice", output, inputs: [self]) { gradient, _ in
            [try gradient.padded(axis: axis, before: range.lowerBound, after: extent - range.upperBound)]
        }
    }

    /// `value` put before and after the elements of `axis`.
    public func padded(axis: Int, before: Int, after: Int, value: Double = 0) throws -> Tensor {
        let axis = try checkedAxis("pad", axis, rank: rank, shape: shape)
        guard before >= 0, after >= 0 else {
            throw shapeError("pad", shape, "padding \(before) and \(after) must not be negative")
        }
        if before == 0, after == 0 { return self }
        var target = shape
        target[axis] += before + after
        let inner = Array(shape[(axis + 1)...]).product * dtype.size
        let length = shape[axis] * inner
        let wide = target[axis] * inner
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            ck_fill(dtype.code, target.product, value, bytes)
            for outer in 0..<Array(shape[..<axis]).product {
                (bytes + outer * wide + before * inner).copyMemory(from: pointer + outer * length, byteCount: length)
            }
        }
        let range = before..<before + shape[axis]
        return record("pad", output, inputs: [self]) { gradient, _ in [try gradient.slice(axis: axis, range)] }
    }

    /// `parts` one after the other along `axis`.
    public static func concatenated(_ parts: [Tensor], axis: Int = 0) throws -> Tensor {
        guard let first = parts.first else { throw shapeError("concat", [], "there are no parts") }
        let axis = try checkedAxis("concat", axis, rank: first.rank, shape: first.shape)
        for part in parts {
            try requireSameType("concat", first, part)
            guard part.rank == first.rank,
                part.shape.indices.allSatisfy({ $0 == axis || part.shape[$0] == first.shape[$0] })
            else { throw shapeError("concat", first.shape, part.shape, "only axis \(axis) may differ") }
        }
        var target = first.shape
        target[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        let inner = Array(target[(axis + 1)...]).product * first.dtype.size
        let wide = target[axis] * inner
        let output = Tensor(shape: target, dtype: first.dtype) { bytes in
            var offset = 0
            for part in parts {
                let length = part.shape[axis] * inner
                for outer in 0..<Array(target[..<axis]).product {
                    (bytes + outer * wide + offset).copyMemory(from: part.pointer + outer * length, byteCount: length)
                }
                offset += length
            }
        }
        let extents = parts.map { $0.shape[axis] }
        return recorded("concat", output, inputs: parts) { gradient, _ in
            var start = 0
            return try extents.map { extent in
                defer { start += extent }
                return try gradient.slice(axis: axis, start..<start + extent)
            }
        }
    }

    /// `parts` of one shape side by side along a new axis.
    public static func stacked(_ parts: [Tensor], axis: Int = 0) throws -> Tensor {
        try concatenated(parts.map { try $0.unsqueezed(axis) }, axis: axis)
    }

    /// Elements read with `strides` from `start` on, as a contiguous constant of `shape`.
    func copied(shape target: [Int], strides: [Int], from start: Int = 0) -> Tensor {
        precondition(target.count <= 16, "a tensor of \(target.count) axes; at most 16 are possible")
        return Tensor(shape: target, dtype: dtype) { bytes in
            let inner = target.last ?? 1
            guard target.product > 0 else { return }
            inParallel(target.product / inner, grain: Swift.max(1, elementwiseGrain / inner)) { rows in
                ck_copy_strided(
                    dtype.size, Int32(target.count), target, strides, rows.lowerBound, rows.upperBound,
                    pointer + start * dtype.size, bytes)
            }
        }
    }
}
