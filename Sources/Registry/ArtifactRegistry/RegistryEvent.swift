package import Basics

/// One record of an artifact's history; Documentation/formats/events.md describes its bytes.
package struct RegistryEvent: Hashable, Sendable {
    /// The newest format that this program writes and reads.
    package static let currentFormat = 1

    package var format: Int
    package var artifact: ArtifactName
    /// Counts from 1 without gaps within the artifact.
    package var number: Int
    /// The digest of the bytes of event `number - 1`; nil for event 1.
    package var previous: Digest?
    /// Told apart from every other event by this, also after its number changed in a rebase: 32 random hex digits.
    package var id: String
    /// For people; the order is that of the numbers.
    package var time: Timestamp
    /// Who caused it.
    package var actor: String
    package var body: Body

    package enum Body: Hashable, Sendable {
        case published(VersionRecord)
        case promoted(Promotion)
        case refused(Refusal)
        case rolledBack(Rollback)
        case withdrawn(Withdrawal)
    }

    /// An alias was pointed at a version.
    package struct Promotion: Hashable, Sendable, Codable {
        package var alias: String
        package var version: Int
        /// The report of the gate that allowed it; nil if no gate was asked.
        package var gate: JSONValue?
    }

    /// A gate said no.
    package struct Refusal: Hashable, Sendable, Codable {
        /// nil if the version was not on its way to an alias.
        package var alias: String?
        package var version: Int
        package var gate: JSONValue
    }

    /// An alias was pointed back at a version that it named before.
    package struct Rollback: Hashable, Sendable, Codable {
        package var alias: String
        package var from: Int
        package var to: Int
        package var reason: String?
    }

    /// A version was declared unfit for use.
    package struct Withdrawal: Hashable, Sendable, Codable {
        package var version: Int
        package var reason: String
    }

    package init(
        artifact: ArtifactName, number: Int, previous: Digest?, id: String = RegistryEvent.newID(), time: Timestamp,
        actor: String, body: Body
    ) {
        format = RegistryEvent.currentFormat
        self.artifact = artifact
        self.number = number
        self.previous = previous
        self.id = id
        self.time = time
        self.actor = actor
        self.body = body
    }

    /// 32 random hex digits.
    package static func newID() -> String {
        hexadecimal((0..<16).map { _ in UInt8.random(in: .min ... .max) })
    }

    /// The bytes to be stored: canonical JSON with a checksum of the rest of it.
    package func encoded() throws -> [UInt8] { try JSONValue(encoding: self).sealed.canonicalBytes }
}

extension RegistryEvent: Codable {
    enum CodingKeys: String, CodingKey {
        case format, artifact, number, previous, id, time, actor, type
        case published, promoted, refused, rolledBack, withdrawn
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        format = try values.decode(Int.self, forKey: .format)
        artifact = try values.decode(ArtifactName.self, forKey: .artifact)
        number = try values.decode(Int.self, forKey: .number)
        previous = try values.decodeIfPresent(Digest.self, forKey: .previous)
        id = try values.decode(String.self, forKey: .id)
        time = try values.decode(Timestamp.self, forKey: .time)
        actor = try values.decode(String.self, forKey: .actor)
        let type = try values.decode(String.self, forKey: .type)
        switch CodingKeys(rawValue: type) {
        case .published: body = .published(try values.decode(VersionRecord.self, forKey: .published))
        case .promoted: body = .promoted(try values.decode(Promotion.self, forKey: .promoted))
        case .refused: body = .refused(try values.decode(Refusal.self, forKey: .refused))
        case .rolledBack: body = .rolledBack(try values.decode(Rollback.self, forKey: .rolledBack))
        case .withdrawn: body = .withdrawn(try values.decode(Withdrawal.self, forKey: .withdrawn))
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: values, debugDescription: "`\(type)` is no type of event")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(format, forKey: .format)
        try values.encode(artifact, forKey: .artifact)
        try values.encode(number, forKey: .number)
        try values.encodeIfPresent(previous, forKey: .previous)
        try values.encode(id, forKey: .id)
        try values.encode(time, forKey: .time)
        try values.encode(actor, forKey: .actor)
        func encode(_ key: CodingKeys, _ body: some Encodable) throws {
            try values.encode(key.rawValue, forKey: .type)
            try values.encode(body, forKey: key)
        }
        switch body {
        case .published(let record): try encode(.published, record)
        case .promoted(let promotion): try encode(.promoted, promotion)
        case .refused(let refusal): try encode(.refused, refusal)
        case .rolledBack(let rollback): try encode(.rolledBack, rollback)
        case .withdrawn(let withdrawal): try encode(.withdrawn, withdrawal)
        }
    }
}

/// An event with the bytes that hold it.
package struct StoredEvent: Hashable, Sendable {
    package var event: RegistryEvent
    package var bytes: [UInt8]
    /// Of `bytes`: what the next event names as `previous`.
    package var digest: Digest

    /// Makes the bytes of `event`.
    package init(_ event: RegistryEvent) throws {
        self.event = event
        bytes = try event.encoded()
        digest = Digest.of(bytes)
    }

    /// Reads `bytes` as event `number` of `artifact`, found at `location`.
    ///
    /// - Throws: kind `.damaged` if they are not such an event in canonical form, `.failed` if a newer program wrote
    ///   them.
    package init(reading bytes: [UInt8], artifact: ArtifactName, number: Int, location: String) throws {
        func damaged(_ fault: String, cause: (any Error)? = nil) -> MLOpsError {
            damagedHistory("event \(number) of `\(artifact)` \(fault)", location, cause: cause)
        }
        let json: JSONValue
        do { json = try JSONValue(parsing: bytes, source: location) } catch {
            throw damaged("is not JSON", cause: error)
        }
        guard let format = json["format"]?.integer else { throw damaged("has no format number") }
        guard format <= RegistryEvent.currentFormat else {
            throw MLOpsError(
                .failed,
                "event \(number) of `\(artifact)` has format \(format), written by a newer mlops: `\(location)`",
                hint: "update `mlops`; this one reads format \(RegistryEvent.currentFormat)")
        }
        guard json.canonicalBytes == bytes, json.isIntact == true else { throw damaged("is not what was written") }
        do { event = try json.decode() } catch { throw damaged("cannot be read", cause: error) }
        guard event.artifact == artifact else { throw damaged("says that it belongs to `\(event.artifact)`") }
        guard event.number == number else { throw damaged("says that it is event \(event.number)") }
        self.bytes = bytes
        digest = Digest.of(bytes)
    }
}

/// The error of a history that cannot be trusted.
func damagedHistory(_ fault: String, _ location: String, cause: (any Error)? = nil) -> MLOpsError {
    MLOpsError(
        .damaged, "\(fault): `\(location)`",
        hint: "restore the file from a remote with `mlops registry pull`, or from a backup", cause: cause)
}
