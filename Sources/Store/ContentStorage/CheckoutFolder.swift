internal import Basics
internal import CSystem
internal import Glibc

/// The folder that a checkout writes into: every name is resolved below it, and never through a link.
final class CheckoutFolder: Sendable {
    private let root: OpenFile
    /// As the caller named it, for errors.
    private let displayPath: String
    /// Whether nobody sees the folder yet.
    let isHidden: Bool

    init(root: OpenFile, displayPath: String, isHidden: Bool = false) {
        self.root = root
        self.displayPath = displayPath
        self.isHidden = isHidden
    }

    /// Opens the folder `path` below the root; `""` is the root.
    func open(_ path: String) throws -> OpenFile {
        let descriptor = mlops_open_beneath(root.descriptor, path.isEmpty ? "." : path, O_RDONLY | O_DIRECTORY, 0)
        if descriptor < 0 { throw failure("open", path) }
        return OpenFile(descriptor: descriptor, path: FileSystem.join(displayPath, path))
    }

    private func failure(_ action: String, _ path: String) -> MLOpsError {
        let number = errno
        let display = FileSystem.join(displayPath, path)
        if number == ELOOP || number == EXDEV {
            return MLOpsError(
                .failed, "`\(display)` lies behind a symbolic link that was put there meanwhile",
                hint: "remove the link, then run the same command again")
        }
        return MLOpsError.system(action, display, errno: number)
    }

    private func withParent<Result>(_ path: String, _ body: (Int32, String) throws -> Result) throws -> Result {
        let parent = FileSystem.parent(of: path)
        let folder = try open(parent == "." ? "" : parent)
        return try body(folder.descriptor, FileSystem.name(of: path))
    }

    func makeFolder(_ path: String) throws {
        try withParent(path) { folder, name in
            try Failpoint.reach("checkout.folder")
            if mkdirat(folder, name, 0o777) != 0, errno != EEXIST { throw failure("create", path) }
        }
    }

    func remove(_ path: String) throws {
        try withParent(path) { folder, name in
            try Failpoint.reach("checkout.remove")
            if unlinkat(folder, name, 0) != 0, errno != ENOENT { throw failure("remove", path) }
        }
    }

    /// Removes a folder; one that somebody has put files into meanwhile stays.
    func removeFolder(_ path: String) throws {
        try withParent(path) { folder, name in
            try Failpoint.reach("checkout.remove")
            if unlinkat(folder, name, AT_REMOVEDIR) != 0, errno != ENOENT, errno != ENOTEMPTY, errno != EEXIST {
                throw failure("remove", path)
            }
        }
    }

    func setExecutable(_ path: String, _ isExecutable: Bool) throws {
        try withParent(path) { folder, name in
            let descriptor = mlops_open_beneath(folder, name, O_RDONLY | O_NONBLOCK, 0)
            if descriptor < 0 { throw failure("open", path) }
            let file = OpenFile(descriptor: descriptor, path: path)
            let old = try file.status().permissions
            // Whoever may read may execute, as after git's checkout.
            let new = isExecutable ? old | (old & 0o444) >> 2 : old & ~0o111
            try Failpoint.reach("checkout.chmod")
            if fchmod(descriptor, new) != 0 { throw failure("set the mode of", path) }
        }
    }
}

/// Creates files in folders of a checkout, keeping the last folder open. One task at a time uses it.
final class FilePlacer {
    private let root: CheckoutFolder
    private var folder: (path: String, file: OpenFile)?

    init(root: CheckoutFolder) { self.root = root }

    private func open(parentOf path: String) throws -> OpenFile {
        let parent = FileSystem.parent(of: path)
        if let folder, folder.path.utf8.elementsEqual(parent.utf8) { return folder.file }
        let file = try root.open(parent == "." ? "" : parent)
        folder = (parent, file)
        return file
    }

    /// Makes the file or link of `write` appear whole: it gets its name only after `body` has filled it.
    func place(_ write: CheckoutPlan.Write, _ body: (OpenFile) throws -> Void) throws -> FileStatus {
        let parent = try open(parentOf: write.path)
        let name = FileSystem.name(of: write.path)
        let mode: mode_t = write.kind == .executable ? 0o777 : 0o666
        let display = FileSystem.join(parent.path, name)
        try Failpoint.reach("checkout.file")
        if root.isHidden { return try placeUnseen(name, mode: mode, in: parent, display: display, body) }
        let descriptor = mlops_open_nameless(parent.descriptor, mode)
        if descriptor < 0 {
            guard [EOPNOTSUPP, EISDIR, EINVAL, ENOENT].contains(errno) else {
                throw MLOpsError.system("create", display, errno: errno)
            }
            return try placeNamed(write, mode: mode, in: parent, name: name, body)
        }
        let file = OpenFile(descriptor: descriptor, path: display)
        try body(file)
        if write.replaces {
            let hidden = TemporaryFile.name()
            _ = TemporaryFile.hold(descriptor)
            try Failpoint.reach("checkout.hide")
            guard mlops_name_open_file(descriptor, parent.descriptor, hidden) == 0 else {
                throw MLOpsError.system("create", display, errno: errno)
            }
            try rename(hidden, to: name, in: parent, display: display)
        } else {
            try Failpoint.reach("checkout.link")
            if mlops_name_open_file(descriptor, parent.descriptor, name) != 0 {
                throw appeared(display, errno)
            }
        }
        return try file.status()
    }

