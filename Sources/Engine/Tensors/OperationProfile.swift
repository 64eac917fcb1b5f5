internal import Basics
internal import Glibc
internal import Synchronization

/// What each operation of a stretch of work took: forward operations, backward rules, optimizer steps and layers, with their
/// shapes, threads and times. Off it costs one relaxed load for each operation.
///
/// Operations note themselves when they are done; one is taken to have begun where the last one of its thread ended.
public final class OperationProfile: Sendable {
    public enum Category: String, Sendable, Codable { case forward, backward, optimizer, layer }

    public struct Event: Sendable {
        public var name: String
        public var category: Category
        /// The path of the layer that it belongs to, if there is one.
        public var layer: String
        /// Nanoseconds since the profile began.
        public var start: UInt64
        public var nanoseconds: UInt64
        /// Numbered in the order of their first events.
        public var thread: Int
        /// Of the inputs, then of the output.
        public var shapes: [[Int]]
    }

    /// Later events are left out, so that a long training does not fill the memory.
    public static let mostEvents = 500_000

    private struct State {
        var events: [Event] = []
        var isFull: Bool { events.count >= OperationProfile.mostEvents }
        var threads: [UInt64: Int] = [:]
        /// Where the last event of each thread ended.
        var ends: [Int: UInt64] = [:]
        /// The layers that each thread is in.
        var layers: [Int: [String]] = [:]
        /// The layer in which each node of the graph was made.
        var origins: [UInt64: String] = [:]
    }

    private static let current = Mutex<OperationProfile?>(nil)
    private static let isActive = Atomic<Bool>(false)
    private let state = Mutex(State())
    private let began = ContinuousClock.now

    private init() {}

    /// Whether a profile is being made now.
    package static var isOn: Bool { isActive.load(ordering: .relaxed) }

    /// `body` with a profile of all that the engine does meanwhile; only one can be made at a time.
    ///
    /// - Throws: what `body` throws, or if a profile is being made already.
    public static func record<Result>(_ body: () throws -> Result) throws -> (result: Result, profile: OperationProfile)
    {
        let profile = OperationProfile()
        try current.withLock { present in
            guard present == nil else {
                throw MLOpsError(.failed, "a profile is being made already", hint: "end it before the next begins")
            }
            present = profile
        }
        isActive.store(true, ordering: .relaxed)
        defer {
            isActive.store(false, ordering: .relaxed)
            current.withLock { $0 = nil }
        }
        return (try body(), profile)
    }

    public var events: [Event] { state.withLock(\.events) }

    /// Notes a forward operation that has just been done.
    static func note(_ operation: String, _ inputs: [Tensor], _ output: Tensor, node: UInt64?) {
        active?.finish { state, thread, profile in
            let end = profile.now
            let layer = state.layers[thread]?.last ?? ""
            if let node, !state.isFull { state.origins[node] = layer }
            let start = state.ends[thread] ?? end
            state.ends[thread] = end
            if state.isFull { return }
            state.events.append(
                Event(
                    name: operation, category: .forward, layer: layer, start: start, nanoseconds: end - start,
                    thread: thread, shapes: inputs.map(\.shape) + [output.shape]))
        }
    }

    /// `body` as one event, such as a backward rule or an optimizer's step.
    package static func measure<Result>(
        _ name: String, _ category: Category, layer: String = "", shapes: [[Int]] = [], node: UInt64? = nil,
        _ body: () throws -> Result
    ) rethrows -> Result {
        guard let profile = active else { return try body() }
        var start: UInt64 = 0
        profile.finish { state, thread, profile in
            start = profile.now
            state.ends[thread] = start
            if category == .layer { state.layers[thread, default: []].append(layer) }
        }
        defer {
            profile.finish { state, thread, profile in
                let end = profile.now
                state.ends[thread] = end
                if category == .layer { state.layers[thread]?.removeLast() }
                if state.isFull { return }
                let origin = node.flatMap { state.origins[$0] }
                state.events.append(
                    Event(
                        name: name, category: category, layer: origin ?? layer, start: start,
                        nanoseconds: end - start, thread: thread, shapes: shapes))
            }
        }
        return try body()
    }

    private static var active: OperationProfile? { isOn ? current.withLock { $0 } : nil }

    private var now: UInt64 {
        let (seconds, fraction) = (ContinuousClock.now - began).components
        return UInt64(seconds) * 1_000_000_000 + UInt64(fraction / 1_000_000_000)
    }

    private func finish(_ body: (inout State, Int, OperationProfile) -> Void) {
        let own = UInt64(pthread_self())
        state.withLock { state in
            let thread = state.threads[own] ?? state.threads.count
            state.threads[own] = thread
            body(&state, thread, self)
        }
    }
}

extension OperationProfile {
    /// Nanoseconds of all events of a name and a category, longest first; nested ones count in both.
    public var totals: [(name: String, category: Category, count: Int, nanoseconds: UInt64)] {
        var sums: [String: (name: String, category: Category, count: Int, nanoseconds: UInt64)] = [:]
        for event in events {
            let key = event.category.rawValue + event.name
            var sum = sums[key] ?? (event.name, event.category, 0, 0)
            sum.count += 1
            sum.nanoseconds += event.nanoseconds
            sums[key] = sum
        }
        return sums.values.sorted { ($1.nanoseconds, $0.name) < ($0.nanoseconds, $1.name) }
    }

    /// The events in the JSON of Chrome's trace viewer, which Perfetto opens: complete events with times in microseconds.
    public func chromeTrace() throws -> [UInt8] {
        struct Trace: Encodable {
            struct Arguments: Encodable {
                var layer: String
                var shapes: String
            }
            struct Entry: Encodable {
                var name: String
                var cat: String
                var ph = "X"
                var ts: Double
                var dur: Double
                var pid = 1
                var tid: Int
                var args: Arguments
            }
            var displayTimeUnit = "ms"
            var traceEvents: [Entry]
        }
        let entries = events.sorted { ($0.start, $1.nanoseconds) < ($1.start, $0.nanoseconds) }.map { event in
            Trace.Entry(
                name: event.name, cat: event.category.rawValue, ts: Double(event.start) / 1000,
                dur: Double(event.nanoseconds) / 1000, tid: event.thread,
                args: .init(
                    layer: event.layer,
                    shapes: event.shapes.map { $0.map(String.init).joined(separator: "×") }.joined(separator: " ")))
        }
        return try JSONValue(encoding: Trace(traceEvents: entries)).canonicalBytes
    }

    /// Writes `chromeTrace` to a file.
    ///
    /// - Throws: if the file cannot be written.
    public func writeChromeTrace(to path: String) throws { try FileSystem.replace(path, with: chromeTrace()) }
}
