package import Basics
internal import CSystem
internal import Glibc

/// What was added or fetched lately, so that a collection of garbage leaves it for a while, also where nothing names it yet and
/// where all of it lay in old packs already. Layout: Documentation/formats/store.md.
struct UseLog: Sendable {
    struct Use: Hashable, Sendable {
        var time: Timestamp
        var root: ContentRoot
        /// Where it lay, for people.
        var place: String
    }

    let path: String

    /// Notes a use. It is advice: what is named by a pointer needs no note, so failing costs nothing that is named.
    func note(_ root: ContentRoot, place: String, at time: Timestamp = .now) {
        LineLog.append([UseLog.line(Use(time: time, root: root, place: place))], to: path)
    }

    /// All uses that can be read; lines that were cut off are passed over.
    func read() throws -> [Use] {
        guard FileSystem.exists(path) else { return [] }
        return try FileSystem.readText(path).split(separator: "\n").compactMap(UseLog.parse)
    }

    /// Forgets what was used before `time`; only while nobody adds.
    func forget(before time: Timestamp) throws {
        let uses = try read()
        let recent = uses.filter { $0.time >= time }
        guard recent.count < uses.count else { return }
        let text = recent.map { UseLog.line($0) + "\n" }.joined()
        try FileSystem.replaceUnflushed(path, with: Array(text.utf8))
    }

    private static func line(_ use: Use) -> String {
        let root = use.root
        return
            "\(use.time) \(root.kind.rawValue) \(root.digest) \(root.byteCount) \(root.fileCount) \(printable(use.place))"
    }

    private static func parse(_ line: Substring) -> Use? {
        let parts = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, let time = Timestamp(String(parts[0])),
            let kind = ContentRoot.Kind(rawValue: String(parts[1])), let digest = Digest(parts[2]),
            let byteCount = Int64(parts[3]), let fileCount = Int(parts[4])
        else { return nil }
        return Use(
            time: time, root: ContentRoot(digest: digest, kind: kind, byteCount: byteCount, fileCount: fileCount),
            place: String(parts[5]))
    }
}

extension ContentStore {
    var uses: UseLog { UseLog(path: FileSystem.join(folder, "store/uses")) }

    /// Notes that `root` was added or fetched just now.
    package func noteUse(of root: ContentRoot, place: String) {
        // By the later of two clocks: one that is behind would end the grace period early.
        uses.note(root, place: place, at: max(.now, diskTime ?? .now))
    }

    /// The present by the clock of the store's disk, which stamps the packs; nil where no file can be made there.
    package var diskTime: Timestamp? {
        let descriptor = mlops_open(folder, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return StableRead.diskTime(at: descriptor).map { Timestamp(milliseconds: $0 / 1_000_000) }
    }
}
