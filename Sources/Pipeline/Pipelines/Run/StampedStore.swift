internal import Basics
internal import Synchronization

/// A store that need not be asked for the digest of a file whose status is as it was when it was last asked.
///
/// A run that has nothing to do looks at every output; one look at a file's status is the least that it can cost. What is known
/// lies in `.mlops/cache/stamps`, and may be lost.
final class StampedStore: StageStore {
    private struct Known: Sendable {
        var stamp: FileStamp
        var digest: Digest
    }

    private struct State {
        var known: [String: Known]?
        var isChanged = false
    }

    private let store: any StageStore
    private let root: String
    private let path: String
    private let now: @Sendable () -> Timestamp
    private let state = Mutex(State())

    init(
        _ store: any StageStore, workspace: String, root: String, now: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.store = store
        self.root = root
        self.now = now
        path = FileSystem.join(workspace, "cache/stamps")
    }

    func identify(path: String) async throws -> StoredOutput? {
        guard let status = try FileStatus.of(FileSystem.join(root, path)), status.kind == .file else {
            return try await store.identify(path: path)
        }
        let stamp = FileStamp(status)
        let known = state.withLock { state in
            if state.known == nil { state.known = load() }
            return state.known?[path]
        }
        if let known, known.stamp == stamp {
            return StoredOutput(path: path, digest: known.digest, kind: "file", byteCount: stamp.size, fileCount: 1)
        }
        let found = try await store.identify(path: path)
        if let found, found.kind == "file", found.byteCount == stamp.size { learn(path, stamp, found.digest) }
        return found
    }

    private func learn(_ path: String, _ stamp: FileStamp, _ digest: Digest) {
        // A file of the last two seconds may change again within the same tick of its clock.
        guard now().milliseconds - stamp.changed / 1_000_000 > 2000 else { return }
        state.withLock { state in
            state.known?[path] = Known(stamp: stamp, digest: digest)
            state.isChanged = true
        }
    }

    /// Writes what was learnt; a failure costs time only.
    func save() {
        let text = state.withLock { state -> String? in
            guard state.isChanged, let known = state.known else { return nil }
            state.isChanged = false
            var text = "mlops stamps 1\n"
            for (path, item) in known {
                let stamp = item.stamp
                text += "\(stamp.size) \(stamp.modified) \(stamp.changed) \(stamp.inode) \(item.digest.hex) \(path)\n"
            }
            return text
        }
        guard let text else { return }
        try? FileSystem.createDirectories(FileSystem.parent(of: path))
        try? FileSystem.replaceUnflushed(path, with: Array(text.utf8))
    }

    private func load() -> [String: Known] {
        guard let bytes = try? FileSystem.read(path) else { return [:] }
        var lines = bytes.split(separator: 0x0A)[...]
        guard lines.popFirst()?.elementsEqual("mlops stamps 1".utf8) == true else { return [:] }
        var known: [String: Known] = [:]
        known.reserveCapacity(lines.count)
        for line in lines {
            let parts = line.split(separator: 0x20, maxSplits: 5)
            guard parts.count == 6, let size = Int64(ascii: parts[0]), let modified = Int64(ascii: parts[1]),
                let changed = Int64(ascii: parts[2]), let inode = UInt64(ascii: parts[3]),
                let digest = Digest(hexDigits: parts[4])
            else { continue }
            known[String(decoding: parts[5], as: UTF8.self)] = Known(
                stamp: FileStamp(size: size, modified: modified, changed: changed, inode: inode), digest: digest)
        }
        return known
    }

    // MARK: Everything else

    func keep(path: String) async throws -> StoredOutput { try await store.keep(path: path) }

    func restore(_ output: StoredOutput, to path: String) async throws { try await store.restore(output, to: path) }

    func has(_ output: StoredOutput) async throws -> Bool { try await store.has(output) }

    func artifactDigest(_ name: String) async throws -> String? { try await store.artifactDigest(name) }

    func listing(path: String) async throws -> [String: Digest]? { try await store.listing(path: path) }

    func recovery(of path: String) async -> String? { await store.recovery(of: path) }
}

extension FixedWidthInteger {
    /// The number that digits, and a sign, of ASCII say.
    fileprivate init?(ascii text: ArraySlice<UInt8>) {
        let digits = text.first == 0x2D ? text.dropFirst() : text
        // Nanoseconds since 1970 have 19 digits, and fit until 2262; a number that does not fit is no stamp of any file.
        guard !digits.isEmpty, digits.count <= 19, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let value = digits.reduce(0) { $0 &* 10 &+ Self($1 &- 0x30) }
        self = digits.count == text.count ? value : 0 &- value
    }
}

extension Digest {
    fileprivate init?(hexDigits text: ArraySlice<UInt8>) { self.init(Substring(decoding: text, as: UTF8.self)) }
}
