internal import Basics

/// A pointer of Git LFS, as git keeps it instead of a file.
struct LFSPointer {
    /// The digest is the SHA-256 of the file: the same one that the store names it by.
    var digest: Digest
    var byteCount: Int64

    /// No pointer is longer.
    static let longest = 1024
    private static let addresses: Set<String> = [
        "https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2",
    ]

    /// The pointer in `bytes`, whose lines may end in CRLF, with blank ones around them; nil if they are some other file.
    ///
    /// - Throws: kind `.usage` for a pointer that is broken or uses extensions.
    init?(_ bytes: [UInt8]) throws {
        guard bytes.count <= LFSPointer.longest, String(validating: bytes, as: UTF8.self) != nil else { return nil }
        // CRLF is one character, so the lines are found among the bytes.
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
            .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
            .map { String(decoding: $0, as: UTF8.self) }
            .filter { !$0.isEmpty }
        guard lines.first?.hasPrefix("version ") == true else { return nil }
        var values: [String: String] = [:]
        for (number, line) in lines.enumerated() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            let (key, value) = (String(parts[0]), String(parts[1]))
            if number == 0 {
                guard key == "version", LFSPointer.addresses.contains(value) else { return nil }
                continue
            }
            if key.hasPrefix("ext-") {
                throw MLOpsError(
                    .failed,
                    "its pointer uses the extension `\(printable(key))`, so the stored bytes are not the file's",
                    hint: "check the file out with git-lfs, then run `mlops add`")
            }
            guard ["oid", "size"].contains(key), values.updateValue(value, forKey: key) == nil else {
                throw MLOpsError(.usage, "its pointer has the key `\(printable(key))`, which does not belong there")
            }
        }
        guard let oid = values["oid"], oid.hasPrefix("sha256:"), let digest = Digest(oid) else {
            throw MLOpsError(.usage, "its pointer has no `oid sha256:` with 64 hex digits")
        }
        guard let size = values["size"].flatMap({ Int64($0) }), size >= 0 else {
            throw MLOpsError(.usage, "its pointer has no `size`")
        }
        self.digest = digest
        byteCount = size
    }
}

/// The lines of a `.gitattributes`, as far as they say what Git LFS keeps.
enum LFSAttributes {
    /// `text` without the lines of Git LFS that match none of `paths`, which are relative to the file's folder.
    static func removing(from text: String, keepingFor paths: [String]) -> String {
        // CRLF is one character, so the lines are found among the bytes.
        let kept = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).filter { line in
            let words = Substring(line).split(whereSeparator: { " \t\r".contains($0) })
            guard let pattern = words.first, !pattern.hasPrefix("#"), words.contains("filter=lfs") else { return true }
            return paths.contains { matches(String(pattern), $0) }
        }
        return String(decoding: Array(kept.joined(separator: "\n".utf8)), as: UTF8.self)
    }

    /// Whether git's `pattern` may match `path`; too many rather than too few.
    static func matches(_ pattern: String, _ path: String) -> Bool {
        var pattern = pattern
        if pattern.hasPrefix("\""), pattern.hasSuffix("\""), pattern.count > 1 {
            pattern = String(pattern.dropFirst().dropLast())
        }
        // git-lfs writes a space of a name so.
        pattern = pattern.replacing("[[:space:]]", with: " ")
        let isAnchored = pattern.dropLast().contains("/")
        if pattern.hasPrefix("/") { pattern.removeFirst() }
        if pattern.hasSuffix("/**"), !hasWildcard(String(pattern.dropLast(3))) {
            return (path + "/").hasPrefix(String(pattern.dropLast(2)))
        }
        let name = isAnchored ? path : String(path.split(separator: "/").last ?? "")
        guard hasWildcard(pattern) else { return Array(pattern.utf8) == Array(name.utf8) }
        return glob(Array(pattern.utf8)[...], Array(name.utf8)[...])
    }

    private static func hasWildcard(_ pattern: String) -> Bool { pattern.contains { "*?[\\".contains($0) } }

    /// `*` for anything, slashes too; `?` and `[…]` for any byte: what git would match, and more.
    private static func glob(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (pattern, text) = (pattern, text)
        var retry: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        while true {
            if let first = pattern.first, first == UInt8(ascii: "*") {
                pattern = pattern.drop { $0 == UInt8(ascii: "*") }
                if pattern.first == UInt8(ascii: "/") { pattern = pattern.dropFirst() }
                retry = (pattern, text)
                continue
            }
            if let next = text.first, let rest = step(pattern, next) {
                pattern = rest
                text = text.dropFirst()
                continue
            }
            if text.isEmpty, pattern.isEmpty { return true }
            guard let again = retry, let more = again.text.isEmpty ? nil : again.text.dropFirst() else { return false }
            retry = (again.pattern, more)
            (pattern, text) = (again.pattern, more)
        }
    }

    /// What is left of `pattern` after it took `byte`; nil if it cannot.
    private static func step(_ pattern: ArraySlice<UInt8>, _ byte: UInt8) -> ArraySlice<UInt8>? {
        guard let first = pattern.first else { return nil }
        switch first {
        case UInt8(ascii: "?"): return pattern.dropFirst()
        case UInt8(ascii: "["):
            guard let end = pattern.dropFirst(2).firstIndex(of: UInt8(ascii: "]")) else { return nil }
            return pattern[(end + 1)...]
        case UInt8(ascii: "\\"):
            let escaped = pattern.dropFirst()
            return escaped.first == byte ? escaped.dropFirst() : nil
        default: return first == byte ? pattern.dropFirst() : nil
        }
    }
}
