internal import Basics
internal import Foundation
internal import GRDB

extension ContentIndex {
    /// Counts the times that objects were taken out. What was concluded from the index before is worth nothing after.
    func generation() throws -> Int {
        try read { db in try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0 }
    }

    static func advanceGeneration(_ db: Database) throws {
        let generation = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        try db.execute(sql: "PRAGMA application_id = \((generation + 1) & 0x7FFF_FFFF)")
    }

    /// Notes that nothing below `key` is missing, unless something was taken out since `generation`.
    func recordComplete(_ key: ObjectKey, since generation: Int) throws {
        try write { db in
            guard try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0 == generation else { return }
            try db.execute(sql: "INSERT OR IGNORE INTO complete VALUES (?)", arguments: [key.data])
        }
    }

    /// Takes packs out, in one transaction.
    ///
    /// - Parameters:
    ///   - copies: entries of other packs for objects that lay in the removed ones too.
    ///   - isLive: whether an object stays; of the others it is forgotten that they are complete.
    func forget(_ packs: [Digest], copies: [IndexedPack], isLive: @Sendable (ObjectKey) -> Bool) throws {
        try write { db in
            let statement = try db.cachedStatement(sql: "SELECT number FROM packs WHERE digest = ?")
            var numbers: [Int64] = []
            for pack in packs {
                var bytes: [UInt8] = []
                pack.append(to: &bytes)
                if let number = try Int64.fetchOne(statement, arguments: [Data(bytes)]) { numbers.append(number) }
            }
            try db.execute(sql: "CREATE TEMP TABLE IF NOT EXISTS doomed (number INTEGER PRIMARY KEY)")
            try db.execute(sql: "DELETE FROM temp.doomed")
            for number in numbers {
                try db.execute(sql: "INSERT INTO temp.doomed VALUES (?)", arguments: [number])
            }
            try db.execute(
                sql: """
                    DELETE FROM objects WHERE pack IN (SELECT number FROM temp.doomed);
                    DELETE FROM packs WHERE number IN (SELECT number FROM temp.doomed);
                    """)
            for pack in copies { try ContentIndex.insert(pack, db) }
            let remove = try db.cachedStatement(sql: "DELETE FROM complete WHERE key = ?")
            for row in try Row.fetchAll(db, sql: "SELECT key FROM complete") {
                guard let data = row.blob(0) else { continue }
                if let key = ObjectKey(data), isLive(key) { continue }
                try remove.execute(arguments: [data])
            }
            try ContentIndex.advanceGeneration(db)
        }
    }
}
