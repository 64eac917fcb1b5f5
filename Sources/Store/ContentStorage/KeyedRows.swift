internal import Basics
internal import GRDB
internal import GRDBSQLite

/// A question for one key, asked of the index many times: without GRDB's rows and values it costs a third.
struct KeyLookup {
    /// What was found.
    struct Row {
        fileprivate let statement: OpaquePointer

        /// nil if the column holds something else, as after damage.
        func integer(_ column: Int) -> Int64? {
            guard sqlite3_column_type(statement, CInt(column)) == SQLITE_INTEGER else { return nil }
            return sqlite3_column_int64(statement, CInt(column))
        }
    }

    private let database: Database
    private let statement: Statement

    /// - Parameter sql: with one `?`, which is the key's.
    init(_ database: Database, sql: String) throws {
        self.database = database
        statement = try database.cachedStatement(sql: sql)
    }

    /// What `body` makes of the first row; nil if there is none.
    func first<Result>(_ key: ObjectKey, _ body: (Row) throws -> Result?) throws -> Result? {
        let handle = statement.sqliteStatement
        return try key.withBytes { bytes in
            sqlite3_bind_blob(handle, 1, bytes.baseAddress, CInt(bytes.count), nil)
            // The bytes are this call's alone.
            defer {
                sqlite3_reset(handle)
                sqlite3_clear_bindings(handle)
            }
            let code = sqlite3_step(handle)
            switch code {
            case SQLITE_ROW: return try body(Row(statement: handle))
            case SQLITE_DONE: return nil
            default: throw DatabaseError.last(of: database)
            }
        }
    }
}

/// Rows with a key and integers, put into the index by the thousand: GRDB's values took most of the time of a row.
struct RowInsertion {
    private let database: Database
    private let statement: Statement

    /// - Parameter sql: the first `?` is the key's, the others are the integers'.
    init(_ database: Database, sql: String) throws {
        self.database = database
        statement = try database.cachedStatement(sql: sql)
    }

    func insert(_ key: ObjectKey, _ integers: [Int64]) throws {
        try key.withBytes { try insert($0, integers) }
    }

    func insert(_ id: Digest, _ integers: [Int64]) throws {
        try withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { bytes in
            id.copy(to: bytes)
            try insert(UnsafeRawBufferPointer(bytes), integers)
        }
    }

    private func insert(_ key: UnsafeRawBufferPointer, _ integers: [Int64]) throws {
        let handle = statement.sqliteStatement
        // The key's bytes are this call's alone.
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        sqlite3_bind_blob(handle, 1, key.baseAddress, CInt(key.count), nil)
        for (index, integer) in integers.enumerated() { sqlite3_bind_int64(handle, CInt(index + 2), integer) }
        guard sqlite3_step(handle) == SQLITE_DONE else { throw DatabaseError.last(of: database) }
    }
}

extension ObjectKey {
    /// Hands its kind's byte and its id's to `body`, on the stack.
    fileprivate func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(byteCount: 33, alignment: 8) { bytes in
            bytes[0] = kind.rawValue
            id.copy(to: UnsafeMutableRawBufferPointer(rebasing: bytes[1...]))
            return try body(UnsafeRawBufferPointer(bytes))
        }
    }
}

extension DatabaseError {
    /// What SQLite said last.
    fileprivate static func last(of database: Database) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: sqlite3_extended_errcode(database.sqliteConnection)),
            message: sqlite3_errmsg(database.sqliteConnection).map { String(cString: $0) })
    }
}
