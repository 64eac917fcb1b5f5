internal import CKernels

extension Tensor {
    /// Sum over `axes`, or over all of them if nil.
    ///
    /// - Parameter keepsAxes: whether the axes stay with extent 1.
    public func sum(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        try summing("sum", axes, keepsAxes, isMean: false)
    }

    /// Mean over `axes`, or over all of them if nil; of floats.
    public func mean(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        try requireAnyFloat("mean", self)
        return try summing("mean", axes, keepsAxes, isMean: true)
    }

    /// Biased variance over `axes`, or over all of them if nil; with `correction` 1 the unbiased one.
    public func variance(axes: [Int]? = nil, correction: Int = 0, keepsAxes: Bool = false) throws -> Tensor {
        let centred = try self - mean(axes: axes, keepsAxes: true)
        let squares = try centred.square().sum(axes: axes, keepsAxes: keepsAxes)
        let size = count / Swift.max(1, squares.count)
        guard size > correction else {
            throw shapeError("variance", shape, "\(size) values with correction \(correction)")
        }
        return try squares.scaled(by: 1 / Double(size - correction))
    }

    /// Largest value along `axis`; the gradient goes to the first that has it.
    public func max(axis: Int, keepsAxis: Bool = false) throws -> Tensor {
        let axis = try checkedAxis("max", axis, rank: rank, shape: shape)
        let (values, index) = try extremes("max", axis)
        var kept = shape
        kept[axis] = 1
        let target = keepsAxis ? kept : values.shape
        let output = Tensor(shape: target, dtype: dtype, storage: values.storage)
        guard dtype.isFloat else { return output }
        let layout = AxisLayout(shape, axis: axis)
        return record("max", output, inputs: [self]) { [shape] gradient, _ in
            [try gradient.scattered(layout, picked: 1, index, shape: shape)]
        }
    }

    /// Index of the first largest value along `axis`, as i64.
    public func argmax(axis: Int = -1) throws -> Tensor {
        let axis = try checkedAxis("argmax", axis, rank: rank, shape: shape)
        let (values, index) = try extremes("argmax", axis)
        return Tensor(shape: values.shape, dtype: .i32, storage: index).converted(to: .i64)
    }

    /// Σ x² of all elements, in double precision.
    public func sumOfSquares() throws -> Double {
        try requireAnyFloat("sumOfSquares", self)
        let x = (dtype.isHalf ? converted(to: .f32) : self).dense()
        return ck_sum_of_squares(x.dtype.code, count, x.base)
    }

    private func extremes(_ operation: String, _ axis: Int) throws -> (values: Tensor, index: TensorStorage) {
        let layout = AxisLayout(shape, axis: axis)
        guard layout.extent > 0 else { throw shapeError(operation, shape, "axis \(axis) is empty") }
        var target = shape
        target.remove(at: axis)
        if dtype.isHalf {
            let (values, index) = try converted(to: .f32).extremes(operation, axis)
            return (values.converted(to: dtype), index)
        }
        let index = TensorStorage(byteCount: target.product * 4)
        let x = contiguous()
        let values = Tensor(shape: target, dtype: dtype) { bytes in
            inParallel(layout.outer, grain: elementwiseGrain / Swift.max(1, layout.extent * layout.inner)) { part in
                ck_max(
                    dtype.code, part.lowerBound, part.upperBound, layout.extent, layout.inner, x.pointer, bytes,
                    index.pointer.assumingMemoryBound(to: Int32.self))
            }
        }
        return (values, index)
    }

