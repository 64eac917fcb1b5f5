internal import Basics
internal import Foundation
internal import GRDB

extension ObjectKey {
    /// The kind's byte and the id's.
    var data: Data {
        var bytes: [UInt8] = [kind.rawValue]
        bytes.reserveCapacity(33)
        id.append(to: &bytes)
        return Data(bytes)
    }

    init?(_ data: Data) {
        guard data.count == 33, let first = data.first, let kind = ObjectKind(rawValue: first),
            let id = Digest(bytes: data.dropFirst())
        else { return nil }
        self.init(kind, id)
    }
}

/// GRDB's own decoding ends the process when a column holds another type, which is what a flipped bit can make of it.
extension Row {
    func integer(_ column: Int) -> Int64? {
        let value: DatabaseValue = self[column]
        guard case .int64(let number) = value.storage else { return nil }
        return number
    }

    func blob(_ column: Int) -> Data? {
        let value: DatabaseValue = self[column]
        guard case .blob(let data) = value.storage else { return nil }
        return data
    }

    func text(_ column: Int) -> String? {
        let value: DatabaseValue = self[column]
        guard case .string(let text) = value.storage else { return nil }
        return text
    }
}

extension ContentIndex {
    static func digest(_ row: Row, _ column: Int) -> Digest {
        row.blob(column).flatMap { Digest(bytes: $0) } ?? emptyContent
    }

    /// Where the objects lie, in the order of `keys`; nil for those not here.
    func locate(_ keys: [ObjectKey]) throws -> [ObjectLocation?] {
        guard !keys.isEmpty else { return [] }
        return try read { db in
            let lookup = try KeyLookup(
                db, sql: "SELECT pack, start, stored, plain, codec, proof FROM objects WHERE key = ?")
            let packStatement = try db.cachedStatement(sql: "SELECT digest FROM packs WHERE number = ?")
            var packs: [Int64: Digest] = [:]
            return try keys.map { key in
                try lookup.first(key) { row in
                    guard let number = row.integer(0) else { return nil }
                    if packs[number] == nil {
                        packs[number] = try Row.fetchOne(packStatement, arguments: [number]).map {
                            ContentIndex.digest($0, 0)
                        }
                    }
                    return packs[number].flatMap { ContentIndex.location(row, in: $0) }
                }
            }
        }
    }

    /// The place in a row of `locate`; nil if it is no place at all, as after damage.
    private static func location(_ row: KeyLookup.Row, in pack: Digest) -> ObjectLocation? {
        guard let offset = row.integer(1), offset >= 0, let stored = row.integer(2).flatMap({ UInt32(exactly: $0) }),
            let plain = row.integer(3).flatMap({ UInt32(exactly: $0) }),
            let codec = row.integer(4).flatMap({ UInt8(exactly: $0) }).flatMap({ PackCodec(rawValue: $0) }),
            let check = row.integer(5).flatMap({ UInt32(exactly: $0) })
        else { return nil }
        return ObjectLocation(
            pack: pack, offset: offset, storedLength: Int(stored), plainLength: Int(plain), codec: codec, check: check)
    }

    /// Which of the objects are here, in packs or in files that were added in place, in the order of `keys`.
    func contains(_ keys: [ObjectKey], inPacksAlone: Bool = false) throws -> [Bool] {
        var isHere = try has(keys, table: "objects")
        let absent = inPacksAlone ? [] : keys.indices.filter { !isHere[$0] && keys[$0].kind == .chunk }
        guard !absent.isEmpty else { return isHere }
        for (position, isInPlace) in zip(absent, try areInPlace(absent.map { keys[$0] })) {
            isHere[position] = isInPlace
        }
        return isHere
    }

    /// Of which trees and manifests it is known that nothing below them is missing.
    func isComplete(_ keys: [ObjectKey]) throws -> [Bool] { try has(keys, table: "complete") }

    private func has(_ keys: [ObjectKey], table: String) throws -> [Bool] {
        guard !keys.isEmpty else { return [] }
        return try read { db in
            if let all = try ContentIndex.allKeys(of: table, atMost: keys.count / 8, db) {
                return keys.map(all.contains)
            }
            let lookup = try KeyLookup(db, sql: "SELECT 1 FROM \(table) WHERE key = ?")
            return try keys.map { try lookup.first($0) { _ in true } != nil }
        }
    }

    /// The keys of a table that has so few that asking for each of many others would take longer; nil if it has more than
    /// `limit`.
    private static func allKeys(of table: String, atMost limit: Int, _ db: Database) throws -> Set<ObjectKey>? {
        guard limit >= 64 else { return nil }
        let statement = try db.cachedStatement(sql: "SELECT key FROM \(table) LIMIT ?")
        let rows = try Row.fetchAll(statement, arguments: [limit + 1])
        return rows.count > limit ? nil : Set(rows.compactMap { row in row.blob(0).flatMap { ObjectKey($0) } })
    }

    /// Takes in new packs, what is known to be complete, and what files look like, in one transaction.
    func record(
        packs: [IndexedPack], complete: [ObjectKey], folders: [FolderUpdate],
        inPlace: (name: String, files: [InPlaceFile])? = nil
    ) throws {
        guard !packs.isEmpty || !complete.isEmpty || !folders.isEmpty || inPlace != nil else { return }
        try write { db in
            if let inPlace { try ContentIndex.insert(inPlace.files, record: inPlace.name, db) }
            for pack in packs { try ContentIndex.insert(pack, db) }
            let statement = try db.cachedStatement(sql: "INSERT OR IGNORE INTO complete VALUES (?)")
            for key in complete { try statement.execute(arguments: [key.data]) }
            try ContentIndex.save(folders, db)
        }
    }

    static func insert(_ pack: IndexedPack, _ db: Database) throws {
        var digest: [UInt8] = []
        pack.digest.append(to: &digest)
        try db.execute(
            sql: "INSERT OR IGNORE INTO packs (digest, byteCount) VALUES (?, ?)",
            arguments: [Data(digest), pack.byteCount])
        guard
            let number = try Int64.fetchOne(
                db, sql: "SELECT number FROM packs WHERE digest = ?", arguments: [Data(digest)])
        else { return }
        let rows = try RowInsertion(db, sql: "INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)")
        // In the order of the table, so that its pages are filled one after the other.
        for entry in pack.entries.sorted(by: { $0.key < $1.key }) {
            try rows.insert(
                entry.key,
                [
                    number, entry.offset, Int64(entry.storedLength), Int64(entry.plainLength),
                    Int64(entry.codec.rawValue), Int64(entry.check),
                ])
        }
    }

    /// Every indexed pack with its size, and how many objects the index finds in it.
    func packList() throws -> [(digest: Digest, byteCount: Int64)] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT digest, byteCount FROM packs").map { row in
                (digest: ContentIndex.digest(row, 0), byteCount: row.integer(1) ?? 0)
            }
        }
    }

    /// How many objects are indexed.
    func count() throws -> Int { try read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM objects") ?? 0 } }

    /// The keys of all objects that the index places in `pack`.
    func objects(in pack: Digest) throws -> [ObjectKey] {
        var digest: [UInt8] = []
        pack.append(to: &digest)
        let data = Data(digest)
        return try read { db in
            try Row.fetchAll(
                db, sql: "SELECT key FROM objects WHERE pack = (SELECT number FROM packs WHERE digest = ?)",
                arguments: [data]
            ).compactMap { $0.blob(0).flatMap { ObjectKey($0) } }
        }
    }
}
