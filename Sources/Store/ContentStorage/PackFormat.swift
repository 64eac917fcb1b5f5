internal import Basics

/// The fixed parts of a pack. Layout: Documentation/formats/store.md.
enum PackFormat {
    /// "mlopspak", format 1, no flags: 16 bytes.
    static let header: [UInt8] = Array("mlopspak".utf8) + [1, 0, 0, 0, 0, 0, 0, 0]
    /// Ends a pack.
    static let endMagic: [UInt8] = Array("mlopsend".utf8)
    /// Footer length, footer digest, end magic.
    static let trailerLength = 8 + 32 + 8
    static let entryLength = 52
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
    }

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
        guard offset < 1 << 50, plainLength <= PackFrame.limit(of: kind), codec == .zstd || storedLength == plainLength
        else { throw reader.fault("has a length out of range") }
        return PackEntry(
            key: ObjectKey(kind, id), offset: Int64(offset), storedLength: storedLength, plainLength: plainLength,
            codec: codec)
    }

    /// The bytes after the last frame: entries and trailer.
    static func ending(_ entries: [PackEntry]) -> [UInt8] {
        var writer = ByteWriter()
        for entry in entries { write(entry, to: &writer) }
        let length = writer.bytes.count
        let digest = Digest.of(writer.bytes)
        writer.write(UInt64(length))
        writer.write(digest)
        writer.write(endMagic)
        return writer.bytes
    }
}
