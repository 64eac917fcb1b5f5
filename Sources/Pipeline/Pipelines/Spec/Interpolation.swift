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

/// Replaces `${params.a}`, `${git.branch}`, `${git.commit}` and `${env.NAME}` in the values of a spec.
///
/// A scalar that is one reference takes the value with its type; inside a longer text the value must be a scalar. `$${` stands
/// for `${`.
struct Interpolation: Sendable {
    var parameters: ParameterSet
    var git: GitContext
    var environment: [String: String]

    /// `node` with every reference replaced; the parameters that were used are added to `used`.
    func resolve(_ node: YAMLNode, used: inout Set<String>) throws -> YAMLNode {
        switch node.content {
        case .string(let text):
            return text.contains("$") ? try resolve(text: text, node: node, used: &used) : node
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

    private func resolve(text: String, node: YAMLNode, used: inout Set<String>) throws -> YAMLNode {
        let pieces = try pieces(of: text, at: node.location)
        if pieces.count == 1, case .reference(let name) = pieces[0] {
            var value = try value(of: name, at: node.location, used: &used)
            value.location = node.location
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
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            literal += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                literal += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                guard let end = rest.firstIndex(of: "}") else {
                    throw MLOpsError(
                        .usage, "`${` has no `}`", hint: "close it, or write `$${` for the text itself", at: location)
                }
                if !literal.isEmpty { pieces.append(.text(literal)) }
                literal = ""
                pieces.append(.reference(String(rest[..<end].dropFirst(2))))
                rest = rest[rest.index(after: end)...]
            } else {
                literal += "$"
                rest = rest.dropFirst()
            }
        }
        literal += rest
        if !literal.isEmpty || pieces.isEmpty { pieces.append(.text(literal)) }
        return pieces
    }

    private func value(of name: String, at location: SourceLocation, used: inout Set<String>) throws -> YAMLNode {
        func text(_ value: String) -> YAMLNode { YAMLNode(.string(value), at: location, text: value) }
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.count == 2 ? parts[1] : "") {
        case ("params", let path) where !path.isEmpty:
            guard let value = parameters[path] else { throw parameters.unknown(path, at: location) }
            used.insert(path)
            return value
        case ("git", "branch"):
            guard let branch = git.branch else {
                throw MLOpsError(
                    .usage, "`${git.branch}` has no value: no branch is checked out",
                    hint: "run `git switch <branch>` first", at: location)
            }
            return text(branch)
        case ("git", "commit"):
            guard let commit = git.commit else {
                throw MLOpsError(
                    .usage, "`${git.commit}` has no value: the repository has no commit",
                    hint: "run `git commit` first", at: location)
            }
            return text(commit)
        case ("env", let variable) where !variable.isEmpty:
            guard let value = environment[variable] else {
                throw MLOpsError(
                    .usage, "`${env.\(variable)}` has no value: the environment variable is not set",
                    hint: "run `export \(variable)=…` first", at: location)
            }
            return text(value)
        default: throw unknown(name, at: location)
        }
    }

    private func unknown(_ name: String, at location: SourceLocation) -> MLOpsError {
        let known = ["git.branch", "git.commit"] + parameters.names(under: "").map { "params." + $0 }
        let near = nearestName(to: name, among: known)
        return MLOpsError(
            .usage, "unknown reference `${\(printable(shortened(name)))}`",
            hint: near.map { "did you mean `${\($0)}`?" }
                ?? "references begin with `params.`, `git.` or `env.`; write `$${\(name)}` for the text itself",
            at: location)
    }
}
