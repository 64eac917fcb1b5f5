internal import Basics
internal import CKernels

extension Tensor {
    /// e to each element over the sum of these along `axis`.
    public func softmax(axis: Int = -1) throws -> Tensor {
        try alongLast("softmax", axis) { try $0.softmaxOfRows() }
    }

    /// The logarithm of the softmax along `axis`, without overflow.
    public func logSoftmax(axis: Int = -1) throws -> Tensor {
        try alongLast("logSoftmax", axis) { try $0.logSoftmaxOfRows() }
    }

    private func alongLast(_ name: String, _ axis: Int, _ body: (Tensor) throws -> Tensor) throws -> Tensor {
        if dtype.isHalf { return try inSingle { try $0.alongLast(name, axis, body) } }
        try requireFloat(name, self)
        let axis = try checkedAxis(name, axis, rank: rank, shape: shape)
        guard shape[axis] > 0 else { throw shapeError(name, shape, "axis \(axis) is empty") }
        if axis == rank - 1 { return try body(self) }
        return try body(try transposed(axis, -1)).transposed(axis, -1)
    }

    private func softmaxOfRows() throws -> Tensor {
        let output = rowwise { type, rows, n, x, out in ck_softmax(type, rows, n, x, out) }
        return record("softmax", output, inputs: [self], keepsOutput: true) { gradient, y in
            guard isRecording else {
                return [
                    gradient.rowwise(with: y) { type, rows, n, g, y, out in
                        ck_softmax_gradient(type, rows, n, g, y, out)
                    }
                ]
            }
            return [try y * (gradient - (gradient * y).sum(axes: [-1], keepsAxes: true))]
        }
    }

    private func logSoftmaxOfRows() throws -> Tensor {
        let output = rowwise { type, rows, n, x, out in ck_log_softmax(type, rows, n, x, out) }
        return record("logSoftmax", output, inputs: [self], keepsOutput: true) { gradient, y in
            guard isRecording else {
                return [
                    gradient.rowwise(with: y) { type, rows, n, g, y, out in
                        ck_log_softmax_gradient(type, rows, n, g, y, out)
                    }
                ]
            }
            return [try gradient - y.exp() * gradient.sum(axes: [-1], keepsAxes: true)]
        }
    }

    typealias RowKernel = (Int32, Int, Int, UnsafeRawPointer, UnsafeMutableRawPointer) -> Void
    typealias PairedRowKernel = (Int32, Int, Int, UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer) -> Void

    /// A kernel of pieces of rows (the last axis), as a constant.
    private func rowwise(_ kernel: RowKernel) -> Tensor {
        rowwise(with: self) { type, rows, n, x, _, out in kernel(type, rows, n, x, out) }
    }

    private func rowwise(with other: Tensor, _ kernel: PairedRowKernel) -> Tensor {
        let n = shape[rank - 1]
        let (x, other) = (contiguous(), other.contiguous())
        return Tensor(shape: shape, dtype: dtype) { bytes in
            inParallel(count / n, grain: elementwiseGrain / 4 / n) { rows in
                let offset = rows.lowerBound * n * dtype.size
                kernel(dtype.code, rows.count, n, x.pointer + offset, other.pointer + offset, bytes + offset)
            }
        }
    }
}
