internal import Basics

/// What dependencies held when a stage last succeeded, so that it can be told which file or line of them changed.
///
/// The folder `.mlops/cache/deps`: small texts as they were, and listings of folders, by digest. All of it may be lost.
struct DependencyMemory: Sendable {
    /// Larger files are remembered by their digest only.
    static let textLimit: Int64 = 64 << 10
    /// Folders of more files are.
    static let listingLimit = 20_000
    /// What no run looked at for that long is forgotten.
    static let lifetime: Duration = .seconds(90 * 86_400)

    let folder: String
    let root: String
    let store: any StageStore

    init(workspace: String, root: String, store: any StageStore) {
        folder = FileSystem.join(workspace, "cache/deps")
        self.root = root
        self.store = store
    }

    private func place(_ known: String) -> String? {
        known.split(separator: ":").last.map { FileSystem.join(folder, String($0)) }
    }

    // MARK: Remembering

    /// - Parameters:
    ///   - known: `file:sha256:…` or `tree:sha256:…`, as in the ingredients.
    ///   - masker: a text with a secret in it is not kept.
    func remember(_ path: String, as known: String, hiding masker: SecretMasker) async {
        guard let place = place(known), !FileSystem.exists(place) else { return }
        let full = FileSystem.join(root, path)
        let content: [UInt8]?
        if known.hasPrefix("tree:") {
            content = await listing(of: path).map { JSONValue.object($0.mapValues(JSONValue.string)).canonicalBytes }
        } else if let status = try? FileStatus.of(FileSystem.resolved(full) ?? full), status.kind == .file,
            status.size <= DependencyMemory.textLimit
        {
            content = try? FileSystem.read(full)
        } else {
            content = nil
        }
        guard let content, !content.contains(0) || known.hasPrefix("tree:"), !masker.finds(in: content) else { return }
        do {
            try FileSystem.replaceUnflushed(place, with: content, mode: 0o600)
        } catch {
            try? FileSystem.createDirectories(folder)
            try? FileSystem.replaceUnflushed(place, with: content, mode: 0o600)
        }
    }

    /// Forgets what is old.
    func prune(now: Timestamp = .now) {
        let oldest = now.milliseconds - Int64(DependencyMemory.lifetime.seconds * 1000)
        for name in (try? FileSystem.list(folder)) ?? [] {
            let path = FileSystem.join(folder, name)
            guard let status = try? FileStatus.of(path), status.modificationNanoseconds / 1_000_000 < oldest else {
                continue
            }
            try? FileSystem.removeFile(path)
        }
    }

    private func listing(of path: String) async -> [String: String]? {
        guard let files = try? await store.listing(path: path), files.count <= DependencyMemory.listingLimit else {
            return nil
        }
        return files.mapValues(\.description)
    }

    // MARK: Telling

    /// How the file or folder at `path` differs from what it was: `` `data/a.csv` and 2 more changed ``, or the line.
    func difference(of path: String, from known: String, to present: String) async -> String? {
        guard let place = place(known), let content = try? FileSystem.read(place) else { return nil }
        guard known.hasPrefix("tree:") == present.hasPrefix("tree:") else { return nil }
        if known.hasPrefix("tree:") { return await changedFiles(path, content, place) }
        guard let now = try? FileSystem.read(FileSystem.join(root, path)), now.count <= DependencyMemory.textLimit * 4
        else { return nil }
        return TextDifference(
            String(decoding: content, as: UTF8.self), String(decoding: now, as: UTF8.self)
        ).sentence
    }

    private func changedFiles(_ path: String, _ content: [UInt8], _ place: String) async -> String? {
        guard let old = (try? JSONValue(parsing: content, source: place))?.object, let new = await listing(of: path)
        else {
            return nil
        }
        var parts: [String] = []
        let changed = old.keys.filter { name in new[name].map { $0 != old[name]?.string } ?? false }
        let all = [
            (changed, "changed"), (new.keys.filter { old[$0] == nil }, "is new"),
            (old.keys.filter { new[$0] == nil }, "is gone"),
        ]
        for (names, verb) in all {
            guard let first = names.min() else { continue }
            let rest = names.count - 1
            let name = "`\(printable(FileSystem.join(path, first)))`"
            parts.append(
                rest == 0 ? "\(name) \(verb)" : "\(name) and \(rest) more \(verb.replacing("is", with: "are"))")
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

/// The first lines in which two texts differ.
struct TextDifference {
    private let old: [Substring]
    private let new: [Substring]

    init(_ old: String, _ new: String) {
        self.old = old.split(separator: "\n", omittingEmptySubsequences: false)
        self.new = new.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// `line 3 was … and is …`; nil if they are equal.
    var sentence: String? {
        let head = zip(old, new).prefix { $0 == $1 }.count
        let tail = zip(old.dropFirst(head).reversed(), new.dropFirst(head).reversed()).prefix { $0 == $1 }.count
        let before = old[head..<(old.count - tail)]
        let after = new[head..<(new.count - tail)]
        let line = head + 1
        switch (before.count, after.count) {
        case (0, 0): return nil
        case (1, 1): return "line \(line) was \(shown(before[head])) and is \(shown(after[head]))"
        case (0, 1): return "line \(line) is new: \(shown(after[head]))"
        case (0, let count): return "lines \(line) to \(line + count - 1) are new"
        case (1, 0): return "line \(line) is gone: \(shown(before[head]))"
        case (let count, 0): return "lines \(line) to \(line + count - 1) are gone"
        case (let count, let now):
            return count == now
                ? "lines \(line) to \(line + count - 1) differ"
                : "from line \(line) on \(count) lines were replaced by \(now)"
        }
    }

    private func shown(_ line: Substring) -> String {
        "`\(shortened(printable(line.trimmingPrefix { $0 == " " }.description), to: 60))`"
    }
}
