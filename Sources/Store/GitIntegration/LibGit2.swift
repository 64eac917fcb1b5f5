internal import Basics
internal import CLibgit2
internal import Dispatch
internal import Glibc

/// libgit2, loaded and started once, when the first repository is looked for.
enum LibGit2 {
    /// Whether it could be loaded. It then opens repositories with per-worktree configuration (which `git sparse-checkout`
    /// turns on), too.
    private static let isLoaded: Bool = {
        guard mlops_git_load() == 0 else { return false }
        "worktreeconfig".withCString { name in
            withUnsafePointer(to: Optional(name)) { _ = mlops_git_accept_extensions($0, 1) }
        }
        return true
    }()

    /// Starts it, before any of its functions is called.
    ///
    /// - Throws: kind `.failed` if this machine does not have it.
    static func start() throws {
        guard !isLoaded else { return }
        throw MLOpsError(
            .failed, "git repositories cannot be read: \(String(cString: mlops_git_load_error()))",
            hint: "install libgit2, on Debian with `apt-get install \(package)`")
    }

    private static let package = "libgit2-\(LIBGIT2_SOVERSION)"

    /// Starts it on another thread, for whoever will need it soon: it brings many libraries along and reads the system's
    /// certificates, which takes a while.
    static func startAhead() { DispatchQueue.global(qos: .userInitiated).async { _ = isLoaded } }

    /// What libgit2 says about the last failure on this thread.
    static var lastMessage: String {
        guard let error = git_error_last(), let text = error.pointee.message else { return "unknown error" }
        return String(cString: text)
    }

    /// Throws the error of a failed call; `action` says what was being done.
    static func check(_ code: Int32, _ action: @autoclosure () -> String) throws {
        guard code < 0 else { return }
        throw systemFailure(action()) ?? MLOpsError(.failed, "git cannot \(action()): \(printable(lastMessage))")
    }

    /// The error of the last failure if the system caused it, which says nothing of the repository; its own words tell.
    static func systemFailure(_ action: @autoclosure () -> String) -> MLOpsError? {
        let message = lastMessage
        let causes = [EMFILE, ENFILE, EIO, ENOSPC, EDQUOT, EROFS, ENOMEM, ENOLCK, ESTALE]
        guard let cause = causes.first(where: { message.hasSuffix(String(cString: strerror($0))) }) else { return nil }
        return MLOpsError(
            .io, "git cannot \(action()): \(printable(message).replacing("'", with: "`"))",
            hint: MLOpsError.system("read", "", errno: cause).hint
                ?? "check the disk, then run the same command again")
    }

    /// `id` as 40 hex digits; empty for no id.
    static func hex(_ id: UnsafePointer<git_oid>?) -> String {
        guard let id else { return "" }
        let count = Int(GIT_OID_HEXSZ)
        return String(unsafeUninitializedCapacity: count) { buffer in
            buffer.withMemoryRebound(to: CChar.self) { _ = git_oid_fmt($0.baseAddress, id) }
            return count
        }
    }
}
