internal import Basics
internal import CSystem
internal import Glibc

/// Which contents were whole here once. A fetch of one version can bring listings of others, and one that was killed leaves
/// a beginning: what is missing below those was never lost. Layout: Documentation/formats/store.md.
struct WholeLog: Sendable {
    let path: String

    /// Notes `roots`. It is advice: of what is not noted, less is expected.
    func note(_ roots: [ContentRoot]) {
        guard !roots.isEmpty else { return }
        let descriptor = mlops_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // A line break before the lines too: what a full disk cut off before stays apart. One call, so that lines of two
        // processes do not mix.
        let text = "\n" + roots.map { WholeLog.line(ContentStore.topKey(of: $0)) }.joined()
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    /// The trees and lists of chunks of those contents; lines that were cut off are passed over.
    func read() throws -> Set<ObjectKey> {
        guard FileSystem.exists(path) else { return [] }
        return Set(try FileSystem.readText(path).split(separator: "\n").compactMap(WholeLog.parse))
    }

    /// Forgets those that `isHere` denies, and lines that say the same; only while nobody adds.
    func compact(keeping isHere: (ObjectKey) throws -> Bool) throws {
        guard FileSystem.exists(path) else { return }
        let kept = try read().sorted().filter(isHere).map(WholeLog.line).joined()
        guard try FileSystem.readText(path) != kept else { return }
        try FileSystem.replaceUnflushed(path, with: Array(kept.utf8))
    }

    private static func line(_ key: ObjectKey) -> String { "\(key.kind == .tree ? "tree" : "file") \(key.id)\n" }

    private static func parse(_ line: Substring) -> ObjectKey? {
        let parts = line.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let digest = Digest(parts[1]) else { return nil }
        switch parts[0] {
        case "tree": return ObjectKey(.tree, digest)
        case "file": return ObjectKey(.manifest, digest)
        default: return nil
        }
    }
}

extension ContentStore {
    var wholes: WholeLog { WholeLog(path: FileSystem.join(folder, "store/whole")) }

    static func topKey(of root: ContentRoot) -> ObjectKey {
        ObjectKey(root.kind == .tree ? .tree : .manifest, root.digest)
    }

    /// Notes that all of `roots` is here: what is missing of them from now on was lost.
    package func noteWhole(_ roots: [ContentRoot]) { wholes.note(roots) }

    /// Tells of contents whether all of them must be here: they were whole once, or are now, damaged or not.
    package func expectation() throws -> @Sendable (ContentRoot) throws -> Bool {
        let known = try wholes.read()
        return { root in
            let top = ContentStore.topKey(of: root)
            guard try self.isPartlyStored(top) else { return false }
            if known.contains(top) { return true }
            do {
                return try self.contains(root)
            } catch let error as MLOpsError where error.kind == .damaged {
                return true
            }
        }
    }

    /// Whether what a content begins with is here: its listing, its list of chunks, or its only chunk.
    func isPartlyStored(_ top: ObjectKey) throws -> Bool {
        let keys = top.kind == .tree ? [top] : [top, ObjectKey(.chunk, top.id)]
        return try missingObjects(among: keys).count < keys.count
    }
}
