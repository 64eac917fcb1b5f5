internal import Basics

/// Reads an expression by recursive descent:
///
///     or      = and { "||" and }
///     and     = not { "&&" not }
///     not     = "!" not | compare
///     compare = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
///     operand = number | "text" | 'text' | true | false | null | ${reference} | "(" or ")"
struct ExpressionParser {
    static let lengthLimit = 2000
    private static let depthLimit = 32

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    private init(_ text: String) { bytes = Array(text.utf8) }

    /// - Throws: `ExpressionFault` that names what stands at the place of the fault.
    static func parse(_ text: String) throws -> Expression {
        guard text.utf8.count <= lengthLimit else {
            throw ExpressionFault("it is longer than \(lengthLimit) bytes")
        }
        var parser = ExpressionParser(text)
        let expression = try parser.disjunction()
        guard parser.atEnd else { throw parser.unexpected("`==`, `&&`, `||` or the end") }
        return expression
    }

    // MARK: Rules

    private mutating func disjunction() throws -> Expression {
        var left = try conjunction()
        while take("||") { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws -> Expression {
        var left = try negation()
        while take("&&") { left = .and(left, try negation()) }
        return left
    }

    private mutating func negation() throws -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= ExpressionParser.depthLimit else {
            throw ExpressionFault("it is nested deeper than \(ExpressionParser.depthLimit)")
        }
        skipSpace()
        if peek("!="), true { throw unexpected("a value") }
        return take("!") ? .not(try negation()) : try comparison()
    }

    private mutating func comparison() throws -> Expression {
        let left = try operand()
        skipSpace()
        if peek("="), !peek("==") {
            throw ExpressionFault("`=` alone compares nothing", hint: "write `==`")
        }
        for comparison in Expression.Comparison.allCases where take(comparison.rawValue) {
            return .compare(comparison, left, try operand())
        }
        return left
    }

    private mutating func operand() throws -> Expression {
        skipSpace()
        guard position < bytes.count else { throw unexpected("a value") }
        switch bytes[position] {
        case UInt8(ascii: "("):
            position += 1
            let inner = try disjunction()
            guard take(")") else { throw unexpected("`)`") }
            return inner
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .value(.text(try quoted(bytes[position])))
        case UInt8(ascii: "$"): return try reference()
        default: return try word()
        }
    }

    private mutating func quoted(_ quote: UInt8) throws -> String {
        let start = position + 1
        guard let end = bytes[start...].firstIndex(of: quote) else {
            throw ExpressionFault(
                "a text has no closing quote", hint: "close it with `\(Character(UnicodeScalar(quote)))`")
        }
        position = end + 1
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    private mutating func reference() throws -> Expression {
        guard peek("${"), let end = bytes[position...].firstIndex(of: UInt8(ascii: "}")) else {
            throw ExpressionFault("a reference is not closed", hint: "write `${params.name}`")
        }
        let name = String(decoding: bytes[(position + 2)..<end], as: UTF8.self)
        position = end + 1
        return .reference(name)
    }

    private mutating func word() throws -> Expression {
        let rest = bytes[position...].prefix { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...: true
            default: "_.+-".utf8.contains(byte)
            }
        }
        let word = String(decoding: rest, as: UTF8.self)
        switch YAMLScalar.meaning(of: word) {
        case .content(.bool(let value)):
            position += rest.count
            return .value(.bool(value))
        case .content(.null) where !word.isEmpty:
            position += rest.count
            return .value(.null)
        case .content(.int(let value)):
            position += rest.count
            return .value(.number(Double(value)))
        case .content(.double(let value)):
            position += rest.count
            return .value(.number(value))
        default: throw unexpected("a value", hint: word.isEmpty ? nil : "put a text in quotes: \"\(word)\"")
        }
    }

    // MARK: Bytes

    private var atEnd: Bool { bytes[position...].allSatisfy(ExpressionParser.isSpace) }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x09 || byte == 0x0D }

    private mutating func skipSpace() {
        while position < bytes.count, ExpressionParser.isSpace(bytes[position]) { position += 1 }
    }

    private func peek(_ sign: String) -> Bool { bytes[position...].starts(with: sign.utf8) }

    private mutating func take(_ sign: String) -> Bool {
        skipSpace()
        guard peek(sign) else { return false }
        position += sign.utf8.count
        return true
    }

    private func unexpected(_ expected: String, hint: String? = nil) -> ExpressionFault {
        let rest = String(decoding: bytes[min(position, bytes.count)...], as: UTF8.self)
        let found = atEnd ? "the end" : "`\(printable(shortened(rest, to: 24)))`"
        return ExpressionFault("expected \(expected), found \(found)", hint: hint)
    }
}
