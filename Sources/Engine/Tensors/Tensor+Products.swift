internal import Basics
internal import CKernels
internal import COpenBLAS

/// A product C = alpha·op(A)·op(B) + beta·C of row-major matrices on the calling thread.
struct MatrixProduct {
    var transposesLeft = false
    var transposesRight = false
    var rows: Int
    var columns: Int
    var depth: Int

    /// Opens OpenBLAS, once.
    ///
    /// - Throws: if it is not installed.
    static func load() throws {
        guard mlops_blas_load() == 0 else {
            throw MLOpsError(
                .failed, "OpenBLAS cannot be loaded: \(String(cString: mlops_blas_error()))",
                hint: "install it with `apt-get install libopenblas0-pthread`")
        }
    }

    /// - Parameter adds: whether the product is added to `c` instead of replacing it.
    func run(
        _ dtype: DType, _ a: UnsafeRawPointer, strideA: Int, _ b: UnsafeRawPointer, strideB: Int,
        _ c: UnsafeMutableRawPointer, strideC: Int, adds: Bool = false
    ) {
        if rows == 0 || columns == 0 { return }
        let (tA, tB): (Int32, Int32) = (transposesLeft ? 1 : 0, transposesRight ? 1 : 0)
        let (m, n, k) = (Int32(rows), Int32(columns), Int32(depth))
        let (lda, ldb, ldc) = (Int32(max(1, strideA)), Int32(max(1, strideB)), Int32(max(1, strideC)))
        if dtype == .f32 {
            mlops_sgemm(
                tA, tB, m, n, k, 1, a.assumingMemoryBound(to: Float.self), lda, b.assumingMemoryBound(to: Float.self),
                ldb,
                adds ? 1 : 0, c.assumingMemoryBound(to: Float.self), ldc)
        } else {
            mlops_dgemm(
                tA, tB, m, n, k, 1, a.assumingMemoryBound(to: Double.self), lda, b.assumingMemoryBound(to: Double.self),
                ldb, adds ? 1 : 0, c.assumingMemoryBound(to: Double.self), ldc)
        }
    }

    /// The product of whole matrices, cut into blocks of rows or columns by its size alone, on all threads.
    func runInParallel(
        _ dtype: DType, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer, adds: Bool = false
    ) {
        let strideA = transposesLeft ? rows : depth
        let strideB = transposesRight ? depth : columns
        let cutsRows = rows >= columns
        let length = cutsRows ? rows : columns
        // A block of at least 4 MFLOP and 32 rows pays for being handed to a thread.
        let smallest = max(32, 2_000_000 / max(1, (cutsRows ? columns : rows) * depth))
        let pieces = max(1, min(16, length / smallest))
        let block = ((length + pieces - 1) / pieces + 15) / 16 * 16
        inParallel(length, grain: block) { part in
            var piece = self
            var (a, b, c) = (a, b, c)
            if cutsRows {
                piece.rows = part.count
                a += part.lowerBound * (transposesLeft ? 1 : strideA) * dtype.size
                c += part.lowerBound * columns * dtype.size
            } else {
                piece.columns = part.count
                b += part.lowerBound * (transposesRight ? strideB : 1) * dtype.size
                c += part.lowerBound * dtype.size
            }
            piece.run(dtype, a, strideA: strideA, b, strideB: strideB, c, strideC: columns, adds: adds)
        }
    }
}

extension Tensor {
    /// Matrix product of the last two axes; axes before them broadcast. `[…, m, k]` times `[…, k, n]` gives `[…, m, n]`.
    public func matmul(_ other: Tensor) throws -> Tensor {
        try matmul(other, transposesSelf: false, transposesOther: false)
    }

    /// The product of this or its transpose with `other` or its transpose, without copying either.
    public func matmul(_ other: Tensor, transposesSelf: Bool, transposesOther: Bool) throws -> Tensor {
        try requireFloat("matmul", self)
        try requireSameType("matmul", self, other)
        guard rank >= 2, other.rank >= 2 else {
            throw shapeError("matmul", shape, other.shape, "both need at least 2 axes")
        }
        let k = shape[transposesSelf ? rank - 2 : rank - 1]
        let otherK = other.shape[transposesOther ? other.rank - 1 : other.rank - 2]
        guard k == otherK else {
            throw shapeError("matmul", shape, other.shape, "the inner extents are \(k) and \(otherK)")
        }
        if rank == 2, other.rank == 2 { return try matrixProduct(other, transposesSelf, transposesOther) }
        if other.rank == 2, !transposesSelf {
            // One matrix for the whole batch: a single large product.
            let product = try reshaped([-1, k]).matrixProduct(other, false, transposesOther)
            return try product.reshaped(Array(shape.dropLast()) + [product.shape[1]])
        }
        let batch = try broadcastShape("matmul", Array(shape.dropLast(2)), Array(other.shape.dropLast(2)))
        let left = try broadcast(to: batch + shape.suffix(2)).reshaped([batch.product] + shape.suffix(2))
        let right = try other.broadcast(to: batch + other.shape.suffix(2))
            .reshaped([batch.product] + other.shape.suffix(2))
        let product = try left.batchedProduct(right, transposesSelf, transposesOther)
        return try product.reshaped(batch + product.shape.suffix(2))
    }

