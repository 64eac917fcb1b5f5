internal import Basics
internal import CSystem
internal import Glibc

/// Files that several processes add lines to, as advice: a line that does not get there is not missed.
enum LineLog {
    /// Adds `lines`, without their ends, to the file at `path`.
    ///
    /// - Parameter flushes: whether they are to outlast a power cut from then on.
    static func append(_ lines: [String], to path: String, flushes: Bool = false) {
        let descriptor = mlops_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard descriptor >= 0 else { return }
        let file = OpenFile(descriptor: descriptor, path: path)
        // A line break before the lines too: what a full disk cut off before stays apart. One call, so that lines of two
        // processes do not mix.
        let text = "\n" + lines.map { $0 + "\n" }.joined()
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard flushes else { return }
        try? file.synchronize()
        try? FileSystem.synchronizeDirectory(FileSystem.parent(of: path))
    }
}
