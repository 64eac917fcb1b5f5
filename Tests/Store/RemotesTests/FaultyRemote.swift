import Basics
import Remotes
import Synchronization

/// Hands everything on to another remote, but counts, fails and spoils on demand.
final class FaultyRemote: Remote {
    struct Broken: Error {}

    private let base: any Remote
    /// How many writes succeed before all others fail; nil: all.
    private let writesLeft: Mutex<Int?>
    private let requests = Mutex<[String]>([])
    /// Changes what is read.
    private let spoil: (@Sendable (_ key: String, _ bytes: [UInt8]) -> [UInt8])?

    init(
        _ base: any Remote, writes: Int? = nil, spoil: (@Sendable (_ key: String, _ bytes: [UInt8]) -> [UInt8])? = nil
    ) {
        self.base = base
        self.spoil = spoil
        writesLeft = Mutex(writes)
    }

    var location: String { base.location }

    /// What was asked, such as `put index/….idx`.
    var log: [String] { requests.withLock { $0 } }

    /// The bytes that were read through `get` and `download`.
    let readByteCount = Atomic<Int64>(0)

    private func note(_ action: String, _ key: String) { requests.withLock { $0.append("\(action) \(key)") } }

    private func write(_ key: String) throws {
        note("put", key)
        try writesLeft.withLock { left in
            guard let count = left else { return }
            if count == 0 { throw Broken() }
            left = count - 1
        }
    }

    private func read(_ key: String, _ bytes: [UInt8]) -> [UInt8] {
        readByteCount.add(Int64(bytes.count), ordering: .relaxed)
        return spoil?(key, bytes) ?? bytes
    }

    func get(_ key: String, range: Range<Int64>?) async throws -> [UInt8] {
        note("get", key)
        return read(key, try await base.get(key, range: range))
    }

    func download(_ key: String, to path: String, progress: ByteProgress?) async throws {
        note("get", key)
        try await base.download(key, to: path, progress: progress)
        try FileSystem.replace(path, with: read(key, FileSystem.read(path)))
    }

    func put(_ bytes: [UInt8], at key: String) async throws {
        try write(key)
        try await base.put(bytes, at: key)
    }

    func upload(file path: String, to key: String, digest: Digest, progress: ByteProgress?) async throws {
        try write(key)
        try await base.upload(file: path, to: key, digest: digest, progress: progress)
    }

    func putIfAbsent(_ bytes: [UInt8], at key: String) async throws -> Bool {
        try write(key)
        return try await base.putIfAbsent(bytes, at: key)
    }

    func list(_ prefix: String) async throws -> [RemoteItem] {
        note("list", prefix)
        return try await base.list(prefix)
    }

    func size(of key: String) async throws -> Int64? { try await base.size(of: key) }

    func remove(_ key: String) async throws {
        note("remove", key)
        try await base.remove(key)
    }
}
