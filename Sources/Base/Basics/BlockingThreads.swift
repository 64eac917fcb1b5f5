internal import Foundation

/// Threads for work that waits, for a program or the network, and so must not take one of the few that tasks run on.
///
/// A thread that is done waits a second for the next work: hundreds of short stages need no more threads than run at once.
package final class BlockingThreads: @unchecked Sendable {
    package static let shared = BlockingThreads()

    private static let stackSize = 512 << 10
    private static let patience = 1.0

    // All of it is touched with the condition locked.
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var idleCount = 0

    /// What `work` returns or throws, once a thread has done it.
    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            perform { continuation.resume(with: Result(catching: work)) }
        }
    }

    private func perform(_ work: @escaping @Sendable () -> Void) {
        condition.lock()
        waiting.append(work)
        let isServed = idleCount >= waiting.count
        condition.signal()
        condition.unlock()
        if isServed { return }
        let thread = Thread { [self] in
            while let work = next() { work() }
        }
        thread.stackSize = BlockingThreads.stackSize
        thread.start()
    }

    /// The next work; nil if none comes for a while.
    private func next() -> (@Sendable () -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        let end = Date(timeIntervalSinceNow: BlockingThreads.patience)
        idleCount += 1
        defer { idleCount -= 1 }
        while waiting.isEmpty, condition.wait(until: end) {}
        return waiting.isEmpty ? nil : waiting.removeFirst()
    }
}
