internal import Synchronization

/// What the executors tell of their queues while stages run, for the task that leads the run.
final class RunNotices: Sendable {
    private struct State {
        var waiting: [Scheduler.Event] = []
        var reader: CheckedContinuation<Scheduler.Event?, Never>?
        var isClosed = false
    }

    private let state = Mutex(State())

    /// From any thread.
    func post(_ event: Scheduler.Event) {
        let reader = state.withLock { state -> CheckedContinuation<Scheduler.Event?, Never>? in
            defer { state.reader = nil }
            if state.reader == nil, !state.isClosed { state.waiting.append(event) }
            return state.reader
        }
        reader?.resume(returning: event)
    }

    /// The next event, once there is one; nil when no more are wanted. For one reader at a time; cancellation does not end it.
    func next() async -> Scheduler.Event? {
        await withCheckedContinuation { continuation in
            let (isReady, event) = state.withLock { state -> (Bool, Scheduler.Event?) in
                if state.isClosed { return (true, nil) }
                if !state.waiting.isEmpty { return (true, state.waiting.removeFirst()) }
                state.reader = continuation
                return (false, nil)
            }
            if isReady { continuation.resume(returning: event) }
        }
    }

    /// Ends the reader.
    func close() {
        let reader = state.withLock { state -> CheckedContinuation<Scheduler.Event?, Never>? in
            defer { state.reader = nil }
            state.isClosed = true
            return state.reader
        }
        reader?.resume(returning: nil)
    }
}
