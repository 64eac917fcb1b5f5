internal import Basics
internal import Glibc

/// Follows what the attempts of a job print: files on a shared disk that grow.
final class SlurmLog {
    private let folder: String
    private let log: StageLog
    private var attempt = 0
    private var file: OpenFile?
    /// Whether the last line that was taken has not ended yet.
    private(set) var isInLine = false
    private var block = [UInt8](repeating: 0, count: 1 << 16)

    init(folder: String, into log: StageLog) {
        self.folder = folder
        self.log = log
    }

    /// Puts a line of our own between those that were printed.
    func tell(_ line: String) {
        Array(((isInLine ? "\n" : "") + line + "\n").utf8).withUnsafeBytes { log.append($0) }
        isInLine = false
    }

    /// Takes what was printed since the last call, by the attempts up to `attempt`.
    func follow(upTo last: Int) {
        while true {
            readOn()
            guard attempt < last else { return }
            attempt += 1
            file = nil
        }
    }

    private func readOn() {
        if file == nil {
            let path = FileSystem.join(folder, SlurmEnding.logName(attempt: attempt))
            guard FileSystem.exists(path) else { return }
            file = try? OpenFile(reading: path)
        }
        guard let file else { return }
        while true {
            let count = read(file.descriptor, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            isInLine = block[count - 1] != 0x0A
            block.withUnsafeBytes { log.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
