internal import Basics

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
