internal import Basics

/// Reads a message of Protocol Buffers from a file, field after field, without loading what is not asked for.
///
/// Made for files from anywhere: every length is checked against the message around it, and what a caller asks for against a
/// limit of its own.
struct ProtobufReader {
    /// Where the bytes come from; blocks are read as they are needed.
    final class Source {
        let path: String
        private let file: OpenFile
        private var block: [UInt8] = []
        private var blockStart = 0
        let count: Int

        init(_ file: OpenFile, count: Int) {
            self.file = file
            path = file.path
            self.count = count
        }

        func byte(at position: Int) throws -> UInt8 {
            if !(blockStart..<(blockStart + block.count)).contains(position) {
                blockStart = position
                block = try file.read(count: min(1 << 16, count - position), at: Int64(position))
            }
            return block[position - blockStart]
        }

        func bytes(in range: Range<Int>) throws -> [UInt8] {
            if range.lowerBound >= blockStart, range.upperBound <= blockStart + block.count {
                return Array(block[(range.lowerBound - blockStart)..<(range.upperBound - blockStart)])
            }
            return try file.read(count: range.count, at: Int64(range.lowerBound))
        }
    }

    /// A field's number and value; what has a length is a range of the file.
    enum Value {
        case number(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(Range<Int>)
    }

    let source: Source
    private(set) var position: Int
    let end: Int

    init(_ source: Source, in range: Range<Int>) {
        self.source = source
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; nil at the end of the message.
    mutating func next() throws -> (field: Int, value: Value)? {
        guard position < end else { return nil }
        let key = try varint()
        guard key >> 3 > 0, key >> 3 < 1 << 29 else { throw fault("field number \(key >> 3) is impossible") }
        let field = Int(key >> 3)
        switch key & 7 {
        case 0: return (field, .number(try varint()))
        case 1: return (field, .fixed64(try fixed(8)))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - position) else {
                throw fault("field \(field) has \(length) bytes, its message ends after \(end - position)")
            }
            defer { position += Int(length) }
            return (field, .bytes(position..<(position + Int(length))))
        case 5: return (field, .fixed32(UInt32(try fixed(4))))
        default: throw fault("wire type \(key & 7) of field \(field) is not known")
        }
    }

    private mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw fault("the message ends inside a number") }
            let byte = try source.byte(at: position)
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw fault("a number has more than 10 bytes")
    }

    private mutating func fixed(_ count: Int) throws -> UInt64 {
        guard end - position >= count else { throw fault("the message ends inside a number") }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(try source.byte(at: position + index)) << UInt64(8 * index) }
        position += count
        return value
    }

    /// The message in `value`.
    func message(_ value: Value) throws -> ProtobufReader {
        guard case .bytes(let range) = value else { throw fault("a message is stored as a number") }
        return ProtobufReader(source, in: range)
    }

    /// The text in `value`, of at most 16 MiB.
    func text(_ value: Value) throws -> String {
        guard case .bytes(let range) = value else { throw fault("a text is stored as a number") }
        guard range.count <= 1 << 24 else {
            throw fault("a text has \(range.count) bytes, at most \(1 << 24) are read")
        }
        guard let text = String(validating: try source.bytes(in: range), as: UTF8.self) else {
            throw fault("a text is not UTF-8")
        }
        return text
    }

    func integer(_ value: Value) throws -> Int64 {
        guard case .number(let bits) = value else { throw fault("a whole number is stored as something else") }
        return Int64(bitPattern: bits)
    }

    /// The whole numbers of a repeated field, which may be packed; at most `limit` with those in `numbers`.
    func integers(_ value: Value, into numbers: inout [Int64], limit: Int) throws {
        if case .bytes(let range) = value {
            var packed = ProtobufReader(source, in: range)
            while packed.position < packed.end {
                guard numbers.count < limit else { throw fault("a list has more than \(limit) numbers") }
                numbers.append(Int64(bitPattern: try packed.varint()))
            }
        } else {
            guard numbers.count < limit else { throw fault("a list has more than \(limit) numbers") }
            numbers.append(try integer(value))
        }
    }

    func fault(_ message: String) -> MLOpsError {
        MLOpsError(
            .damaged, "ONNX file `\(source.path)`: byte \(position): \(message)", hint: "fetch or make the file again")
    }
}
