internal import CKernels

extension Tensor {
    /// Sums of the elements of `axis` up to each of them.
    public func cumulativeSum(axis: Int) throws -> Tensor {
        let axis = try checkedAxis("cumulativeSum", axis, rank: rank, shape: shape)
        if dtype.isHalf { return try inSingle { try $0.cumulativeSum(axis: axis) } }
        let output = try scanned("cumulativeSum", axis, isProduct: false)
        guard isRecorded(self) else { return output }
        return record("cumulativeSum", output, inputs: [self]) { g, _ in
            [try g.cumulativeSumFromBack(axis: axis)]
        }
    }

    private func cumulativeSumFromBack(axis: Int) throws -> Tensor {
        try flipped(axes: [axis]).cumulativeSum(axis: axis).flipped(axes: [axis])
    }

    /// Products of the elements of `axis` up to each of them.
    public func cumulativeProduct(axis: Int) throws -> Tensor {
        let axis = try checkedAxis("cumulativeProduct", axis, rank: rank, shape: shape)
        if dtype.isHalf { return try inSingle { try $0.cumulativeProduct(axis: axis) } }
        let output = try scanned("cumulativeProduct", axis, isProduct: true)
        guard isRecorded(self) else { return output }
        return record("cumulativeProduct", output, inputs: [self], keepsOutput: true) { g, y in
            if try (detached .== 0).any().element(at: 0) == 0 {
                return [try (g * y).cumulativeSumFromBack(axis: axis) / self]
            }
            return [try self.productGradientWithZeros(g, axis: axis)]
        }
    }

    /// The gradient of the cumulative product where elements are 0, one element of the axis after the other.
    private func productGradientWithZeros(_ g: Tensor, axis: Int) throws -> Tensor {
        let n = shape[axis]
        let parts = try (0..<n).map { k in
            let one = try Tensor.ones(slice(axis: axis, k..<k + 1).shape, dtype: dtype)
            let others = try Tensor.concatenated(
                [slice(axis: axis, 0..<k), one, slice(axis: axis, k + 1..<n)], axis: axis)
            let products = try others.cumulativeProduct(axis: axis).slice(axis: axis, k..<n)
            return try (g.slice(axis: axis, k..<n) * products).sum(axes: [axis], keepsAxes: true)
        }
        return try Tensor.concatenated(parts, axis: axis)
    }

    /// Product over `axes`, or over all of them if nil.
    public func product(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        if dtype.isHalf { return try inSingle { try $0.product(axes: axes, keepsAxes: keepsAxes) } }
        let (rows, target) = try flattenedToBack("product", axes, keepsAxes)
        return try rows.productOfRows().reshaped(target)
    }

    private func productOfRows() throws -> Tensor {
        let n = shape[rank - 1]
        if n == 0 { return .ones(shape.dropLast(), dtype: dtype) }
        let output = try scanned("product", rank - 1, isProduct: true).selected(axis: -1, n - 1).contiguous()
        guard isRecorded(self) else { return output }
        return record("product", output, inputs: [self]) { g, _ in
            // The product of all others is that of those before times that of those behind, whatever is 0.
            let one = Tensor.ones(shape.dropLast() + [1], dtype: dtype)
            let before = try Tensor.concatenated([one, slice(axis: -1, 0..<n - 1)], axis: -1)
            let behind = try Tensor.concatenated([one, flipped(axes: [-1]).slice(axis: -1, 0..<n - 1)], axis: -1)
            let others =
                try before.cumulativeProduct(axis: -1)
                * behind.cumulativeProduct(axis: -1).flipped(axes: [-1])
            return [try g.unsqueezed(-1) * others]
        }
    }

    private func scanned(_ name: String, _ axis: Int, isProduct: Bool) throws -> Tensor {
        guard dtype.isFloat || dtype == .i64 || dtype == .i32 else {
            throw shapeError(name, shape, "it is not defined for \(dtype); cast to i64 first")
        }
        let x = contiguous()
        let layout = AxisLayout(shape, axis: axis)
        return Tensor(shape: shape, dtype: dtype) { bytes in
            inParallel(layout.outer, grain: elementwiseGrain / Swift.max(1, layout.extent * layout.inner)) { part in
                ck_scan(
                    dtype.code, isProduct ? 1 : 0, part.lowerBound, part.upperBound, layout.extent, layout.inner,
                    x.pointer, bytes)
            }
        }
    }

    /// The elements of `axes` (all if nil) as one last axis, and the shape that a reduction over them has.
    func flattenedToBack(_ name: String, _ axes: [Int]?, _ keepsAxes: Bool) throws -> (rows: Tensor, target: [Int]) {
        let chosen = try Set((axes ?? Array(0..<rank)).map { try checkedAxis(name, $0, rank: rank, shape: shape) })
        let kept = shape.indices.filter { !chosen.contains($0) }
        let target = shape.indices.filter { keepsAxes || !chosen.contains($0) }.map {
            chosen.contains($0) ? 1 : shape[$0]
        }
        let size = chosen.reduce(1) { $0 * shape[$1] }
        let rows = try permuted(kept + chosen.sorted()).reshaped(kept.map { shape[$0] } + [size])
        return (rows, target)
    }

    /// The elements of each of `axes` in opposite order.
    public func flipped(axes: [Int]) throws -> Tensor {
        let axes = try Set(axes.map { try checkedAxis("flip", $0, rank: rank, shape: shape) })
        let output = Tensor(shape: shape, dtype: dtype) { bytes in
            var strides = strides
            var start = 0
            for axis in axes where shape[axis] > 0 {
                start += (shape[axis] - 1) * strides[axis]
                strides[axis] = -strides[axis]
            }
            copyStrided(
                shape, size: dtype.size, from: base + start * dtype.size, strides, to: bytes,
                contiguousStrides(shape), adds: nil)
        }
        guard isRecorded(self) else { return output }
        return record("flip", output, inputs: [self]) { g, _ in [try g.flipped(axes: Array(axes))] }
    }

    /// The elements of `axis` moved `places` to the back; those that leave it come in again at the front.
    public func rolled(by places: Int, axis: Int) throws -> Tensor {
        let axis = try checkedAxis("roll", axis, rank: rank, shape: shape)
        let extent = shape[axis]
        guard extent > 0 else { return self }
        let cut = extent - (places % extent + extent) % extent
        if cut == extent { return self }
        return try Tensor.concatenated(
            [slice(axis: axis, cut..<extent), slice(axis: axis, 0..<cut)], axis: axis)
    }
}
