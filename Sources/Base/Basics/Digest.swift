internal import Crypto

/// The SHA-256 of some bytes, written `sha256:<64 hex>`: what `sha256sum`, Git LFS and OCI print for the same bytes.
package struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The 32 bytes of the hash as four big-endian words, so that comparing words compares bytes.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// A digest from its 32 raw bytes; nil for any other count.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words = [UInt64](repeating: 0, count: 4)
        for (index, byte) in bytes.enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
        self.words = (words[0], words[1], words[2], words[3])
    }

    /// A digest from exactly 32 raw bytes, which need not be aligned.
    package init(raw bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 32, "a digest has 32 bytes, not \(bytes.count)")
        words = (
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        )
    }

    /// A digest from 64 lower-case hex digits, with or without `sha256:` before them; nil for anything else.
    package init?(_ text: some StringProtocol) {
        var text = String(text)
        guard let digest = text.withUTF8({ Digest(ascii: $0) }) else { return nil }
        self = digest
    }

    private init?(ascii text: UnsafeBufferPointer<UInt8>) {
        let prefix: StaticString = "sha256:"
        let start = text.count - 64
        guard start == 0 || (start == 7 && (0..<7).allSatisfy { text[$0] == prefix.utf8Start[$0] }) else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for index in start..<text.count {
            let digit: UInt8
            switch text[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = text[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = text[index] - UInt8(ascii: "a") + 10
            default: return nil
            }
            // The digits of one word after the other go through the last of them.
            if index > start, (index - start) % 16 == 0 { words = (words.1, words.2, words.3, 0) }
            words.3 = words.3 << 4 | UInt64(digit)
        }
        self.words = words
    }

    /// The digest of `bytes`.
    package static func of(_ bytes: some Collection<UInt8>) -> Digest {
        var hasher = DigestHasher()
        if bytes.withContiguousStorageIfAvailable({ hasher.update(UnsafeRawBufferPointer($0)) }) == nil {
            Array(bytes).withUnsafeBytes { hasher.update($0) }
        }
        return hasher.finalize()
    }

    /// The digest of `text` in UTF-8.
    package static func of(_ text: String) -> Digest { of(Array(text.utf8)) }

    /// The digest of raw memory.
    package static func of(raw bytes: UnsafeRawBufferPointer) -> Digest {
        var hasher = DigestHasher()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The 32 raw bytes.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        append(to: &bytes)
        return bytes
    }

    /// The first 4 bytes, as a little-endian number.
    package var firstWord: UInt32 { UInt32(truncatingIfNeeded: words.0 >> 32).byteSwapped }

    /// Writes the 32 raw bytes to `target`, which has room for no more.
    package func copy(to target: UnsafeMutableRawBufferPointer) {
        precondition(target.count == 32, "a digest has 32 bytes, not \(target.count)")
        withRawBytes { target.copyMemory(from: $0) }
    }

    /// Appends the 32 raw bytes, without the array that `bytes` makes.
    package func append(to output: inout [UInt8]) {
        withRawBytes { output.append(contentsOf: $0) }
    }

    private func withRawBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        let bigEndian = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
        withUnsafeBytes(of: bigEndian) { body($0) }
    }

    /// 64 lower-case hex digits.
    package var hex: String { hexadecimal(bytes) }

    /// The length of `description` in bytes.
    package static let textLength = 71

    /// `sha256:` and the hex digits.
    package var description: String { "sha256:" + hex }

    /// The first 12 hex digits, for people.
    package var short: String { String(hex.prefix(12)) }

    package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    package static func < (left: Digest, right: Digest) -> Bool { left.words < right.words }

    package func hash(into hasher: inout Hasher) {
        // The bytes are uniform already: one word of them is a hash.
        hasher.combine(words.0)
    }
}

extension Digest: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let digest = Digest(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "`\(text)` is not `sha256:` and 64 hex digits"))
        }
        self = digest
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// HMAC-SHA-256 of `message` under `key`, as 32 bytes (RFC 2104).
package func messageAuthenticationCode(of message: [UInt8], key: [UInt8]) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
}

/// `bytes` as lower-case hex digits.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value }
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.underestimatedCount)
    for byte in bytes {
        text.append(digit(byte >> 4))
        text.append(digit(byte & 15))
    }
    return String(decoding: text, as: UTF8.self)
}
