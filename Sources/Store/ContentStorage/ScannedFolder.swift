internal import Basics
internal import CSystem
internal import Glibc

/// An entry of a folder of the workspace, as the disk has it.
struct ScannedEntry: Sendable {
    var nameStart: UInt32
    var nameLength: UInt8
    var kind = TreeEntryKind.file
    /// Whether `digest` holds.
    var isKnown = false
    /// Whether a later change could leave size and times as they are, because the file was so young when it was hashed.
    var isRacy = false
    /// A socket, a device or a pipe; only a scan that keeps those has them.
    var isSpecial = false
    /// Of a folder: of all files below, once they are known.
    var byteCount: Int64 = 0
    var modificationNanoseconds: Int64 = 0
    var changeNanoseconds: Int64 = 0
    var inode: UInt64 = 0
    var digest = emptyContent
    var fileCount = 1
    /// Of a folder: its place among the scan's folders.
    var child = -1

    mutating func take(_ status: FileStatus) {
        switch status.kind {
        case .file: kind = status.isExecutable ? .executable : .file
        case .symlink: kind = .symlink
        case .directory: kind = .tree
        case .other: setSpecial()
        }
        modificationNanoseconds = status.modificationNanoseconds
        changeNanoseconds = status.changeNanoseconds
        inode = status.inode
        byteCount = kind == .tree ? 0 : status.size
    }

    private mutating func setSpecial() {
        isSpecial = true
        // Unlike any file, so that no folder that holds it equals a stored one.
        digest = ScannedEntry.specialContent
    }

    private static let specialContent = Digest.of("a pipe, a socket or a device")

    mutating func take(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = status.st_mode & S_IXUSR != 0 ? .executable : .file
        case S_IFLNK: kind = .symlink
        case S_IFDIR: kind = .tree
        default: setSpecial()
        }
        modificationNanoseconds = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        changeNanoseconds = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
        inode = UInt64(status.st_ino)
        byteCount = kind == .tree ? 0 : Int64(status.st_size)
    }
}

/// One folder of the workspace: its entries, sorted by the bytes of their names.
// @unchecked: filled by the one task that reads the folder, then changed by one task at a time.
final class ScannedFolder: @unchecked Sendable {
    /// Below the root of the scan; `""` for the root.
    let path: String
    /// The names, each ended by a zero byte.
    private(set) var names: [UInt8] = []
    var entries: [ScannedEntry] = []
    /// What the stat cache holds of the folder.
    var recorded: FolderRecord.Summary?
    /// Whether the stat cache must be written.
    var needsSaving = true
    /// Folders that the stat cache knows and the disk does not have.
    var goneFolders: [String] = []
    /// Leftovers of an interrupted checkout.
    private(set) var leftovers: [String] = []
    /// The folder's listing and totals, once all below is known.
    var summary: FolderRecord.Summary?

    init(path: String) { self.path = path }

    func name(_ index: Int) -> String {
        withName(index) { String(decoding: $0, as: UTF8.self) }
    }

    /// The path below the root of the entry at `index`.
    func path(of index: Int) -> String { FileSystem.join(path, name(index)) }

