/// A path inside the repository or a tree, checked once: relative, `/` between its parts, none of them `.`, `..` or empty.
///
/// Every name that comes from a file, a remote or the command line passes through here before it touches the disk.
package struct RelativePath: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let description: String

    /// The checked path.
    ///
    /// - Throws: `MLOpsError` of kind `.usage` that names the path and what is wrong with it.
    package init(_ text: String) throws {
        if let fault = RelativePath.fault(in: text) {
            throw MLOpsError(
                .usage, "path `\(printable(text))` \(fault)",
                hint: "use a path inside the repository, such as `data/train.csv`")
        }
        description = text
    }

    /// What makes `text` unusable as a relative path, or nil.
    static func fault(in text: String) -> String? {
        if text.isEmpty { return "is empty" }
        if text.hasPrefix("/") { return "is absolute" }
        if text.utf8.contains(0) { return "contains a NUL byte" }
        if text.utf8.count > 4096 { return "is longer than 4096 bytes" }
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            switch part {
            case "": return "has an empty part"
            case ".": return "has the part `.`"
            case "..": return "leaves the repository"
            default: break
            }
            if part.utf8.count > 255 { return "has a part longer than 255 bytes" }
            if part.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
                return "contains a control character"
            }
            if part.lowercased() == ".git" || part.lowercased() == ".mlops" { return "lies inside `\(part)`" }
        }
        return nil
    }

    /// The names between the slashes, at least one.
    package var parts: [Substring] { description.split(separator: "/") }

    package var lastPart: String { parts.last.map(String.init) ?? description }

    /// The path of `name` below this one.
    package func appending(_ name: String) throws -> RelativePath { try RelativePath(description + "/" + name) }

    package static func < (left: RelativePath, right: RelativePath) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}

extension RelativePath: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// `text` with control characters shown as `\u{…}`, so that a hostile name cannot move the cursor.
package func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) else {
        return text
    }
    return text.unicodeScalars.map {
        $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\\u{\(String($0.value, radix: 16))}" : String($0)
    }.joined()
}