    private func matrixProduct(_ other: Tensor, _ tA: Bool, _ tB: Bool) throws -> Tensor {
        try MatrixProduct.load()
        let product = MatrixProduct(
            transposesLeft: tA, transposesRight: tB, rows: shape[tA ? 1 : 0], columns: other.shape[tB ? 0 : 1],
            depth: shape[tA ? 0 : 1])
        let output = Tensor(shape: [product.rows, product.columns], dtype: dtype) { bytes in
            product.runInParallel(dtype, pointer, other.pointer, bytes)
        }
        return recordProduct(output, other, tA, tB)
    }

    private func batchedProduct(_ other: Tensor, _ tA: Bool, _ tB: Bool) throws -> Tensor {
        try MatrixProduct.load()
        let product = MatrixProduct(
            transposesLeft: tA, transposesRight: tB, rows: shape[tA ? 2 : 1], columns: other.shape[tB ? 1 : 2],
            depth: shape[tA ? 1 : 2])
        let sizes = [shape[1] * shape[2], other.shape[1] * other.shape[2], product.rows * product.columns]
            .map { $0 * dtype.size }
        let work = product.rows * product.columns * product.depth
        let output = Tensor(shape: [shape[0], product.rows, product.columns], dtype: dtype) { bytes in
            inParallel(shape[0], grain: Swift.max(1, 1_000_000 / Swift.max(1, work))) { part in
                for b in part {
                    product.run(
                        dtype, pointer + b * sizes[0], strideA: shape[2], other.pointer + b * sizes[1],
                        strideB: other.shape[2], bytes + b * sizes[2], strideC: product.columns)
                }
            }
        }
        return recordProduct(output, other, tA, tB)
    }

    private func recordProduct(_ output: Tensor, _ other: Tensor, _ tA: Bool, _ tB: Bool) -> Tensor {
        record("matmul", output, inputs: [self, other]) { g, _ in
            var left: Tensor?
            var right: Tensor?
            if requiresGradient {
                left =
                    tA
                    ? try other.matmul(g, transposesSelf: tB, transposesOther: true)
                    : try g.matmul(other, transposesSelf: false, transposesOther: !tB)
            }
            if other.requiresGradient {
                right =
                    tB
                    ? try g.matmul(self, transposesSelf: true, transposesOther: tA)
                    : try self.matmul(g, transposesSelf: !tA, transposesOther: false)
            }
            return [left, right]
        }
    }

    /// x·Wᵀ + b: the dense layer, the bias added while the product is made.
    ///
    /// - Parameters:
    ///   - weight: `[out, in]`.
    ///   - bias: `[out]`, or nil.
    /// - Returns: `[…, out]` for this of `[…, in]`.
    public func linear(weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
        try requireFloat("linear", self)
        try requireSameType("linear", self, weight)
        try requireRank("linear", weight, 2, "[out, in] of the weight")
        guard rank >= 1, shape[rank - 1] == weight.shape[1] else {
            throw shapeError("linear", shape, weight.shape, "the last extent must be \(weight.shape[1])")
        }
        guard let bias else {
            return try asMatrix().matmul(weight, transposesSelf: false, transposesOther: true)
                .reshaped(shape.dropLast() + [weight.shape[0]])
        }
        try requireSameType("linear", self, bias)
        guard bias.shape == [weight.shape[0]] else {
            throw shapeError("linear", weight.shape, bias.shape, "the bias must have shape [\(weight.shape[0])]")
        }
        try MatrixProduct.load()
        let x = try asMatrix()
        let product = MatrixProduct(
            transposesRight: true, rows: x.shape[0], columns: weight.shape[0], depth: weight.shape[1])
        let output = Tensor(shape: [product.rows, product.columns], dtype: dtype) { bytes in
            let width = product.columns * dtype.size
            for row in 0..<product.rows { (bytes + row * width).copyMemory(from: bias.pointer, byteCount: width) }
            product.runInParallel(dtype, x.pointer, weight.pointer, bytes, adds: true)
        }
        return try record("linear", output, inputs: [x, weight, bias]) { g, _ in
            [
                x.requiresGradient ? try g.matmul(weight) : nil,
                weight.requiresGradient ? try g.matmul(x, transposesSelf: true, transposesOther: false) : nil,
                bias.requiresGradient ? try g.sum(axes: [0]) : nil,
            ]
        }.reshaped(shape.dropLast() + [weight.shape[0]])
    }

    private func asMatrix() throws -> Tensor {
        rank == 2 ? self : try reshaped([Array(shape.dropLast()).product, shape[rank - 1]])
    }
}
