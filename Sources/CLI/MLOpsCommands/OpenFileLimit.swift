internal import Basics
internal import Glibc

/// How many files the process may open: with too few of them the libraries below end the process instead of failing.
enum OpenFileLimit {
    /// What is free for a verb besides the files that it works on: those of Dispatch, of the index, and of git.
    private static let fewest = 12
    /// Limits from here on are enough whatever was open at the start.
    private static let plenty = 128

    /// - Throws: kind `.io` if fewer than `fewest` files can be opened.
    static func check() throws {
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        guard limit >= 0, limit < plenty else { return }
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        while opened.count < fewest {
            let descriptor = open("/", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw MLOpsError(
                    .io, "the limit of \(limit) open files leaves \(opened.count), and `mlops` needs \(fewest)",
                    hint: "raise it with `ulimit -n 1024`, then run the same command again")
            }
            opened.append(descriptor)
        }
    }
}
