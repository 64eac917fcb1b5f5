internal import Basics

extension Interpolation {
    /// What `${name}` stands for.
    ///
    /// - Parameter allowsUnset: whether a variable that is not set, or a branch that is not checked out, is null.
    func value(
        of name: String, at location: SourceLocation, allowsUnset: Bool = false, used: inout ReferenceUse
    ) throws -> YAMLNode {
        let parts = Interpolation.withDefault(name)
        let found = try known(parts.name, hasDefault: parts.fallback != nil, at: location, used: &used)
        if let found, !(found.isNull && parts.fallback != nil) { return found }
        if let fallback = parts.fallback { return Interpolation.scalar(fallback, of: parts.name, at: location) }
        if allowsUnset { return YAMLNode(.null, at: location) }
        if isLenient { return YAMLNode(.string("unset"), at: location, text: "unset") }
        throw unset(parts.name, at: location)
    }

    /// `a:-b` as `a` and `b`.
    private static func withDefault(_ reference: String) -> (name: String, fallback: String?) {
        guard let range = reference.firstRange(of: ":-") else { return (reference, nil) }
        return (String(reference[..<range.lowerBound]), String(reference[range.upperBound...]))
    }

    /// The default, typed as YAML has it; a variable of the environment is always a text.
    private static func scalar(_ text: String, of name: String, at location: SourceLocation) -> YAMLNode {
        guard !text.isEmpty, !name.hasPrefix("env."), case .content(let content) = YAMLScalar.meaning(of: text) else {
            return YAMLNode(.string(text), at: location, text: text)
        }
        return YAMLNode(content, at: location, text: text)
    }

    /// nil for what is known by name but has no value now.
    private func known(
        _ name: String, hasDefault: Bool, at location: SourceLocation, used: inout ReferenceUse
    ) throws -> YAMLNode? {
        func text(_ value: String) -> YAMLNode { YAMLNode(.string(value), at: location, text: value) }
        let dot = name.utf8.firstIndex(of: UInt8(ascii: "."))
        let scope = dot.map { name[..<$0] } ?? name[...]
        let path = dot.map { String(name[name.index(after: $0)...]) } ?? ""
        switch scope {
        case "params" where !path.isEmpty:
            guard let value = parameters[path] else {
                if hasDefault { return nil }
                throw parameters.unknown(path, at: location)
            }
            used.parameters.insert(path)
            return value
        case "matrix" where !path.isEmpty: return try matrixValue(path, hasDefault: hasDefault, at: location)
        case "item", "key": return try itemValue(name, scope: scope, path: path, hasDefault: hasDefault, at: location)
        case "git":
            switch path {
            case "branch": return try git.get().branch.map(text)
            case "commit": return try git.get().commit.map(text)
            case "dirty": return try git.get().isDirty.map { YAMLNode(.bool($0), at: location, text: "\($0)") }
            default: throw unknown(name, at: location)
            }
        case "env" where !path.isEmpty:
            guard !secrets.contains(path) else {
                throw MLOpsError(
                    .usage, "`\(path)` is a secret, and `${env.\(path)}` would write it where others can read it",
                    hint: "let the command read the variable `\(path)` itself", at: location)
            }
            return environment[path].map(text)
        default: throw unknown(name, at: location)
        }
    }

    private func matrixValue(_ path: String, hasDefault: Bool, at location: SourceLocation) throws -> YAMLNode? {
        guard let matrix = locals.matrix else {
            throw MLOpsError(
                .usage, "`${matrix.\(path)}` stands in a stage without a `matrix`", hint: "add `matrix:`", at: location)
        }
        let parts = path.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let value = matrix.first(where: { $0.key == parts[0] })?.value,
            let inner = parts.count == 1 ? value : ParameterSet.value(in: value, at: String(parts[1]))
        else {
            if hasDefault { return nil }
            let names = matrix.map(\.key)
            let near = nearestName(to: path, among: names)
            throw MLOpsError(
                .usage, "the matrix has no `\(printable(shortened(path)))` here",
                hint: near.map { "did you mean `${matrix.\($0)}`?" }
                    ?? "its keys are \(names.map { "`\($0)`" }.joined(separator: ", "))", at: location)
        }
        return inner
    }

    private func itemValue(
        _ name: String, scope: Substring, path: String, hasDefault: Bool, at location: SourceLocation
    ) throws -> YAMLNode? {
        guard let item = locals.item else {
            throw MLOpsError(
                .usage, "`${\(name)}` stands in a stage without a `foreach`", hint: "add `foreach:`", at: location)
        }
        if scope == "key" {
            guard let key = locals.key, path.isEmpty else {
                throw MLOpsError(
                    .usage, "`${\(name)}` has no value", hint: "`${key}` is the key where `foreach` is a map",
                    at: location)
            }
            return key
        }
        guard let value = path.isEmpty ? item : ParameterSet.value(in: item, at: path) else {
            if hasDefault { return nil }
            let names = ParameterSet.names(in: item).filter { !$0.isEmpty }
            throw MLOpsError(
                .usage, "the item has no `\(printable(shortened(path)))`: it is \(item.summary)",
                hint: nearestName(to: path, among: names).map { "did you mean `${item.\($0)}`?" }, at: location)
        }
        return value
    }

    // MARK: Errors

    private func unset(_ name: String, at location: SourceLocation) -> MLOpsError {
        switch name {
        case "git.branch":
            MLOpsError(
                .usage, "`${git.branch}` has no value: no branch is checked out",
                hint: "run `git switch <branch>` first", at: location)
        case "git.commit":
            MLOpsError(
                .usage, "`${git.commit}` has no value: the repository has no commit",
                hint: "run `git commit` first", at: location)
        case "git.dirty":
            MLOpsError(.usage, "`${git.dirty}` has no value: this is no git repository", at: location)
        default:
            MLOpsError(
                .usage, "`${\(printable(shortened(name)))}` has no value: the environment variable is not set",
                hint: "run `export \(printable(shortened(String(name.dropFirst(4)))))=…` first, or write "
                    + "`${\(printable(shortened(name))):-…}` with a default", at: location)
        }
    }

    private func unknown(_ name: String, at location: SourceLocation) -> MLOpsError {
        if name.hasPrefix("secrets.") {
            return MLOpsError(
                .usage, "a secret cannot be put into the pipeline with `${\(printable(shortened(name)))}`",
                hint: "name it in `secrets`; the stage finds it in its environment", at: location)
        }
        let known =
            ["git.branch", "git.commit", "git.dirty"] + parameters.names(under: "").map { "params." + $0 }
            + (locals.matrix ?? []).map { "matrix." + $0.key }
        let near = nearestName(to: name, among: known)
        return MLOpsError(
            .usage, "unknown reference `${\(printable(shortened(name)))}`",
            hint: near.map { "did you mean `${\($0)}`?" }
                ?? "references begin with `params.`, `matrix.`, `item`, `git.` or `env.`; write "
                + "`$${\(name)}` for the text itself",
            at: location)
    }
}
