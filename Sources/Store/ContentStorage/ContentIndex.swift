internal import Basics
internal import Foundation
internal import GRDB
internal import Glibc
internal import Synchronization

/// Where an object lies.
struct ObjectLocation: Hashable, Sendable {
    var pack: Digest
    var offset: Int64
    var storedLength: Int
    var plainLength: Int
    var codec: PackCodec
    var check: UInt32
}

/// `.mlops/index.sqlite`: where each object lies, and what files looked like when they were last hashed.
///
/// It is a cache. When it is missing, torn or of another version it is made anew from the footers of the packs; when the
/// folder cannot be written, or the store is scratch, it lives in memory. Packs that came or went behind its back are
/// noticed when it is opened.
final class ContentIndex: Sendable {
    /// Another number makes the file be thrown away and rebuilt.
    private static let version = 4

    private let path: String
    private let packs: PackFolder
    let inPlace: InPlaceFolder
    /// What relative paths are below.
    let project: String
    private let database = Mutex<DatabaseQueue?>(nil)
    /// The groups of packs as they were when they were last compared with the index.
    private let compared = Mutex(PackGroups())
    /// Why the index lives in memory, if it does.
    private let obstacle = Mutex<MLOpsError?>(nil)

    init(path: String, packs: PackFolder) {
        self.path = path
        self.packs = packs
        inPlace = InPlaceFolder(path: FileSystem.join(FileSystem.parent(of: packs.path), "inplace"))
        project = FileSystem.parent(of: FileSystem.parent(of: path))
    }

    // MARK: Access

