internal import Basics
internal import CKernels
internal import COneDNN
internal import COpenBLAS
internal import Glibc

/// A product C = alpha·op(A)·op(B) + beta·C of row-major matrices on the calling thread.
struct MatrixProduct {
    var transposesLeft = false
    var transposesRight = false
    var rows: Int
    var columns: Int
    var depth: Int

    /// Opens the library of products of `dtype`, once: oneDNN for f32 where it is, else OpenBLAS.
    ///
    /// oneDNN knows newer processors: the OpenBLAS of Debian 12 takes one it does not know for one without vectors.
    ///
    /// - Throws: if there is none.
    static func load(for dtype: DType) throws {
        guard dtype == .f32 && mlops_dnn_load() == 0 || mlops_blas_load() == 0 else {
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
        if depth == 0 {
            guard !adds else { return }
            for row in 0..<rows { memset(c + row * strideC * dtype.size, 0, columns * dtype.size) }
            return
        }
        let (tA, tB): (Int32, Int32) = (transposesLeft ? 1 : 0, transposesRight ? 1 : 0)
        let (m, n, k) = (Int32(rows), Int32(columns), Int32(depth))
        let (lda, ldb, ldc) = (Int32(max(1, strideA)), Int32(max(1, strideB)), Int32(max(1, strideC)))
        if dtype == .f32 {
            let (a, b, c) = (
                a.assumingMemoryBound(to: Float.self), b.assumingMemoryBound(to: Float.self),
                c.assumingMemoryBound(to: Float.self)
            )
            if mlops_dnn_load() == 0 {
                mlops_dnn_sgemm(tA, tB, m, n, k, a, lda, b, ldb, adds ? 1 : 0, c, ldc)
            } else {
                mlops_sgemm(tA, tB, m, n, k, 1, a, lda, b, ldb, adds ? 1 : 0, c, ldc)
            }
        } else {
            mlops_dgemm(
                tA, tB, m, n, k, 1, a.assumingMemoryBound(to: Double.self), lda, b.assumingMemoryBound(to: Double.self),
                ldb, adds ? 1 : 0, c.assumingMemoryBound(to: Double.self), ldc)
        }
    }

    /// The product of whole matrices, cut into blocks of rows or columns by its size alone, on all threads.
    func runInParallel(
        _ dtype: DType, _ a: UnsafeRawPointer, strideA: Int, _ b: UnsafeRawPointer, strideB: Int,
        _ c: UnsafeMutableRawPointer, adds: Bool = false
    ) {
        let cutsRows = rows >= columns
        let length = cutsRows ? rows : columns
        // A block of at least 4 MFLOP and 32 rows pays for being handed to a thread; a product with few rows waits for memory, and
        // takes as long as one with eight.
        let smallest = max(32, 2_000_000 / max(1, max(8, cutsRows ? columns : rows) * depth))
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

/// A factor of a product as BLAS reads it: rows of neighbours, or the transpose of such a matrix.
struct ProductOperand {
    /// The factor, or a copy of it if neither its rows nor its columns are of neighbours.
    let tensor: Tensor
    /// Whether the matrices in memory are the transpose of what is multiplied.
    let isTransposed: Bool
    /// Elements between rows in memory.
    let stride: Int
    /// Of what is multiplied.
    let rows: Int
    let columns: Int

    /// The last two axes of `x`, or their transpose.
    init(_ x: Tensor, isTransposed: Bool) {
        let (height, width) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
        rows = isTransposed ? width : height
        columns = isTransposed ? height : width
        if x.isContiguous {
            (tensor, self.isTransposed, stride) = (x, isTransposed, width)
            return
        }
        let (down, across) = (x.strides[x.rank - 2], x.strides[x.rank - 1])
        if width == 1 || across == 1, height == 1 || down >= width {
            (tensor, self.isTransposed, stride) = (x, isTransposed, height == 1 ? width : down)
        } else if height == 1 || down == 1, width == 1 || across >= height {
            (tensor, self.isTransposed, stride) = (x, !isTransposed, width == 1 ? height : across)
        } else {
            (tensor, self.isTransposed, stride) = (x.contiguous(), isTransposed, width)
        }
    }

    /// Where the matrix of each entry of `batch` starts, in bytes.
    func places(in batch: [Int]) -> [Int] {
        let strides = broadcastStrides(
            Array(tensor.shape.dropLast(2)), Array(tensor.strides.dropLast(2)), to: batch)
        var places = [0]
        for (extent, stride) in zip(batch, strides) {
            places = places.flatMap { place in (0..<extent).map { place + $0 * stride * tensor.dtype.size } }
        }
        return places
    }
}

extension MatrixProduct {
    init(_ left: ProductOperand, _ right: ProductOperand) {
        self.init(
            transposesLeft: left.isTransposed, transposesRight: right.isTransposed, rows: left.rows,
            columns: right.columns, depth: left.columns)
    }
}
