internal import Basics

/// Reads what a pack says of itself.
package enum PackReader {
    /// The entries in the footer of the pack at `path`.
    ///
    /// - Throws: kind `.damaged` if it is not a whole pack.
    package static func readFooter(at path: String) throws -> [PackEntry] {
        try readFooter(of: try OpenFile(reading: path)).entries
    }

    /// The entries, where the footer starts, and its digest, which is the pack's name.
    static func readFooter(of file: OpenFile) throws -> (entries: [PackEntry], start: Int64, digest: Digest) {
        let size = try file.status().size
        let subject = "pack `\(file.path)`"
        guard size >= Int64(PackFormat.header.count + PackFormat.trailerLength) else {
            throw MLOpsError(.damaged, "\(subject) is cut off: it has only \(size) bytes", hint: healingHint)
        }
        let header = try file.read(count: PackFormat.header.count, at: 0)
        guard header == PackFormat.header else {
            throw header.withUnsafeBytes {
                formatFault(
                    $0, magic: PackFormat.magic, version: PackFormat.version, subject: subject, name: "a pack")
            }
        }
        let trailer = try file.read(count: PackFormat.trailerLength, at: size - Int64(PackFormat.trailerLength))
        let length = try trailer.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: "the trailer of \(subject)")
            let length = try reader.read(UInt64.self)
            _ = try reader.take(32)
            guard try reader.take(8).elementsEqual(PackFormat.endMagic) else { throw reader.fault("is cut off") }
            return length
        }
        let room = size - Int64(PackFormat.header.count + PackFormat.trailerLength)
        guard length <= UInt64(room), length < 1 << 32 else {
            throw MLOpsError(.damaged, "the trailer of \(subject) has a length out of range", hint: healingHint)
        }
        let start = size - Int64(PackFormat.trailerLength) - Int64(length)
        let bytes = try file.read(count: Int(length), at: start) + trailer
        let entries = try parseFooter(bytes, packByteCount: size, subject: subject)
        // Proven just now to be the footer's.
        return (entries, start, trailer.withUnsafeBytes { Digest(raw: UnsafeRawBufferPointer(rebasing: $0[8..<40])) })
    }

    /// The entries in `bytes`, which are the end of a pack, from its footer on.
    ///
    /// - Parameter packByteCount: the size of the whole pack.
    /// - Throws: kind `.damaged`.
    package static func parseFooter(_ bytes: [UInt8], packByteCount: Int64, subject: String) throws -> [PackEntry] {
        try bytes.withUnsafeBytes { raw in
            let footerLength = raw.count - PackFormat.trailerLength
            var reader = ByteReader(raw, subject: "the footer of \(subject)")
            guard footerLength >= 0 else { throw reader.fault("is cut off") }
            let footer = UnsafeRawBufferPointer(rebasing: raw[..<footerLength])
            var trailer = ByteReader(
                UnsafeRawBufferPointer(rebasing: raw[footerLength...]), subject: "the trailer of \(subject)")
            guard try trailer.read(UInt64.self) == UInt64(footerLength) else {
                throw trailer.fault("has a length out of range")
            }
            guard try trailer.readDigest() == Digest.of(raw: footer) else {
                throw reader.fault("does not match its digest")
            }
            guard try trailer.take(8).elementsEqual(PackFormat.endMagic) else { throw trailer.fault("is cut off") }
            guard footerLength % PackFormat.entryLength == 0 else { throw reader.fault("is cut off") }
            var entries: [PackEntry] = []
            entries.reserveCapacity(footerLength / PackFormat.entryLength)
            var position = Int64(PackFormat.header.count)
            for _ in 0..<footerLength / PackFormat.entryLength {
                let entry = try PackFormat.readEntry(from: &reader)
                guard (0..<PackFormat.pageLength).contains(entry.offset - position) else {
                    throw reader.fault("has frames with gaps or overlaps")
                }
                position = entry.offset + Int64(entry.storedLength)
                entries.append(entry)
            }
            guard position == packByteCount - Int64(raw.count) else {
                throw reader.fault("does not cover the frames")
            }
            return entries
        }
    }

    /// How many last bytes of a pack hold its footer, from its trailer, which is the last `trailerLength` bytes.
    package static func endingLength(fromTrailer trailer: [UInt8], subject: String) throws -> Int64 {
        try trailer.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: "the trailer of \(subject)")
            let length = try reader.read(UInt64.self)
            guard length < 1 << 32 else { throw reader.fault("has a length out of range") }
            return Int64(length) + Int64(PackFormat.trailerLength)
        }
    }

    /// How long a pack's trailer is.
    package static let trailerLength = PackFormat.trailerLength
}

/// What is wrong with the 16 bytes that start a file of the store: magic, version, flags.
func formatFault(
    _ header: UnsafeRawBufferPointer, magic: [UInt8], version: UInt32, subject: String, name: String
) -> MLOpsError {
    let found =
        header.count < 12 ? version : UInt32(littleEndian: header.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    guard header.starts(with: magic), found != version else {
        return MLOpsError(.damaged, "\(subject) is not \(name)", hint: healingHint)
    }
    return MLOpsError(
        .damaged, "\(subject) has format \(found), and this `mlops` reads format \(version) alone",
        hint: found < version
            ? "no release wrote it: remove it, then add or push the data again" : "use the `mlops` that wrote it")
}
