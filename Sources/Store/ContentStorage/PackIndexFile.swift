package import Basics

/// Which objects lie where in some packs of a remote: its `.idx` files, each named by the SHA-256 of its bytes.
/// Layout: Documentation/formats/store.md.
package struct PackIndexFile: Sendable, Equatable {
    package struct Pack: Sendable, Equatable {
        package var digest: Digest
        package var byteCount: Int64
        package var entries: [PackEntry]

        package init(digest: Digest, byteCount: Int64, entries: [PackEntry]) {
            self.digest = digest
            self.byteCount = byteCount
            self.entries = entries
        }
    }

    private static let version: UInt32 = 2
    private static let magic: [UInt8] = Array("mlopsidx".utf8)
    /// Magic, version, no flags.
    private static let header: [UInt8] = magic + [2, 0, 0, 0, 0, 0, 0, 0]
    private static let packHeaderLength = 48

    package var packs: [Pack]

    package init(packs: [Pack]) { self.packs = packs }

    /// The bytes of the file.
    package func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(PackIndexFile.header)
        writer.write(UInt64(packs.count))
        for pack in packs {
            writer.write(pack.digest)
            writer.write(UInt64(pack.byteCount))
            writer.write(UInt64(pack.entries.count))
            for entry in pack.entries { PackFormat.write(entry, to: &writer) }
        }
        return writer.bytes
    }

    /// - Parameter subject: what the bytes are, for errors: `index/<digest>.idx`.
    /// - Throws: kind `.damaged` if `bytes` are no such file.
    package static func decode(_ bytes: [UInt8], subject: String) throws -> PackIndexFile {
        try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: subject)
            let found = try reader.take(header.count)
            guard found.elementsEqual(header) else {
                throw formatFault(
                    found, magic: magic, version: version, subject: subject, name: "an index of packs")
            }
            let packCount = try reader.read(UInt64.self)
            guard packCount <= UInt64(reader.remaining / packHeaderLength) else { throw reader.fault("is cut off") }
            var packs: [Pack] = []
            for _ in 0..<packCount {
                let digest = try reader.readDigest()
                let byteCount = try reader.read(UInt64.self)
                let entryCount = try reader.read(UInt64.self)
                guard byteCount < 1 << 50, entryCount <= UInt64(reader.remaining / PackFormat.entryLength) else {
                    throw reader.fault("is cut off")
                }
                var pack = Pack(digest: digest, byteCount: Int64(byteCount), entries: [])
                pack.entries.reserveCapacity(Int(entryCount))
                for _ in 0..<entryCount {
                    let entry = try PackFormat.readEntry(from: &reader)
                    guard entry.offset + Int64(entry.storedLength) <= pack.byteCount else {
                        throw reader.fault("names an object beyond the end of its pack")
                    }
                    pack.entries.append(entry)
                }
                packs.append(pack)
            }
            guard reader.remaining == 0 else { throw reader.fault("has bytes after its end") }
            return PackIndexFile(packs: packs)
        }
    }

    /// The digest that names the file of `bytes`.
    package static func name(of bytes: [UInt8]) -> String { Digest.of(bytes).hex + ".idx" }
}
