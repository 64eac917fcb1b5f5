internal import CSystem
internal import Glibc
internal import Synchronization

/// Files and folders that wait beside their place until they are whole, and what is left of them when a process is killed.
///
/// A temporary is called `.<boot>-<pid>-<random>.mlops-tmp` and locked with `flock` as long as its process has it open. One
/// that nobody holds is garbage, and the next program that writes into the folder removes it.
package enum TemporaryFile {
    /// The ending of the names of all temporaries.
    package static let ending = ".mlops-tmp"

    /// Tells the machine's run, so that a network disk's temporaries of other machines are told apart: their locks need not
    /// be seen here.
    private static let boot = (MachineStart.id ?? "").prefix(8).filter { $0 != "-" }

    /// A file of another machine, or from before a restart, is left alone for this long.
    private static let patience: Int64 = 86_400_000_000_000

    /// A name that nothing has.
    package static func name() -> String {
        ".\(boot)-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))\(ending)"
    }

    /// The path of a temporary in the folder of `path`.
    package static func path(beside path: String) -> String {
        FileSystem.join(FileSystem.parent(of: path), name())
    }

    /// Makes a temporary in the folder of `path`, open for reading and writing, and holds it.
    package static func create(beside path: String, mode: UInt32 = 0o600) throws -> OpenFile {
        while true {
            let file = try OpenFile(creating: self.path(beside: path), mode: mode)
            if hold(file.descriptor) { return file }
        }
    }

    /// Marks the open temporary as in use until it is closed.
    ///
    /// - Returns: false if another process has just taken it for garbage.
    package static func hold(_ descriptor: Int32) -> Bool {
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 { return errno != EWOULDBLOCK }
        var status = stat()
        return fstat(descriptor, &status) != 0 || status.st_nlink > 0
    }

    /// Removes the temporaries in `folder` that nobody holds, and counts them. Best effort: what cannot be looked at stays.
    @discardableResult
    package static func removeAbandoned(in folder: String) -> Int {
        guard let names = try? FileSystem.list(folder) else { return 0 }
        return names.count { $0.hasSuffix(ending) && removeIfAbandoned(FileSystem.join(folder, $0)) }
    }

    /// Does `removeAbandoned` the first time that this process asks for `folder`.
    package static func removeAbandonedOnce(in folder: String) {
        // By what it is, not by its path: a path through an open descriptor names another folder the next time.
        guard let status = try? FileStatus.following(folder) else { return }
        let key = Folder(device: status.device, inode: status.inode)
        if swept.withLock({ $0.insert(key).inserted }) { removeAbandoned(in: folder) }
    }

    private struct Folder: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    private static let swept = Mutex<Set<Folder>>([])

    /// Does the same in an open folder, wherever its path leads by now.
    package static func removeAbandonedOnce(in folder: OpenFile) { removeAbandonedOnce(in: path(of: folder)) }

    /// Does `removeAbandoned` in an open folder, wherever its path leads by now.
    package static func removeAbandoned(in folder: OpenFile) { removeAbandoned(in: path(of: folder)) }

    private static func path(of folder: OpenFile) -> String { "/proc/self/fd/\(folder.descriptor)" }

    /// Removes the temporary at `path` unless a process holds it.
    ///
    /// - Returns: whether it was removed.
    @discardableResult
    package static func removeIfAbandoned(_ path: String) -> Bool { removeIfAbandoned(path, in: AT_FDCWD) }

    /// Removes the temporary `name` of the open folder `directory` unless a process holds it.
    @discardableResult
    package static func removeIfAbandoned(_ name: String, in directory: Int32) -> Bool {
        guard let status = try? FileStatus.of(name, in: directory) else { return false }
        let isOurs = !boot.isEmpty && FileSystem.name(of: name).hasPrefix(".\(boot)-")
        if !isOurs, status.changeNanoseconds > Timestamp.now.milliseconds * 1_000_000 - patience { return false }
        switch status.kind {
        case .file:
            let descriptor = mlops_openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
            guard descriptor >= 0 else { return false }
            defer { close(descriptor) }
            // While it is locked here, no writer can take it for its own.
            return flock(descriptor, LOCK_EX | LOCK_NB) == 0 && unlinkat(directory, name, 0) == 0
        case .symlink:
            // A link cannot be locked; its name tells whose it is.
            let parts = FileSystem.name(of: name).split(separator: "-")
            let pid = parts.count == 3 ? pid_t(parts[1]) : nil
            if let pid, isOurs, kill(pid, 0) == 0 || errno != ESRCH { return false }
            return unlinkat(directory, name, 0) == 0
        case .directory:
            let descriptor = mlops_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
            guard descriptor >= 0 else { return false }
            defer { close(descriptor) }
            return flock(descriptor, LOCK_EX | LOCK_NB) == 0 && mlops_remove_tree(directory, name) == 0
        case .other: return false
        }
    }
}

extension FileSystem {
    /// A name for a temporary in the folder of `path`.
    package static func temporaryPath(beside path: String) -> String { TemporaryFile.path(beside: path) }
}
