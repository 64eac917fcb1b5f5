internal import Basics

/// The rule for keys of remotes: they must be safe as paths of a folder and unambiguous in a URL.
enum RemoteKey {
    /// - Throws: kind `.usage` that names the key and what is wrong with it.
    static func check(_ key: String) throws {
        guard let fault = fault(in: key) else { return }
        throw MLOpsError(.usage, "remote key `\(printable(key))` \(fault)")
    }

    /// `prefix` as a folder that ends with a slash, or empty for the whole remote.
    static func folder(_ prefix: String) throws -> String {
        let name = prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix
        if name.isEmpty { return "" }
        try check(name)
        return name + "/"
    }

    /// What makes `key` unusable, or nil.
    static func fault(in key: String) -> String? {
        if key.isEmpty { return "is empty" }
        if key.utf8.count > 900 { return "is longer than 900 bytes" }
        for part in key.split(separator: "/", omittingEmptySubsequences: false) {
            if part.isEmpty { return "has an empty part" }
            // Also keeps `.` and `..` out, and a folder's temporary files apart from its objects.
            if part.hasPrefix(".") { return "has a part that starts with a point" }
            if part.utf8.count > 250 { return "has a part longer than 250 bytes" }
        }
        // Each of these means something to a URL, a shell or another file system once somebody decodes twice.
        let refused = key.unicodeScalars.first { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                || "\\%;#?*:|<>\"".unicodeScalars.contains(scalar)
                || scalar.value == 0xFFFD || isUnseen(scalar.properties)
        }
        return refused.map { "contains the character U+\(String($0.value, radix: 16, uppercase: true))" }
    }
    /// Whether two keys that look the same can differ by it: what joins, marks, directs or separates without a shape.
    private static func isUnseen(_ properties: Unicode.Scalar.Properties) -> Bool {
        switch properties.generalCategory {
        case .format, .lineSeparator, .paragraphSeparator: true
        default: properties.isBidiControl || properties.isDefaultIgnorableCodePoint
        }
    }
}
