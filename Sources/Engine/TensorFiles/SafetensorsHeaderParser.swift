internal import Basics

/// A strict parser of the one JSON shape that a safetensors header has: no recursion, duplicates are errors, integers only.
struct SafetensorsHeaderParser {
    private let text: ArraySlice<UInt8>
    private let path: String
    private var position: Int

    init(_ text: ArraySlice<UInt8>, path: String) {
        self.text = text
        self.path = path
        position = text.startIndex
    }

    mutating func parse() throws -> (entries: [SafetensorsEntry], metadata: [String: String]) {
        var entries: [SafetensorsEntry] = []
        var metadata: [String: String] = [:]
        try object(what: "the header") { parser, name in
            if name == "__metadata__" {
                try parser.object(what: "`__metadata__`") { parser, key in metadata[key] = try parser.string() }
            } else {
                entries.append(try parser.entry(name))
            }
        }
        skipSpace()
        guard position == text.endIndex else { throw fault("text after the closing brace") }
        return (entries, metadata)
    }

    private mutating func entry(_ name: String) throws -> SafetensorsEntry {
        var dtype: String?
        var shape: [Int]?
        var offsets: [Int]?
        try object(what: "tensor `\(printable(name))`") { parser, key in
            switch key {
            case "dtype": dtype = try parser.string()
            case "shape": shape = try parser.integers()
            case "data_offsets": offsets = try parser.integers()
            default: throw parser.fault("unknown key `\(printable(key))` of tensor `\(printable(name))`")
            }
        }
        guard let dtype, let shape, let offsets, offsets.count == 2 else {
            throw fault("tensor `\(printable(name))` lacks one of `dtype`, `shape` and two `data_offsets`")
        }
        guard offsets[0] <= offsets[1] else {
            throw fault("tensor `\(printable(name))` ends at \(offsets[1]), before its start \(offsets[0])")
        }
        return SafetensorsEntry(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
    }

    /// `{ "key": value, … }`, each key once; `member` reads the value.
    private mutating func object(
        what: String, _ member: (inout SafetensorsHeaderParser, String) throws -> Void
    ) throws {
        try expect(UInt8(ascii: "{"))
        if take(UInt8(ascii: "}")) { return }
        var seen: Set<String> = []
        repeat {
            let key = try string()
            guard seen.insert(key).inserted else { throw fault("\(what) names `\(printable(key))` twice") }
            try expect(UInt8(ascii: ":"))
            try member(&self, key)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    private mutating func integers() throws -> [Int] {
        try expect(UInt8(ascii: "["))
        if take(UInt8(ascii: "]")) { return [] }
        var values: [Int] = []
        repeat { values.append(try integer()) } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
        return values
    }

    private mutating func integer() throws -> Int {
        skipSpace()
        var value = 0
        var digits = 0
        while position < text.endIndex, (0x30...0x39).contains(text[position]) {
            let (tens, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = tens.addingReportingOverflow(Int(text[position] - 0x30))
            guard !overflows, !overflowsToo else { throw fault("a number overflows") }
            value = sum
            digits += 1
            position += 1
        }
        guard digits > 0 else { throw fault("expected a whole number of at least 0") }
        return value
    }

    private mutating func string() throws -> String {
        try expect(UInt8(ascii: "\""))
        var bytes: [UInt8] = []
        while position < text.endIndex {
            let byte = text[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: bytes, as: UTF8.self) else { throw fault("a name is not UTF-8") }
                return string
            case UInt8(ascii: "\\"): try escape(into: &bytes)
            case 0..<0x20: throw fault("a control character inside a name")
            default: bytes.append(byte)
            }
        }
        throw fault("a name is never closed")
    }

    private mutating func escape(into bytes: inout [UInt8]) throws {
        guard position < text.endIndex else { throw fault("a name is never closed") }
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            var value = try hexadecimal()
            if (0xD800..<0xDC00).contains(value) {
                guard text[position...].starts(with: Array("\\u".utf8)) else { throw fault("half a surrogate pair") }
                position += 2
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw fault("half a surrogate pair") }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw fault("half a surrogate pair") }
            bytes.append(contentsOf: String(Character(scalar)).utf8)
        default: throw fault("unknown escape in a name")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        guard position + 4 <= text.endIndex,
            let value = UInt32(String(decoding: text[position..<(position + 4)], as: UTF8.self), radix: 16)
        else { throw fault("`\\u` needs four hex digits") }
        position += 4
        return value
    }

    private mutating func skipSpace() {
        while position < text.endIndex, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < text.endIndex, text[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws {
        guard take(byte) else { throw fault("expected `\(Character(Unicode.Scalar(byte)))`") }
    }

    private func fault(_ message: String) -> MLOpsError {
        damaged(path, "header byte \(position - text.startIndex): \(message)")
    }
}
