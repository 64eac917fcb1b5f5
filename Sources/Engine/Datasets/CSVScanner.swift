internal import Basics
internal import TensorFiles

/// Bytes to records: the state machine under `CSVReader`.
struct CSVScanner {
    private let stream: ByteStream
    private let delimiter: UInt8
    private let skipsSpaces: Bool
    private let comment: [UInt8]
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var position = 0
    private var end = 0
    /// The line of the next byte, from 1.
    private var line = 1
    private var isAtStart = true

    init(path: String, format: CSVFormat) throws {
        guard let delimiter = format.delimiter.utf8.first, format.delimiter.utf8.count == 1, delimiter < 0x80,
            delimiter != UInt8(ascii: "\""), delimiter != 0x0A, delimiter != 0x0D
        else {
            throw MLOpsError(
                .usage, "delimiter `\(printable(format.delimiter))` is not one ASCII character",
                hint: "use `,`, `;` or a tab")
        }
        stream = try ByteStream(path: path)
        self.delimiter = delimiter
        skipsSpaces = format.skipsSpaces
        comment = Array((format.commentPrefix ?? "").utf8)
    }

    /// The next record that is neither blank nor a comment.
    mutating func next() throws -> CSVRow? {
        if isAtStart {
            isAtStart = false
            if try peek() == 0xEF { try skipMark() }
        }
        while let first = try peek() {
            if first == 0x0A {
                advanceLine()
            } else if try first == 0x0D && peek(1) == 0x0A {
                position += 1
                advanceLine()
            } else if try isComment() {
                try skipLine()
            } else {
                return try record()
            }
        }
        return nil
    }

    private mutating func record() throws -> CSVRow {
        var row = CSVRow(location: SourceLocation(path: stream.path, line: line))
        while true {
            if skipsSpaces { while try peek() == 0x20 { position += 1 } }
            if try peek() == UInt8(ascii: "\"") {
                try quotedField(into: &row)
            } else {
                try plainField(into: &row)
            }
            row.endField()
            guard let byte = try peek() else { return row }
            if byte == delimiter {
                position += 1
                continue
            }
            if byte == 0x0D { position += 1 }
            advanceLine()
            return row
        }
    }

    /// Up to the delimiter or the end of the line, which stay unread.
    private mutating func plainField(into row: inout CSVRow) throws {
        while let byte = try peek() {
            if try byte == delimiter || byte == 0x0A || (byte == 0x0D && peek(1) == 0x0A) { return }
            row.append(byte)
            position += 1
            try checkLength(of: row)
        }
    }

    /// From the opening quote to what follows the closing one.
    private mutating func quotedField(into row: inout CSVRow) throws {
        let start = SourceLocation(path: stream.path, line: line)
        position += 1
        while let byte = try peek() {
            position += 1
            if byte == UInt8(ascii: "\"") {
                guard try peek() == byte else { return try expectFieldEnd() }
                position += 1
            } else if byte == 0x0A {
                line += 1
            }
            row.append(byte)
            try checkLength(of: row)
        }
        throw MLOpsError(
            .usage, "the quote that opens here is never closed", hint: "close it, or double a quote inside a field",
            at: start)
    }

    private mutating func expectFieldEnd() throws {
        guard let byte = try peek() else { return }
        if try byte == delimiter || byte == 0x0A || (byte == 0x0D && peek(1) == 0x0A) { return }
        throw MLOpsError(
            .usage, "text after a closing quote", hint: "double a quote that belongs to the field",
            at: SourceLocation(path: stream.path, line: line))
    }

    private func checkLength(of row: CSVRow) throws {
        guard row.byteCount > CSVReader.maximumRecordLength else { return }
        throw MLOpsError(
            .usage, "the record is longer than \(Format.bytes(Int64(CSVReader.maximumRecordLength)))",
            hint: "check the delimiter, the line ends and the quotes", at: row.location)
    }

    private mutating func isComment() throws -> Bool {
        guard !comment.isEmpty else { return false }
        for (index, byte) in comment.enumerated() where try peek(index) != byte { return false }
        return true
    }

    private mutating func skipLine() throws {
        while let byte = try peek() {
            if byte == 0x0A { return advanceLine() }
            position += 1
        }
    }

    private mutating func skipMark() throws {
        if try peek(1) == 0xBB, try peek(2) == 0xBF { position += 3 }
    }

    private mutating func advanceLine() {
        position += 1
        line += 1
    }

    /// The byte `distance` ahead, or nil behind the end.
    @inline(__always)
    private mutating func peek(_ distance: Int = 0) throws -> UInt8? {
        if position + distance < end { return buffer[position + distance] }
        return try refill(distance)
    }

    private mutating func refill(_ distance: Int) throws -> UInt8? {
        let kept = end - position
        buffer.withUnsafeMutableBytes { bytes in
            if kept > 0, position > 0 {
                bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
            }
        }
        position = 0
        end = kept
        end += try buffer.withUnsafeMutableBytes {
            try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[kept...]))
        }
        return distance < end ? buffer[distance] : nil
    }
}
