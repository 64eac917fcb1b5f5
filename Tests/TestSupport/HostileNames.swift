import Basics

/// A path or name that somebody could send to reach what is outside of a folder, or to fool whoever reads it.
///
/// Every place where paths and names come in is tested with all of them: it refuses them in printable words, or keeps them
/// inside, byte for byte.
package struct HostileName: Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// Leads outside, or cannot be a path: refused everywhere.
        case refused
        /// An odd but possible name of a file on Linux: kept inside as it is, or refused.
        case odd
    }

    package let text: String
    package let kind: Kind

    package var description: String { printable(text) }

    private init(_ text: String, _ kind: Kind) {
        self.text = text
        self.kind = kind
    }

    /// All of them.
    package static let all: [HostileName] = refused.map { .init($0, .refused) } + odd.map { .init($0, .odd) }

    /// Those that every entry must refuse as a relative path.
    package static let refused: [String] = climbing + absolute + reserved + control + long

    private static let climbing = [
        "..", "../x", "../../etc/passwd", "a/../../b", "a/..", "a/../b", "./../x", "a/b/../../../x", "x/..//../y",
        "..//x", ".", "./x", "a/./b", "a//b", "a/", "",
    ]
    private static let absolute = [
        "/", "/etc/passwd", "//etc/passwd", "///x", "/tmp/../etc/passwd", "/proc/self/root/x",
    ]
    private static let reserved = [
        ".git/config", ".git/hooks/post-checkout", "a/.git/x", ".GIT/config", ".Git", ".gIt/hooks",
        ".mlops/config.yaml",
        ".MLOPS/x", "git~1", "GIT~1/config", ".git ", ".git.", ".git. .", ".git::$INDEX_ALLOCATION/x", ".g\u{200C}it/x",
        ".gi\u{FEFF}t", "\u{200D}.git", "a/\u{200D}.git", "a/\u{200D}.mlops/x",
    ]
    private static let control = [
        "a\0b", "\0", "a\nb", "a\rb", "a\tb", "\u{1B}[2J", "\u{1B}]0;title\u{07}", "a\u{08}\u{08}b", "a\u{7F}",

    ]
    private static let long = [
        String(repeating: "a", count: 256), String(repeating: "é", count: 128),
        "x/" + String(repeating: "b", count: 300),
        String(repeating: "d/", count: 2100) + "x",
    ]

    /// Those that are files on Linux.
    package static let odd: [String] = [
        "..\\x", "..\\..\\windows", "a\\..\\..\\b", "C:", "C:\\x", "C:x", "\\\\host\\share", "%2e%2e%2fx", "%2e%2e/x",
        "..%2fx", "%252e%252e%252fx", "..;/x", "a;rm -rf x", "a#b", "a?b", "$(touch x)", "`touch x`", "a|b", "a&b",
        "-rf",
        "--force", "-", "~", "~root/x", "file:", "file:/x", "http:/x", "trailing.", "trailing ", " leading", "...",
        "..x", "CON",
        "nul.txt", "a:stream", "*", "a\"b", "a'b", "invoice\u{202E}vsc.exe", "a\u{2066}b", "a\u{200D}b", "\u{200D}b",
        "\u{301}x", "👩‍👩‍👧",
        "\u{FEFF}bom",
        "caf\u{E9}", "cafe\u{301}", "STRASSE", "straße", "A", "a", "a\u{2028}b", "a\u{9B}31m", "a\u{85}b", "\u{E000}",
        ".gitmodules",
        ".gitignore",
        ".git-x", ".mlopsx", String(repeating: "a", count: 255),
    ]

    /// Bytes that are no UTF-8.
    package static let broken: [[UInt8]] = [
        [0xFF], [0x61, 0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0x2E, 0x2E, 0xC0, 0xAF, 0x78],
        [0xF5, 0x80, 0x80, 0x80],
    ]

    /// Some of them, for entries that cost a process each; each entry's library meets all of them in another test.
    package static var sample: [HostileName] {
        all.enumerated().filter { $0.offset % 14 == 0 || hasRawControls($0.element.text) && $0.offset % 2 == 0 }
            .map(\.element)
    }

    package static var count: Int { all.count + broken.count }
}

/// Whether `text` has a character that moves the cursor, turns the direction of writing, or is otherwise not to be shown raw.
package func hasRawControls(_ text: String) -> Bool {
    text.unicodeScalars.contains { scalar in
        switch scalar.value {
        case 0x0A, 0x09: false
        case 0..<0x20, 0x7F...0x9F, 0x202A...0x202E, 0x2066...0x2069, 0x2028, 0x2029, 0xFEFF: true
        default: false
        }
    }
}

/// Whether `path` is `folder` or lies below it, told by bytes: an accent can make one character with the slash before it.
package func isInside(_ path: String, _ folder: String) -> Bool {
    path.utf8.elementsEqual(folder.utf8) || path.utf8.starts(with: (folder + "/").utf8)
}

/// Everything below a folder by path, with size and content's digest or link's target: to see that nothing changed.
package func census(of folder: String) throws -> [String: String] {
    var found: [String: String] = [:]
    func visit(_ path: String) throws {
        for name in try FileSystem.list(path) {
            let below = FileSystem.join(path, name)
            guard let status = try FileStatus.of(below) else { continue }
            found[below] = "\(status.kind) \(status.inode)"
            if status.kind == .file { found[below]? += " \(Digest.of(try FileSystem.read(below)).hex)" }
            if status.kind == .directory { try visit(below) }
        }
    }
    try visit(folder)
    return found
}
