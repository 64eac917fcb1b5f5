package import Basics

/// A value to be written as YAML; maps keep their order.
package indirect enum YAMLValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case list([YAMLValue])
    case map([(key: String, value: YAMLValue)])

    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: YAMLValue...) { self = .list(elements) }
    package init(dictionaryLiteral elements: (String, YAMLValue)...) {
        self = .map(elements.map { (key: $0.0, value: $0.1) })
    }

    /// The value of `json`; keys are sorted.
    package init(_ json: JSONValue) {
        self =
            switch json {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let items): .list(items.map(YAMLValue.init))
            case .object(let members):
                .map(
                    members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
                        .map { (key: $0.key, value: YAMLValue($0.value)) })
            }
    }

    /// The value of a node that was read.
    package init(_ node: YAMLNode) {
        self =
            switch node.content {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .list(let items): .list(items.map(YAMLValue.init))
            case .map(let entries): .map(entries.map { (key: $0.key, value: YAMLValue($0.value)) })
            }
    }
}

/// Writes YAML that `YAML.parse` reads back as the same values: block style, two spaces, quotes where they are needed.
package struct YAMLWriter {
    /// Whether texts of several lines stand as they are, behind a `|`.
    private let writesBlocks: Bool

    /// The document of `value`, ending in a newline; the same value gives the same bytes.
    package static func text(of value: YAMLValue, writesBlocks: Bool = false) -> String {
        let writer = YAMLWriter(writesBlocks: writesBlocks)
        var output = ""
        switch value {
        case .list(let items) where !items.isEmpty: writer.write(items, indent: 0, to: &output)
        case .map(let entries) where !entries.isEmpty: writer.write(entries, indent: 0, to: &output)
        default: output = inline(value) + "\n"
        }
        return output
    }

    private func write(_ entries: [(key: String, value: YAMLValue)], indent: Int, to output: inout String) {
        for (index, entry) in entries.enumerated() {
            // The first key of a map in a list stands behind its dash.
            if index > 0 || !output.hasSuffix("- ") { output += YAMLWriter.spaces(indent) }
            output += YAMLWriter.quoted(entry.key) + ":"
            writeNested(entry.value, indent: indent + 2, to: &output)
        }
    }

    private func write(_ items: [YAMLValue], indent: Int, to output: inout String) {
        for (index, item) in items.enumerated() {
            if index > 0 || !output.hasSuffix("- ") { output += YAMLWriter.spaces(indent) }
            output += "-"
            switch item {
            case .map(let entries) where !entries.isEmpty:
                output += " "
                write(entries, indent: indent + 2, to: &output)
            case .list(let nested) where !nested.isEmpty:
                output += " "
                write(nested, indent: indent + 2, to: &output)
            default: output += " " + scalar(item, indent: indent + 2) + "\n"
            }
        }
    }

    private func writeNested(_ value: YAMLValue, indent: Int, to output: inout String) {
        switch value {
        case .map(let entries) where !entries.isEmpty:
            output += "\n"
            write(entries, indent: indent, to: &output)
        case .list(let items) where !items.isEmpty:
            output += "\n"
            write(items, indent: indent, to: &output)
        default: output += " " + scalar(value, indent: indent) + "\n"
        }
    }

    /// A value on its line, or a text of several lines below it, without the last newline.
    private func scalar(_ value: YAMLValue, indent: Int) -> String {
        guard writesBlocks, case .string(let text) = value, YAMLWriter.isBlock(text) else {
            return YAMLWriter.inline(value)
        }
        let lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
        return "|" + lines.map { $0.isEmpty ? "\n" : "\n" + YAMLWriter.spaces(indent) + $0 }.joined()
    }

    /// Whether a block reads back as `text`: one newline at its end, nothing that needs an escape.
    private static func isBlock(_ text: String) -> Bool {
        text.hasSuffix("\n") && !text.hasSuffix("\n\n") && text.first != " " && text.first != "\n"
            && text.utf8.dropLast().contains(0x0A) && text.utf8.allSatisfy { $0 == 0x0A || (0x20..<0x7F).contains($0) }
    }

    private static func inline(_ value: YAMLValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): String(value)
        case .double(let value): number(value)
        case .string(let value): quoted(value)
        case .list: "[]"
        case .map: "{}"
        }
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return ".nan" }
        if value.isInfinite { return value < 0 ? "-.inf" : ".inf" }
        return value.description
    }

    /// `text` plain where that reads back as the same text, else in double quotes.
    private static func quoted(_ text: String) -> String {
        isPlain(text) ? text : "\"" + escaped(text) + "\""
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, first != 0x20, last != 0x20, last != 0x3A else {
            return false
        }
        guard case .content(.string) = YAMLScalar.meaning(of: text) else { return false }
        // Texts that other readers, of YAML 1.1, take for a bool get quotes too.
        if ["y", "n", "yes", "no", "on", "off"].contains(text.lowercased()) { return false }
        let isIndicator = "-?:,[]{}#&*!|>'\"%@`".utf8.contains(first)
        guard
            !isIndicator
                || (first == 0x2D && text.utf8.count > 1 && text.utf8.dropFirst().first != 0x20 && text != "---")
        else { return false }
        return text.utf8.allSatisfy { (0x20..<0x7F).contains($0) } && !text.contains(": ") && !text.contains(" #")
            && !text.contains("<<") && !text.hasPrefix("---") && !text.hasPrefix("...")
    }

    private static func escaped(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\t": output += "\\t"
            case "\r": output += "\\r"
            default:
                if scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value) || scalar.value == 0xFEFF
                    || (0xE000...0xE001).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
                {
                    let hex = String(scalar.value, radix: 16)
                    output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    output.unicodeScalars.append(scalar)
                }
            }
        }
        return output
    }

    private static func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}
