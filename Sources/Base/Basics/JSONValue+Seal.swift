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

    private static func checksum(of members: [String: JSONValue]) -> String {
        Digest.of(JSONValue.object(members.filter { $0.key != checksumKey }).canonicalBytes).description
    }
}
