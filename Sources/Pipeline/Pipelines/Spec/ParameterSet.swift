internal import Basics

/// The values that `${params.…}` stands for: the files of `params:`, merged, then `--set`.
struct ParameterSet: Sendable {
    private(set) var root: YAMLNode

    /// Files of one pipeline, at most.
    private static let fileLimit = 200

    init(root: YAMLNode) { self.root = root }

    init(empty location: SourceLocation) { root = YAMLNode(.map([]), at: location) }

    /// Reads the files, in their order; a key that two files set is an error.
    ///
    /// - Parameter folder: what the files' paths are relative to.
    static func read(
        _ files: [LocatedText], folder: String, pipeline: String, into diagnostics: inout Diagnostics
    )
        -> ParameterSet
    {
        var set = ParameterSet(empty: SourceLocation(path: pipeline, line: 1, column: 1))
        if files.count > fileLimit {
            diagnostics.add(
                MLOpsError(
                    .usage, "there are \(files.count) parameter files, the limit is \(fileLimit)",
                    hint: "put parameters that belong together into one file", at: files[fileLimit].location))
            return set
        }
        for file in files where !diagnostics.isFull {
            guard let node = diagnostics.attempt(at: file.location, { try document(file, folder: folder) }) else {
                continue
            }
            guard let map = diagnostics.attempt({ try node.map() }) else { continue }
            diagnostics.attempt {
                set.root = try merged(set.root, YAMLNode(.map(map.entries), at: node.location), path: "")
            }
        }
        return set
    }

    private static func document(_ file: LocatedText, folder: String) throws -> YAMLNode {
        let path = try RelativePath(file.text)
        let full = FileSystem.join(folder, path.description)
        guard FileSystem.exists(full) else {
            throw MLOpsError(
                .usage, "the parameter file `\(file.text)` does not exist",
                hint: "paths are relative to the repository's folder", at: file.location)
        }
        guard path.description.hasSuffix(".json") else { return try YAML.read(full, name: file.text) }
        let limits = YAMLLimits()
        guard let size = try FileStatus.of(full)?.size, size <= limits.byteCount else {
            throw MLOpsError(.usage, "`\(file.text)` is longer than \(Format.bytes(Int64(limits.byteCount)))")
        }
        let json = try JSONValue(parsing: try FileSystem.read(full), source: file.text)
        return YAMLNode(json, at: SourceLocation(path: file.text, line: 1, column: 1))
    }

    static func merged(_ left: YAMLNode, _ right: YAMLNode, path: String) throws -> YAMLNode {
        guard case .map(var entries) = left.content, case .map(let others) = right.content else {
            throw MLOpsError(
                .usage, "the parameter `\(path)` is set in `\(left.location.path)` too",
                hint: "keep it in one of the files", at: right.location)
        }
        for other in others {
            if let index = entries.firstIndex(where: { $0.key == other.key }) {
                let below = path.isEmpty ? other.key : path + "." + other.key
                entries[index].value = try merged(entries[index].value, other.value, path: below)
            } else {
                entries.append(other)
            }
        }
        return YAMLNode(.map(entries), at: left.location)
    }

    /// The value at `path`, such as `train.lr`; a number picks from a list.
    subscript(path: String) -> YAMLNode? { ParameterSet.value(in: root, at: path) }

    /// The value at `path` below `node`.
    static func value(in node: YAMLNode, at path: String) -> YAMLNode? {
        var node = node
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            switch node.content {
            case .map(let entries):
                guard let entry = entries.first(where: { $0.key == part }) else { return nil }
                node = entry.value
            case .list(let items):
                guard let index = Int(part), items.indices.contains(index) else { return nil }
                node = items[index]
            default: return nil
            }
        }
        return node
    }

    /// Replaces one parameter as `--set a.b=value` says; the value is a YAML scalar or flow collection, and stays a text where
    /// the parameter is one.
    ///
    /// - Throws: kind `.usage` for a parameter that does not exist.
    mutating func apply(_ override: String) throws {
        guard let equals = override.firstIndex(of: "="), equals != override.startIndex else {
            throw MLOpsError(
                .usage, "`--set \(printable(override))` is not `<parameter>=<value>`",
                hint: "write for example `--set train.epochs=3`")
        }
        let path = String(
            override[..<equals].hasPrefix("params.") ? override[..<equals].dropFirst(7) : override[..<equals])
        guard let current = self[path] else { throw unknown(path, option: true) }
        let text = String(override[override.index(after: equals)...])
        var value = try YAML.parse(text, file: "--set \(path)")
        if case .string = current.content, !text.isEmpty {
            value = YAMLNode(.string(text), at: value.location, text: text)
        }
        if case .map = current.content {
            guard case .map = value.content else {
                throw MLOpsError(
                    .usage, "the parameter `\(path)` is a map and cannot become \(value.summary)",
                    hint: "set one of its keys, such as `--set \(names(under: path).first ?? path)=…`")
            }
        }
        root = ParameterSet.replacing(root, path.split(separator: ".")[...], with: value)
    }

    private static func replacing(_ node: YAMLNode, _ path: ArraySlice<Substring>, with value: YAMLNode) -> YAMLNode {
        guard let part = path.first else { return value }
        var node = node
        switch node.content {
        case .map(var entries):
            if let index = entries.firstIndex(where: { $0.key == part }) {
                entries[index].value = replacing(entries[index].value, path.dropFirst(), with: value)
            }
            node.content = .map(entries)
        case .list(var items):
            if let index = Int(part), items.indices.contains(index) {
                items[index] = replacing(items[index], path.dropFirst(), with: value)
            }
            node.content = .list(items)
        default: break
        }
        return node
    }

    /// The error of a parameter that is not there, with the nearest that is.
    func unknown(_ path: String, option: Bool = false, at location: SourceLocation? = nil) -> MLOpsError {
        let all = names(under: "")
        let prefix = option ? "" : "params."
        let hint: String
        if let near = nearestName(to: path, among: all) {
            hint = "did you mean `\(prefix)\(near)`?"
        } else if all.isEmpty {
            hint = "the pipeline has no parameters; name a file with `params: [params.yaml]`"
        } else {
            let shown = all.prefix(6).map { "`\($0)`" }.joined(separator: ", ")
            hint = "the parameters are \(shown)\(all.count > 6 ? " and \(all.count - 6) more" : "")"
        }
        return MLOpsError(
            .usage, "the parameter `\(printable(shortened(path)))` does not exist", hint: hint, at: location)
    }

    /// The paths of all values below `path` that are not maps.
    func names(under path: String) -> [String] {
        guard let start = path.isEmpty ? root : self[path] else { return [] }
        return ParameterSet.names(in: start, path: path)
    }

    /// The paths of all values in `node` that are not maps, each behind `path`.
    static func names(in node: YAMLNode, path: String = "") -> [String] {
        guard case .map(let entries) = node.content else { return [path] }
        return entries.flatMap { names(in: $0.value, path: path.isEmpty ? $0.key : path + "." + $0.key) }
    }
}
