internal import Basics

/// What an `if:` says: comparisons of references, numbers, texts and bools, joined by `&&`, `||` and `!`.
///
/// There are no loops, no calls and no effects: every expression ends, in time linear in its length.
indirect enum Expression: Sendable, Hashable {
    enum Comparison: String, Sendable, CaseIterable {
        case equal = "==", notEqual = "!=", atMost = "<=", atLeast = ">=", less = "<", greater = ">"
    }

    case value(ExpressionValue)
    case reference(String)
    case not(Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case compare(Comparison, Expression, Expression)

    /// The references in it, in their order.
    var references: [String] {
        switch self {
        case .value: []
        case .reference(let name): [name]
        case .not(let operand): operand.references
        case .and(let left, let right), .or(let left, let right), .compare(_, let left, let right):
            left.references + right.references
        }
    }
}

/// A value in an expression.
enum ExpressionValue: Sendable, Hashable, CustomStringConvertible {
    /// Also what a variable that is not set and a branch that is not checked out are.
    case null
    case bool(Bool)
    case number(Double)
    case text(String)

    var description: String {
        switch self {
        case .null: "nothing"
        case .bool(let value): "\(value)"
        case .number(let value): Format.number(value)
        case .text(let value): JSONValue.string(shortened(value)).canonicalText
        }
    }

    /// With its type: `the number 3`.
    var summary: String {
        switch self {
        case .null, .bool: description
        case .number: "the number \(description)"
        case .text: "the text \(description)"
        }
    }

    /// nil for a list or a map.
    init?(_ node: YAMLNode) {
        switch node.content {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .number(Double(value))
        case .double(let value): self = .number(value)
        case .string(let value): self = .text(value)
        case .list, .map: return nil
        }
    }
}

extension Expression {
    /// - Parameter values: of every reference in it.
    /// - Throws: `ExpressionFault` if a value has the wrong type for where it stands.
    func evaluate(_ values: [String: ExpressionValue]) throws -> ExpressionValue {
        switch self {
        case .value(let value): return value
        case .reference(let name): return values[name] ?? .null
        case .not(let operand): return .bool(!(try operand.truth(values, of: "!")))
        case .and(let left, let right): return .bool(try left.truth(values, of: "&&") && right.truth(values, of: "&&"))
        case .or(let left, let right): return .bool(try left.truth(values, of: "||") || right.truth(values, of: "||"))
        case .compare(let comparison, let left, let right):
            return .bool(try Expression.compare(comparison, left.evaluate(values), right.evaluate(values)))
        }
    }

    private func truth(_ values: [String: ExpressionValue], of sign: String) throws -> Bool {
        let value = try evaluate(values)
        guard case .bool(let truth) = value else {
            throw ExpressionFault("`\(sign)` joins what is true or false, not \(value.summary)")
        }
        return truth
    }

    private static func compare(
        _ comparison: Comparison, _ left: ExpressionValue, _ right: ExpressionValue
    ) throws -> Bool {
        switch (comparison, left, right) {
        case (.equal, .null, _), (.equal, _, .null): return left == right
        case (.notEqual, .null, _), (.notEqual, _, .null): return left != right
        case (.equal, .bool, .bool), (.equal, .number, .number), (.equal, .text, .text): return left == right
        case (.notEqual, .bool, .bool), (.notEqual, .number, .number), (.notEqual, .text, .text): return left != right
        case (_, .number(let left), .number(let right)): return ordered(comparison, left, right)
        case (_, .text(let left), .text(let right)):
            return ordered(comparison, left, right)
        default:
            throw ExpressionFault(
                "`\(comparison.rawValue)` cannot compare \(left.summary) with \(right.summary)",
                hint: "put a number in quotes to compare it as a text; values of `${env.…}` are texts")
        }
    }

    private static func ordered<Value: Comparable>(_ comparison: Comparison, _ left: Value, _ right: Value) -> Bool {
        switch comparison {
        case .less: left < right
        case .atMost: left <= right
        case .greater: left > right
        case .atLeast: left >= right
        case .equal: left == right
        case .notEqual: left != right
        }
    }
}

/// What is wrong with an expression.
struct ExpressionFault: Error {
    var message: String
    var hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}
