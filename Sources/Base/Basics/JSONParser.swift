/// Reads one JSON document (RFC 8259), strictly: no comments, no duplicate keys, no numbers beyond a `Double`.
///
/// Whole numbers that fit become `.int`, however they are written, so that `1` and `1.0` are equal values.
struct JSONParser {
    /// What is wrong, and where; line and column count from 1, the column in bytes.
    struct Fault: Error {
        var reason: String
        var line: Int
        var column: Int
    }

    /// Deeper nesting is refused: it would only exhaust the stack.
    static let greatestDepth = 512

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0

    static func parse(_ bytes: [UInt8]) throws(Fault) -> JSONValue {
        let outcome = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(Fault) in
                var parser = JSONParser(bytes: buffer)
                return try parser.document()
            }
        }
        return try outcome.get()
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private mutating func document() throws(Fault) -> JSONValue {
        skipSpace()
        let value = try value()
        skipSpace()
        if position < bytes.count { throw fault("there is more after the value") }
        return value
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func fault(_ reason: String) -> Fault {
        let before = bytes[..<min(position, bytes.count)]
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return Fault(reason: reason, line: before.count { $0 == 0x0A } + 1, column: before.count - lineStart + 1)
    }

    private mutating func value() throws(Fault) -> JSONValue {
        guard let first = next else { throw fault("the text ends where a value should be") }
        switch first {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw fault("there is no value")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Fault) -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count,
            (0..<word.utf8CodeUnitCount).allSatisfy({ bytes[position + $0] == word.utf8Start[$0] })
        else { throw fault("there is no value") }
        position = end
        return value
    }

    private mutating func enter() throws(Fault) {
        depth += 1
        if depth > JSONParser.greatestDepth { throw fault("it is nested deeper than \(JSONParser.greatestDepth)") }
        position += 1
        skipSpace()
    }

    /// Steps over the comma between items; false, and over `end`, after the last one.
    private mutating func continues(before end: UInt8) throws(Fault) -> Bool {
        skipSpace()
        switch next {
        case UInt8(ascii: ","):
            position += 1
            skipSpace()
            return true
        case end:
            position += 1
            depth -= 1
            return false
        default:
            throw fault("`,` or `\(Character(UnicodeScalar(end)))` is missing")
        }
    }

    private mutating func array() throws(Fault) -> JSONValue {
        try enter()
        var items: [JSONValue] = []
        if next == UInt8(ascii: "]") {
            _ = try continues(before: UInt8(ascii: "]"))
            return .array([])
        }
        repeat { items.append(try value()) } while try continues(before: UInt8(ascii: "]"))
        return .array(items)
    }

    private mutating func object() throws(Fault) -> JSONValue {
        try enter()
        // Counted before they are put into a dictionary: one that grows puts each member in again and again.
        var list: [(key: String, value: JSONValue, start: Int)] = []
        if next == UInt8(ascii: "}") {
            _ = try continues(before: UInt8(ascii: "}"))
            return .object([:])
        }
        repeat {
            guard next == UInt8(ascii: "\"") else { throw fault("a key in quotes is missing") }
            let start = position
            let key = try string()
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw fault("`:` is missing") }
            position += 1
            skipSpace()
            list.append((key, try value(), start))
        } while try continues(before: UInt8(ascii: "}"))
        var members = [String: JSONValue](minimumCapacity: list.count)
        for (key, value, start) in list where members.updateValue(value, forKey: key) != nil {
            position = start
            throw fault("key `\(printable(key))` is given twice")
        }
        return .object(members)
    }
}

// MARK: Numbers

extension JSONParser {
    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func number() throws(Fault) -> JSONValue {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let first = next
        let count = digits()
        guard count == 1 || (count > 1 && first != UInt8(ascii: "0")) else { throw fault("a number is malformed") }
        var isWhole = true
        if next == UInt8(ascii: ".") {
            position += 1
            isWhole = false
            guard digits() > 0 else { throw fault("a number is malformed") }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            isWhole = false
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw fault("a number is malformed") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .int(value) }
        guard let value = Double(text), value.isFinite else {
            position = start
            throw fault("number \(text) is too large")
        }
        return .number(value)
    }
}

// MARK: Strings

extension JSONParser {
    private mutating func string() throws(Fault) -> String {
        position += 1
        let start = position
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if next == UInt8(ascii: "\"") {
            defer { position += 1 }
            return try text(bytes[start..<position])
        }
        var content = Array(bytes[start..<position])
        while let byte = next, byte != UInt8(ascii: "\"") {
            if byte < 0x20 { throw fault("a string holds a control character") }
            position += 1
            if byte == UInt8(ascii: "\\") { try escape(into: &content) } else { content.append(byte) }
        }
        guard next != nil else { throw fault("a string does not end") }
        defer { position += 1 }
        return try text(content[...])
    }

    private func text(_ content: some Collection<UInt8>) throws(Fault) -> String {
        guard let text = String(validating: content, as: UTF8.self) else { throw fault("a string is not UTF-8") }
        return text
    }

    /// Appends what the escape after a backslash means.
    private mutating func escape(into content: inout [UInt8]) throws(Fault) {
        let letter = next
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter ?? 0)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"): content.append(contentsOf: String(try escapedScalar()).utf8)
        default: throw fault("a string holds an unknown escape")
        }
    }

    /// The scalar of `\uXXXX`, or of two of them that are a surrogate pair.
    private mutating func escapedScalar() throws(Fault) -> Character {
        var value = try fourDigits()
        if (0xD800..<0xDC00).contains(value), next == UInt8(ascii: "\\") {
            position += 1
            guard next == UInt8(ascii: "u") else { throw fault("a string holds half a surrogate pair") }
            position += 1
            let low = try fourDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw fault("a string holds half a surrogate pair") }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = UnicodeScalar(value) else { throw fault("a string holds half a surrogate pair") }
        return Character(scalar)
    }

    private mutating func fourDigits() throws(Fault) -> UInt32 {
        let end = position + 4
        guard end <= bytes.count, bytes[position..<end].allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16)
        else { throw fault("a string holds an unknown escape") }
        position = end
        return value
    }
}
