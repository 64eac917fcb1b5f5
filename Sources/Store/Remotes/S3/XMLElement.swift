internal import Basics

/// One element of the small XML answers of S3 stores: name, text and children, without namespaces and attributes.
///
/// A strict reader of 100 lines instead of Foundation's: that one loads libxml2 into every start of the program. Document
/// types are refused (they are how XML attacks begin), and so are depth beyond 32 and anything not well-formed.
struct XMLElement: Sendable, Equatable {
    var name: String
    var text = ""
    var children: [XMLElement] = []

    /// The root element of a document; nil if `bytes` are no well-formed XML of that kind.
    init?(parsing bytes: [UInt8]) {
        var reader = XMLReader(bytes: bytes)
        guard let root = reader.document() else { return nil }
        self = root
    }

    init(name: String) { self.name = name }

    /// The text of the first child called `name`.
    subscript(name: String) -> String? { children.first { $0.name == name }?.text }

    /// All children called `name`.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
}

private struct XMLReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() -> XMLElement? {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        guard skipMisc(), let root = element(depth: 0), skipMisc(), position == bytes.count else { return nil }
        return root
    }

    /// Skips blanks, comments and processing instructions; false where one does not end.
    private mutating func skipMisc() -> Bool {
        while true {
            while position < bytes.count, isBlank(bytes[position]) { position += 1 }
            if skip("<?") {
                guard skipPast("?>") else { return false }
            } else if skip("<!--") {
                guard skipPast("-->") else { return false }
            } else {
                return true
            }
        }
    }

    private mutating func element(depth: Int) -> XMLElement? {
        guard depth < 32, skip("<"), let name = name() else { return nil }
        guard let isEmpty = skipAttributes() else { return nil }
        var element = XMLElement(name: localPart(name))
        if isEmpty { return element }
        var text: [UInt8] = []
        while position < bytes.count {
            if skip("</") {
                guard self.name() == name else { return nil }
                while position < bytes.count, isBlank(bytes[position]) { position += 1 }
                guard skip(">") else { return nil }
                element.text = String(decoding: text, as: UTF8.self)
                return element
            } else if skip("<!--") {
                guard skipPast("-->") else { return nil }
            } else if skip("<![CDATA[") {
                let start = position
                guard skipPast("]]>") else { return nil }
                text += bytes[start..<position - 3]
            } else if bytes[position] == UInt8(ascii: "<") {
                guard let child = self.element(depth: depth + 1) else { return nil }
                element.children.append(child)
            } else if bytes[position] == UInt8(ascii: "&") {
                guard let character = reference() else { return nil }
                text += Array(String(character).utf8)
            } else {
                text.append(bytes[position])
                position += 1
            }
        }
        return nil
    }

    private mutating func name() -> String? {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"):
                position += 1
                continue
            default: break
            }
            break
        }
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    /// Skips the rest of a start tag; whether the element is empty (`/>`), nil if the tag does not end.
    private mutating func skipAttributes() -> Bool? {
        var quote: UInt8?
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                return bytes[position - 2] == UInt8(ascii: "/")
            } else if byte == UInt8(ascii: "<") {
                return nil
            }
        }
        return nil
    }

    private mutating func reference() -> Unicode.Scalar? {
        let rest = bytes[position...].prefix(12)
        guard let end = rest.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let text = String(decoding: bytes[position + 1..<end], as: UTF8.self)
        position = end + 1
        switch text {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            if text.hasPrefix("#x") { return UInt32(text.dropFirst(2), radix: 16).flatMap(Unicode.Scalar.init) }
            if text.hasPrefix("#") { return UInt32(text.dropFirst(1)).flatMap(Unicode.Scalar.init) }
            return nil
        }
    }

    private mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        for offset in 0..<count where bytes[position + offset] != text.utf8Start[offset] { return false }
        position += count
        return true
    }

    private mutating func skipPast(_ text: StaticString) -> Bool {
        while position < bytes.count {
            if skip(text) { return true }
            position += 1
        }
        return false
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }

    private func localPart(_ name: String) -> String { name.split(separator: ":").last.map(String.init) ?? name }
}
