internal import Basics

/// The chunks of a file in their order: needed by every file of more than one.
///
/// A file of many chunks lists *segments*, chunks that hold entries themselves, so that a change in the middle of a large
/// file stores one new segment and not the whole list. Layout: Documentation/formats/store.md.
struct FileManifest: Equatable {
    struct Entry: Hashable {
        var chunk: Digest
        /// Bytes of the file that the chunk, or all chunks of the segment, hold.
        var byteCount: Int64
    }

    /// 1: without midstates; 2: with them.
    private static let versions: ClosedRange<UInt8> = 1...2
    /// The most entries without segments.
    private static let flatLimit = 1024
    /// A segment ends at an entry whose digest starts with 8 zero bits, between these counts.
    private static let segmentLength = 64...1024
    private static let headerLength = 16
    private static let entryLength = 40

    /// 0: the entries are chunks of the file; 1: they are segments.
    var depth: UInt8
    var entries: [Entry]
    /// What the SHA-256 of the file has come to after each MiB but the last; see `FileProof`. None in manifests of small files,
    /// and in those that a machine without instructions for SHA-256 made.
    var midstates: [Digest] = []

    var byteCount: Int64 { entries.reduce(0) { $0 + $1.byteCount } }

    /// The manifest of a file whose chunks are `chunks`, and the segments that it needs stored beside it.
    ///
    /// - Parameter midstates: as many as `FileProof.midstateCount` says, or none.
    static func make(of chunks: [Entry], midstates: [Digest] = []) -> (manifest: FileManifest, segments: [[UInt8]]) {
        // Those of a file of 8 TiB take a quarter of what a manifest may have.
        let midstates = midstates.count <= 8 << 20 ? midstates : []
        guard chunks.count > flatLimit else {
            return (FileManifest(depth: 0, entries: chunks, midstates: midstates), [])
        }
        var manifest = FileManifest(depth: 1, entries: [], midstates: midstates)
        var segments: [[UInt8]] = []
        var start = 0
        for end in 1...chunks.count {
            let count = end - start
            let isCut =
                count >= segmentLength.upperBound
                || count >= segmentLength.lowerBound && chunks[end - 1].chunk.bytes[0] == 0
            guard isCut || end == chunks.count else { continue }
            let bytes = encode(chunks[start..<end])
            let byteCount = chunks[start..<end].reduce(0) { $0 + $1.byteCount }
            manifest.entries.append(Entry(chunk: Digest.of(bytes), byteCount: byteCount))
            segments.append(bytes)
            start = end
        }
        return (manifest, segments)
    }

    /// The bytes stored: header, entries, midstates, and the SHA-256 of all that, since the id proves the file and not this list.
    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(midstates.isEmpty ? FileManifest.versions.lowerBound : FileManifest.versions.upperBound)
        writer.write(depth)
        writer.write(UInt16(0))
        writer.write(UInt32(entries.count))
        writer.write(byteCount)
        writer.write(FileManifest.encode(entries[...]))
        for midstate in midstates { writer.write(midstate) }
        writer.write(Digest.of(writer.bytes))
        return writer.bytes
    }

    init(depth: UInt8, entries: [Entry], midstates: [Digest] = []) {
        self.depth = depth
        self.entries = entries
        self.midstates = midstates
    }

    /// - Throws: kind `.damaged` if `bytes` are not a manifest.
    init(parsing bytes: [UInt8], id: Digest) throws {
        self = try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: "manifest `\(id)`")
            guard raw.count >= FileManifest.headerLength + 32 else { throw reader.fault("ends too early") }
            let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 32)])
            guard Digest.of(raw: body) == Digest(raw: UnsafeRawBufferPointer(rebasing: raw[body.count...])) else {
                throw reader.fault("does not match its own digest")
            }
            let version = try reader.read(UInt8.self)
            guard FileManifest.versions.contains(version) else {
                throw reader.fault("has the unknown version \(version)")
            }
            let depth = try reader.read(UInt8.self)
            guard depth <= 1 else { throw reader.fault("has the unknown depth \(depth)") }
            _ = try reader.read(UInt16.self)
            let count = Int(try reader.read(UInt32.self))
            let byteCount = try reader.read(Int64.self)
            // No file system has larger files, and sums of less cannot overflow.
            guard byteCount < 1 << 60 else { throw reader.fault("tells of \(byteCount) bytes") }
            let midstateCount = version == 1 ? 0 : FileProof.midstateCount(ofFile: byteCount)
            guard reader.remaining - 32 - midstateCount * 32 == count * FileManifest.entryLength else {
                throw reader.fault("does not hold the entries that it counts")
            }
            let entries = try FileManifest.parse(
                try reader.take(count * FileManifest.entryLength), subject: "manifest `\(id)`")
            let midstates = try (0..<midstateCount).map { _ in try reader.readDigest() }
            let manifest = FileManifest(depth: depth, entries: entries, midstates: midstates)
            guard manifest.byteCount == byteCount else { throw reader.fault("has lengths that do not add up") }
            return manifest
        }
    }

    /// The entries in a segment.
    static func entries(ofSegment bytes: [UInt8]) throws -> [Entry] {
        try bytes.withUnsafeBytes { try parse($0, subject: "a segment of a manifest") }
    }

    private static func encode(_ entries: ArraySlice<Entry>) -> [UInt8] {
        var writer = ByteWriter()
        for entry in entries {
            writer.write(entry.chunk)
            writer.write(entry.byteCount)
        }
        return writer.bytes
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer, subject: String) throws -> [Entry] {
        var reader = ByteReader(bytes, subject: subject)
        guard bytes.count % entryLength == 0 else { throw reader.fault("is cut off") }
        var entries: [Entry] = []
        entries.reserveCapacity(bytes.count / entryLength)
        var total: Int64 = 0
        while reader.remaining > 0 {
            let chunk = try reader.readDigest()
            let byteCount = try reader.read(Int64.self)
            let (sum, overflows) = total.addingReportingOverflow(byteCount)
            guard byteCount > 0, !overflows else { throw reader.fault("has a length out of range") }
            total = sum
            entries.append(Entry(chunk: chunk, byteCount: byteCount))
        }
        return entries
    }
}
