internal import Basics
internal import CSystem
internal import Glibc
internal import Synchronization

/// Finds what stages write besides their outputs, by comparing the repository's tree before and after each.
///
/// Between two looks the same stages run, so a change belongs to one of them. Only the status of files is read; folders whose
/// own status is as before are not listed again.
final class TreeWatch: Sendable {
    struct Change: Sendable, Hashable {
        enum Kind: String, Sendable { case created, changed, removed }

        var path: String
        var kind: Kind
        /// Other stages that ran when it happened.
        var others: [String]
    }

    /// More files than that are not watched: looking at them would take longer than most stages.
    static let limit = 100_000
    /// Nobody but the next stage can have done what happens within this time after a look.
    private static let settled: Duration = .milliseconds(50)
    /// The clock of a file system may stand still for that long; a folder that changed since is listed again.
    private static let tick: Int64 = 50_000_000

    /// The names in a folder of so many or more are followed by the kernel's notices.
    private static let noticedNames = 500

    private struct State {
        let notices = FolderNotices()
        var folders: [String: WatchedFolder] = [:]
        var count = 0
        var isKnown = false
        var isTooLarge = false
        var lastLook: ContinuousClock.Instant?
        /// By stage what happened while it ran.
        var running: [String: [String: Change]] = [:]
    }

    private let root: String
    private let rules: WatchRules
    private let state = Mutex(State())

    init(_ pipeline: Pipeline, isIgnored: @escaping @Sendable (String) -> Bool) {
        root = pipeline.root
        rules = WatchRules(pipeline, isIgnored: isIgnored)
    }

    /// Whether the tree has too many files to be watched.
    var isTooLarge: Bool { state.withLock(\.isTooLarge) }

    func begin(_ stage: String) {
        state.withLock { state in
            let isFresh =
                state.running.isEmpty && state.lastLook.map { ContinuousClock.now - $0 < TreeWatch.settled } ?? false
            if !isFresh { look(&state) }
            state.running[stage] = [:]
        }
    }

    /// What happened since `begin`, sorted by path.
    func end(_ stage: String) -> [Change] {
        state.withLock { state in
            look(&state)
            return (state.running.removeValue(forKey: stage) ?? [:]).values.sorted { $0.path < $1.path }
        }
    }

    // MARK: One look

    private func look(_ state: inout State) {
        guard !state.isTooLarge else { return }
        let isFirst = !state.isKnown
        var changes: [(String, Change.Kind)] = []
        state.notices.refresh()
        visit("", &state, isFirst, &changes)
        state.isKnown = true
        state.lastLook = .now
        if state.count > TreeWatch.limit {
            state.isTooLarge = true
            state.folders = [:]
        }
        guard !isFirst, !state.isTooLarge else { return }
        let running = state.running.keys.sorted()
        for (path, kind) in changes {
            for stage in running {
                state.running[stage]?[path] = Change(path: path, kind: kind, others: running.filter { $0 != stage })
            }
        }
    }

    private func visit(
        _ folder: String, _ state: inout State, _ isFirst: Bool, _ changes: inout [(String, Change.Kind)]
    ) {
        guard state.count <= TreeWatch.limit else { return }
        let path = folder.isEmpty ? root : FileSystem.join(root, folder)
        guard let status = try? FileStatus.of(path), status.kind == .directory else { return }
        // Taken out while it is worked on, as changing a second reference to it would copy all names.
        var record = state.folders.removeValue(forKey: folder) ?? WatchedFolder()
        let stamp = FileStamp(status)
        let now = Timestamp.now.milliseconds * 1_000_000
        if record.stamp != stamp {
            list(folder, path, &record, &state, &changes)
            // A folder that changed just now may change again within the same tick of its clock.
            record.stamp = now - stamp.changed > TreeWatch.tick ? stamp : nil
        }
        for (name, stamp) in TreeWatch.changed(record.files, in: path) {
            record.files[name] = stamp
            changes.append((TreeWatch.below(folder, name), .changed))
        }
        let folders = record.folders
        state.folders[folder] = record
        for name in folders { visit(TreeWatch.below(folder, name), &state, isFirst, &changes) }
    }

    /// The files that are not as they were. They are looked at from their open folder, which spares the walk to it for each.
    private static func changed(_ files: [String: FileStamp], in folder: String) -> [(String, FileStamp)] {
        if files.isEmpty { return [] }
        let descriptor = mlops_open(folder, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { return [] }
        let directory = OpenFile(descriptor: descriptor, path: folder)
        return files.compactMap { name, known in
            guard let status = try? FileStatus.of(name, in: directory.descriptor) else { return nil }
            let stamp = FileStamp(status)
            return stamp == known ? nil : (name, stamp)
        }
    }

    private static func below(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : folder + "/" + name
    }

    /// Brings `record` up to the names in the folder.
    ///
    /// - Complexity: a folder of outputs may hold thousands of names, and gets one a stage. Where the kernel tells which, it is not
    ///   listed, and otherwise no text is made for a name that is known.
    private func list(
        _ folder: String, _ path: String, _ record: inout WatchedFolder, _ state: inout State,
        _ changes: inout [(String, Change.Kind)]
    ) {
        if let names = state.notices.names(in: folder) {
            for name in names {
                if let status = try? FileStatus.of(FileSystem.join(path, name)) {
                    if !record.knows(name) { take(name, status, in: folder, &record, &state, &changes) }
                } else if record.forget(name) {
                    state.count -= 1
                    changes.append((TreeWatch.below(folder, name), .removed))
                }
            }
            return
        }
        if record.nameCount >= TreeWatch.noticedNames { state.notices.watch(folder, at: path) }
        var missingCount = record.nameCount
        var unknown: [String] = []
        do {
            try FileSystem.forEachName(in: path) { name in
                if record.knows(name) {
                    missingCount -= 1
                } else {
                    unknown.append(String(decoding: name, as: UTF8.self))
                }
            }
        } catch {
            return
        }
        for name in unknown {
            guard let status = try? FileStatus.of(FileSystem.join(path, name)) else { continue }
            take(name, status, in: folder, &record, &state, &changes)
        }
        guard missingCount > 0, let names = try? FileSystem.list(path) else { return }
        for (name, isFile) in record.forget(allBut: Set(names)) {
            guard isFile else { continue }
            state.count -= 1
            changes.append((TreeWatch.below(folder, name), .removed))
        }
    }

    private func take(
        _ name: String, _ status: FileStatus, in folder: String, _ record: inout WatchedFolder,
        _ state: inout State, _ changes: inout [(String, Change.Kind)]
    ) {
        let below = TreeWatch.below(folder, name)
        let isFolder = status.kind == .directory
        guard rules.watches(below, name: name, isFolder: isFolder, in: folder) else {
            record.skip(name)
            return
        }
        state.count += 1
        if isFolder {
            record.add(folder: name)
        } else {
            record.add(file: name, FileStamp(status))
            changes.append((below, .created))
        }
    }
}
