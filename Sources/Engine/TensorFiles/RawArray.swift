internal import Basics
package import Tensors

/// An array as a file holds it; its elements may be of a type that tensors do not have.
package struct RawArray: Sendable {
    package enum Element: String, Sendable, CaseIterable {
        case u8, i8, bool, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64

        /// Bytes of one.
        package var size: Int {
            switch self {
            case .u8, .i8, .bool: 1
            case .i16, .u16, .f16, .bf16: 2
            case .i32, .u32, .f32: 4
            case .i64, .u64, .f64: 8
            }
        }

        package var isFloat: Bool { [.f16, .bf16, .f32, .f64].contains(self) }
    }

    /// Outermost first.
    package var shape: [Int]
    package var element: Element
    /// Row-major, little-endian.
    package var bytes: [UInt8]

    package init(shape: [Int], element: Element, bytes: [UInt8]) {
        precondition(shape.product * element.size == bytes.count, "\(bytes.count) bytes are not \(element) \(shape)")
        self.shape = shape
        self.element = element
        self.bytes = bytes
    }

    package var count: Int { shape.product }

    /// No array of more bytes is read, whatever its header says.
    package static let maximumByteCount = 1 << 32

    /// The bytes of an array of `shape`; nil if there are too many to read.
    static func byteCount(_ shape: [Int], _ element: Element) -> Int? {
        var count = element.size
        for extent in shape {
            // The other extents of an empty array must be possible too.
            let (product, overflows) = count.multipliedReportingOverflow(by: max(extent, 1))
            guard !overflows, product <= maximumByteCount else { return nil }
            count = product
        }
        return shape.contains(0) ? 0 : count
    }
}

extension RawArray {
    /// The elements as `Float`; integers beyond 2²⁴ are rounded.
    package func floats() -> [Float] {
        switch element {
        case .u8, .bool: map(UInt8.self) { Float($0) }
        case .i8: map(Int8.self) { Float($0) }
        case .i16: map(Int16.self) { Float($0) }
        case .u16: map(UInt16.self) { Float($0) }
        case .i32: map(Int32.self) { Float($0) }
        case .u32: map(UInt32.self) { Float($0) }
        case .i64: map(Int64.self) { Float($0) }
        case .u64: map(UInt64.self) { Float($0) }
        case .f16: map(UInt16.self) { float16($0) }
        case .bf16: map(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .f32: map(Float.self) { $0 }
        case .f64: map(Double.self) { Float($0) }
        }
    }

    /// The elements as `Int64`.
    ///
    /// - Throws: kind `.usage` naming `source` for elements that are floats, or too large.
    package func integers(source: String) throws -> [Int64] {
        switch element {
        case .u8, .bool: return map(UInt8.self) { Int64($0) }
        case .i8: return map(Int8.self) { Int64($0) }
        case .i16: return map(Int16.self) { Int64($0) }
        case .u16: return map(UInt16.self) { Int64($0) }
        case .i32: return map(Int32.self) { Int64($0) }
        case .u32: return map(UInt32.self) { Int64($0) }
        case .i64: return map(Int64.self) { $0 }
        case .u64:
            let values = map(UInt64.self) { $0 }
            if let index = values.firstIndex(where: { $0 > UInt64(Int64.max) }) {
                throw MLOpsError(
                    .usage, "`\(source)`: element \(index) is \(values[index]), expected at most \(Int64.max)")
            }
            return values.map { Int64($0) }
        case .f16, .bf16, .f32, .f64:
            throw MLOpsError(
                .usage, "`\(source)` holds elements of type \(element.rawValue), expected integers",
                hint: "save it with an integer dtype, such as `array.astype(\"int64\")`")
        }
    }

    /// The array as a tensor. Types that tensors do not have are widened: 16-bit integers to i32, u32 and u64 to i64.
    ///
    /// - Throws: kind `.usage` naming `source` for an unsigned integer beyond `Int64.max`.
    package func tensor(source: String) throws -> Tensor {
        switch element {
        case .u8: try Tensor(bytes: bytes, shape: shape, dtype: .u8)
        case .bool: try Tensor(bytes: bytes.map { $0 == 0 ? 0 : 1 }, shape: shape, dtype: .bool)
        case .f16: try Tensor(bytes: bytes, shape: shape, dtype: .f16)
        case .bf16: try Tensor(bytes: bytes, shape: shape, dtype: .bf16)
        case .i8: try Tensor(bytes: bytes, shape: shape, dtype: .i8)
        case .i32: try Tensor(bytes: bytes, shape: shape, dtype: .i32)
        case .i64: try Tensor(bytes: bytes, shape: shape, dtype: .i64)
        case .f32: try Tensor(bytes: bytes, shape: shape, dtype: .f32)
        case .f64: try Tensor(bytes: bytes, shape: shape, dtype: .f64)
        case .i16: Tensor(map(Int16.self) { Int32($0) }, shape: shape)
        case .u16: Tensor(map(UInt16.self) { Int32($0) }, shape: shape)
        case .u32, .u64: Tensor(try integers(source: source), shape: shape)
        }
    }

    private func map<Value, Result>(_ type: Value.Type, _ transform: (Value) -> Result) -> [Result] {
        bytes.withUnsafeBytes { bytes in
            // An array's storage is aligned to 16 bytes.
            bytes.bindMemory(to: Value.self).map(transform)
        }
    }
}

extension RawArray {
    /// Big-endian elements to little-endian ones and back, in place.
    mutating func swapByteOrder() {
        let size = element.size
        guard size > 1 else { return }
        bytes.withUnsafeMutableBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: size) {
                for k in 0..<(size / 2) { bytes.swapAt(start + k, start + size - 1 - k) }
            }
        }
    }

    /// The same array from bytes in which the first axis varies fastest (Fortran's order).
    func fromColumnMajor() -> RawArray {
        guard shape.count > 1, count > 0 else { return self }
        var output = self
        let size = element.size
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
        let last = shape.count - 1
        bytes.withUnsafeBytes { source in
            output.bytes.withUnsafeMutableBytes { target in
                var index = [Int](repeating: 0, count: shape.count)
                var base = 0
                var out = 0
                while out < target.count {
                    for k in 0..<shape[last] {
                        let from = (base + k * strides[last]) * size
                        for byte in 0..<size { target[out + byte] = source[from + byte] }
                        out += size
                    }
                    var axis = last - 1
                    while axis >= 0 {
                        index[axis] += 1
                        base += strides[axis]
                        if index[axis] < shape[axis] { break }
                        base -= shape[axis] * strides[axis]
                        index[axis] = 0
                        axis -= 1
                    }
                }
            }
        }
        return output
    }
}

/// The value of an IEEE 754 half-precision number.
func float16(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Float(bits & 0x3FF)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return bits & 0x3FF == 0 ? sign * .infinity : .nan
    default: return sign * (1 + fraction * 0x1p-10) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
}
