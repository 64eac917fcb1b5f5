internal import Glibc

/// Writes the text of JSON values: canonical, or with line breaks for people.
struct JSONWriter {
    private(set) var output: [UInt8] = []
    /// Spaces a level; nil puts everything into one line.
    private let indent: Int?
    private var depth = 0

    init(indent: Int? = nil) { self.indent = indent }

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .int(let value): write(value)
        case .double(let value): write(value)
        case .string(let value): write(value)
        case .array(let items): write(items)
        case .object(let members): write(members)
        }
    }

    private mutating func append(_ text: StaticString) {
        output.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func write(_ items: [JSONValue]) {
        output.append(UInt8(ascii: "["))
        depth += 1
        for (index, item) in items.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            breakLine()
            write(item)
        }
        depth -= 1
        if !items.isEmpty { breakLine() }
        output.append(UInt8(ascii: "]"))
    }

    private mutating func write(_ members: [String: JSONValue]) {
        output.append(UInt8(ascii: "{"))
        depth += 1
        var isFirst = true
        for (key, value) in members.sorted(by: { JSONWriter.precedes($0.key, $1.key) }) {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            breakLine()
            write(key)
            if indent == nil { output.append(UInt8(ascii: ":")) } else { append(": ") }
            write(value)
        }
        depth -= 1
        if !members.isEmpty { breakLine() }
        output.append(UInt8(ascii: "}"))
    }

    private mutating func breakLine() {
        guard let indent else { return }
        output.append(UInt8(ascii: "\n"))
        for _ in 0..<indent * depth { output.append(UInt8(ascii: " ")) }
    }

    /// Whether the bytes of `left` sort before those of `right`.
    private static func precedes(_ left: String, _ right: String) -> Bool {
        var (left, right) = (left, right)
        return left.withUTF8 { left in
            right.withUTF8 { right in
                let common = min(left.count, right.count)
                guard common > 0, let first = left.baseAddress, let second = right.baseAddress else {
                    return left.count < right.count
                }
                let order = memcmp(first, second, common)
                return order == 0 ? left.count < right.count : order < 0
            }
        }
    }

    private mutating func write(_ value: Int64) {
        var magnitude = value.magnitude
        if value < 0 { output.append(UInt8(ascii: "-")) }
        let start = output.count
        repeat {
            output.append(UInt8(ascii: "0") + UInt8(magnitude % 10))
            magnitude /= 10
        } while magnitude > 0
        output[start...].reverse()
    }

    /// The shortest decimal that reads back as `value`; whole numbers below 2^53 lose their `.0`.
    private mutating func write(_ value: Double) {
        guard value.isFinite else { return append("null") }
        if case .int(let whole) = JSONValue.number(value) { return write(whole) }
        output.append(contentsOf: value.description.utf8)
    }

    private mutating func write(_ text: String) {
        var text = text
        output.append(UInt8(ascii: "\""))
        text.withUTF8 { bytes in
            // What lies between bytes that need an escape is appended at once.
            var start = 0
            for (index, byte) in bytes.enumerated() where JSONWriter.needsEscape(byte) {
                output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<index]))
                escape(byte)
                start = index + 1
            }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
        }
        output.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        default:
            append("\\u00")
            output.append(contentsOf: hexadecimal([byte]).utf8)
        }
    }
}
