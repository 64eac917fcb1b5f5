internal import Basics
internal import CKernels

extension Tensor {
    /// The bytes as they lie in memory: row-major, little-endian.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeRawBufferPointer(start: storage.pointer, count: byteCount))
    }

    /// The bytes for writing in place; copied first if another tensor shares them. The result is a constant.
    public mutating func withUnsafeMutableBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        node = nil
        if !isKnownUniquelyReferenced(&storage) {
            let copy = TensorStorage(byteCount: byteCount)
            copy.pointer.copyMemory(from: storage.pointer, byteCount: byteCount)
            storage = copy
        }
        return try body(UnsafeMutableRawBufferPointer(start: storage.pointer, count: byteCount))
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
    public var isFinite: Bool { ck_all_finite(dtype.code, count, pointer) != 0 }

    /// Whether shape, dtype and all bytes are the same.
    public func isIdentical(to other: Tensor) -> Bool {
        shape == other.shape && dtype == other.dtype
            && withUnsafeBytes { left in other.withUnsafeBytes { left.elementsEqual($0) } }
    }

    func element(at index: Int) -> Double {
        var value = 0.0
        withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            ck_convert(dtype.code, DType.f64.code, 1, base + index * dtype.size, &value)
        }
        return value
    }

    /// The values as `type`, a constant. Floats are cut towards zero and saturate where `type` is of integers.
    func converted(to type: DType) -> Tensor {
        if type == dtype { return detached }
        return Tensor(shape: shape, dtype: type) { target in
            inParallel(count, grain: elementwiseGrain) { part in
                ck_convert(
                    dtype.code, type.code, part.count, pointer + part.lowerBound * dtype.size,
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
