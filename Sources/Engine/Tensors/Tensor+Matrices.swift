internal import CKernels

extension Tensor {
    /// A view of the elements whose places along the two axes differ by `offset` (above the diagonal if positive), as a new last
    /// axis.
    public func diagonal(offset: Int = 0, _ first: Int = -2, _ second: Int = -1) throws -> Tensor {
        let first = try checkedAxis("diagonal", first, rank: rank, shape: shape)
        let second = try checkedAxis("diagonal", second, rank: rank, shape: shape)
        guard first != second else { throw shapeError("diagonal", shape, "axis \(first) is given twice") }
        return diagonal(Diagonal(shape, offset: offset, first, second))
    }

    private struct Diagonal: Sendable {
        let first: Int
        let second: Int
        let count: Int
        let down: Int
        let across: Int

        init(_ shape: [Int], offset: Int, _ first: Int, _ second: Int) {
            (self.first, self.second) = (first, second)
            (down, across) = (Swift.max(0, -offset), Swift.max(0, offset))
            count = Swift.max(0, Swift.min(shape[first] - down, shape[second] - across))
        }

        /// What all axes but the two and then the diagonal are of `values`.
        func without(_ values: [Int], last: Int) -> [Int] {
            values.indices.filter { $0 != first && $0 != second }.map { values[$0] } + [last]
        }
    }

    private func diagonal(_ part: Diagonal) -> Tensor {
        let strides = strides
        let start = part.count == 0 ? 0 : part.down * strides[part.first] + part.across * strides[part.second]
        let output = view(
            shape: part.without(shape, last: part.count),
            strides: part.without(strides, last: strides[part.first] + strides[part.second]), from: start)
        guard isRecorded(self) else { return output }
        return record("diagonal", output, inputs: [self]) { [shape] g, _ in [g.onDiagonal(part, shape: shape)] }
    }

    /// The adjoint of `diagonal`: this on the diagonal of zeros.
    private func onDiagonal(_ part: Diagonal, shape target: [Int]) -> Tensor {
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            ck_fill(dtype.code, target.product, 0, bytes)
            let to = contiguousStrides(target)
            let start = part.down * to[part.first] + part.across * to[part.second]
            if count > 0 {
                copyStrided(
                    shape, size: dtype.size, from: base, strides, to: bytes + start * dtype.size,
                    part.without(to, last: to[part.first] + to[part.second]), adds: nil)
            }
        }
        guard isRecorded(self) else { return output }
        return record("onDiagonal", output, inputs: [self]) { g, _ in [g.diagonal(part)] }
    }

    /// The last axis on the diagonals of square matrices of zeros.
    public func asDiagonal() throws -> Tensor {
        guard let n = shape.last else { throw shapeError("asDiagonal", shape, "a scalar has no diagonal") }
        let target = shape + [n]
        return onDiagonal(Diagonal(target, offset: 0, rank - 1, rank), shape: target)
    }

    /// The sum of the diagonal of the last two axes.
    public func trace() throws -> Tensor { try diagonal().sum(axes: [-1]) }

    /// The last two axes with zeros below diagonal `offset`.
    public func upperTriangle(offset: Int = 0) throws -> Tensor {
        try triangle("upperTriangle") { rows, columns in try rows + Tensor(Double(offset), dtype: .i64) .<= columns }
    }

    /// The last two axes with zeros above diagonal `offset`.
    public func lowerTriangle(offset: Int = 0) throws -> Tensor {
        try triangle("lowerTriangle") { rows, columns in try rows + Tensor(Double(offset), dtype: .i64) .>= columns }
    }

    private func triangle(_ name: String, _ isInside: (Tensor, Tensor) throws -> Tensor) throws -> Tensor {
        guard rank >= 2 else { throw shapeError(name, shape, "expected 2 axes at least") }
        let rows = try Tensor.arange(shape[rank - 2], dtype: .i64).unsqueezed(1)
        let mask = try isInside(rows, Tensor.arange(shape[rank - 1], dtype: .i64))
        return try Tensor.where(mask, self, Tensor(0, dtype: dtype))
    }

    /// Products of each element of this vector with each of `other`: `[n, m]`.
    public func outer(_ other: Tensor) throws -> Tensor {
        guard rank == 1, other.rank == 1 else { throw shapeError("outer", shape, other.shape, "expected two vectors") }
        return try unsqueezed(1) * other.unsqueezed(0)
    }

    /// Σ of the products of the elements of two vectors.
    public func dot(_ other: Tensor) throws -> Tensor {
        guard rank == 1, shape == other.shape else {
            throw shapeError("dot", shape, other.shape, "expected two vectors of one length")
        }
        return try (self * other).sum()
    }

    /// This `counts` times behind each other along each axis; missing axes are put in front.
    public func tiled(_ counts: [Int]) throws -> Tensor {
        guard counts.allSatisfy({ $0 >= 0 }) else { throw shapeError("tile", shape, counts, "a count is negative") }
        let rank = Swift.max(rank, counts.count)
        let extents = [Int](repeating: 1, count: rank - shape.count) + shape
        let times = [Int](repeating: 1, count: rank - counts.count) + counts
        let pairs = zip(times, extents)
        return try reshaped(extents.flatMap { [1, $0] }).broadcast(to: pairs.flatMap { [$0, $1] })
            .reshaped(pairs.map { $0 * $1 })
    }

    /// Each element of `axis` `count` times.
    public func repeated(_ count: Int, axis: Int) throws -> Tensor {
        let axis = try checkedAxis("repeat", axis, rank: rank, shape: shape)
        guard count >= 0 else { throw shapeError("repeat", shape, "\(count) times") }
        var wide = shape
        wide.insert(count, at: axis + 1)
        var target = shape
        target[axis] *= count
        return try unsqueezed(axis + 1).broadcast(to: wide).reshaped(target)
    }

    /// Views of `sizes` elements of `axis` each, one after the other; they must add up to the axis.
    public func split(_ sizes: [Int], axis: Int = 0) throws -> [Tensor] {
        let axis = try checkedAxis("split", axis, rank: rank, shape: shape)
        guard sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(0, +) == shape[axis] else {
            throw shapeError("split", shape, "parts of \(sizes) do not add up to axis \(axis)")
        }
        var start = 0
        return try sizes.map { size in
            defer { start += size }
            return try slice(axis: axis, start..<start + size)
        }
    }
}