    /// In a folder that nobody sees a file has its name from the beginning, which costs less than a name given later.
    private func placeUnseen(
        _ name: String, mode: mode_t, in parent: OpenFile, display: String, _ body: (OpenFile) throws -> Void
    ) throws -> FileStatus {
        let descriptor = mlops_openat(parent.descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
        if descriptor < 0 { throw appeared(display, errno) }
        let file = OpenFile(descriptor: descriptor, path: display)
        do {
            try body(file)
            return try file.status()
        } catch {
            unlinkat(parent.descriptor, name, 0)
            throw error
        }
    }

    /// Gives the file at `path`, which is on the same disk, the name of `write`.
    func move(_ path: String, to write: CheckoutPlan.Write) throws -> FileStatus {
        let parent = try open(parentOf: write.path)
        let name = FileSystem.name(of: write.path)
        let display = FileSystem.join(parent.path, name)
        let file = try OpenFile(reading: path)
        if write.replaces {
            try Failpoint.reach("checkout.rename")
            if renameat(AT_FDCWD, path, parent.descriptor, name) != 0 {
                throw MLOpsError.system("rename to", display, errno: errno)
            }
        } else {
            try Failpoint.reach("checkout.link")
            if mlops_rename_exclusively(path, "/proc/self/fd/\(parent.descriptor)/\(name)") != 0 {
                throw appeared(display, errno)
            }
        }
        try parent.synchronize()
        return try file.status()
    }

    /// The mode that a new file has where `write` will be.
    func mode(of write: CheckoutPlan.Write) throws -> mode_t {
        let mode: mode_t = write.kind == .executable ? 0o777 : 0o666
        let probe = mlops_open_nameless(try open(parentOf: write.path).descriptor, mode)
        guard probe >= 0 else { return mode & ~0o022 }
        return mode_t(try OpenFile(descriptor: probe, path: write.path).status().permissions)
    }

    /// Whether the folder of `path` is on the disk `device`.
    func isOnDevice(_ device: UInt64, parentOf path: String) throws -> Bool {
        try open(parentOf: path).status().device == device
    }

    /// For file systems without nameless files: a hidden name first.
    private func placeNamed(
        _ write: CheckoutPlan.Write, mode: mode_t, in parent: OpenFile, name: String, _ body: (OpenFile) throws -> Void
    ) throws -> FileStatus {
        let hidden = TemporaryFile.name()
        let display = FileSystem.join(parent.path, name)
        let descriptor = mlops_openat(parent.descriptor, hidden, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
        if descriptor < 0 { throw MLOpsError.system("create", display, errno: errno) }
        let file = OpenFile(descriptor: descriptor, path: display)
        guard TemporaryFile.hold(descriptor) else {
            return try placeNamed(write, mode: mode, in: parent, name: name, body)
        }
        do {
            try body(file)
        } catch {
            unlinkat(parent.descriptor, hidden, 0)
            throw error
        }
        if write.replaces {
            try rename(hidden, to: name, in: parent, display: display)
        } else {
            defer { unlinkat(parent.descriptor, hidden, 0) }
            try Failpoint.reach("checkout.link")
            if linkat(parent.descriptor, hidden, parent.descriptor, name, 0) != 0 { throw appeared(display, errno) }
        }
        return try file.status()
    }

    /// Makes the link of `write`, whose target is `target`.
    func placeLink(_ write: CheckoutPlan.Write, target: [UInt8]) throws -> FileStatus? {
        let parent = try open(parentOf: write.path)
        let name = FileSystem.name(of: write.path)
        let display = FileSystem.join(parent.path, name)
        guard !target.isEmpty, target.count <= 4096, !target.contains(0) else {
            throw MLOpsError(.damaged, "`\(display)` is a link without a usable target", hint: healingHint)
        }
        let text = target.map { CChar(bitPattern: $0) } + [0]
        let hidden = write.replaces ? TemporaryFile.name() : name
        try Failpoint.reach("checkout.symlink")
        if symlinkat(text, parent.descriptor, hidden) != 0 { throw appeared(display, errno) }
        if write.replaces { try rename(hidden, to: name, in: parent, display: display) }
        return try FileStatus.of(name, in: parent.descriptor)
    }

    private func rename(_ hidden: String, to name: String, in parent: OpenFile, display: String) throws {
        do {
            try Failpoint.reach("checkout.rename")
            if renameat(parent.descriptor, hidden, parent.descriptor, name) != 0 {
                throw MLOpsError.system("rename to", display, errno: errno)
            }
        } catch {
            unlinkat(parent.descriptor, hidden, 0)
            throw error
        }
    }

    private func appeared(_ display: String, _ number: Int32) -> MLOpsError {
        guard number == EEXIST else { return MLOpsError.system("create", display, errno: number) }
        return MLOpsError(
            .conflict, "`\(display)` was created by another program meanwhile", hint: "run the same command again")
    }
}
