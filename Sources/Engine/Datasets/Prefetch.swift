internal import Dispatch
internal import Glibc

/// Makes things on background threads ahead of who takes them, and gives them in their order.
///
/// At most `ahead` things are ready or being made that were not taken. What is left is abandoned with the last reference.
package final class Prefetch<Output: Sendable>: Sendable {
    private let shared: Shared

    /// - Parameter make: makes the thing at an index in `0 ..< count`; called once for each, on any thread.
    package init(count: Int, threads: Int, ahead: Int, _ make: @escaping @Sendable (Int) throws -> Output) {
        precondition(threads > 0 && ahead > 0, "\(threads) threads and \(ahead) things ahead")
        let shared = Shared(count: count, ahead: max(ahead, threads))
        self.shared = shared
        let queue = DispatchQueue(label: "mlops.prefetch", attributes: .concurrent)
        for _ in 0..<min(threads, count) {
            queue.async {
                while let index = shared.claim() { shared.put(Result { try make(index) }, at: index) }
            }
        }
    }

    deinit { shared.cancel() }

    /// The next thing, waited for; nil behind the last.
    ///
    /// - Throws: what making it threw.
    package func next() throws -> Output? { try shared.take()?.get() }

    /// What the threads share.
    // All variables are guarded by `mutex`.
    private final class Shared: @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private let count: Int
        private let ahead: Int
        private var started = 0
        private var taken = 0
        private var isCancelled = false
        private var ready: [Int: Result<Output, any Error>] = [:]

        init(count: Int, ahead: Int) {
            self.count = count
            self.ahead = ahead
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(changed, nil)
        }

        deinit {
            pthread_cond_destroy(changed)
            pthread_mutex_destroy(mutex)
            changed.deallocate()
            mutex.deallocate()
        }

        /// The next index to make, waited for; nil when there is none any more.
        func claim() -> Int? {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            while !isCancelled, started < count, started >= taken + ahead { pthread_cond_wait(changed, mutex) }
            guard !isCancelled, started < count else { return nil }
            started += 1
            return started - 1
        }

        func put(_ result: Result<Output, any Error>, at index: Int) {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            if !isCancelled { ready[index] = result }
            pthread_cond_broadcast(changed)
        }

        func take() -> Result<Output, any Error>? {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            guard taken < count else { return nil }
            let index = taken
            while ready[index] == nil { pthread_cond_wait(changed, mutex) }
            taken += 1
            pthread_cond_broadcast(changed)
            return ready.removeValue(forKey: index)
        }

        func cancel() {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            isCancelled = true
            ready = [:]
            pthread_cond_broadcast(changed)
        }
    }
}
