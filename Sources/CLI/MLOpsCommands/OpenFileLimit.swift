internal import Basics
internal import Glibc

/// How many files the process may open: with too few of them the libraries below end the process instead of failing.
enum OpenFileLimit {
    /// What is left to those libraries whatever a verb opens: timers and threads of Dispatch, the index, git.
    private static let spare = 8
    /// What is free for a verb at its start: the spare ones, those that Dispatch opens at once, and a few to work with.
    private static let fewest = spare + 12
    /// Limits from here on are enough whatever was open at the start.
    private static let plenty = 128

    /// Leaves some files to the libraries below.
    ///
    /// - Throws: kind `.io` if fewer than `fewest` files can be opened.
    static func check() throws {
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        if limit >= 0, limit < plenty { try count(limit) }
        OpenFile.spare(spare)
    }

    private static func count(_ limit: Int) throws {
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
