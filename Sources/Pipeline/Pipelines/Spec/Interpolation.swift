internal import Basics

/// What is known of the surrounding git repository.
package struct GitContext: Sendable, Hashable, Codable {
    /// The hex id of the head's commit; nil without commits.
    package var commit: String?
    /// nil when the head is detached.
    package var branch: String?
    package var isDirty: Bool?

    package init(commit: String? = nil, branch: String? = nil, isDirty: Bool? = nil) {
        self.commit = commit
        self.branch = branch
        self.isDirty = isDirty
    }
}

/// What the references of a stage drew on.
struct ReferenceUse: Sendable {
    /// The parameters, by path.
    var parameters: Set<String> = []
    /// Bytes and values that references were replaced by.
    var size = 0

    /// Far above any real pipeline; below it no file of the allowed length can fill the memory by repeating a value.
    static let sizeLimit = 64 << 20

    mutating func add(_ node: YAMLNode) throws {
        size += ReferenceUse.size(of: node)
        guard size <= ReferenceUse.sizeLimit else {
            throw MLOpsError(
                .usage,
                "the references of the pipeline stand for more than \(Format.bytes(Int64(ReferenceUse.sizeLimit)))",
                hint: "keep large values in a file and name it in `deps`", at: node.location)
        }
    }

    private static func size(of node: YAMLNode) -> Int {
        switch node.content {
        case .list(let items): items.reduce(32) { $0 + size(of: $1) }
        case .map(let entries): entries.reduce(32) { $0 + $1.key.utf8.count + size(of: $1.value) }
        default: 32 + node.text.utf8.count
        }
    }
}

/// Replaces `${params.a}`, `${matrix.a}`, `${item}`, `${git.branch}`, `${env.NAME}` and the like in the values of a spec.
///
/// A scalar that is one reference takes the value with its type; inside a longer text the value must be a scalar. `$${` stands
/// for `${`, and `${a:-b}` for `b` where `a` has no value.
struct Interpolation: Sendable {
    var parameters: ParameterSet
    var git: Lazy<GitContext>
    var environment: [String: String]
    /// Names whose values may not be put into a spec.
    var secrets: Set<String> = []
    /// Of the stage whose keys are read.
    var locals = StageLocals()
    /// Whether a variable that is not set becomes a text rather than an error: in a stage that does not run.
    var isLenient = false

    /// `node` with every reference replaced; the parameters that were used are added to `used`.
    func resolve(_ node: YAMLNode, used: inout ReferenceUse) throws -> YAMLNode {
        switch node.content {
        case .string(let text):
            return text.utf8.contains(UInt8(ascii: "$")) ? try resolve(text: text, node: node, used: &used) : node
        case .list(let items):
            var node = node
            node.content = .list(try items.map { try resolve($0, used: &used) })
            return node
        case .map(let entries):
            var node = node
            node.content = .map(
                try entries.map { entry in
                    var entry = entry
                    entry.value = try resolve(entry.value, used: &used)
                    return entry
                })
            return node
        default: return node
        }
    }

    private enum Piece {
        case text(String)
        case reference(String)
    }

    private func resolve(text: String, node: YAMLNode, used: inout ReferenceUse) throws -> YAMLNode {
        let pieces = try pieces(of: text, at: node.location)
        if pieces.count == 1, case .reference(let name) = pieces[0] {
            var value = try value(of: name, at: node.location, used: &used)
            value.location = node.location
            try used.add(value)
            return value
        }
        var output = ""
        for piece in pieces {
            switch piece {
            case .text(let text): output += text
            case .reference(let name):
                let value = try value(of: name, at: node.location, used: &used)
                switch value.content {
                case .list, .map, .null:
                    throw MLOpsError(
                        .usage, "`${\(name)}` is \(value.summary) and cannot stand inside a text",
                        hint: "use it alone, as the whole value", at: node.location)
                default: output += value.text
                }
                try used.add(value)
            }
        }
        return YAMLNode(.string(output), at: node.location, text: output)
    }

    /// The names of the references in `text`.
    func references(in text: String, at location: SourceLocation) throws -> [String] {
        try pieces(of: text, at: location).compactMap { if case .reference(let name) = $0 { name } else { nil } }
    }

    private func pieces(of text: String, at location: SourceLocation) throws -> [Piece] {
        var pieces: [Piece] = []
        var literal = ""
        var rest = text.utf8[...]
        while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
            literal += Substring(rest[..<dollar])
            rest = rest[dollar...]
            if rest.starts(with: "$${".utf8) {
                literal += "${"
                rest = rest.dropFirst(3)
            } else if rest.starts(with: "${".utf8) {
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                    throw MLOpsError(
                        .usage, "`${` has no `}`", hint: "close it, or write `$${` for the text itself", at: location)
                }
                if !literal.isEmpty { pieces.append(.text(literal)) }
                literal = ""
                pieces.append(.reference(String(Substring(rest[..<end].dropFirst(2)))))
                rest = rest[rest.index(after: end)...]
            } else {
                literal += "$"
                rest = rest.dropFirst()
            }
        }
        literal += Substring(rest)
        if !literal.isEmpty || pieces.isEmpty { pieces.append(.text(literal)) }
        return pieces
    }
}
