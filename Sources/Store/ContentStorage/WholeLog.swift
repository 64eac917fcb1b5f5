internal import Basics

/// Which contents were whole here once. A fetch of one version can bring listings of others, and one that was killed leaves
/// a beginning: what is missing below those was never lost. Layout: Documentation/formats/store.md.
struct WholeLog: Sendable {
    let path: String

    /// Notes `roots`. It is advice: of what is not noted, less is expected.
    func note(_ roots: [ContentRoot]) {
        guard !roots.isEmpty else { return }
        LineLog.append(roots.map { WholeLog.line(ContentStore.topKey(of: $0)) }, to: path)
    }

    /// What the log holds.
    struct Content {
        /// The trees and lists of chunks of contents that were whole.
        var keys: Set<ObjectKey> = []
        /// Lines that are not as they were written; those that were cut off do not count.
        var damagedCount = 0
    }

    func read() throws -> Content {
        guard FileSystem.exists(path) else { return Content() }
        var content = Content()
        for line in String(decoding: try FileSystem.read(path), as: UTF8.self).split(separator: "\n") {
            if let key = WholeLog.parse(line) {
                content.keys.insert(key)
            } else if !WholeLog.isCutOff(line) {
                content.damagedCount += 1
            }
        }
        return content
    }

    /// Forgets those that `isHere` denies, and lines that say the same or nothing; only while nobody adds.
    func compact(keeping isHere: (ObjectKey) throws -> Bool) throws {
        guard FileSystem.exists(path) else { return }
        let kept = Array(try read().keys.sorted().filter(isHere).map { WholeLog.line($0) + "\n" }.joined().utf8)
        guard try FileSystem.read(path) != kept else { return }
        try FileSystem.replaceUnflushed(path, with: kept)
    }

    /// The length of a line in bytes: kind, digest and check, with a space between them.
    private static let lineLength = 4 + 1 + 64 + 1 + 8

    private static func line(_ key: ObjectKey) -> String {
        let text = "\(key.kind == .tree ? "tree" : "file") \(key.id.hex)"
        return "\(text) \(check(of: text))"
    }

    /// The beginning of the text's SHA-256.
    private static func check(of text: some StringProtocol) -> String {
        String(Digest.of(Array(text.utf8)).hex.prefix(8))
    }

    private static func parse(_ line: Substring) -> ObjectKey? {
        let parts = line.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, line.utf8.count == lineLength, let digest = Digest(parts[1]),
            parts[2] == check(of: line.dropLast(9))
        else { return nil }
        switch parts[0] {
        case "tree": return ObjectKey(.tree, digest)
        case "file": return ObjectKey(.manifest, digest)
        default: return nil
        }
    }

    /// Whether the line may be the beginning of one that a full disk cut off.
    private static func isCutOff(_ line: Substring) -> Bool {
        line.utf8.count < lineLength && ["tree ", "file "].contains { $0.hasPrefix(line.prefix(5)) }
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
        let known = try wholes.read().keys
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

    /// What is wrong with the log of whole contents, if anything is.
    package func damageOfWholeLog() throws -> VerificationReport.Damage? {
        let count = try wholes.read().damagedCount
        guard count > 0 else { return nil }
        return .init(
            object: "`.mlops/store/whole`",
            problem: "\(count) lines are not as they were written; `mlops fsck --heal` writes it anew")
    }

    /// Writes the log of whole contents anew, without what is damaged in it and with `roots`.
    package func mendWholeLog(with roots: [ContentRoot]) throws {
        try wholes.compact { _ in true }
        noteWhole(roots)
    }

    /// Whether what a content begins with is here: its listing, its list of chunks, or its only chunk.
    func isPartlyStored(_ top: ObjectKey) throws -> Bool {
        let keys = top.kind == .tree ? [top] : [top, ObjectKey(.chunk, top.id)]
        return try missingObjects(among: keys).count < keys.count
    }
}
