internal import Basics

/// Reads NPY files, in which numpy keeps one array (NEP 1, versions 1 to 3), plain or gzip.
package enum NPYReader {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// numpy's own limit for a header that is read without asking is 10,000.
    static let maximumHeaderLength = 1 << 16

    /// The array in the file at `path`, whatever its byte order and layout.
    ///
    /// - Throws: kind `.usage` for another format, a version that is not known, or elements that are no numbers; kind `.damaged`
    ///   if the header is broken, or the file is shorter or longer than its header says.
    package static func read(_ path: String) throws -> RawArray { try read(ByteStream(path: path)) }

    static func read(_ stream: ByteStream) throws -> RawArray {
        let path = stream.path
        let start = try stream.bytes(8, part: "the NPY header")
        guard start[..<6].elementsEqual(magic) else {
            throw MLOpsError(
                .usage,
                "`\(path)` is not an NPY file: it starts with `\(hexadecimal(start[..<6]))`, expected `\(hexadecimal(magic))`",
                hint: "write one with `numpy.save`")
        }
        guard (1...3).contains(start[6]) else {
            throw MLOpsError(
                .usage, "`\(path)` is an NPY file of version \(start[6]).\(start[7]), expected 1, 2 or 3")
        }
        let size = try stream.bytes(start[6] == 1 ? 2 : 4, part: "the NPY header")
        let length = size.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= maximumHeaderLength else {
            throw MLOpsError(
                .damaged, "the NPY header of `\(path)` has \(length) bytes, expected at most \(maximumHeaderLength)")
        }
        var parser = NPYHeaderParser(try stream.bytes(length, part: "the NPY header"), path: path)
        let header = try parser.parse()
        var array = try stream.array(header.shape, header.element, format: "NPY")
        if header.isBigEndian { array.swapByteOrder() }
        return header.isColumnMajor ? array.fromColumnMajor() : array
    }
}

/// What an NPY header says.
struct NPYHeader {
    var element: RawArray.Element
    var isBigEndian: Bool
    var isColumnMajor: Bool
    var shape: [Int]
}

/// A strict parser of the one Python dictionary that an NPY header is: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct NPYHeaderParser {
    private let text: [UInt8]
    private let path: String
    private var position = 0

    init(_ text: [UInt8], path: String) {
        self.text = text
        self.path = path
    }

    mutating func parse() throws -> NPYHeader {
        var descr: String?
        var isColumnMajor: Bool?
        var shape: [Int]?
        try expect("{")
        while !take("}") {
            let key = try string()
            try expect(":")
            switch key {
            case "descr" where descr == nil: descr = try type()
            case "fortran_order" where isColumnMajor == nil: isColumnMajor = try boolean()
            case "shape" where shape == nil: shape = try tuple()
            default: throw fault("unexpected or repeated key `\(printable(key))`")
            }
            if take(",") { continue }
            try expect("}")
            break
        }
        skipSpace()
        guard position == text.count else { throw fault("text after the closing brace") }
        guard let descr, let isColumnMajor, let shape else {
            throw fault("it lacks one of `descr`, `fortran_order` and `shape`")
        }
        let (element, isBigEndian) = try self.element(descr)
        return NPYHeader(element: element, isBigEndian: isBigEndian, isColumnMajor: isColumnMajor, shape: shape)
    }

    /// The element type that numpy calls `descr`, such as `<f4`.
    private func element(_ descr: String) throws -> (RawArray.Element, isBigEndian: Bool) {
        let types: [String: RawArray.Element] = [
            "b1": .bool, "u1": .u8, "i1": .i8, "u2": .u16, "i2": .i16, "u4": .u32, "i4": .i32, "u8": .u64, "i8": .i64,
            "f2": .f16, "f4": .f32, "f8": .f64,
        ]
        guard let order = descr.first, "<>|=".contains(order), let element = types[String(descr.dropFirst())] else {
            throw MLOpsError(
                .usage, "`\(path)` holds elements of type `\(printable(descr))`, expected numbers",
                hint: "convert them, such as with `array.astype(\"float32\")`; objects and structures are not read")
        }
        return (element, order == ">")
    }

    /// The value of `descr`: text, or the list that describes a structure, which is refused.
    private mutating func type() throws -> String {
        skipSpace()
        guard position < text.count, text[position] != UInt8(ascii: "[") else {
            throw MLOpsError(
                .usage, "`\(path)` holds structures, expected numbers",
                hint: "save each field of the array by itself, such as `numpy.save(\"age.npy\", array[\"age\"])`")
        }
        return try string()
    }

    private mutating func tuple() throws -> [Int] {
        try expect("(")
        var values: [Int] = []
        while !take(")") {
            values.append(try integer())
            guard values.count <= 32 else { throw fault("the shape has more than 32 axes") }
            if take(",") { continue }
            try expect(")")
            break
        }
        return values
    }

    private mutating func integer() throws -> Int {
        skipSpace()
        var value = 0
        let start = position
        while position < text.count, (0x30...0x39).contains(text[position]) {
            let (tens, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = tens.addingReportingOverflow(Int(text[position] - 0x30))
            guard !overflows, !overflowsToo else { throw fault("a number overflows") }
            value = sum
            position += 1
        }
        guard position > start else { throw fault("expected a whole number of at least 0") }
        // Files of Python 2 write long integers so.
        if position < text.count, text[position] == UInt8(ascii: "L") { position += 1 }
        return value
    }

    private mutating func boolean() throws -> Bool {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)] where text[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw fault("expected True or False")
    }

    private mutating func string() throws -> String {
        skipSpace()
        guard position < text.count, [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(text[position]) else {
            throw fault("expected quoted text")
        }
        let quote = text[position]
        position += 1
        guard let end = text[position...].firstIndex(of: quote) else { throw fault("a quote is never closed") }
        guard let string = String(validating: text[position..<end], as: UTF8.self) else {
            throw fault("text is not UTF-8")
        }
        position = end + 1
        return string
    }

    private mutating func skipSpace() {
        while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard take(character) else { throw fault("expected `\(character)`") }
    }

    private func fault(_ message: String) -> MLOpsError {
        MLOpsError(
            .damaged, "NPY header of `\(path)`, byte \(position): \(message)", hint: "write it with `numpy.save`")
    }
}
