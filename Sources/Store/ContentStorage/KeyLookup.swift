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
        return try withUnsafeTemporaryAllocation(byteCount: 33, alignment: 8) { bytes in
            bytes[0] = key.kind.rawValue
            key.id.copy(to: UnsafeMutableRawBufferPointer(rebasing: bytes[1...]))
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
            default:
                throw DatabaseError(
                    resultCode: ResultCode(rawValue: sqlite3_extended_errcode(database.sqliteConnection)),
                    message: sqlite3_errmsg(database.sqliteConnection).map { String(cString: $0) })
            }
        }
    }
}
