internal import Basics
internal import Glibc

/// An entry of one directory.
struct TreeEntry: Hashable {
    var name: String
    var kind: TreeEntryKind
    /// Of a file its bytes', of a link its target's, of a directory its listing's.
    var digest: Digest
    /// Of the file, or of all files below.
    var byteCount: Int64
    /// 1 for a file or a link.
    var fileCount: Int
}

/// The canonical listing of one directory: sorted by the names' bytes, one text for one content.
/// Layout: Documentation/formats/store.md.
struct TreeListing: Equatable {
    /// "mltr" and format 1.
    private static let magic: [UInt8] = [0x6D, 0x6C, 0x74, 0x72, 1, 0, 0, 0]
    static let headerLength = 16

    var entries: [TreeEntry]

    var byteCount: Int64 { entries.reduce(0) { $0 + $1.byteCount } }
    var fileCount: Int { entries.reduce(0) { $0 + $1.fileCount } }

    init(entries: [TreeEntry]) { self.entries = entries }

    static func writeHeader(entryCount: Int, to output: inout [UInt8]) {
        output.append(contentsOf: magic)
        withUnsafeBytes(of: UInt64(entryCount).littleEndian) { output.append(contentsOf: $0) }
    }

    static func write(
        kind: TreeEntryKind, name: UnsafeRawBufferPointer, digest: Digest, byteCount: Int64, fileCount: Int,
        to output: inout [UInt8]
    ) {
        output.append(kind.rawValue)
        output.append(UInt8(name.count))
        output.append(contentsOf: name)
        digest.append(to: &output)
        withUnsafeBytes(of: byteCount.littleEndian) { output.append(contentsOf: $0) }
        withUnsafeBytes(of: Int64(fileCount).littleEndian) { output.append(contentsOf: $0) }
    }

    func encoded() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(entries.count * 72)
        TreeListing.writeHeader(entryCount: entries.count, to: &output)
        for entry in entries {
            Array(entry.name.utf8).withUnsafeBytes {
                TreeListing.write(
                    kind: entry.kind, name: $0, digest: entry.digest, byteCount: entry.byteCount,
                    fileCount: entry.fileCount, to: &output)
            }
        }
        return output
    }

    /// The entry that stands for this listing, which goes into `trees` to be stored.
    func entry(storedIn trees: inout [(digest: Digest, listing: [UInt8])]) -> TreeEntry {
        let bytes = encoded()
        let digest = Digest.of(bytes)
        trees.append((digest, bytes))
        return TreeEntry(name: "", kind: .tree, digest: digest, byteCount: byteCount, fileCount: fileCount)
    }

    /// - Throws: kind `.damaged` if `bytes` are not the canonical listing of a directory, or hold a name that could lead
    ///   outside of it.
    init(parsing bytes: [UInt8], subject: String) throws {
        entries = try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: subject)
            guard try reader.take(8).elementsEqual(TreeListing.magic) else { throw reader.fault("is not a listing") }
            let count = try reader.read(UInt64.self)
            guard count <= UInt64(reader.remaining / 50) else {
                throw reader.fault("does not hold the entries it counts")
            }
            var entries: [TreeEntry] = []
            entries.reserveCapacity(Int(count))
            var previous: UnsafeRawBufferPointer?
            for _ in 0..<count {
                guard let kind = TreeEntryKind(rawValue: try reader.read(UInt8.self)) else {
                    throw reader.fault("has an entry of an unknown kind")
                }
                let name = try reader.take(Int(try reader.read(UInt8.self)))
                if let fault = EntryName.fault(in: name) {
                    throw reader.fault(
                        "has the name `\(printable(String(decoding: name, as: UTF8.self)))`, which \(fault)")
                }
                if let previous, !EntryName.precedes(previous, name) { throw reader.fault("is not sorted") }
                previous = name
                let digest = try reader.readDigest()
                let byteCount = try reader.read(Int64.self)
                let fileCount = try reader.read(Int64.self)
                guard byteCount >= 0, byteCount < 1 << 60, fileCount >= 0, fileCount < 1 << 50,
                    kind == .tree || fileCount == 1
                else { throw reader.fault("has a size out of range") }
                entries.append(
                    TreeEntry(
                        name: String(decoding: name, as: UTF8.self), kind: kind, digest: digest, byteCount: byteCount,
                        fileCount: Int(fileCount)))
            }
            guard reader.remaining == 0 else { throw reader.fault("has bytes after its end") }
            return entries
        }
    }
}

/// The names that a directory may hold, told by their bytes.
enum EntryName {
    /// What makes `name` unusable as one component of a path, or nil.
    static func fault(in name: UnsafeRawBufferPointer) -> String? {
        guard name.count > 0 else { return "is empty" }
        guard name.count <= 255 else { return "is longer than 255 bytes" }
        var isASCII = true
        for byte in name {
            if byte == UInt8(ascii: "/") { return "contains a slash" }
            if byte < 0x20 || byte == 0x7F { return "contains a control character" }
            if byte >= 0x80 { isASCII = false }
        }
        if name[0] == UInt8(ascii: ".") {
            if name.count == 1 || name.count == 2 && name[1] == UInt8(ascii: ".") { return "leads outside the folder" }
        }
        if !isASCII, String(validating: name, as: UTF8.self) == nil { return "is not valid UTF-8" }
        // No reserved name is longer, whatever it hides itself with.
        if name.count <= 64, isReservedName(String(decoding: name, as: UTF8.self)) { return "is reserved" }
        return nil
    }

    /// Negative, zero or positive as `left` comes before, equals or comes after `right`, by bytes.
    static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let common = min(left.count, right.count)
        if common > 0, let first = left.baseAddress, let second = right.baseAddress {
            let order = memcmp(first, second, common)
            if order != 0 { return Int(order) }
        }
        return left.count - right.count
    }

    /// Whether `left` comes before `right` by bytes.
    static func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        compare(left, right) < 0
    }

    /// The files that an interrupted checkout can leave; no part of any content.
    static func isTemporary(_ name: UnsafeRawBufferPointer) -> Bool {
        name.count > 11 && name[0] == UInt8(ascii: ".") && name.suffix(10).elementsEqual(".mlops-tmp".utf8)
    }
}
