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
        if text.utf8.first == UInt8(ascii: "/") { return "is absolute" }
        if text.utf8.contains(0) { return "contains a NUL byte" }
        if text.utf8.count > 4096 { return "is longer than 4096 bytes" }
        for part in pathParts(text, keepsEmpty: true) {
            switch part {
            case "": return "has an empty part"
            case ".": return "has the part `.`"
            case "..": return "leaves the repository"
            default: break
            }
            if part.utf8.count > 255 { return "has a part longer than 255 bytes" }
            if part.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) {
                return "contains a control character"
            }
            if isReservedName(String(part)) { return "lies inside `\(printable(String(part)))`" }
        }
        return nil
    }

    /// The names between the slashes, at least one.
    package var parts: [Substring] { pathParts(description) }

    package var lastPart: String { parts.last.map(String.init) ?? description }

    /// The path of `name` below this one.
    package func appending(_ name: String) throws -> RelativePath { try RelativePath(description + "/" + name) }

    package static func < (left: RelativePath, right: RelativePath) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }

    // A path is its bytes: `é` in one code point and in two are different files, which Swift's `==` takes for one.
    package static func == (left: RelativePath, right: RelativePath) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in description.utf8 { hasher.combine(byte) }
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

/// What lies between the slashes of `path`.
///
/// Told by bytes: an accent or a joiner at the start of a name makes one character with the slash before it.
package func pathParts(_ path: String, keepsEmpty: Bool = false) -> [Substring] {
    path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: !keepsEmpty).map { Substring($0) }
}

/// Whether `name` is `.git` or `.mlops` here or on another system: Windows drops points, spaces and what follows a colon and
/// has short names, macOS drops characters that have no width.
package func isReservedName(_ name: String) -> Bool {
    guard let first = name.utf8.first, first >= 0x80 || ".gGmM".utf8.contains(first) else { return false }
    let visible = name.unicodeScalars.filter { scalar in
        switch scalar.value {
        case 0x200C...0x200F, 0x202A...0x202E, 0x206A...0x206F, 0xFEFF: false
        default: true
        }
    }
    var text = String(String.UnicodeScalarView(visible)).lowercased().prefix { $0 != ":" }
    while let last = text.last, last == "." || last == " " { text = text.dropLast() }
    return [".git", ".mlops", "git~1", "mlops~1"].contains(text)
}

/// `text` with control characters, and those that turn the direction of writing or end a line, shown as `\u{…}`, so that a
/// hostile name cannot move the cursor or read as another.
package func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isUnprintable) else { return text }
    return text.unicodeScalars.map {
        isUnprintable($0) ? "\\u{\(String($0.value, radix: 16))}" : String($0)
    }.joined()
}

/// `text` as `printable` shows it, with the ends of its lines and its tabs as they are.
package func printableLines(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { isUnprintable($0) && $0 != "\n" && $0 != "\t" }) else { return text }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.split(separator: "\t", omittingEmptySubsequences: false).map { printable(String($0)) }
            .joined(separator: "\t")
    }.joined(separator: "\n")
}

private func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7F { return scalar.value < 0x20 }
    if scalar.value <= 0x9F { return true }
    guard scalar.value >= 0x61C else { return false }
    switch scalar.value {
    case 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF, 0xE0000...0xE007F: return true
    default: return false
    }
}
