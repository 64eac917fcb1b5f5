internal import Basics

/// Appends little-endian numbers to bytes.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ digest: Digest) { digest.append(to: &bytes) }

    mutating func write(_ raw: some Sequence<UInt8>) { bytes.append(contentsOf: raw) }
}

/// Takes little-endian numbers from bytes that nobody has vouched for.
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    /// What is read, for errors: "the footer of `x.pack`".
    private let subject: String

    init(_ bytes: UnsafeRawBufferPointer, subject: String) {
        self.bytes = bytes
        self.subject = subject
    }

    var remaining: Int { bytes.count - offset }

    mutating func read<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Value {
        Value(littleEndian: try take(MemoryLayout<Value>.size).loadUnaligned(as: Value.self))
    }

    mutating func readDigest() throws -> Digest { Digest(raw: try take(32)) }

    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw fault("ends too early") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    /// The error that says what is wrong with the bytes.
    func fault(_ problem: String) -> MLOpsError { MLOpsError(.damaged, "\(subject) \(problem)") }
}

/// How many files are worked on at a time unless the caller says so: one a processor.
package let defaultJobs = processorCount()
