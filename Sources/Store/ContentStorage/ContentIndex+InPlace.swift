internal import Basics
internal import Foundation
internal import GRDB

extension ContentIndex {
    static func createInPlaceTables(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE inPlaceRecords (name TEXT PRIMARY KEY) WITHOUT ROWID;
                CREATE TABLE inPlaceFiles (
                    number INTEGER PRIMARY KEY, path BLOB NOT NULL, byteCount INTEGER NOT NULL,
                    modified INTEGER NOT NULL, changed INTEGER NOT NULL, inode INTEGER NOT NULL);
                CREATE TABLE inPlaceChunks (
                    id BLOB PRIMARY KEY, file INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL)
                    WITHOUT ROWID;
                """)
    }

    /// Takes in a record; what it says of a chunk replaces what was known of it.
    static func insert(_ files: [InPlaceFile], record name: String, _ db: Database) throws {
        try db.execute(sql: "INSERT OR IGNORE INTO inPlaceRecords VALUES (?)", arguments: [name])
        let insertFile = try db.cachedStatement(
            sql: "INSERT INTO inPlaceFiles (path, byteCount, modified, changed, inode) VALUES (?, ?, ?, ?, ?)")
        let chunks = try RowInsertion(db, sql: "INSERT OR REPLACE INTO inPlaceChunks VALUES (?, ?, ?, ?)")
        for file in files {
            try insertFile.execute(arguments: [
                Data(file.path.utf8), file.byteCount, file.modificationNanoseconds, file.changeNanoseconds,
                Int64(bitPattern: file.inode),
            ])
            let number = db.lastInsertedRowID
            for chunk in file.chunks.sorted(by: { $0.id < $1.id }) {
                try chunks.insert(chunk.id, [number, chunk.offset, Int64(chunk.length)])
            }
        }
    }

    /// Makes the tables say what the records in the folder say, if records came or went.
    func reconcileInPlace(_ queue: DatabaseQueue) throws {
        let present = try inPlace.list()
        let known = try queue.read {
            Set(try Row.fetchAll($0, sql: "SELECT name FROM inPlaceRecords").map { $0.text(0) ?? "" })
        }
        guard present != known else { return }
        try reloadInPlace(queue)
    }

    /// Reads all records; the paths of those that cannot be read.
    @discardableResult
    func reloadInPlace(_ queue: DatabaseQueue) throws -> [String] {
        var unreadable: [String] = []
        var records: [(name: String, files: [InPlaceFile])] = []
        for name in try inPlace.list().sorted() {
            do {
                records.append((name, try inPlace.read(name)))
            } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
                unreadable.append(FileSystem.join(inPlace.path, name))
                records.append((name, []))
            }
        }
        let found = records
        try queue.write { db in
            try db.execute(
                sql: "DELETE FROM inPlaceRecords; DELETE FROM inPlaceFiles; DELETE FROM inPlaceChunks")
            // Files that are as they were come last, so that their word counts.
            for isCurrent in [false, true] {
                for (name, files) in found {
                    let wanted = files.filter { $0.matches(status(of: $0)) == isCurrent }
                    try ContentIndex.insert(wanted, record: name, db)
                }
            }
        }
        return unreadable
    }

    /// Where the file lies on this machine.
    func absolute(_ file: InPlaceFile) -> String {
        file.path.hasPrefix("/") ? file.path : FileSystem.join(project, file.path)
    }

    func status(of file: InPlaceFile) -> FileStatus? { (try? FileStatus.of(absolute(file))) ?? nil }

    /// Where chunks were left in the workspace, in the order of `ids`, whether their files are as they were or not.
    func placesInWorkspace(_ ids: [Digest]) throws -> [InPlaceLocation?] {
        guard !ids.isEmpty else { return [] }
        return try read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT start, length, path, byteCount, modified, changed, inode
                    FROM inPlaceChunks JOIN inPlaceFiles ON file = number WHERE id = ?
                    """)
            return try ids.map { id in
                guard let row = try Row.fetchOne(statement, arguments: [Data(id.bytes)]) else { return nil }
                guard let file = ContentIndex.file(row, from: 2),
                    let (offset, length) = ContentIndex.extent(row, from: 0)
                else { return nil }
                return InPlaceLocation(file: file, offset: offset, length: length)
            }
        }
    }

    /// The file in a row; nil if the row is damaged.
    private static func file(_ row: Row, from column: Int) -> InPlaceFile? {
        guard let path = row.blob(column), let byteCount = row.integer(column + 1),
            let modified = row.integer(column + 2), let changed = row.integer(column + 3),
            let inode = row.integer(column + 4)
        else { return nil }
        return InPlaceFile(
            path: String(decoding: path, as: UTF8.self), byteCount: byteCount, modificationNanoseconds: modified,
            changeNanoseconds: changed, inode: UInt64(bitPattern: inode))
    }

    /// Where in its file a chunk lies; nil if the row is damaged.
    private static func extent(_ row: Row, from column: Int) -> (offset: Int64, length: Int)? {
        guard let offset = row.integer(column), offset >= 0, let length = row.integer(column + 1),
            (0...Int64(ChunkSizes.standard.maximum)).contains(length)
        else { return nil }
        return (offset, Int(length))
    }

    /// Whether anything was left in the workspace.
    func hasInPlace() throws -> Bool {
        try read { try Int.fetchOne($0.cachedStatement(sql: "SELECT 1 FROM inPlaceChunks LIMIT 1")) != nil }
    }

    /// All files that hold chunks, with them.
    func filesInPlace() throws -> [InPlaceFile] {
        try read { db in
            var files: [InPlaceFile] = []
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT number, path, byteCount, modified, changed, inode, id, start, length
                    FROM inPlaceFiles JOIN inPlaceChunks ON file = number ORDER BY number, start
                    """)
            var last: Int64?
            while let row = try rows.next() {
                guard let number = row.integer(0), let file = ContentIndex.file(row, from: 1),
                    let (offset, length) = ContentIndex.extent(row, from: 7)
                else { continue }
                if number != last { files.append(file) }
                last = number
                let chunk = InPlaceChunk(id: ContentIndex.digest(row, 6), offset: offset, length: UInt32(length))
                files[files.count - 1].chunks.append(chunk)
            }
            return files
        }
    }

    /// Which of the objects lie in files of the workspace that are as they were.
    func areInPlace(_ keys: [ObjectKey]) throws -> [Bool] {
        guard !keys.isEmpty, try hasInPlace() else { return keys.map { _ in false } }
        var matching: [String: Bool] = [:]
        return zip(keys, try placesInWorkspace(keys.map(\.id))).map { key, place in
            guard key.kind == .chunk, let file = place?.file else { return false }
            let name = "\(file.modificationNanoseconds) \(file.byteCount) \(file.path)"
            if let known = matching[name] { return known }
            let isSame = file.matches(status(of: file))
            matching[name] = isSame
            return isSame
        }
    }
}
