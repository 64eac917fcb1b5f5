/// Builds a message of Protocol Buffers, field after field (https://protobuf.dev/programming-guides/encoding).
///
/// Repeated numbers are written one by one, as `proto2` does: both event files and ONNX are of that dialect.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    private mutating func addVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func addKey(_ field: Int, wire: UInt64) { addVarint(UInt64(field) << 3 | wire) }

    mutating func add(_ field: Int, _ value: Int64) {
        addKey(field, wire: 0)
        addVarint(UInt64(bitPattern: value))
    }

    mutating func add(_ field: Int, _ value: Int) { add(field, Int64(value)) }

    mutating func add(_ field: Int, _ value: Double) {
        addKey(field, wire: 1)
        bytes += littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: Float) {
        addKey(field, wire: 5)
        bytes += littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: String) { add(field, bytes: value.utf8) }

    mutating func add(_ field: Int, _ value: ProtobufWriter) { add(field, bytes: value.bytes) }

    mutating func add(_ field: Int, bytes value: some Collection<UInt8>) {
        addKey(field, wire: 2)
        addVarint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Numbers one after the other in one field, as `[packed = true]` has them.
    mutating func add(_ field: Int, packed values: [Double]) {
        addKey(field, wire: 2)
        addVarint(UInt64(values.count * 8))
        for value in values { bytes += littleEndian(value.bitPattern) }
    }
}

/// The bytes of `value`, the lowest first.
func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