    func withName<Result>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let entry = entries[index]
        return try names.withUnsafeBytes {
            try body(
                UnsafeRawBufferPointer(
                    rebasing: $0[Int(entry.nameStart)..<Int(entry.nameStart) + Int(entry.nameLength)]))
        }
    }

    /// Reads the names from an open folder and sorts them.
    ///
    /// - Throws: kind `.usage` for a name that a tree cannot hold.
    func readNames(_ directory: Int32, displayPath: String) throws {
        let copy = mlops_duplicate(directory)
        guard copy >= 0, let stream = fdopendir(copy) else {
            let number = errno
            if copy >= 0 { close(copy) }
            throw MLOpsError.system("list", displayPath, errno: number)
        }
        defer { closedir(stream) }
        let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 19
        var found: [FoundName] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw MLOpsError.system("list", displayPath, errno: errno) }
                break
            }
            let start = UnsafeRawPointer(entry).advanced(by: nameOffset)
            let name = UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self)))
            if name[0] == UInt8(ascii: "."), name.count == 1 || name.count == 2 && name[1] == UInt8(ascii: ".") {
                continue
            }
            if EntryName.isTemporary(name) {
                leftovers.append(String(decoding: name, as: UTF8.self))
                continue
            }
            if let fault = EntryName.fault(in: name) {
                let text = printable(String(decoding: name, as: UTF8.self))
                throw MLOpsError(
                    .usage, "the name `\(text)` in `\(displayPath)` \(fault)", hint: "rename it or move it elsewhere")
            }
            found.append(FoundName(name, start: names.count))
            names.append(contentsOf: name)
            names.append(0)
        }
        names.withUnsafeBytes { bytes in found.sort { $0.precedes($1, in: bytes) } }
        entries = found.map { ScannedEntry(nameStart: $0.start, nameLength: $0.length) }
    }

    /// A name among others, small enough to be moved about while they are sorted.
    private struct FoundName {
        /// The first eight bytes, as a number in whose order they stand; no name holds a zero byte.
        let beginning: UInt64
        let start: UInt32
        let length: UInt8

        init(_ name: UnsafeRawBufferPointer, start: Int) {
            var beginning: UInt64 = 0
            for byte in name.prefix(8) { beginning = beginning << 8 | UInt64(byte) }
            self.beginning = beginning << (8 * UInt64(8 - min(8, name.count)))
            self.start = UInt32(start)
            length = UInt8(name.count)
        }

        func precedes(_ other: FoundName, in names: UnsafeRawBufferPointer) -> Bool {
            if beginning != other.beginning { return beginning < other.beginning }
            return EntryName.precedes(bytes(in: names), other.bytes(in: names))
        }

        private func bytes(in names: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: names[Int(start)..<Int(start) + Int(length)])
        }
    }

    /// Makes the one entry `name` of an open folder the only one.
    func setSingle(name: String, in directory: Int32, displayPath: String) throws {
        guard let status = try FileStatus.of(name, in: directory) else {
            throw MLOpsError(.notFound, "`\(displayPath)` does not exist")
        }
        names = Array(name.utf8) + [0]
        var entry = ScannedEntry(nameStart: 0, nameLength: UInt8(name.utf8.count))
        entry.take(status)
        entries = [entry]
    }

    /// The entries in `range` with what `fstatat` tells of them; an entry that is gone meanwhile is left out.
    func statuses(_ range: Range<Int>, in directory: Int32, displayPath: String) throws -> [ScannedEntry] {
        var filled: [ScannedEntry] = []
        filled.reserveCapacity(range.count)
        try names.withUnsafeBufferPointer { names in
            for index in range {
                var entry = entries[index]
                var status = stat()
                let result = names.baseAddress.map { base in
                    let name = UnsafeRawPointer(base + Int(entry.nameStart)).assumingMemoryBound(to: CChar.self)
                    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW)
                }
                if result != 0 {
                    if errno == ENOENT { continue }
                    throw MLOpsError.system(
                        "read the status of", FileSystem.join(displayPath, name(index)), errno: errno)
                }
                entry.take(status)
                filled.append(entry)
            }
        }
        return filled
    }

    /// Takes digests from the stat cache for the files that still look as they did.
    func match(_ record: [UInt8]) {
        record.withUnsafeBytes { bytes in
            var reader = FolderRecord.Reader(bytes)
            recorded = reader.summary
            var isSame = true
            var index = 0
            var hasMore = reader.next()
            while hasMore {
                let order = index < entries.count ? withName(index) { EntryName.compare($0, reader.name) } : 1
                if order < 0 {
                    isSame = false
                    index += 1
                    continue
                }
                if order > 0 || entries[index].kind != reader.kind && entries[index].kind == .tree {
                    isSame = false
                    if reader.kind == .tree {
                        goneFolders.append(FileSystem.join(path, String(decoding: reader.name, as: UTF8.self)))
                    }
                } else if reader.kind == .tree, entries[index].kind == .tree {
                    // Compared with what is below, once that is known.
                    entries[index].digest = reader.digest
                    entries[index].isKnown = true
                } else if reader.matches(entries[index]) {
                    entries[index].digest = reader.digest
                    entries[index].isKnown = true
                } else {
                    isSame = false
                    if reader.kind == .tree { goneFolders.append(self.path(of: index)) }
                }
                if order == 0 { index += 1 }
                hasMore = reader.next()
            }
            needsSaving = !isSame || index < entries.count || recorded == nil
        }
    }

    /// The canonical listing, once all digests are known.
    func listing() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(names.count + entries.count * 50 + TreeListing.headerLength)
        TreeListing.writeHeader(entryCount: entries.count, to: &output)
        for (index, entry) in entries.enumerated() {
            withName(index) {
                TreeListing.write(
                    kind: entry.kind, name: $0, digest: entry.digest, byteCount: entry.byteCount,
                    fileCount: entry.fileCount, to: &output)
            }
        }
        return output
    }

    /// The folder's row of the stat cache.
    func record() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(names.count + entries.count * FolderRecord.entryOverhead + FolderRecord.headerLength)
        FolderRecord.writeHeader(summary, to: &output)
        for (index, entry) in entries.enumerated() {
            withName(index) { FolderRecord.write(entry, name: $0, to: &output) }
        }
        return output
    }
}
