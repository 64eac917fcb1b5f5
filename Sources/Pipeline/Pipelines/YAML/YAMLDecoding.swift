package import Basics

extension YAMLNode {
    /// A `.usage` error at this node: ``expected a list, found the text `abc` ``.
    package func expected(_ what: String, hint: String? = nil) -> MLOpsError {
        MLOpsError(.usage, "expected \(what), found \(summary)", hint: hint, at: location)
    }

    /// The text; a number or a bool without quotes is refused, as it may not be what was meant.
    package func string() throws -> String {
        switch content {
        case .string(let value): return value
        case .bool, .int, .double: throw expected("a text", hint: "put `\(text)` in quotes")
        default: throw expected("a text")
        }
    }

    /// The text of any scalar but null, as it was written.
    package func scalarText(_ what: String = "a text") throws -> String {
        switch content {
        case .string(let value): return value
        case .bool, .int, .double: return text
        default: throw expected(what)
        }
    }

    package func int() throws -> Int {
        if case .int(let value) = content, let value = Int(exactly: value) { return value }
        throw expected("a whole number")
    }

    /// A number with or without a fraction.
    package func double() throws -> Double {
        switch content {
        case .int(let value): return Double(value)
        case .double(let value): return value
        default: throw expected("a number")
        }
    }

    package func bool() throws -> Bool {
        if case .bool(let value) = content { return value }
        throw expected("`true` or `false`")
    }

    package func list() throws -> [YAMLNode] {
        if case .list(let items) = content { return items }
        throw expected("a list")
    }

    /// The texts of a list.
    package func strings() throws -> [String] { try list().map { try $0.string() } }

    package func map() throws -> YAMLMap {
        if case .map(let entries) = content { return YAMLMap(entries: entries, location: location) }
        throw expected("a map")
    }
}

/// The keys of a map, in the order of the file.
package struct YAMLMap: Sendable {
    package var entries: [YAMLEntry]
    package var location: SourceLocation

    package init(entries: [YAMLEntry], location: SourceLocation) {
        self.entries = entries
        self.location = location
    }

    package var keys: [String] { entries.map(\.key) }

    package subscript(key: String) -> YAMLNode? { entries.first { $0.key == key }?.value }

    /// The value of `key`, unless it is missing or null.
    package func value(_ key: String) -> YAMLNode? {
        guard let node = self[key], !node.isNull else { return nil }
        return node
    }

    /// The value of `key`.
    ///
    /// - Throws: kind `.usage` at the map, if the key is missing.
    package func required(_ key: String, of what: String) throws -> YAMLNode {
        guard let node = value(key) else {
            throw MLOpsError(.usage, "\(what) has no `\(key)`", hint: "add `\(key):`", at: location)
        }
        return node
    }

    package func string(_ key: String) throws -> String? { try value(key)?.string() }
    package func int(_ key: String) throws -> Int? { try value(key)?.int() }
    package func double(_ key: String) throws -> Double? { try value(key)?.double() }
    package func bool(_ key: String) throws -> Bool? { try value(key)?.bool() }
    package func strings(_ key: String) throws -> [String]? { try value(key)?.strings() }
    package func map(_ key: String) throws -> YAMLMap? { try value(key)?.map() }

    /// So many unknown keys of one map are named; a map of thousands is no slip of the pen.
    private static let unknownKeyLimit = 100

    /// The errors of the keys that are not `allowed`, each with the nearest that is.
    package func unknownKeys(_ allowed: [String], of what: String) -> [MLOpsError] {
        // The places in `entries`, as the entries themselves would be a second copy of a large map.
        let unknown = entries.indices.filter { !allowed.contains(entries[$0].key) }
        if unknown.isEmpty { return [] }
        let all = "the keys of \(what) are \(allowed.map { "`\($0)`" }.joined(separator: ", "))"
        var errors = unknown.prefix(YAMLMap.unknownKeyLimit).map { index in
            let entry = entries[index]
            // Comparing takes the product of the lengths, and nobody means a short key by a very long one.
            let near = entry.key.utf8.count <= 256 ? nearestName(to: entry.key, among: allowed) : nil
            return MLOpsError(
                .usage, "unknown key `\(printable(shortened(entry.key)))` in \(what)",
                hint: near.map { "did you mean `\($0)`?" } ?? all, at: entry.keyLocation)
        }
        if unknown.count > YAMLMap.unknownKeyLimit {
            errors.append(
                MLOpsError(
                    .usage, "\(unknown.count - YAMLMap.unknownKeyLimit) more unknown keys in \(what)", hint: all,
                    at: entries[unknown[YAMLMap.unknownKeyLimit]].keyLocation))
        }
        return errors
    }

    /// - Throws: the first of `unknownKeys`.
    package func rejectUnknownKeys(_ allowed: [String], of what: String) throws {
        if let error = unknownKeys(allowed, of: what).first { throw error }
    }
}
