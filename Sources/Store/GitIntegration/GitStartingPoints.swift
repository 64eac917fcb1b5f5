internal import Basics

/// Everything in a repository's folder that names a commit which may still be wanted.
///
/// The files are read one by one, since libgit2 passes over references that it cannot read, and what they named would be
/// taken for garbage.
struct GitStartingPoints {
    struct Point {
        var name: GitObjectName
        /// Where it is named, for messages.
        var origin: String
        /// Whether its history counts as a branch's does; of a tag or an old state only the commit itself.
        var isBranch = false
        /// A stash: the commits of its index and of its untracked files are parents of it.
        var isStash = false
        /// Whether the repository is damaged without it. What old states name may be gone.
        var mustExist = false
        /// Named too long ago to count.
        var isExpired = false
    }

    /// The folder that all working trees share.
    let folder: String
    private let reflogSince: Timestamp
    private(set) var points: [Point] = []

    /// - Throws: kind `.damaged` naming a reference that cannot be read.
    init(folder: String, reflogSince: Timestamp) throws {
        self.folder = folder
        self.reflogSince = reflogSince
        try addPackedReferences()
        try addReferences(below: "refs", in: folder)
        for place in try places { try addState(of: place) }
        try addReflogs(below: FileSystem.join(folder, "logs"), name: "")
    }

    /// The shared folder and those of the linked working trees.
    var places: [String] {
        get throws {
            let linked = FileSystem.join(folder, "worktrees")
            guard FileSystem.isDirectory(linked) else { return [folder] }
            return [folder] + (try FileSystem.list(linked).map { FileSystem.join(linked, $0) })
        }
    }

    // MARK: References

    private mutating func addPackedReferences() throws {
        let path = FileSystem.join(folder, "packed-refs")
        guard FileSystem.exists(path) else { return }
        for line in try FileSystem.readText(path).split(separator: "\n") where !line.hasPrefix("#") {
            // The object that an annotated tag names follows it; it is found through the tag.
            if line.hasPrefix("^") { continue }
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let name = GitObjectName(hex: parts[0]) else {
                throw GitStartingPoints.unreadable(path, "the line `\(printable(String(line.prefix(80))))`")
            }
            // A loose reference of the same name counts instead.
            let reference = String(parts[1])
            guard !FileSystem.exists(FileSystem.join(folder, reference)) else { continue }
            add(name, reference: reference)
        }
    }

    private mutating func addReferences(below path: String, in place: String) throws {
        let directory = FileSystem.join(place, path)
        guard FileSystem.isDirectory(directory) else { return }
        for entry in try FileSystem.list(directory) where !entry.hasSuffix(".lock") {
            let reference = path + "/" + entry
            let file = FileSystem.join(place, reference)
            if FileSystem.isDirectory(file) {
                try addReferences(below: reference, in: place)
                continue
            }
            // Deleted between the listing and now.
            guard let text = try GitStartingPoints.text(of: file) else { continue }
            let line = text.prefix { $0 != "\n" }
            if line.hasPrefix("ref: ") { continue }
            guard let name = GitObjectName(hex: line) else {
                throw GitStartingPoints.unreadable(file, "reference `\(reference)`")
            }
            add(name, reference: reference)
        }
    }

    private mutating func add(_ name: GitObjectName, reference: String) {
        let isBranch = reference.hasPrefix("refs/heads/") || reference.hasPrefix("refs/remotes/")
        points.append(
            Point(
                name: name, origin: "`\(reference)`", isBranch: isBranch, isStash: reference == "refs/stash",
                mustExist: true))
    }

    // MARK: Working trees

    /// What a working tree is at, and in the middle of.
    private mutating func addState(of place: String) throws {
        for entry in try FileSystem.list(place) where entry.hasSuffix("HEAD") {
            let path = FileSystem.join(place, entry)
            guard let text = try GitStartingPoints.text(of: path) else { continue }
            if entry == "HEAD" {
                if text.hasPrefix("ref: ") { continue }
                guard let name = GitObjectName(hex: text.prefix { $0 != "\n" }) else {
                    throw GitStartingPoints.unreadable(path, "the head")
                }
                points.append(Point(name: name, origin: "`\(path)`", isBranch: true, mustExist: true))
            } else {
                addNames(in: text, origin: path)
            }
        }
        for operation in ["rebase-merge", "rebase-apply", "sequencer"] {
            let folder = FileSystem.join(place, operation)
            guard FileSystem.isDirectory(folder) else { continue }
            for entry in try FileSystem.list(folder) {
                let path = FileSystem.join(folder, entry)
                // Patches of an old-style rebase can be large, and name nothing.
                guard let status = try FileStatus.of(path), status.kind == .file, status.size < 1 << 20 else {
                    continue
                }
                if let text = try GitStartingPoints.text(of: path) { addNames(in: text, origin: path) }
            }
        }
        // What belongs to this working tree alone, such as `refs/bisect`.
        if place != folder {
            try addReferences(below: "refs", in: place)
            try addReflogs(below: FileSystem.join(place, "logs"), name: "")
        }
    }

    private mutating func addNames(in text: String, origin: String) {
        for word in text.split(whereSeparator: { $0.isWhitespace }) {
            guard let name = GitObjectName(hex: word) else { continue }
            points.append(Point(name: name, origin: "`\(origin)`"))
        }
    }

    // MARK: What was named before

    private mutating func addReflogs(below path: String, name: String) throws {
        guard FileSystem.isDirectory(path) else { return }
        for entry in try FileSystem.list(path) {
            let file = FileSystem.join(path, entry)
            let reference = name.isEmpty ? entry : name + "/" + entry
            if FileSystem.isDirectory(file) {
                try addReflogs(below: file, name: reference)
            } else if let text = try GitStartingPoints.text(of: file) {
                for line in text.split(separator: "\n") { addReflogEntry(line, reference: reference) }
            }
        }
    }

    private mutating func addReflogEntry(_ line: Substring, reference: String) {
        let head = line.prefix { $0 != "\t" }.split(separator: " ")
        // The last stash lies in `refs/stash`, the others nowhere but here.
        let isStash = reference == "refs/stash"
        // A line whose time cannot be read counts.
        let seconds = head.count >= 4 ? Int64(head[head.count - 2]) : nil
        let isOld = seconds.map { $0 * 1000 < reflogSince.milliseconds } ?? false
        for word in head.prefix(2) {
            guard let name = GitObjectName(hex: word) else { continue }
            points.append(
                Point(
                    name: name, origin: "the reflog of `\(reference)`", isStash: isStash,
                    isExpired: isOld && !isStash))
        }
    }

    // MARK: Reading

    /// The text of a file; nil if there is none.
    private static func text(of path: String) throws -> String? {
        do {
            return try FileSystem.readText(path)
        } catch let error as MLOpsError where error.kind == .notFound {
            return nil
        }
    }

    private static func unreadable(_ path: String, _ what: String) -> MLOpsError {
        MLOpsError(
            .damaged, "git's `\(path)` cannot be read: \(what) names no object",
            hint: "run `git fsck` and mend it; `git reflog` knows what it named before")
    }
}
