internal import Basics
// libyaml's events rather than Yams' nodes: its composer recurses without a limit and runs a dozen regular expressions over
// every key. `CYaml` is the C half of the Yams package.
internal import CYaml

/// What a document may hold; beyond it, it is refused.
package struct YAMLLimits: Sendable {
    /// Bytes of the file.
    package var byteCount = 1 << 20
    /// Lists and maps inside one another.
    package var depth = 64
    /// `*name` in the whole document.
    package var aliases = 100
    /// Values after every alias is replaced by what it stands for.
    package var nodes = 100_000

    package init() {}
}

/// Reads the strict subset of YAML 1.2 that every file of the project keeps to.
///
/// Refused: tags, merge keys, duplicate keys, keys that are not scalars, several documents, and what exceeds the limits.
/// One thing is read that YAML does not allow: `${a.b}` may stand without quotes inside `{ }` and `[ ]`.
package enum YAML {
    /// The document in the file at `path`; its size is checked before it is read.
    ///
    /// - Parameter name: the file's name in messages.
    /// - Throws: kind `.usage` with file:line:column; `.notFound` if there is no file.
    package static func read(_ path: String, name: String, limits: YAMLLimits = YAMLLimits()) throws -> YAMLNode {
        let file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.usage, "`\(name)` is not a regular file") }
        guard status.size <= limits.byteCount else { throw tooLong(name, Int(status.size), limits) }
        return try parse(try file.read(count: Int(status.size), at: 0), file: name, limits: limits)
    }

    /// The document in `text`.
    package static func parse(_ text: String, file: String, limits: YAMLLimits = YAMLLimits()) throws -> YAMLNode {
        try parse(Array(text.utf8), file: file, limits: limits)
    }

    /// The document in `bytes`; an empty one is null.
    package static func parse(_ bytes: [UInt8], file: String, limits: YAMLLimits = YAMLLimits()) throws -> YAMLNode {
        guard bytes.count <= limits.byteCount else { throw tooLong(file, bytes.count, limits) }
        let source = try YAMLSource(bytes, file: file)
        return try source.bytes.withUnsafeBufferPointer { buffer in
            var composer = YAMLComposer(file: file, limits: limits)
            return try composer.compose(buffer)
        }
    }

    private static func tooLong(_ file: String, _ count: Int, _ limits: YAMLLimits) -> MLOpsError {
        MLOpsError(
            .usage,
            "`\(file)` is \(Format.bytes(Int64(count))) long, the limit is \(Format.bytes(Int64(limits.byteCount)))",
            hint: "move data out of YAML into a file of its own")
    }
}

/// The bytes that libyaml gets: valid UTF-8 without a byte order mark and control characters, the braces of each `${…}`
/// replaced by stand-ins that are plain characters to it. One character stays one character, so places stay right.
struct YAMLSource {
    /// `{` and `}` of an interpolation, from the private use area.
    static let opening: [UInt8] = [0xEE, 0x80, 0x80]  // U+E000
    static let closing: [UInt8] = [0xEE, 0x80, 0x81]  // U+E001

    var bytes: [UInt8]

    init(_ input: [UInt8], file: String) throws {
        let content = input.starts(with: [0xEF, 0xBB, 0xBF]) ? input.dropFirst(3) : input[...]
        try YAMLSource.check(content, file: file)
        guard content.contains(UInt8(ascii: "$")) else {
            bytes = Array(content)
            return
        }
        bytes = []
        bytes.reserveCapacity(content.count + 64)
        var index = content.startIndex
        while index < content.endIndex {
            if let end = YAMLSource.interpolationEnd(content, from: index) {
                bytes.append(content[index])
                bytes += YAMLSource.opening
                bytes += content[(index + 2)..<end]
                bytes += YAMLSource.closing
                index = end + 1
            } else {
                bytes.append(content[index])
                index += 1
            }
        }
    }

    /// The index of the `}` that ends the `${` at `start`, when only letters, digits, `_`, `-` and `.` lie between,
    /// and after `:-` whatever a plain scalar may hold anywhere.
    private static func interpolationEnd(_ bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
        guard bytes[start] == UInt8(ascii: "$"), start + 1 < bytes.endIndex, bytes[start + 1] == UInt8(ascii: "{")
        else {
            return nil
        }
        var index = start + 2
        var isDefault = false
        while index < bytes.endIndex {
            switch bytes[index] {
            case UInt8(ascii: "}"): return index
            case UInt8(ascii: ":") where !isDefault && bytes[index...].starts(with: ":-".utf8):
                isDefault = true
                index += 2
            case UInt8(ascii: "/"), UInt8(ascii: "@"), UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "%"):
                guard isDefault else { return nil }
                index += 1
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E: index += 1
            default: return nil
            }
        }
        return nil
    }

    private static func check(_ bytes: ArraySlice<UInt8>, file: String) throws {
        if let fault = bytes.firstIndex(where: { $0 < 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 || $0 == 0x7F }) {
            throw MLOpsError(
                .usage, "control character U+00\(hexadecimal([bytes[fault]]).uppercased()) is not allowed",
                hint: "this may not be a YAML file", at: location(of: fault, in: bytes, file: file))
        }
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let length = sequenceLength(bytes, at: index)
            if length == 0 {
                throw MLOpsError(
                    .usage, "byte 0x\(hexadecimal([bytes[index]])) is not UTF-8", hint: "save the file as UTF-8",
                    at: location(of: index, in: bytes, file: file))
            }
            if length == 3, bytes[index] == 0xEE, bytes[index + 1] == 0x80, bytes[index + 2] <= 0x81 {
                throw MLOpsError(
                    .usage, "the private character U+E00\(bytes[index + 2] & 1) is not allowed",
                    at: location(of: index, in: bytes, file: file))
            }
            index += length
        }
    }

    /// The length of the UTF-8 sequence at `index`, or 0 if it is broken.
    private static func sequenceLength(_ bytes: ArraySlice<UInt8>, at index: Int) -> Int {
        let first = bytes[index]
        if first < 0x80 { return 1 }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard (0xC2...0xF4).contains(first), index + length <= bytes.endIndex,
            bytes[(index + 1)..<(index + length)].allSatisfy({ $0 & 0xC0 == 0x80 })
        else { return 0 }
        // Overlong forms, surrogates and what lies above U+10FFFF.
        switch (first, bytes[index + 1]) {
        case (0xE0, ..<0xA0), (0xED, 0xA0...), (0xF0, ..<0x90), (0xF4, 0x90...): return 0
        default: return length
        }
    }

    private static func location(of index: Int, in bytes: ArraySlice<UInt8>, file: String) -> SourceLocation {
        let before = bytes[..<index]
        let line = before.count { $0 == 0x0A }
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? before.startIndex
        let column = before[start...].count { $0 & 0xC0 != 0x80 }
        return SourceLocation(path: file, line: line + 1, column: column + 1)
    }

    /// `text` with the stand-ins turned back.
    static func restored(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.utf8.contains(0xEE) else { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0 == "\u{E000}" ? "{" : $0 == "\u{E001}" ? "}" : $0 }))
    }
}
