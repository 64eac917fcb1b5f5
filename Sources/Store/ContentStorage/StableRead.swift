internal import Basics
internal import CSystem
internal import Glibc
internal import Synchronization

/// Reading files of the workspace so that a change meanwhile is noticed.
enum StableRead {
    /// A file younger than this when it is hashed could be changed again without another time in its status.
    static let clockTick: Int64 = 20_000_000

    /// What is added to the monotonic clock, once the disk's was looked at.
    private static let diskOffset = Atomic<Int64>(.max)

    /// The present, never later than the clock that stamps files says: the system's may have jumped since it was right, and
    /// a network disk has a clock of its own.
    static func now() -> Int64 {
        let offset = diskOffset.load(ordering: .relaxed)
        let system = clock(CLOCK_REALTIME)
        return offset == .max ? system : min(system, clock(CLOCK_MONOTONIC) + offset)
    }

    private static func clock(_ id: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(id, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// What the disk of the open folder would stamp on a file now, in nanoseconds; nil if it lets no file be made there.
    static func diskTime(at directory: Int32) -> Int64? {
        let descriptor = mlops_open_nameless(directory, 0o600)
        guard descriptor >= 0 else { return nil }
        return try? OpenFile(descriptor: descriptor, path: "").status().changeNanoseconds
    }

    /// Lets `now` take the clock of the folder's disk into account.
    static func heedClock(at directory: Int32) {
        guard let time = diskTime(at: directory) else { return }
        let (system, monotonic) = (clock(CLOCK_REALTIME), clock(CLOCK_MONOTONIC))
        // Less is the length of the disk clock's steps.
        let offset = (system - time > clockTick ? time : system) - monotonic
        if offset < diskOffset.load(ordering: .relaxed) { diskOffset.store(offset, ordering: .relaxed) }
    }

    /// Git's racy rule: whether a file of this status, hashed from `start` on, could change without its status showing it.
    static func isRacy(_ status: FileStatus, hashedFrom start: Int64) -> Bool {
        isRacy(changed: status.changeNanoseconds, hashedFrom: start)
    }

    static func isRacy(changed: Int64, hashedFrom start: Int64) -> Bool {
        // A file system that keeps whole seconds needs as long.
        let tick = changed % 1_000_000_000 == 0 ? 2_000_000_000 : clockTick
        return changed > start - tick
    }

    /// Waits until files last changed at `change` are old enough to be told apart from later changes: 40 ms at most.
    static func letAge(_ change: Int64) async throws {
        let missing = change + clockTick - now()
        if missing > 0, missing <= 2 * clockTick { try await Task.sleep(for: .nanoseconds(missing + 1_000_000)) }
    }

    /// The first status of an open file.
    ///
    /// - Throws: kind `.failed` if it is no regular file any more.
    static func begin(_ file: OpenFile) throws -> FileStatus {
        let status = try file.status()
        guard status.kind == .file else { throw changed(file.path) }
        return status
    }

    /// - Throws: kind `.failed` if the file is not as `status` says any more.
    static func end(_ file: OpenFile, as status: FileStatus, readCount: Int64) throws {
        guard readCount == status.size, try file.status() == status else { throw changed(file.path) }
    }

    static func changed(_ path: String) -> MLOpsError {
        MLOpsError(
            .failed, "`\(path)` changed while it was read",
            hint: "stop what writes to it, then run the same command again")
    }
}

/// What to do about files so young that a later change could leave their status as it is.
package enum YoungFiles: Sendable {
    /// Wait until they are older: 40 ms at most.
    case wait
    /// Read them again when they are next looked at, where that takes no longer than waiting.
    case readAgain

    /// So many bytes, and files, are read in about the time that waiting takes.
    private static let byteLimit: Int64 = 16 << 20
    private static let fileLimit = 256

    func waits(for byteCount: Int64, fileCount: Int) -> Bool {
        self == .wait || byteCount > YoungFiles.byteLimit || fileCount > YoungFiles.fileLimit
    }
}

extension WorkspaceScan {
    /// Opens a file for reading; never waits, should it have become a pipe.
    func open(_ place: Place) throws -> OpenFile { try root.open(path(place), flags: O_RDONLY | O_NONBLOCK) }

    /// Lets the youngest of the files age past the clock's tick.
    func letAge(_ places: [Place], _ youngFiles: YoungFiles) async throws {
        guard !places.isEmpty else { return }
        StableRead.heedClock(at: root.directory.descriptor)
        let byteCount = places.reduce(0) { $0 + entry($1).byteCount }
        guard youngFiles.waits(for: byteCount, fileCount: places.count) else { return }
        // The disk's clock moves in steps, so it may be a step behind.
        let now = StableRead.now() + StableRead.clockTick
        let recent = places.map { entry($0).changeNanoseconds }.filter { $0 <= now }.max()
        if let recent { try await StableRead.letAge(recent) }
    }

    /// Work for one task at a time: small files together, each large one alone.
    func batches(_ places: [Place]) -> (small: [[Place]], large: [Place]) {
        var small: [[Place]] = []
        var large: [Place] = []
        var batch: [Place] = []
        var byteCount: Int64 = 0
        for place in places {
            let size = entry(place).byteCount
            if size > StoreLimits.largeFile {
                large.append(place)
                continue
            }
            if !batch.isEmpty, byteCount + size > StoreLimits.batch || batch.count >= 512 {
                small.append(batch)
                batch = []
                byteCount = 0
            }
            batch.append(place)
            byteCount += size
        }
        if !batch.isEmpty { small.append(batch) }
        return (small, large)
    }

    /// Hashes the files whose digests are not known, and notes the digests.
    func hashUnknown(jobs: Int, progress: ProgressCounter, youngFiles: YoungFiles = .wait) async throws {
        let places = unknown
        try await letAge(places, youngFiles)
        let (small, large) = batches(places)
        // Alternating keeps the long ones from ending up last.
        let work = large.map { [$0] } + small
        let hashed = try await mapConcurrently(work, width: jobs) { batch in
            try Task.checkCancellation()
            let files = try batch.map { try self.hash($0) }
            progress.add(bytes: files.reduce(0) { $0 + $1.status.size }, files: files.count)
            return files
        }
        for file in hashed.joined() { note(file) }
    }

    private func hash(_ place: Place) throws -> HashedFile {
        let start = StableRead.now()
        if entry(place).kind == .symlink { return try hashLink(place) }
        let file = try open(place)
        let status = try StableRead.begin(file)
        let capacity = Int(min(max(status.size + 1, 4096), 1 << 20))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
        defer { buffer.deallocate() }
        var hasher = DigestHasher()
        var total: Int64 = 0
        while true {
            let count = try file.read(into: buffer, at: total)
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            total += Int64(count)
            if count < buffer.count || total > status.size { break }
        }
        try StableRead.end(file, as: status, readCount: total)
        return HashedFile(
            place: place, digest: hasher.finalize(), status: status,
            isRacy: StableRead.isRacy(status, hashedFrom: start))
    }

    /// The digest of a link's target.
    func hashLink(_ place: Place) throws -> HashedFile {
        let start = StableRead.now()
        let (target, status) = try readLink(place)
        return HashedFile(
            place: place, digest: Digest.of(target), status: status,
            isRacy: StableRead.isRacy(status, hashedFrom: start))
    }

    /// A link's target and status.
    func readLink(_ place: Place) throws -> (target: [UInt8], status: FileStatus) {
        let target = try root.linkTarget(path(place))
        guard let status = try FileStatus.of(FileSystem.join(root.directory.path, path(place))),
            status.kind == .symlink,
            status.size == target.count
        else { throw StableRead.changed(displayPath(place)) }
        return (target, status)
    }
}

/// Sizes that bound the memory of an addition.
enum StoreLimits {
    /// Larger files are read piece by piece.
    static let largeFile: Int64 = 8 << 20
    /// The bytes of small files that one task takes at a time.
    static let batch: Int64 = 4 << 20
    /// The bytes of a large file that are read at a time.
    static let block = 2 << 20
}
