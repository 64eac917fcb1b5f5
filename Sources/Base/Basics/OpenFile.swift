internal import CSystem
internal import Glibc

/// An open file that closes itself; every call restarts after EINTR and throws the system's error with the path.
package final class OpenFile: Sendable {
    package let descriptor: Int32
    package let path: String

    /// Takes over an open descriptor.
    package init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Opens `path` for reading; never waits, should it be a pipe or a device.
    package convenience init(reading path: String) throws {
        let descriptor = mlops_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
        if descriptor < 0 { throw MLOpsError.system("open", path, errno: errno) }
        self.init(descriptor: descriptor, path: path)
    }

    /// Creates `path`, which must not exist, for reading and writing.
    package convenience init(creating path: String, mode: UInt32 = 0o600) throws {
        try Failpoint.reach("file.create")
        let descriptor = mlops_open(path, O_RDWR | O_CREAT | O_EXCL, mode)
        if descriptor < 0 { throw MLOpsError.system("create", path, errno: errno) }
        self.init(descriptor: descriptor, path: path)
    }

    deinit { close(descriptor) }

    /// Leaves the last `count` descriptors that the process may have to libraries that cannot do without: whatever this
    /// project opens from now on fails before it takes one of them, as it would at the limit itself.
    package static func spare(_ count: Int) { _ = mlops_spare_descriptors(Int32(count)) }

    /// What Foundation's `Process` opens until its program runs, with two pipes.
    private static let filesToStart = 12

    /// - Throws: kind `.io` unless Foundation's `Process` could start a program now: it does not say itself what it lacks.
    package static func requireRoom(toStart program: String) throws {
        var opened: [OpenFile] = []
        for _ in 0..<filesToStart {
            let descriptor = mlops_open("/", O_RDONLY | O_DIRECTORY, 0)
            if descriptor < 0 { throw MLOpsError.system("start", program, errno: errno) }
            opened.append(OpenFile(descriptor: descriptor, path: "/"))
        }
    }

    /// Size, times and kind as `fstat` gives them.
    package func status() throws -> FileStatus {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw MLOpsError.system("read the status of", path, errno: errno) }
        return FileStatus(status)
    }

    /// Reads into `buffer` at `offset` until it is full or the file ends; the count of bytes read.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        try move(buffer.count, "read") { done in
            pread(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset) + off_t(done))
        }
    }

    /// Repeats `call`, which moves bytes and may move fewer than it is asked for, until `count` are moved or no more are there.
    ///
    /// - Parameters:
    ///   - action: what it does, for errors.
    ///   - call: told how many are moved already; as `read(2)` gives how many it moved, or -1 with errno.
    @inline(__always)
    private func move(_ count: Int, _ action: String, _ call: (_ done: Int) -> Int) throws -> Int {
        var total = 0
        while total < count {
            let moved = call(total)
            if moved < 0 {
                if errno == EINTR { continue }
                throw MLOpsError.system(action, path, errno: errno)
            }
            if moved == 0 { break }
            total += moved
        }
        return total
    }

    @inline(__always)
    private func writeAll(
        _ bytes: UnsafeRawBufferPointer, _ call: (_ rest: UnsafeRawBufferPointer, _ done: Int) -> Int
    ) throws {
        try Failpoint.reach("file.write", writing: bytes, to: self)
        let count = try move(bytes.count, "write") { call(UnsafeRawBufferPointer(rebasing: bytes[$0...]), $0) }
        // No disk takes nothing without saying why.
        guard count == bytes.count else { throw MLOpsError.system("write", path, errno: EIO) }
    }

    /// Exactly `count` bytes from `offset`.
    ///
    /// - Throws: kind `.damaged` if the file ends before.
    package func read(count: Int, at offset: Int64) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        guard bytes.count == count else {
            throw MLOpsError(
                .damaged,
                "`\(path)` ends after \(offset + Int64(bytes.count)) bytes, before byte \(offset + Int64(count))")
        }
        return bytes
    }

    /// Writes all of `bytes` at the file's position; a short write is continued.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        try writeAll(bytes) { rest, _ in
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            // What is not aligned cannot pass the page cache by: neither the end of a file nor what a short write left.
            guard count < 0, errno == EINVAL, mlops_set_direct(descriptor, 0) == 1 else { return count }
            return Glibc.write(descriptor, rest.baseAddress, rest.count)
        }
    }

    package func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Writes all of `bytes` from `offset` on, wherever the file's position is.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try writeAll(bytes) { rest, done in
            pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
        }
    }

    /// Lets `count` bytes from `offset` on share their blocks with `source`, from `start` on (`FICLONERANGE`); all three are multiples
    /// of the file system's block length. False where it cannot.
    package func shareBlocks(of source: OpenFile, from start: Int64, count: Int64, at offset: Int64) -> Bool {
        mlops_clone_range(source.descriptor, start, count, descriptor, offset) == 0
    }

    /// Starts writing `count` bytes from `offset` to the disk without waiting, so that the flush at the end is short.
    package func startWriteback(from offset: Int64, count: Int64) { mlops_start_writeback(descriptor, offset, count) }

    /// Forces everything on the file system of this file to the disk: one call for any number of files.
    package func synchronizeFileSystem() throws {
        try Failpoint.reach("file.fsync")
        if mlops_sync_file_system(descriptor) != 0 { throw MLOpsError.system("flush", path, errno: errno) }
    }

    /// Forces the file to the disk. A failure is final: the kernel may have dropped the pages, so never try again on the
    /// same file; throw the file away.
    package func synchronize() throws {
        try Failpoint.reach("file.fsync")
        try OpenFile.flush(descriptor, path)
    }

    /// `fsync`. A signal that interrupts it leaves all as it was, so that alone is tried again.
    static func flush(_ descriptor: Int32, _ path: String) throws {
        while fsync(descriptor) != 0 {
            if errno != EINTR { throw MLOpsError.system("flush", path, errno: errno) }
        }
    }
}

/// What `stat` tells of a file.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: String, Sendable { case file, directory, symlink, other }

    package var kind: Kind
    package var size: Int64
    package var modificationNanoseconds: Int64
    package var changeNanoseconds: Int64
    package var inode: UInt64
    package var device: UInt64
    package var isExecutable: Bool
    package var permissions: UInt32

    init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            default: .other
            }
        size = Int64(status.st_size)
        modificationNanoseconds = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        changeNanoseconds = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        isExecutable = status.st_mode & S_IXUSR != 0
        permissions = UInt32(status.st_mode & 0o7777)
    }

    /// The status of `path` itself (a link is not followed), or nil if there is nothing.
    package static func of(_ path: String) throws -> FileStatus? {
        var status = stat()
        if lstat(path, &status) == 0 { return FileStatus(status) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw MLOpsError.system("read the status of", path, errno: errno)
    }

    /// The status of what `path` leads to, or nil if there is nothing.
    package static func following(_ path: String) throws -> FileStatus? {
        var status = stat()
        if stat(path, &status) == 0 { return FileStatus(status) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw MLOpsError.system("read the status of", path, errno: errno)
    }

    /// The status of `name` in the open directory `descriptor`, not following a link, or nil if there is nothing.
    package static func of(_ name: String, in directory: Int32) throws -> FileStatus? {
        var status = stat()
        if fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(status) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw MLOpsError.system("read the status of", name, errno: errno)
    }
}
