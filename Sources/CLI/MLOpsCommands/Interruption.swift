internal import Dispatch
internal import Glibc
internal import Synchronization

/// Turns the first SIGINT or SIGTERM into a call, so that children are ended and the run is recorded; a second one ends
/// the process at once.
final class Interruption: Sendable {
    private let signalNumber = Mutex<Int32?>(nil)
    // Never changed after init; Dispatch's sources are thread-safe.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    init(_ interrupt: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in
                let isSecond = self?.signalNumber.withLock { first in
                    defer { first = first ?? number }
                    return first != nil
                }
                if isSecond == true { _exit(128 + number) }
                interrupt()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// 128 and the signal's number, once there was one.
    var exitCode: Int32? { signalNumber.withLock { $0.map { 128 + $0 } } }
}
