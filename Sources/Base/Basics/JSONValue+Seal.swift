extension JSONValue {
    private static let checksumKey = "checksum"

    /// This object with a member `checksum`, the digest of the canonical text of all others; other values as they are.
    package var sealed: JSONValue {
        guard var members = object else { return self }
        members[JSONValue.checksumKey] = .string(JSONValue.checksum(of: members))
        return .object(members)
    }

    /// Whether the members are those that were sealed; nil if there is no `checksum`.
    package var isIntact: Bool? {
        guard let members = object, let checksum = members[JSONValue.checksumKey] else { return nil }
        return checksum.string == JSONValue.checksum(of: members)
    }

    /// `isIntact` of what was read from `text`. Where the seal comes first, as in a canonical text, every byte must be as it was
    /// written: the last digit of a long number may be another and still stand for the same value.
    package func isIntact(as text: [UInt8]) -> Bool? {
        let seal = Array("{\"\(JSONValue.checksumKey)\":\"".utf8)
        let end = seal.count + Digest.textLength
        guard text.count > end + 2, text.starts(with: seal), text[end] == UInt8(ascii: "\""),
            text[end + 1] == UInt8(ascii: ",")
        else { return isIntact }
        var hasher = DigestHasher()
        hasher.update([UInt8(ascii: "{")])
        text.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[(end + 2)...])) }
        return text[seal.count..<end].elementsEqual(hasher.finalize().description.utf8)
    }

    private static func checksum(of members: [String: JSONValue]) -> String {
        Digest.of(JSONValue.object(members.filter { $0.key != checksumKey }).canonicalBytes).description
    }
}
