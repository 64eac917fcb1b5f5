internal import Basics

/// The name of an artifact: a kind and a path, as in `models/census` or `models/team/census`.
///
/// Names become paths and object keys, so their letters are few: lower-case `a`–`z`, digits, `-`, `_`, `.`. The kind is
/// one word of letters. A part starts with a letter or a digit and does not end in `.json` or `.yaml`, which name the
/// files beside it.
package struct ArtifactName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first part: `datasets`, `models`, `reports` or another word.
    package let kind: String
    /// What follows the kind, with slashes between its parts.
    package let name: String

    /// - Throws: kind `.usage` saying what is wrong with `text`.
    package init(_ text: String) throws {
        if let fault = ArtifactName.fault(in: text) {
            let lowered = text.lowercased()
            let canLower = lowered != text && ArtifactName.fault(in: lowered) == nil
            throw MLOpsError(
                .usage, "artifact name `\(printable(text))` \(fault)",
                hint: canLower ? "did you mean `\(lowered)`?" : "name it by kind and name, such as `models/census`")
        }
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        kind = String(text[..<slash])
        name = String(text[slash...].dropFirst())
    }

    package var description: String { kind + "/" + name }

    package static func < (left: ArtifactName, right: ArtifactName) -> Bool { left.description < right.description }

    private static func fault(in text: String) -> String? {
        if text.utf8.count > 200 { return "is longer than 200 bytes" }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let kind = parts.first, parts.count >= 2 else { return "lacks a kind or a name" }
        if kind.isEmpty || !kind.utf8.allSatisfy(isLetter) { return "has a kind that is not one lower-case word" }
        for part in parts.dropFirst() {
            if let fault = wordFault(part) { return fault }
            if part.hasSuffix(".json") || part.hasSuffix(".yaml") {
                return "has a part that ends like a file, `\(part)`"
            }
        }
        return nil
    }

    /// What makes `word` unusable as a part of a name or as an alias, or nil.
    static func wordFault(_ word: some StringProtocol) -> String? {
        guard let first = word.utf8.first else { return "has an empty part" }
        if !(isLetter(first) || isDigit(first)) {
            return "has a part that starts with other than a lower-case letter or digit"
        }
        let isPlain = word.utf8.allSatisfy { isLetter($0) || isDigit($0) || "-_.".utf8.contains($0) }
        return isPlain ? nil : "has characters other than lower-case letters, digits, `-`, `_` and `.`"
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

extension ArtifactName: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
