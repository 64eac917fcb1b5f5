package import Basics
internal import Glibc

/// How a delimited text file is written.
package struct CSVFormat: Codable, Hashable, Sendable {
    /// One ASCII character between two fields.
    package var delimiter = ","
    /// Whether the first record holds the columns' names.
    package var hasHeader = false
    /// Whether spaces at the start of a field do not count, as in the files of the UCI repository.
    package var skipsSpaces = false
    /// Lines that start so are no records.
    package var commentPrefix: String?

    package init(
        delimiter: String = ",", hasHeader: Bool = false, skipsSpaces: Bool = false, commentPrefix: String? = nil
    ) {
        self.delimiter = delimiter
        self.hasHeader = hasHeader
        self.skipsSpaces = skipsSpaces
        self.commentPrefix = commentPrefix
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case delimiter
        case hasHeader = "header"
        case skipsSpaces = "skip_spaces"
        case commentPrefix = "comment"
    }

    static let keys = CodingKeys.allCases.map(\.rawValue)

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        delimiter = try values.decodeIfPresent(String.self, forKey: .delimiter) ?? ","
        hasHeader = try values.decodeIfPresent(Bool.self, forKey: .hasHeader) ?? false
        skipsSpaces = try values.decodeIfPresent(Bool.self, forKey: .skipsSpaces) ?? false
        commentPrefix = try values.decodeIfPresent(String.self, forKey: .commentPrefix)
    }
}

/// One record of a CSV file.
package struct CSVRow: Sendable {
    /// Where the record starts.
    package var location: SourceLocation
    /// The fields' plain bytes, one after the other.
    private(set) var bytes: [UInt8] = []
    /// Where each field ends in `bytes`.
    private var ends: [Int] = []
    /// All bytes or-ed together: below 128 if the text is ASCII.
    private var union: UInt8 = 0

    init(location: SourceLocation) { self.location = location }

    package var count: Int { ends.count }

    /// The field at `index` as text.
    package subscript(index: Int) -> String { String(decoding: self.bytes(of: index), as: UTF8.self) }

    package func bytes(of index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }

    package var fields: [String] { (0..<count).map { self[$0] } }

    /// The number in the field at `index`.
    ///
    /// - Throws: kind `.usage` naming `column` if the text is not a finite decimal number.
    package func number(_ index: Int, column: String) throws -> Double {
        guard let value = parseNumber(bytes(of: index)) else {
            throw MLOpsError(
                .usage, "column `\(column)` holds `\(printable(String(self[index].prefix(60))))`, expected a number",
                hint: "correct the file, or declare the column as categorical or ignored", at: location)
        }
        return value
    }
}

/// The finite decimal number that `bytes` are; nil for anything else, such as hexadecimal, `nan` or `1e400`.
package func parseNumber(_ bytes: ArraySlice<UInt8>) -> Double? {
    guard !bytes.isEmpty, bytes.count <= 64 else { return nil }
    var integer: Int64 = 0
    var isShortInteger = bytes.count <= 15
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): integer = integer &* 10 &+ Int64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
            isShortInteger = false
        default: return nil
        }
    }
    if isShortInteger { return Double(integer) }
    guard let value = Double(String(decoding: bytes, as: UTF8.self)), value.isFinite else { return nil }
    return value
}

/// A streaming reader of delimited text per RFC 4180: quoted fields with doubled quotes and line breaks inside, LF or CRLF.
///
/// Blank lines and comment lines are skipped; a byte order mark at the start is dropped; `.gz` is inflated on the way.
/// Not safe to share between threads.
package final class CSVReader {
    /// The names of the columns, from the header or from the caller.
    package let columns: [String]
    private var scanner: CSVScanner
    private let expectedCount: Int

    /// A record longer than this is an error, so that a file without line breaks cannot fill the memory.
    package static let maximumRecordLength = 1 << 20

    /// Opens `path`.
    ///
    /// - Parameter columns: the names when the file has no header; with a header they must be nil or equal to it.
    /// - Throws: kind `.usage` for a missing, repeated or other header.
    package init(path: String, format: CSVFormat, columns names: [String]? = nil) throws {
        scanner = try CSVScanner(path: path, format: format)
        if format.hasHeader {
            guard let header = try scanner.next() else {
                throw MLOpsError(.usage, "`\(path)` is empty, expected a header with the columns' names")
            }
            try header.checkText()
            let found = header.fields
            if let twice = Dictionary(grouping: found, by: \.self).first(where: { $0.value.count > 1 })?.key {
                throw MLOpsError(.usage, "the header names column `\(printable(twice))` twice", at: header.location)
            }
            if let names, names != found {
                throw MLOpsError(
                    .usage, CSVReader.difference(between: names, and: found),
                    hint: "make the dataset's columns and the file's header agree, in order", at: header.location)
            }
            columns = found
        } else {
            guard let names, !names.isEmpty else {
                throw MLOpsError(.usage, "`\(path)` has no header and no column names were given")
            }
            columns = names
        }
        expectedCount = columns.count
    }

    /// The next record, or nil at the end.
    ///
    /// - Throws: kind `.usage` at `file:line` if the record has another count of fields or broken quotes.
    package func next() throws -> CSVRow? {
        guard let row = try scanner.next() else { return nil }
        guard row.count == expectedCount else {
            throw MLOpsError(
                .usage, "expected \(Format.count(expectedCount, "field")), found \(row.count)",
                hint: "check for an unquoted delimiter or a cut line; fields with the delimiter need \"quotes\"",
                at: row.location)
        }
        try row.checkText()
        return row
    }

    private static func difference(between expected: [String], and found: [String]) -> String {
        for (index, pair) in zip(expected, found).enumerated() where pair.0 != pair.1 {
            return "column \(index + 1) of the header is `\(printable(pair.1))`, expected `\(pair.0)`"
        }
        return "the header has \(Format.count(found.count, "column")), expected \(expected.count)"
    }
}

extension CSVRow {
    var byteCount: Int { bytes.count }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
        union |= byte
    }

    /// - Throws: kind `.usage` naming the first field that is not UTF-8.
    func checkText() throws {
        guard union >= 0x80,
            let index = (0..<count).first(where: { String(validating: self.bytes(of: $0), as: UTF8.self) == nil })
        else { return }
        throw MLOpsError(
            .usage, "field \(index + 1) holds `\(printable(String(self[index].prefix(60))))`, which is not UTF-8",
            hint: "convert the file, such as with `iconv -f latin1 -t utf-8`", at: location)
    }

    mutating func endField() { ends.append(bytes.count) }
}
