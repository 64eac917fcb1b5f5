package import Basics
internal import CSystem
internal import Glibc

/// A remote in a folder, on this machine or a network disk: one file for each object.
///
/// Writes go to a hidden temporary file that is flushed and renamed (`putIfAbsent`: linked) into place, so readers see
/// whole objects only, and what was reported as stored is on the disk.
package struct DirectoryRemote: Remote {
    package let folder: String
    private let limiter: RateLimiter?

    /// - Parameters:
    ///   - folder: absolute; made with the first object.
    ///   - limiter: bounds what is read and written in a second.
    package init(folder: String, limiter: RateLimiter? = nil) {
        self.folder = folder
        self.limiter = limiter
    }

    package var location: String { folder }

    package func get(_ key: String, range: Range<Int64>?) async throws -> [UInt8] {
        let file = try open(key)
        let wanted = try range ?? 0..<file.status().size
        do {
            let bytes = try file.read(count: Int(wanted.upperBound - wanted.lowerBound), at: wanted.lowerBound)
            try await settle(bytes.count)
            return bytes
        } catch let error as MLOpsError where error.kind == .damaged {
            throw MLOpsError(
                .damaged, "`\(key)` in the remote `\(location)` is shorter than \(wanted.upperBound) bytes",
                cause: error)
        }
    }

    package func read(_ key: String, from offset: Int64, into target: PooledBytes) async throws {
        guard try open(key).read(into: target.memory, at: offset) == target.count else {
            throw MLOpsError(
                .damaged,
                "`\(key)` in the remote `\(location)` is shorter than \(offset + Int64(target.count)) bytes")
        }
        try await settle(target.count)
    }

    package func download(_ key: String, to path: String, progress: ByteProgress?) async throws {
        let source = try open(key)
        let target = try OpenFile(overwriting: path)
        _ = try await copy(source, to: target, progress: progress)
    }

    package func put(_ bytes: [UInt8], at key: String) async throws {
        try FileSystem.replace(try preparedPath(of: key), with: bytes)
    }

    package func upload(file path: String, to key: String, digest: Digest, progress: ByteProgress?) async throws {
        let destination = try preparedPath(of: key)
        let source = try OpenFile(reading: path)
        try Failpoint.reach("remote.create")
        let target = try TemporaryFile.create(beside: destination)
        let temporary = target.path
        do {
            let found = try await copy(source, to: target, progress: progress)
            guard found == digest else { throw localDamage(path, expected: digest) }
            try Failpoint.reach("remote.chmod")
            if fchmod(target.descriptor, 0o644) != 0 {
                throw MLOpsError.system("set the mode of", temporary, errno: errno)
            }
            try target.synchronize()
            try FileSystem.rename(temporary, to: destination)
            try FileSystem.synchronizeDirectory(FileSystem.parent(of: destination))
        } catch {
            try? FileSystem.removeFile(temporary)
            throw error
        }
    }

    package func putIfAbsent(_ bytes: [UInt8], at key: String) async throws -> Bool {
        try FileSystem.createExclusively(try preparedPath(of: key), with: bytes)
    }

    package func list(_ prefix: String) async throws -> [RemoteItem] {
        let start = try RemoteKey.folder(prefix)
        var items: [RemoteItem] = []
        func visit(_ keyFolder: String) throws {
            let path = FileSystem.join(folder, keyFolder)
            guard FileSystem.isDirectory(path) else { return }
            for name in try FileSystem.list(path) {
                let key = keyFolder + name
                guard RemoteKey.fault(in: key) == nil else { continue }
                guard let status = try FileStatus.of(FileSystem.join(folder, key)) else { continue }
                switch status.kind {
                case .file: items.append(RemoteItem(key: key, byteCount: status.size))
                case .directory: try visit(key + "/")
                case .symlink, .other: continue
                }
            }
        }
        try visit(start)
        return items.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    package func size(of key: String) async throws -> Int64? {
        try RemoteKey.check(key)
        guard let status = try FileStatus.of(FileSystem.join(folder, key)), status.kind == .file else { return nil }
        return status.size
    }

    package func remove(_ key: String) async throws {
        try RemoteKey.check(key)
        guard try await size(of: key) != nil else { return }
        let path = FileSystem.join(folder, key)
        try FileSystem.removeFile(path)
        let parent = FileSystem.parent(of: path)
        if FileSystem.isDirectory(parent) { try FileSystem.synchronizeDirectory(parent) }
    }
}

extension DirectoryRemote {
    /// Opens an object; no link below the folder is followed.
    private func open(_ key: String) throws -> OpenFile {
        try RemoteKey.check(key)
        let root = mlops_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard root >= 0 else {
            guard errno == ENOENT else { throw MLOpsError.system("open", folder, errno: errno) }
            throw MLOpsError(
                .notFound, "the remote folder `\(folder)` does not exist",
                hint: "check its path, mount its disk, or push to it first")
        }
        defer { close(root) }
        let descriptor = mlops_open_beneath(root, key, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            let number = errno
            guard number == ENOENT || number == ENOTDIR else {
                throw MLOpsError.system("open", FileSystem.join(folder, key), errno: number)
            }
            throw MLOpsError(.notFound, "`\(key)` is not in the remote `\(location)`")
        }
        let file = OpenFile(descriptor: descriptor, path: FileSystem.join(folder, key))
        guard try file.status().kind == .file else {
            throw MLOpsError(.notFound, "`\(key)` is not in the remote `\(location)`")
        }
        return file
    }

    /// The path of an object, with its folder made and flushed into the one above.
    private func preparedPath(of key: String) throws -> String {
        try RemoteKey.check(key)
        let path = FileSystem.join(folder, key)
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        removeAbandoned(beside: key)
        return path
    }

    /// Removes what dead writers of this machine left beside `key`; packs end up in a folder that their content chooses, so
    /// all of those are looked at.
    private func removeAbandoned(beside key: String) {
        TemporaryFile.removeAbandonedOnce(in: folder)
        TemporaryFile.removeAbandonedOnce(in: FileSystem.parent(of: FileSystem.join(folder, key)))
        let packs = FileSystem.join(folder, "packs")
        guard key.hasPrefix("packs/"), let groups = try? FileSystem.list(packs) else { return }
        for group in groups { TemporaryFile.removeAbandonedOnce(in: FileSystem.join(packs, group)) }
    }

    /// Copies all of `source`; the digest of what was copied.
    private func copy(_ source: OpenFile, to target: OpenFile, progress: ByteProgress?) async throws -> Digest {
        var hasher = DigestHasher()
        var offset: Int64 = 0
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { block.deallocate() }
        while true {
            try Task.checkCancellation()
            let count = try source.read(into: block, at: offset)
            if count == 0 { return hasher.finalize() }
            let bytes = UnsafeRawBufferPointer(rebasing: block[..<count])
            hasher.update(bytes)
            try target.write(bytes)
            offset += Int64(count)
            progress?(Int64(count))
            try await settle(count)
        }
    }

    /// Waits as long as the limit asks for after `count` bytes.
    private func settle(_ count: Int) async throws {
        limiter?.spend(count)
        try await limiter?.wait()
    }
}

extension OpenFile {
    /// Opens `path` for writing, created or emptied.
    convenience init(overwriting path: String) throws {
        let descriptor = mlops_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw MLOpsError.system("create", path, errno: errno) }
        self.init(descriptor: descriptor, path: path)
    }
}

/// The error of a local file that is not what its name says.
func localDamage(_ path: String, expected digest: Digest) -> MLOpsError {
    MLOpsError(
        .damaged, "`\(path)` does not hold the bytes of \(digest.short) and was not sent",
        hint: "run `mlops fsck` to see what is hurt")
}
