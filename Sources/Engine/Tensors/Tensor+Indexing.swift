internal import Basics
internal import CKernels

extension Tensor {
    /// Rows (entries of the first axis) at `indices`, in that order: a look-up of embeddings.
    ///
    /// - Parameter indices: i64 of any shape, each in `0 ..< shape[0]`.
    /// - Returns: `indices.shape + shape[1...]`.
    public func gatherRows(_ indices: Tensor) throws -> Tensor {
        guard rank > 0 else { throw shapeError("gatherRows", shape, indices.shape, "a scalar has no rows") }
        try requireIndices("gatherRows", indices)
        try Tensor.checkIndices("gatherRows", indices, below: shape[0])
        let width = Array(shape[1...]).product * dtype.size
        let (x, indices) = (contiguous(), indices.contiguous())
        let output = Tensor(shape: indices.shape + shape[1...], dtype: dtype) { bytes in
            let index = indices.pointer.assumingMemoryBound(to: Int64.self)
            inParallel(indices.count, grain: Swift.max(1, 1 << 17) / Swift.max(1, width)) { part in
                for k in part {
                    (bytes + k * width).copyMemory(from: x.pointer + Int(index[k]) * width, byteCount: width)
                }
            }
        }
        guard dtype.isFloat else { return output }
        return record("gatherRows", output, inputs: [self]) { [shape] gradient, _ in
            [try gradient.scatteredRows(indices, shape: shape)]
        }
    }

    /// The adjoint of `gatherRows`: entries of this are added to the rows at `indices` of zeros of `shape`.
    func scatteredRows(_ indices: Tensor, shape target: [Int]) throws -> Tensor {
        if dtype.isHalf { return try cast(to: .f32).scatteredRows(indices, shape: target).cast(to: dtype) }
        let width = Array(target[1...]).product
        let output = Tensor.zeros(target, dtype: dtype)
        let x = contiguous()
        // Cut by columns, so that each element is added up in one order.
        inParallel(width, grain: Swift.max(64, elementwiseGrain / Swift.max(1, indices.count))) { columns in
            ck_scatter_rows(
                dtype.code, indices.count, width, columns.lowerBound, columns.upperBound, x.pointer,
                indices.pointer.assumingMemoryBound(to: Int64.self), output.storage.pointer)
        }
        return record("scatterRows", output, inputs: [self]) { gradient, _ in [try gradient.gatherRows(indices)] }
    }

    /// Throws unless each of `indices` (i64) is in `0 ..< bound`.
    static func checkIndices(_ operation: String, _ indices: Tensor, below bound: Int) throws {
        let indices = indices.contiguous()
        let values = indices.pointer.assumingMemoryBound(to: Int64.self)
        let outside = ck_first_outside(values, indices.count, Int64(bound))
        guard outside < 0 else {
            throw MLOpsError(
                .failed, "`\(operation)`: index \(values[outside]) at position \(outside) is not in 0 ..< \(bound)",
                hint: "check how the data was encoded")
        }
    }

    /// Entry `index[o, m, i]` of the axis for each o, m, i.
    func gathered(_ layout: AxisLayout, picked: Int, _ index: TensorStorage, shape target: [Int]) throws -> Tensor {
        let x = contiguous()
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            inParallel(layout.outer, grain: elementwiseGrain / Swift.max(1, picked * layout.inner)) { part in
                ck_gather(
                    dtype.size, part.lowerBound, part.upperBound, layout.extent, picked, layout.inner, x.pointer,
                    index.pointer.assumingMemoryBound(to: Int32.self), bytes)
            }
        }
        return record("gather", output, inputs: [self]) { [shape] gradient, _ in
            [try gradient.scattered(layout, picked: picked, index, shape: shape)]
        }
    }

    /// The adjoint of `gathered`: this is added to entries `index[o, m, i]` of zeros of shape `target`.
    func scattered(_ layout: AxisLayout, picked: Int, _ index: TensorStorage, shape target: [Int]) throws -> Tensor {
        if dtype.isHalf {
            return try cast(to: .f32).scattered(layout, picked: picked, index, shape: target).cast(to: dtype)
        }
        let x = contiguous()
        let output = Tensor(shape: target, dtype: dtype) { bytes in
            inParallel(layout.outer, grain: elementwiseGrain / Swift.max(1, layout.extent * layout.inner)) { part in
                ck_scatter(
                    dtype.code, part.lowerBound, part.upperBound, layout.extent, picked, layout.inner, x.pointer,
                    index.pointer.assumingMemoryBound(to: Int32.self), bytes)
            }
        }
        return record("scatter", output, inputs: [self]) { [shape] gradient, _ in
            [try gradient.gathered(layout, picked: picked, index, shape: shape)]
        }
    }
}
