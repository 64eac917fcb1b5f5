internal import Basics
internal import Foundation
internal import GRDB

/// What the files of one folder looked like when they were last hashed: a row of the stat cache.
///
/// One row a folder, not one a file, so that `status` reads a few rows whatever the number of files.
struct FolderRecord {
    /// The listing's digest and totals, if the whole folder was recorded.
    struct Summary: Equatable {
        var digest: Digest
        var byteCount: Int64
        var fileCount: Int
    }

    static let headerLength = 1 + 32 + 8 + 8
    /// Kind, flag, name's length; then the name; then digest, size, two times, inode or file count.
    static let entryOverhead = 3 + 32 + 8 + 8 + 8 + 8

    static func writeHeader(_ summary: Summary?, to output: inout [UInt8]) {
        output.append(summary == nil ? 0 : 1)
        (summary?.digest ?? emptyContent).append(to: &output)
        append(summary?.byteCount ?? 0, to: &output)
        append(Int64(summary?.fileCount ?? 0), to: &output)
    }

    static func write(_ entry: ScannedEntry, name: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        output.append(entry.kind.rawValue)
        output.append(entry.isRacy ? 1 : 0)
        output.append(UInt8(name.count))
        output.append(contentsOf: name)
        entry.digest.append(to: &output)
        append(entry.byteCount, to: &output)
        append(entry.modificationNanoseconds, to: &output)
        append(entry.changeNanoseconds, to: &output)
        append(entry.kind == .tree ? Int64(entry.fileCount) : Int64(bitPattern: entry.inode), to: &output)
    }

    private static let sealLength = 8

    /// The first bytes of the digest of path and record: SQLite would not notice a flipped bit, and `status` would believe it.
    private static func seal(_ record: UnsafeRawBufferPointer, path: String) -> ArraySlice<UInt8> {
        var hasher = DigestHasher()
        hasher.update(Array(path.utf8) + [0])
        hasher.update(record)
        var bytes: [UInt8] = []
        hasher.finalize().append(to: &bytes)
        return bytes.prefix(sealLength)
    }

    static func sealed(_ record: [UInt8], path: String) -> [UInt8] {
        record + record.withUnsafeBytes { seal($0, path: path) }
    }

    /// The record, or nil if it is not what was written.
    static func unsealed(_ bytes: UnsafeRawBufferPointer, path: String) -> [UInt8]? {
        let record = UnsafeRawBufferPointer(rebasing: bytes.dropLast(sealLength))
        return bytes.suffix(sealLength).elementsEqual(seal(record, path: path)) ? Array(record) : nil
    }

    private static func append(_ value: Int64, to output: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { output.append(contentsOf: $0) }
    }

    /// Reads a row's entries one after the other; a torn row ends early, which costs a hash and nothing else.
    struct Reader {
        private let bytes: UnsafeRawBufferPointer
        private var offset = 0
        private(set) var summary: Summary?
        private(set) var name = UnsafeRawBufferPointer(start: nil, count: 0)
        private(set) var kind = TreeEntryKind.file
        private(set) var isRacy = false
        private var fields = 0

        init(_ bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
            guard bytes.count >= headerLength else {
                offset = bytes.count
                return
            }
            if bytes[0] == 1 {
                summary = Summary(
                    digest: Digest(raw: UnsafeRawBufferPointer(rebasing: bytes[1..<33])),
                    byteCount: bytes.loadUnaligned(fromByteOffset: 33, as: Int64.self),
                    fileCount: Int(bytes.loadUnaligned(fromByteOffset: 41, as: Int64.self)))
            }
            offset = headerLength
        }

        /// Moves to the next entry; false at the end.
        mutating func next() -> Bool {
            guard offset + 3 <= bytes.count, let kind = TreeEntryKind(rawValue: bytes[offset]) else { return false }
            let length = Int(bytes[offset + 2])
            guard offset + entryOverhead + length <= bytes.count else { return false }
            self.kind = kind
            isRacy = bytes[offset + 1] != 0
            name = UnsafeRawBufferPointer(rebasing: bytes[offset + 3..<offset + 3 + length])
            fields = offset + 3 + length
            offset += entryOverhead + length
            return true
        }

        var digest: Digest { Digest(raw: UnsafeRawBufferPointer(rebasing: bytes[fields..<fields + 32])) }
        var byteCount: Int64 { field(0) }
        var fileCount: Int { Int(field(3)) }

        /// Whether the file still looks as it did.
        func matches(_ entry: ScannedEntry) -> Bool {
            !isRacy && kind == entry.kind && field(0) == entry.byteCount && field(1) == entry.modificationNanoseconds
                && field(2) == entry.changeNanoseconds && UInt64(bitPattern: field(3)) == entry.inode
        }

        private func field(_ index: Int) -> Int64 {
            bytes.loadUnaligned(fromByteOffset: fields + 32 + 8 * index, as: Int64.self)
        }
    }
}

/// A change of the stat cache.
enum FolderUpdate: Sendable {
    case save(path: String, record: [UInt8])
    /// The folder is gone, and all below it.
    case remove(path: String)
}

extension ContentIndex {
    /// The rows of the folders at `paths`, in their order.
    func folderRecords(_ paths: [String]) throws -> [[UInt8]?] {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT record FROM folders WHERE path = ?")
            return try paths.map { path in
                let row = try Row.fetchOne(statement, arguments: [Data(path.utf8)])
                return try row?.withUnsafeData(atIndex: 0) { data in
                    data.flatMap { data in data.withUnsafeBytes { FolderRecord.unsealed($0, path: path) } }
                }
            }
        }
    }

    static func save(_ updates: [FolderUpdate], _ db: Database) throws {
        let save = try db.cachedStatement(sql: "INSERT OR REPLACE INTO folders VALUES (?, ?)")
        let remove = try db.cachedStatement(sql: "DELETE FROM folders WHERE path = ? OR path > ? AND path < ?")
        for update in updates {
            switch update {
            case .save(let path, let record):
                try save.execute(arguments: [Data(path.utf8), Data(FolderRecord.sealed(record, path: path))])
            case .remove(let path):
                // "/" + 1 is "0": all that starts with the path and a slash.
                try remove.execute(arguments: [Data(path.utf8), Data((path + "/").utf8), Data((path + "0").utf8)])
            }
        }
    }
}

/// The SHA-256 of no bytes: content that needs no object.
let emptyContent = Digest.of("")
