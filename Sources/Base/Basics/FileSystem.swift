internal import CSystem
internal import Glibc

/// Files and folders by path, with writes that survive a power cut.
package enum FileSystem {
    /// All bytes of the file at `path`.
    package static func read(_ path: String) throws -> [UInt8] {
        let file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.failed, "`\(path)` is not a regular file") }
        var bytes = try [UInt8](unsafeUninitializedCapacity: Int(status.size)) { buffer, initialized in
            initialized = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
        // Files of /proc and /sys say size 0 and hold text.
        if status.size == 0 {
            var block = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = try block.withUnsafeMutableBytes { try file.read(into: $0, at: Int64(bytes.count)) }
                if count == 0 { break }
                bytes += block[..<count]
            }
        }
        return bytes
    }

    /// The file at `path` as UTF-8 text; broken sequences become U+FFFD.
    package static func readText(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

    /// Replaces `path` by `bytes`, all or nothing: a temporary file in the same folder is written and flushed, renamed over
    /// `path`, and the folder is flushed. After an error the old file stands and no temporary is left.
    package static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws {
        try place(bytes, at: path, mode: mode, exclusively: false)
    }

    /// Replaces `path` by `bytes` as `replace` does, but without waiting for the disk: for caches, whose readers take a broken
    /// file for a missing one.
    package static func replaceUnflushed(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws {
        let file = try makeTemporary(beside: path, mode: mode)
        do {
            try file.write(bytes)
            try rename(file.path, to: path)
        } catch {
            unlink(file.path)
            throw error
        }
    }

    /// A temporary in the folder of `path`, from which those of dead processes are removed first.
    private static func makeTemporary(beside path: String, mode: UInt32 = 0o600) throws -> OpenFile {
        TemporaryFile.removeAbandonedOnce(in: parent(of: path))
        return try TemporaryFile.create(beside: path, mode: mode)
    }

    private static func setMode(of file: OpenFile, to mode: UInt32) throws {
        try Failpoint.reach("file.chmod")
        if fchmod(file.descriptor, mode) != 0 { throw MLOpsError.system("set the mode of", file.path, errno: errno) }
    }

    /// Creates `path` with `bytes`, all or nothing, unless it exists.
    ///
    /// - Returns: false if `path` existed; nothing was changed then. Of several writers exactly one gets true.
    package static func createExclusively(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws -> Bool {
        try place(bytes, at: path, mode: mode, exclusively: true)
    }

    @discardableResult
    private static func place(_ bytes: [UInt8], at path: String, mode: UInt32, exclusively: Bool) throws -> Bool {
        let file = try makeTemporary(beside: path)
        let temporary = file.path
        do {
            try file.write(bytes)
            try setMode(of: file, to: mode)
            try file.synchronize()
            if exclusively {
                try Failpoint.reach("file.link")
                if mlops_rename_exclusively(temporary, path) != 0 {
                    let failure = errno
                    unlink(temporary)
                    if failure == EEXIST { return false }
                    throw MLOpsError.system("create", path, errno: failure)
                }
            } else {
                try rename(temporary, to: path)
            }
            try synchronizeDirectory(parent(of: path))
            return true
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Copies the file at `path` to `destination`, all or nothing, sharing its blocks where the file system can.
    package static func copy(_ path: String, to destination: String, mode: UInt32 = 0o644) throws {
        let source = try OpenFile(reading: path)
        let target = try makeTemporary(beside: destination)
        do {
            try Failpoint.reach("file.copy")
            if mlops_clone_file(source.descriptor, target.descriptor) != 0 { try copyBytes(of: source, to: target) }
            try setMode(of: target, to: mode)
            try target.synchronize()
            try rename(target.path, to: destination)
            try synchronizeDirectory(parent(of: destination))
        } catch {
            unlink(target.path)
            throw error
        }
    }

    private static func copyBytes(of source: OpenFile, to target: OpenFile) throws {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { block.deallocate() }
        var offset: Int64 = 0
        while true {
            let count = try source.read(into: block, at: offset)
            if count == 0 { return }
            try target.write(UnsafeRawBufferPointer(rebasing: block[..<count]))
            offset += Int64(count)
        }
    }

    /// Renames a file of the same disk over `destination`.
    package static func rename(_ path: String, to destination: String) throws {
        try Failpoint.reach("file.rename")
        if Glibc.rename(path, destination) != 0 { throw MLOpsError.system("rename to", destination, errno: errno) }
    }

    /// Flushes the entries of a folder, so that what was renamed into it stays after a power cut.
    package static func synchronizeDirectory(_ path: String) throws {
        try Failpoint.reach("directory.fsync")
        let descriptor = mlops_open(path, O_RDONLY | O_DIRECTORY, 0)
        if descriptor < 0 { throw MLOpsError.system("open", path, errno: errno) }
        defer { close(descriptor) }
        try OpenFile.flush(descriptor, path)
    }

    /// Flushes a file that was found, and its entry, which may have been written by a process that died before it could.
    package static func synchronize(_ path: String) throws {
        try OpenFile(reading: path).synchronize()
        try synchronizeDirectory(parent(of: path))
    }

    /// Makes `path` and the folders above it, each flushed into the one above it; fine if they exist.
    ///
    /// - Parameter flushes: false for folders that nobody misses after a power cut.
    package static func createDirectories(_ path: String, mode: UInt32 = 0o755, flushes: Bool = true) throws {
        try Failpoint.reach("directory.create")
        if mkdir(path, mode) == 0 {
            if flushes { try synchronizeDirectory(parent(of: path)) }
            return
        }
        switch errno {
        case EEXIST:
            // A link to a folder is as good as a folder here.
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw MLOpsError(.failed, "`\(path)` exists and is not a directory")
            }
        case ENOENT:
            let above = parent(of: path)
            guard above != path else { throw MLOpsError.system("create", path, errno: ENOENT) }
            try createDirectories(above, mode: mode, flushes: flushes)
            if mkdir(path, mode) != 0, errno != EEXIST { throw MLOpsError.system("create", path, errno: errno) }
            if flushes { try synchronizeDirectory(above) }
        default: throw MLOpsError.system("create", path, errno: errno)
        }
    }

    /// The names in a folder, sorted by their bytes, without `.` and `..`.
    package static func list(_ path: String) throws -> [String] {
        var names: [String] = []
        try forEachName(in: path) { names.append(String(decoding: $0, as: UTF8.self)) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Calls `body` with the bytes of each name in a folder, in no order, without `.` and `..`.
    package static func forEachName(in path: String, _ body: (UnsafeRawBufferPointer) -> Void) throws {
        let directory = mlops_open(path, O_RDONLY | O_DIRECTORY, 0)
        guard directory >= 0, let stream = fdopendir(directory) else {
            let number = errno
            if directory >= 0 { close(directory) }
            throw MLOpsError.system("list", path, errno: number)
        }
        defer { closedir(stream) }
        let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw MLOpsError.system("list", path, errno: errno) }
                return
            }
            // Read in place: as a value, the 256 bytes of the name would be copied for each entry.
            let start = UnsafeRawPointer(entry) + offset
            let name = UnsafeRawBufferPointer(
                start: start, count: strlen(start.assumingMemoryBound(to: CChar.self)))
            let isDots = name.first == 0x2E && (name.count == 1 || (name.count == 2 && name[1] == 0x2E))
            if !isDots { body(name) }
        }
    }

    /// Whether anything is at `path` (a dangling link counts).
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Whether a folder, or a link to one, is at `path`.
    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes the file at `path`; fine if there is none.
    package static func removeFile(_ path: String) throws {
        try Failpoint.reach("file.remove")
        if unlink(path) != 0, errno != ENOENT { throw MLOpsError.system("remove", path, errno: errno) }
    }

    /// Removes `path` and all below it; links are removed, never followed. Fine if there is nothing.
    package static func removeTree(_ path: String) throws {
        guard let status = try FileStatus.of(path) else { return }
        guard status.kind == .directory else { return try removeFile(path) }
        for name in try list(path) { try removeTree(join(path, name)) }
        try Failpoint.reach("directory.remove")
        if rmdir(path) != 0, errno != ENOENT { throw MLOpsError.system("remove", path, errno: errno) }
    }

    /// - Throws: kind `.notFound` if the working directory was removed: relative paths mean nothing then.
    package static func requireCurrentDirectory() throws {
        guard let path = getcwd(nil, 0) else {
            throw MLOpsError(
                .notFound, "the working directory does not exist any more", hint: "`cd` to a folder that does")
        }
        free(path)
    }

    /// The working directory; `requireCurrentDirectory` tells whether there is one.
    package static var currentDirectory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// `path` made absolute, without `.`, `..` or a last slash; links are not resolved.
    package static func absolute(_ path: String, from base: String = currentDirectory) -> String {
        var parts: [Substring] = []
        let isAbsolute = path.utf8.first == UInt8(ascii: "/")
        for part in pathParts(isAbsolute ? path : base + "/" + path) where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// `path` with every link resolved; nil if it does not exist.
    package static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// What follows `folder` in `path`, byte for byte: empty for the folder itself, nil for what does not lie in it.
    ///
    /// Strings are equal to Swift whatever way their accents are written, and an accent that begins a name belongs to the `/`
    /// before it: neither is so to a disk.
    package static func relative(_ path: String, to folder: String) -> String? {
        guard path.utf8.starts(with: folder.utf8) else { return nil }
        let rest = path.utf8.dropFirst(folder.utf8.count)
        if rest.isEmpty { return "" }
        if folder.utf8.last == UInt8(ascii: "/") { return String(decoding: rest, as: UTF8.self) }
        guard rest.first == UInt8(ascii: "/") else { return nil }
        return String(decoding: rest.dropFirst(), as: UTF8.self)
    }

    /// Whether `path` is `folder` or lies in it, byte for byte.
    package static func contains(_ folder: String, _ path: String) -> Bool { relative(path, to: folder) != nil }

    /// `name` below `folder`.
    package static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty || folder == "." ? name : folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The folder that holds `path`: `.` for a bare name, `/` for the root.
    package static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The part after the last slash.
    package static func name(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        let last = path[path.utf8.index(after: slash)...]
        return last.isEmpty ? pathParts(path).last.map(String.init) ?? path : String(last)
    }
}
