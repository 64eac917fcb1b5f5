package import Basics

/// Receives the count of bytes that moved since the call before; negative when a failed attempt starts over.
package typealias ByteProgress = @Sendable (Int64) -> Void

/// A place that shares objects between machines: bytes under slash-separated keys, such as `packs/ab/<digest>.pack`.
///
/// Every method checks its key first and throws kind `.usage` for one that could leave the remote (see `RemoteKey`). An
/// object appears whole or not at all. Failures have the kinds `.notFound`, `.notAllowed` (the key or its rights),
/// `.unreachable` and `.damaged`; what may pass by itself has been retried before.
package protocol Remote: Sendable {
    /// Where it is, as a person wrote it: `s3://bucket/prefix` or a folder.
    var location: String { get }

    /// The bytes of an object, or exactly the bytes of `range` of it.
    ///
    /// - Throws: kind `.notFound` if there is no such object, `.damaged` if it ends before `range` does.
    func get(_ key: String, range: Range<Int64>?) async throws -> [UInt8]

    /// Fills `target` with the bytes of an object from `offset` on.
    ///
    /// - Throws: as `get`.
    func read(_ key: String, from offset: Int64, into target: PooledBytes) async throws

    /// Writes an object to the file `path`, which is created or emptied; nothing is flushed or renamed.
    func download(_ key: String, to path: String, progress: ByteProgress?) async throws

    /// Stores small `bytes`, replacing what is there.
    func put(_ bytes: [UInt8], at key: String) async throws

    /// Stores the file `path`, whose bytes have `digest`, replacing what is there.
    ///
    /// - Throws: kind `.damaged` if the file holds other bytes; nothing is stored then.
    func upload(file path: String, to key: String, digest: Digest, progress: ByteProgress?) async throws

    /// Stores `bytes` unless an object is there; of several writers exactly one gets true.
    ///
    /// - Returns: false if someone else's object is there. An own success whose answer was lost counts as true.
    func putIfAbsent(_ bytes: [UInt8], at key: String) async throws -> Bool

    /// All objects below the folder `prefix` (empty for all), sorted by key; keys that we could not have written are left out.
    func list(_ prefix: String) async throws -> [RemoteItem]

    /// The count of bytes of an object, or nil if there is none.
    func size(of key: String) async throws -> Int64?

    /// Removes an object; fine if there is none.
    func remove(_ key: String) async throws
}

extension Remote {
    package func get(_ key: String) async throws -> [UInt8] { try await get(key, range: nil) }

    package func read(_ key: String, from offset: Int64, into target: PooledBytes) async throws {
        let bytes = try await get(key, range: offset..<offset + Int64(target.count))
        guard bytes.count == target.count else {
            throw MLOpsError(.damaged, "`\(key)` in the remote `\(location)` has another length than was asked for")
        }
        target.memory.copyBytes(from: bytes)
    }

    package func download(_ key: String, to path: String) async throws {
        try await download(key, to: path, progress: nil)
    }

    package func upload(file path: String, to key: String, digest: Digest) async throws {
        try await upload(file: path, to: key, digest: digest, progress: nil)
    }
}

/// One object of a listing.
package struct RemoteItem: Hashable, Sendable {
    package var key: String
    package var byteCount: Int64

    package init(key: String, byteCount: Int64) {
        self.key = key
        self.byteCount = byteCount
    }
}

/// `read` again, twice at most, when what it read is damaged: bytes can be hurt on their way, and only a look or two more tells
/// that from damage at their source.
func lookingAgain<Output>(
    isolation: isolated (any Actor)? = #isolation, _ read: () async throws -> Output
) async throws -> Output {
    for _ in 0..<2 {
        do {
            return try await read()
        } catch let error as MLOpsError where error.kind == .damaged {
            continue
        }
    }
    return try await read()
}
