internal import Basics

/// Rewrites the `${…}` of DVC into references of this language.
struct DVCTemplate {
    enum Loop: Equatable { case none, foreach, matrix }

    /// What `vars` and the parameter files define for all stages.
    var parameters: ParameterSet
    /// What the `vars` of the stage define: their values are written out.
    var locals: ParameterSet
    var loop = Loop.none

    enum Piece {
        case text(String)
        /// `params.train.lr`, `item.name`, with its value where it is the same in all variants.
        case reference(String, YAMLNode?)
        case literal(YAMLNode)
    }

    func pieces(of text: String, at location: SourceLocation) throws -> [Piece] {
        var pieces: [Piece] = []
        var literal = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            literal += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            if literal.hasSuffix("\\") {
                literal.removeLast()
                literal += "$${"
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                throw MLOpsError(.usage, "`${` has no `}`", at: location)
            }
            let name = rest[..<end].filter { !$0.isWhitespace }
            rest = rest[rest.index(after: end)...]
            if !literal.isEmpty { pieces.append(.text(literal)) }
            literal = ""
            pieces.append(try piece(String(name), at: location))
        }
        literal += rest
        if !literal.isEmpty || pieces.isEmpty { pieces.append(.text(literal)) }
        return pieces
    }

    private func piece(_ name: String, at location: SourceLocation) throws -> Piece {
        let path = name.replacing("[", with: ".").replacing("]", with: "")
        let head = path.prefix { $0 != "." }
        if loop != .none, head == "item" || head == "key" {
            if loop == .foreach { return .reference(path, nil) }
            guard head == "item", path.count > 5 else {
                throw MLOpsError(
                    .usage, "`${\(name)}` of a matrix has no counterpart",
                    hint: "name one of its values, as in `${matrix.seed}`", at: location)
            }
            return .reference("matrix" + path.dropFirst(4), nil)
        }
        if let value = locals[path] { return .literal(value) }
        guard let value = parameters[path] else {
            throw MLOpsError(
                .usage, "`${\(printable(name))}` is in no `vars` and no parameter file that can be read",
                hint: nearestName(to: path, among: parameters.names(under: "")).map { "did you mean `${\($0)}`?" },
                at: location)
        }
        return .reference("params." + path, value)
    }

    /// The value that a scalar stands for.
    func value(_ node: YAMLNode) throws -> YAMLValue {
        switch node.content {
        case .string(let text):
            let pieces = try pieces(of: text, at: node.location)
            if pieces.count == 1, case .literal(let value) = pieces[0] { return YAMLValue(value) }
            return .string(try pieces.map { try DVCTemplate.text($0, at: node.location) }.joined())
        case .list(let items): return .list(try items.map { try value($0) })
        case .map(let entries): return .map(try entries.map { (key: $0.key, value: try value($0.value)) })
        default: return YAMLValue(node)
        }
    }

    /// The text that a scalar stands for.
    func text(_ text: String, at location: SourceLocation) throws -> String {
        try pieces(of: text, at: location).map { try DVCTemplate.text($0, at: location) }.joined()
    }

    /// The text with the values of all references that have one; the others stand as they are.
    func resolved(_ text: String, at location: SourceLocation) throws -> String {
        try pieces(of: text, at: location).map { piece in
            guard case .reference(_, let value?) = piece, let known = try? value.scalarText() else {
                return try DVCTemplate.text(piece, at: location)
            }
            return known
        }.joined()
    }

    private static func text(_ piece: Piece, at location: SourceLocation) throws -> String {
        switch piece {
        case .text(let text): return text
        case .reference(let name, _): return "${\(name)}"
        case .literal(let value): return try value.scalarText("a number or a text")
        }
    }
}
