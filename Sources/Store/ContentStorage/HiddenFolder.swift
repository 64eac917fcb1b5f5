internal import Basics
internal import CSystem
internal import Glibc

/// A new folder that a checkout fills under a name of no meaning, and that appears with all that is in it.
///
/// One whose process died is swept by the next checkout beside it, as temporaries are.
final class HiddenFolder: Sendable {
    private let name = TemporaryFile.name()
    private let parent: OpenFile
    private let finalName: String
    /// As the caller named it, for errors.
    private let displayPath: String
    let folder: OpenFile
    private let isKeptFromGit: Bool

    /// Makes the folder.
    ///
    /// - Parameter namesGitIgnore: whether the version has a `.gitignore` of its own at the top. Otherwise one keeps git from taking
    ///   the folder for something new meanwhile.
    /// - Returns: nil if it cannot be told from garbage here, so that it is better filled under its own name.
    init?(in parent: OpenFile, for finalName: String, displayPath: String, namesGitIgnore: Bool) throws {
        self.parent = parent
        self.finalName = finalName
        self.displayPath = displayPath
        isKeptFromGit = !namesGitIgnore
        TemporaryFile.removeAbandoned(in: parent)
        try Failpoint.reach("checkout.folder")
        guard mkdirat(parent.descriptor, name, 0o777) == 0 else {
            throw MLOpsError.system("create", displayPath, errno: errno)
        }
        let descriptor = mlops_openat(parent.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
        guard descriptor >= 0 else {
            let number = errno
            unlinkat(parent.descriptor, name, AT_REMOVEDIR)
            throw MLOpsError.system("open", displayPath, errno: number)
        }
        folder = OpenFile(descriptor: descriptor, path: displayPath)
        guard TemporaryFile.hold(descriptor) else { return nil }
        guard isKeptFromGit else { return }
        let file = mlops_openat(descriptor, HiddenFolder.gitIgnore, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
        // A comfort: without it all goes on.
        if file >= 0 { try? OpenFile(descriptor: file, path: displayPath).write(Array("*\n".utf8)) }
    }

    private static let gitIgnore = ".gitignore"

    /// Gives the folder its name.
    ///
    /// - Throws: kind `.conflict` if something else has it by now; the folder is removed then.
    func appear() throws {
        do {
            if isKeptFromGit, unlinkat(folder.descriptor, HiddenFolder.gitIgnore, 0) != 0, errno != ENOENT {
                throw MLOpsError.system("create", displayPath, errno: errno)
            }
            try Failpoint.reach("checkout.appear")
            // Over an empty folder that somebody has made this goes, too.
            if renameat(parent.descriptor, name, parent.descriptor, finalName) == 0 { return }
            guard [EEXIST, ENOTEMPTY, ENOTDIR].contains(errno) else {
                throw MLOpsError.system("create", displayPath, errno: errno)
            }
            throw MLOpsError(
                .conflict, "`\(displayPath)` was created by another program meanwhile",
                hint: "run the same command again")
        } catch {
            _ = mlops_remove_tree(parent.descriptor, name)
            throw error
        }
    }
}