    private func summing(_ name: String, _ axes: [Int]?, _ keepsAxes: Bool, isMean: Bool) throws -> Tensor {
        guard dtype.isFloat || dtype == .i64 || dtype == .i32 else {
            throw shapeError(name, shape, "sums of \(dtype) are not defined; cast to i64 first")
        }
        let axes = try Set((axes ?? Array(0..<rank)).map { try checkedAxis(name, $0, rank: rank, shape: shape) })
        if axes.isEmpty { return self }
        let kept = shape.indices.map { axes.contains($0) ? 1 : shape[$0] }
        let target = keepsAxes ? kept : shape.indices.filter { !axes.contains($0) }.map { shape[$0] }
        let size = axes.reduce(1) { $0 * shape[$1] }
        let scale = isMean ? 1 / Double(size) : 1
        // Halves are summed up in f32 and rounded once.
        let output =
            dtype.isHalf
            ? try converted(to: .f32).reduced(axes, scale: scale, shape: target).converted(to: dtype)
            : try reduced(axes, scale: scale, shape: target)
        guard isRecorded(self) else { return output }
        return record(name, output, inputs: [self]) { [shape] gradient, _ in
            let spread = try gradient.reshaped(kept).broadcast(to: shape)
            return [isMean ? try spread.scaled(by: 1 / Double(size)) : spread]
        }
    }

    /// Sums over `axes` times `scale`, one run of axes that are neighbours in memory after the other; a constant.
    private func reduced(_ axes: Set<Int>, scale: Double, shape target: [Int]) throws -> Tensor {
        guard isContiguous else {
            if !layout.isDense { return try contiguous().reduced(axes, scale: scale, shape: target) }
            let (x, order) = inMemoryOrder()
            let moved = Set(order.indices.filter { axes.contains(order[$0]) })
            let kept = order.filter { !axes.contains($0) }
            let sums = try x.reduced(moved, scale: scale, shape: kept.map { shape[$0] })
            let logical = kept.indices.sorted { kept[$0] < kept[$1] }
            return try withoutGradients { try sums.permuted(logical).reshaped(target) }
        }
        var x = detached
        var rest = axes.sorted()
        while let last = rest.popLast() {
            var first = last
            while rest.last == first - 1 { first = rest.removeLast() }
            let layout = AxisLayout(x.shape, axes: first...last)
            x = x.summedRun(
                layout.outer, layout.extent, layout.inner, scale: rest.isEmpty ? scale : 1,
                shape: Array(x.shape[..<first]) + Array(x.shape[(last + 1)...]))
        }
        return x.view(shape: target, strides: contiguousStrides(target))
    }

    private func summedRun(_ outer: Int, _ extent: Int, _ inner: Int, scale: Double, shape: [Int]) -> Tensor {
        let piece = 1 << 16
        // A long sum is cut into fixed pieces, whose sums are summed in order.
        if outer == 1, inner == 1, extent > 2 * piece, dtype.isFloat {
            let pieces = (extent + piece - 1) / piece
            let partial = Tensor(shape: [pieces], dtype: dtype) { bytes in
                inParallel(extent, grain: piece) { part in
                    ck_sum(
                        dtype.code, 0, 1, part.count, 1, pointer + part.lowerBound * dtype.size, 1,
                        bytes + part.lowerBound / piece * dtype.size)
                }
            }
            return partial.summedRun(1, pieces, 1, scale: scale, shape: shape)
        }
        return Tensor(shape: shape, dtype: dtype) { bytes in
            inParallel(outer, grain: 4 * elementwiseGrain / Swift.max(1, extent * inner)) { part in
                ck_sum(dtype.code, part.lowerBound, part.upperBound, extent, inner, pointer, scale, bytes)
            }
        }
    }
}

/// A shape seen from one axis: what lies before it, itself, and what lies behind.
struct AxisLayout: Sendable {
    let outer: Int
    let extent: Int
    let inner: Int

    init(_ shape: [Int], axis: Int) { self.init(shape, axes: axis...axis) }

    /// Neighbouring axes as one.
    init(_ shape: [Int], axes: ClosedRange<Int>) {
        outer = shape[..<axes.lowerBound].reduce(1, *)
        extent = shape[axes].reduce(1, *)
        inner = shape[(axes.upperBound + 1)...].reduce(1, *)
    }

    init(outer: Int, extent: Int, inner: Int) {
        self.outer = outer
        self.extent = extent
        self.inner = inner
    }
}
