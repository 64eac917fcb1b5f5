internal import Basics
internal import CKernels

/// Values in an order, and where in their axis they came from.
public struct SortedTensor: Sendable {
    public let values: Tensor
    /// i64, a constant.
    public let indices: Tensor
}

extension Tensor {
    /// The places of the elements along `axis` in ascending (or descending) order, as i64; equal ones keep their order and NaN
    /// counts as largest.
    public func argsort(axis: Int = -1, descending: Bool = false) throws -> Tensor {
        let axis = try checkedAxis("argsort", axis, rank: rank, shape: shape)
        let index = try order("argsort", axis, descending)
        return Tensor(shape: shape, dtype: .i32, storage: index).converted(to: .i64)
    }

    /// The elements along `axis` in ascending (or descending) order; equal ones keep their order and NaN counts as largest.
    public func sorted(axis: Int = -1, descending: Bool = false) throws -> SortedTensor {
        let axis = try checkedAxis("sort", axis, rank: rank, shape: shape)
        return try ranked("sort", axis, descending, first: shape[axis])
    }

    /// The `k` largest (or smallest) elements along `axis`, the first of them first.
    public func topK(_ k: Int, axis: Int = -1, largest: Bool = true) throws -> SortedTensor {
        let axis = try checkedAxis("topK", axis, rank: rank, shape: shape)
        guard (0...shape[axis]).contains(k) else {
            throw shapeError("topK", shape, "\(k) elements of the \(shape[axis]) of axis \(axis)")
        }
        return try ranked("topK", axis, largest, first: k)
    }

    private func ranked(_ name: String, _ axis: Int, _ descending: Bool, first k: Int) throws -> SortedTensor {
        let index = try order(name, axis, descending)
        let places = try Tensor(shape: shape, dtype: .i32, storage: index).slice(axis: axis, 0..<k).contiguous()
        let values = try contiguous().gathered(
            AxisLayout(shape, axis: axis), picked: k, places.exactStorage, shape: places.shape)
        return SortedTensor(values: values, indices: places.converted(to: .i64))
    }

    /// The storage of a contiguous tensor that starts at its first element.
    var exactStorage: TensorStorage {
        offset == 0 && isContiguous ? storage : arranged(Layout()).storage
    }

    private func order(_ name: String, _ axis: Int, _ descending: Bool) throws -> TensorStorage {
        guard shape[axis] <= Int32.max else { throw shapeError(name, shape, "axis \(axis) has 2³¹ elements or more") }
        let x = (dtype.isHalf ? converted(to: .f32) : self).contiguous()
        let layout = AxisLayout(shape, axis: axis)
        let index = TensorStorage(byteCount: count * 4)
        let grain = elementwiseGrain / 8 / Swift.max(1, layout.extent * layout.inner)
        inParallel(layout.outer, grain: grain) { part in
            let status = ck_argsort(
                x.dtype.code, part.lowerBound, part.upperBound, layout.extent, layout.inner, x.pointer,
                descending ? 1 : 0, index.pointer.assumingMemoryBound(to: Int32.self))
            precondition(status == 0, "out of memory: \(layout.extent) elements cannot be sorted")
        }
        return index
    }
}
