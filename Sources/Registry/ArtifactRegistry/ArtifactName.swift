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

/// One version of an artifact, as people name it: `models/census`, `@latest`, `@v3`, `@3`, `@production`.
package struct ArtifactReference: Hashable, Sendable, CustomStringConvertible {
    package enum Selector: Hashable, Sendable {
        /// The newest version that is not withdrawn.
        case latest
        case version(Int)
        case alias(String)
    }

    package var artifact: ArtifactName
    package var selector: Selector

    package init(_ artifact: ArtifactName, _ selector: Selector = .latest) {
        self.artifact = artifact
        self.selector = selector
    }

    /// - Throws: kind `.usage` saying what is wrong with `text`.
    package init(_ text: String) throws {
        guard let at = text.firstIndex(of: "@") else {
            self.init(try ArtifactName(text))
            return
        }
        self.init(try ArtifactName(String(text[..<at])), try Selector(String(text[at...].dropFirst())))
    }

    package var description: String { "\(artifact)@\(selector)" }
}

extension ArtifactReference.Selector: CustomStringConvertible {
    /// `latest`, `v3`, `3` or an alias.
    ///
    /// - Throws: kind `.usage` for anything else.
    package init(_ text: String) throws {
        if text == "latest" {
            self = .latest
        } else if let number = versionNumber(text) {
            guard number >= 1 else {
                throw MLOpsError(.usage, "version `\(text)` does not exist: versions count from 1")
            }
            self = .version(number)
        } else {
            self = .alias(try checkedAlias(text))
        }
    }

    package var description: String {
        switch self {
        case .latest: "latest"
        case .version(let number): "v\(number)"
        case .alias(let name): name
        }
    }
}

/// `alias`, if it can be one.
///
/// - Throws: kind `.usage` if it has other characters than a name, is `latest`, or reads as a version.
package func checkedAlias(_ alias: String) throws -> String {
    if alias == "latest" || versionNumber(alias) != nil {
        throw MLOpsError(
            .usage, "`\(alias)` cannot be an alias: it names a version already",
            hint: "use a word such as `staging` or `production`")
    }
    if let fault = ArtifactName.wordFault(alias) {
        throw MLOpsError(
            .usage, "alias `\(printable(alias))` \(fault)", hint: "use a word such as `staging` or `production`")
    }
    return alias
}

/// The number in `v3` or `3`, or nil.
private func versionNumber(_ text: String) -> Int? {
    let digits = text.hasPrefix("v") ? text.dropFirst() : text[...]
    return digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(digits) : nil
}
