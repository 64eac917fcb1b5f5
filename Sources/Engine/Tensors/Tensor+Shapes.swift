internal import CKernels

extension Tensor {
    /// The same elements in row-major order under another shape; one extent may be -1 and is worked out. A view if strides allow
    /// it, else a copy.
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
        let output = shaped(target)
        guard isRecorded(self) else { return output }
        return record("reshape", output, inputs: [self]) { gradient, _ in [try gradient.reshaped(original)] }
    }

    /// The same elements in row-major order under a shape of as many, as a constant: a view if strides allow it.
    private func shaped(_ target: [Int]) -> Tensor {
        if isContiguous {
            return Tensor(shape: target, dtype: dtype, offset: offset, storage: storage)
        }
        if let strides = reshapedStrides(shape, strides, to: target) { return view(shape: target, strides: strides) }
        return contiguous().shaped(target)
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

    /// `value` put before and after the elements of `axis`.
    public func padded(axis: Int, before: Int, after: Int, value: Double = 0) throws -> Tensor {
        let axis = try checkedAxis("pad", axis, rank: rank, shape: shape)
        guard before >= 0, after >= 0 else {
            throw shapeError("pad", shape, "padding \(before) and \(after) must not be negative")
        }
        if before == 0, after == 0 { return self }
        var target = shape
        target[axis] += before + after
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            ck_fill(dtype.code, target.product, value, bytes)
            let part = AxisSlice(axis: axis, start: before, count: shape[axis], step: 1)
            write(to: bytes, part, strides: contiguousStrides(target), adds: false)
        }
        let range = before..<before + shape[axis]
        return record("pad", output, inputs: [self]) { gradient, _ in [try gradient.slice(axis: axis, range)] }
    }

    /// `parts` one after the other along `axis`. Pictures lie channels last if those of the largest part do.
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
        let largest = parts.max { $0.count < $1.count } ?? first
        let layout = largest.isChannelsLast && !largest.isContiguous ? Layout(channelsLast: target) : Layout()
        let strides = layout.strides(of: target)
        let output = Tensor(shape: target, dtype: first.dtype, layout: layout) { bytes in
            var start = 0
            for part in parts {
                let place = AxisSlice(axis: axis, start: start, count: part.shape[axis], step: 1)
                part.write(to: bytes, place, strides: strides, adds: false)
                start += part.shape[axis]
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
}
