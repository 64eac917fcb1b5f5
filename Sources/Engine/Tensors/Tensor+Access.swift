internal import Basics
internal import CKernels

extension Tensor {
    /// The bytes in row-major order, little-endian.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let x = contiguous()
        defer { withExtendedLifetime(x.storage) {} }
        return try body(UnsafeRawBufferPointer(start: x.pointer, count: byteCount))
    }

    /// The bytes in row-major order for writing in place; copied first if another tensor shares them or they lie otherwise. The
    /// result is a constant.
    public mutating func withUnsafeMutableBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        node = nil
        if !isContiguous || !isKnownUniquelyReferenced(&storage) { self = arranged(Layout()) }
        storage.packed = nil
        return try body(
            UnsafeMutableRawBufferPointer(start: storage.pointer + offset * dtype.size, count: byteCount))
    }

    /// All elements, which must be of `Element`'s dtype.
    ///
    /// - Precondition: the dtype is that of `Element`; `floats()` and its like convert.
    public func elements<Element: TensorElement>(as type: Element.Type = Element.self) -> [Element] {
        precondition(dtype == Element.dtype, "elements of \(dtype) read as \(Element.dtype)")
        return withUnsafeBytes { Array($0.assumingMemoryBound(to: Element.self)) }
    }

    /// All elements as `Float`, converted if need be.
    public func floats() -> [Float] { converted(to: .f32).elements() }
    /// All elements as `Double`, converted if need be.
    public func doubles() -> [Double] { converted(to: .f64).elements() }
    /// All elements as `Int64`, converted if need be; fractions are cut off.
    public func int64s() -> [Int64] { converted(to: .i64).elements() }

    /// The one element.
    ///
    /// - Throws: if there is not exactly one.
    public func item() throws -> Double {
        guard count == 1 else { throw shapeError("item", shape, "it has \(count) elements, not 1") }
        return element(at: 0)
    }

    /// Whether no element is NaN or infinite.
    public var isFinite: Bool {
        let x = dense()
        return ck_all_finite(dtype.code, count, x.base) != 0
    }

    /// Whether shape, dtype and all bytes are the same.
    public func isIdentical(to other: Tensor) -> Bool {
        shape == other.shape && dtype == other.dtype
            && withUnsafeBytes { left in other.withUnsafeBytes { left.elementsEqual($0) } }
    }

    /// Element `index` in row-major order.
    func element(at index: Int) -> Double {
        var rest = index
        var place = 0
        for (extent, stride) in zip(shape, strides).reversed() {
            place += rest % extent * stride
            rest /= extent
        }
        var value = 0.0
        ck_convert(dtype.code, DType.f64.code, 1, base + place * dtype.size, &value)
        return withExtendedLifetime(storage) { value }
    }

    /// The values as `type`, a constant, laid out as this is if it is dense. Floats are cut towards zero and saturate where
    /// `type` is of integers.
    func converted(to type: DType) -> Tensor {
        if type == dtype { return detached }
        let x = dense()
        return Tensor(shape: shape, dtype: type, layout: x.layout) { target in
            let base = x.base
            inParallel(count, grain: elementwiseGrain) { part in
                ck_convert(
                    dtype.code, type.code, part.count, base + part.lowerBound * dtype.size,
                    target + part.lowerBound * type.size)
            }
        }
    }

    /// The values as `type`. Floats are cut towards zero and saturate where `type` is of integers; NaN becomes 0.
    public func cast(to type: DType) throws -> Tensor {
        if type == dtype { return self }
        let output = converted(to: type)
        guard dtype.isFloat, type.isFloat else { return output }
        let original = dtype
        return record("cast", output, inputs: [self]) { gradient, _ in [try gradient.cast(to: original)] }
    }
}
