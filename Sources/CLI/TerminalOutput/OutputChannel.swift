internal import Glibc
internal import Synchronization

/// Where text goes: standard output, standard error, or a test's memory.
package final class OutputChannel: Sendable {
    /// Whether a person reads along.
    package let isTerminal: Bool
    /// Columns of the terminal; nil if it is none.
    private let fixedWidth: Int?
    private let descriptor: Int32?
    private let captured = Mutex("")
    /// The reader went away; the rest is dropped without a word, as the work itself goes on.
    private let isClosed = Mutex(false)
    /// Why the rest is dropped otherwise, as the system's number; 0 if nothing went wrong.
    private let failureNumber = Mutex<Int32>(0)

    private init(descriptor: Int32) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
        fixedWidth = nil
    }

    /// Keeps what is written in `text`.
    package init(capturingAsTerminal isTerminal: Bool, width: Int? = nil) {
        descriptor = nil
        self.isTerminal = isTerminal
        fixedWidth = width
    }

    package static let standardOutput = OutputChannel(descriptor: 1)
    package static let standardError = OutputChannel(descriptor: 2)

    /// What was written to a capturing channel.
    package var text: String { captured.withLock { $0 } }

    /// Columns of the terminal at this moment; nil if it is none.
    package var width: Int? {
        guard isTerminal, let descriptor else { return fixedWidth }
        var size = winsize()
        if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return getenv("COLUMNS").flatMap { Int(String(cString: $0)) } ?? 80
    }

    /// Rows of the terminal at this moment; nil if it is none.
    package var height: Int? {
        guard isTerminal, let descriptor else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0 ? Int(size.ws_row) : nil
    }

    /// Whether the reader of the channel went away.
    package var isBroken: Bool { isClosed.withLock(\.self) }

    /// The `errno` of a write that failed for another reason than a reader that went away; nil if all was written.
    package var failure: Int32? { failureNumber.withLock { $0 == 0 ? nil : $0 } }

    /// Writes all of `text` at once, so that lines of several threads do not mix. A reader that went away is no error; any other
    /// is kept as `failure`.
    package func write(_ text: String) {
        guard let descriptor else { return captured.withLock { $0 += text } }
        isClosed.withLock { isClosed in
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty, !isClosed {
                let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = Glibc.poll(&poll, 1, 1000)
                } else if errno != EINTR {
                    let number = errno
                    if number != EPIPE { failureNumber.withLock { $0 = number } }
                    isClosed = true
                }
            }
        }
    }

    /// Lets a write to a pipe that nobody reads fail instead of ending the process: `mlops push | head -1` still pushes.
    package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
