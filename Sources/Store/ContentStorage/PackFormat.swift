internal import Basics

/// The fixed parts of a pack. Layout: Documentation/formats/store.md.
enum PackFormat {
    static let version: UInt32 = 2
    static let magic: [UInt8] = Array("mlopspak".utf8)
    /// Magic, version, no flags: 16 bytes.
    static let header: [UInt8] = magic + [2, 0, 0, 0, 0, 0, 0, 0]
    /// Ends a pack.
    static let endMagic: [UInt8] = Array("mlopsend".utf8)
    /// Footer length, footer digest, end magic.
    static let trailerLength = 8 + 32 + 8
    static let entryLength = 56
    /// Zeros may stand before a frame, fewer than this: a run of chunks begins where in a page it does in its file, so that file
    /// systems can let both share their blocks.
    static let pageLength: Int64 = 4096
    /// Whether a run of so many bytes is worth the zeros.
    static func aligns(runOf byteCount: Int) -> Bool { byteCount >= 256 << 10 }
    /// A pack that has grown to this size is finished.
    static let targetByteCount: Int64 = 64 << 20

    static func write(_ entry: PackEntry, to writer: inout ByteWriter) {
        writer.write(entry.key.kind.rawValue)
        writer.write(entry.codec.rawValue)
        writer.write(UInt16(0))
        writer.write(entry.key.id)
        writer.write(UInt64(entry.offset))
        writer.write(UInt32(entry.storedLength))
        writer.write(UInt32(entry.plainLength))
        writer.write(entry.check)
    }

    /// The check of a compressed frame: the first bytes of the SHA-256 of what is stored, since zstd ignores some bits.
    static func check(of stored: UnsafeRawBufferPointer) -> UInt32 { Digest.of(raw: stored).firstWord }

    static func readEntry(from reader: inout ByteReader) throws -> PackEntry {
        guard let kind = ObjectKind(rawValue: try reader.read(UInt8.self)) else {
            throw reader.fault("names an object of an unknown kind")
        }
        guard let codec = PackCodec(rawValue: try reader.read(UInt8.self)) else {
            throw reader.fault("names an unknown codec")
        }
        guard try reader.read(UInt16.self) == 0 else { throw reader.fault("has a reserved field that is not 0") }
        let id = try reader.readDigest()
        let offset = try reader.read(UInt64.self)
        let storedLength = Int(try reader.read(UInt32.self))
        let plainLength = Int(try reader.read(UInt32.self))
        let check = try reader.read(UInt32.self)
        guard offset < 1 << 50, plainLength <= PackFrame.limit(of: kind), codec == .zstd || storedLength == plainLength
        else { throw reader.fault("has a length out of range") }
        guard codec != .raw || check == 0 else { throw reader.fault("has a check of a frame that needs none") }
        return PackEntry(
            key: ObjectKey(kind, id), offset: Int64(offset), storedLength: storedLength, plainLength: plainLength,
            codec: codec, check: check)
    }

    /// The bytes after the last frame, entries and trailer, and the digest of the entries, which names the pack.
    static func ending(_ entries: [PackEntry]) -> (bytes: [UInt8], digest: Digest) {
        var writer = ByteWriter(capacity: entries.count * entryLength + trailerLength)
        for entry in entries { write(entry, to: &writer) }
        let length = writer.bytes.count
        let digest = Digest.of(writer.bytes)
        writer.write(UInt64(length))
        writer.write(digest)
        writer.write(endMagic)
        return (writer.bytes, digest)
    }
}
