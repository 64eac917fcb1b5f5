package import Basics

/// A value of a YAML document with its place in the file.
///
/// Scalars are typed by the core schema of YAML 1.2: `no`, `on` and `1.2.3` are texts, `0o17` is 15.
package struct YAMLNode: Sendable {
    package indirect enum Content: Sendable {
        case null
        case bool(Bool)
        case int(Int64)
        case double(Double)
        case string(String)
        case list([YAMLNode])
        /// In the order of the file; no key stands twice.
        case map([YAMLEntry])
    }

    package var content: Content
    package var location: SourceLocation
    /// The scalar as it was written, without quotes: `1.10` stays `1.10`. Empty for lists and maps.
    package var text: String

    package init(_ content: Content, at location: SourceLocation, text: String = "") {
        self.content = content
        self.location = location
        self.text = text
    }
}

/// One key of a map with its value.
package struct YAMLEntry: Sendable {
    package var key: String
    package var keyLocation: SourceLocation
    package var value: YAMLNode

    package init(key: String, keyLocation: SourceLocation, value: YAMLNode) {
        self.key = key
        self.keyLocation = keyLocation
        self.value = value
    }
}

extension YAMLNode {
    /// The value without its places; `.inf` and `.nan`, which JSON cannot write, stay doubles.
    package func toJSON() -> JSONValue {
        switch content {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .list(let items): .array(items.map { $0.toJSON() })
        case .map(let entries):
            .object(Dictionary(entries.map { ($0.key, $0.value.toJSON()) }, uniquingKeysWith: { $1 }))
        }
    }

    /// A node for a value that stands at `location`; keys are sorted.
    package init(_ json: JSONValue, at location: SourceLocation) {
        let content: Content =
            switch json {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let items): .list(items.map { YAMLNode($0, at: location) })
            case .object(let members):
                .map(
                    members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map {
                        YAMLEntry(key: $0.key, keyLocation: location, value: YAMLNode($0.value, at: location))
                    })
            }
        let text: String =
            switch json {
            case .string(let value): value
            case .array, .object: ""
            default: json.canonicalText
            }
        self.init(content, at: location, text: text)
    }

    /// What the node is, for messages: `the text `abc``, `a list`.
    package var summary: String {
        switch content {
        case .null: "nothing"
        case .bool(let value): "`\(value)`"
        case .int, .double: "the number `\(text)`"
        case .string(let value): value.isEmpty ? "an empty text" : "the text `\(printable(shortened(value)))`"
        case .list: "a list"
        case .map: "a map"
        }
    }

    package var isNull: Bool { if case .null = content { true } else { false } }
}