    /// `body` in one read transaction.
    func read<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
        try perform { queue in
            // GRDB's own `read` has four statements parsed each time, which costs more than most questions.
            try queue.unsafeRead { db in
                try db.cachedStatement(sql: "BEGIN").execute()
                do {
                    let result = try body(db)
                    try db.cachedStatement(sql: "COMMIT").execute()
                    return result
                } catch {
                    if db.isInsideTransaction { try? db.cachedStatement(sql: "ROLLBACK").execute() }
                    throw error
                }
            }
        }
    }

    /// `body` in one write transaction.
    func write<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
        try perform { queue in
            try Failpoint.reach("index.write")
            return try queue.write(body)
        }
    }

    private func perform<Result>(_ body: (DatabaseQueue) throws -> Result) throws -> Result {
        do {
            do {
                return try body(try open())
            } catch let error as DatabaseError where ContentIndex.isDamage(error) {
                try reset()
                return try body(try open())
            }
        } catch let error as DatabaseError {
            throw failure(error)
        }
    }

    private static func isDamage(_ error: DatabaseError) -> Bool {
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR, .SQLITE_MISMATCH, .SQLITE_CONSTRAINT, .SQLITE_SCHEMA: true
        case .SQLITE_IOERR: error.extendedResultCode == .SQLITE_IOERR_SHORT_READ
        default: false
        }
    }

    private func failure(_ error: DatabaseError) -> MLOpsError {
        switch error.resultCode {
        case .SQLITE_FULL,
            .SQLITE_IOERR where ContentIndex.lacksRoom(error):
            return MLOpsError(
                .io, "cannot write `\(path)`: the disk is full",
                hint: "free some space on that disk, then run the same command again", cause: error)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return MLOpsError(
                .conflict, "`\(path)` is in use by another process",
                hint: "wait for the other `mlops` to end, then run the same command again", cause: error)
        case .SQLITE_READONLY, .SQLITE_PERM:
            return MLOpsError(
                .io, "cannot write `\(path)`: it is read-only", hint: "check the permissions with `ls -ld \(path)`",
                cause: error)
        case .SQLITE_CANTOPEN:
            return MLOpsError(
                .io, "cannot open `\(path)`",
                hint: "check what it is with `ls -ld \(path)`, and the limit of open files with `ulimit -n`",
                cause: error)
        default:
            return MLOpsError(
                .io, "cannot use `\(path)`: \(error.message ?? "SQLite error \(error.resultCode.rawValue)")",
                hint: "remove `\(path)`; it is rebuilt from the packs", cause: error)
        }
    }

    // MARK: Opening

    private func open() throws -> DatabaseQueue {
        if let queue = database.withLock({ $0 }) { return queue }
        return try database.withLock { held in
            if let queue = held { return queue }
            let queue = try (packs.isScratch ? nil : openFile()) ?? openMemory()
            held = queue
            return queue
        }
    }

    /// The file's database, brought up to date with the packs; nil if the folder cannot be written.
    private func openFile() throws -> DatabaseQueue? {
        obstacle.withLock { $0 = nil }
        guard access(FileSystem.parent(of: path), W_OK) == 0 else {
            let number = errno
            // Where there is no store yet, there is nothing to write down.
            if number != ENOENT { obstacle.withLock { $0 = MLOpsError.system("write", path, errno: number) } }
            return nil
        }
        do {
            do {
                return try connectPatiently()
            } catch let error as DatabaseError where ContentIndex.isDamage(error) {
                try removeFiles()
                return try connectPatiently()
            }
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CANTOPEN || error.resultCode == .SQLITE_READONLY
            || error.resultCode == .SQLITE_PERM || ContentIndex.lacksRoom(error)
        {
            obstacle.withLock { $0 = failure(error) }
            return nil
        }
    }

    /// - Throws: kind `.io` if the index lives in memory, since its file cannot be written.
    func requireFile() throws {
        try perform { _ in }
        if let error = obstacle.withLock({ $0 }) { throw error }
    }

    /// Whether the disk has no room for what SQLite keeps beside the file: what frees room must work all the same.
    private static func lacksRoom(_ error: DatabaseError) -> Bool {
        error.resultCode == .SQLITE_FULL || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE
    }

    /// Setting up a new file asks for it alone, and SQLite does not wait for that by itself.
    private func connectPatiently() throws -> DatabaseQueue {
        for _ in 0..<100 {
            do {
                return try connect()
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                usleep(20_000)
            }
        }
        return try connect()
    }

    private func connect() throws -> DatabaseQueue {
        try Failpoint.reach("index.open")
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        configuration.prepareDatabase { db in
            // GRDB's own way to turn on the log writes to it, so that whoever only reads would flush the disk four times.
            try db.execute(
                sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32000")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        if try queue.read(ContentIndex.foundVersion) != ContentIndex.version {
            try queue.write(ContentIndex.replaceTables)
        }
        try reconcile(queue)
        return queue
    }

    private static func foundVersion(_ db: Database) throws -> Int? {
        try Int.fetchOne(db, sql: "PRAGMA user_version")
    }

    /// Makes the tables of this version, unless somebody else has done it meanwhile.
    private static func replaceTables(_ db: Database) throws {
        if try foundVersion(db) == version { return }
        // Another program's version: its tables go, whatever they are.
        for row in try Row.fetchAll(
            db, sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        {
            guard let table = row.text(0) else { continue }
            try db.execute(sql: "DROP TABLE \"\(table)\"")
        }
        try createTables(db)
    }

    private func openMemory() throws -> DatabaseQueue {
        let queue = try DatabaseQueue()
        try queue.write { try ContentIndex.createTables($0) }
        try reconcile(queue)
        return queue
    }

    private static func createTables(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE packs (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, byteCount INTEGER NOT NULL);
                CREATE TABLE objects (
                    key BLOB PRIMARY KEY, pack INTEGER NOT NULL, start INTEGER NOT NULL, stored INTEGER NOT NULL,
                    plain INTEGER NOT NULL, codec INTEGER NOT NULL, proof INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TABLE folders (path BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
                CREATE TABLE complete (key BLOB PRIMARY KEY) WITHOUT ROWID;
                PRAGMA user_version = \(version);
                """)
        try createInPlaceTables(db)
    }

    /// Notices packs that were added by a process that died before it could say so, or brought in by hand, and packs that
    /// are gone.
    private func reconcile(_ queue: DatabaseQueue) throws {
        var groups = PackGroups()
        let seen = groups.changed(in: packs)
        // The table is read before the folder: a pack is in the folder before it is in the table.
        let indexed = try queue.read { db in
            Set(try Row.fetchAll(db, sql: "SELECT digest FROM packs").map { ContentIndex.digest($0, 0) })
        }
        let present = try packs.list()
        if !indexed.isSubset(of: present) {
            _ = try fill(queue, with: present, fromScratch: true)
        } else if !present.isSubset(of: indexed) {
            _ = try fill(queue, with: present.subtracting(indexed), fromScratch: false)
        }
        for group in seen { groups.note(group) }
        compared.withLock { $0 = groups }
        try reconcileInPlace(queue)
    }

    /// Takes notice of packs that came or went since the index was opened.
    ///
    /// - Complexity: one look at each of the 256 groups, and a listing of those that changed: a run takes a lease a stage.
    func refresh() throws {
        guard database.withLock({ $0 }) != nil else { return }
        try perform { queue in
            // What a sweep dooms is gone without any change of its group.
            guard !FileSystem.exists(packs.doomPath) else { return try reconcile(queue) }
            try reconcileChanged(queue)
        }
    }

    private func reconcileChanged(_ queue: DatabaseQueue) throws {
        var groups = compared.withLock { $0 }
        var unknown: Set<Digest> = []
        let changed = groups.changed(in: packs)
        // The table first, as in `reconcile`.
        let tables = try queue.read { db in try changed.map { try ContentIndex.packs(db, in: $0.byte) } }
        for (group, indexed) in zip(changed, tables) {
            let present = try packs.list(group: group.name)
            guard indexed.isSubset(of: present) else { return try reconcile(queue) }
            unknown.formUnion(present.subtracting(indexed))
            groups.note(group)
        }
        if !unknown.isEmpty { _ = try fill(queue, with: unknown, fromScratch: false) }
        let seen = groups
        compared.withLock { $0 = seen }
        try reconcileInPlace(queue)
    }

    /// The packs in the index whose digests begin with `byte`.
    private static func packs(_ db: Database, in byte: UInt8) throws -> Set<Digest> {
        let statement = try db.cachedStatement(sql: "SELECT digest FROM packs WHERE digest BETWEEN ? AND ?")
        // Longer than any digest, so that it is greater than all that begin with the byte.
        let last = Data([byte] + [UInt8](repeating: 0xFF, count: 32))
        return Set(try Row.fetchAll(statement, arguments: [Data([byte]), last]).map { ContentIndex.digest($0, 0) })
    }

    /// Indexes packs by their footers; with `fromScratch` all else about objects is forgotten.
    private func fill(
        _ queue: DatabaseQueue, with digests: Set<Digest>, fromScratch: Bool
    ) throws -> RebuildReport {
        var report = RebuildReport()
        var found: [IndexedPack] = []
        try packs.synchronize(digests)
        for digest in digests.sorted() {
            let path = packs.path(of: digest)
            do {
                let file = try OpenFile(reading: path)
                let footer = try PackReader.readFooter(of: file)
                guard footer.digest == digest else {
                    report.unreadablePacks.append(path)
                    continue
                }
                found.append(IndexedPack(digest: digest, byteCount: try file.status().size, entries: footer.entries))
                report.packCount += 1
                report.objectCount += footer.entries.count
            } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
                // One bad pack must not hide the others; `fsck` names it.
                report.unreadablePacks.append(path)
            }
        }
        let packs = found
        try Failpoint.reach("index.fill")
        try queue.write { db in
            if fromScratch {
                try db.execute(sql: "DELETE FROM objects; DELETE FROM packs; DELETE FROM complete")
                try ContentIndex.advanceGeneration(db)
            }
            // A collection may have removed one since it was listed: it takes back only what was in the index before its end.
            for pack in packs where FileSystem.exists(self.packs.path(of: pack.digest)) {
                try ContentIndex.insert(pack, db)
            }
        }
        return report
    }

    /// Forgets all that is known of objects and reads it from the packs again.
    func rebuild() throws -> RebuildReport {
        try perform { queue in
            var report = try fill(queue, with: try packs.list(), fromScratch: true)
            report.unreadablePacks += try reloadInPlace(queue)
            return report
        }
    }

    /// Throws the file away.
    private func reset() throws {
        try database.withLock { held in
            try? held?.close()
            held = nil
            try removeFiles()
        }
    }

    private func removeFiles() throws {
        for ending in ["", "-wal", "-shm"] { try FileSystem.removeFile(path + ending) }
    }
}

/// A pack as the index takes it in.
struct IndexedPack: Sendable {
    var digest: Digest
    var byteCount: Int64
    var entries: [PackEntry]
}
