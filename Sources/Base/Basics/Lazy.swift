internal import Synchronization

/// A value that is made when it is first asked for, once; an error is kept as well.
package final class Lazy<Value: Sendable>: Sendable {
    private enum State {
        case unmade(@Sendable () throws -> Value)
        case made(Result<Value, any Error>)
    }

    private let state: Mutex<State>

    package init(_ make: @escaping @Sendable () throws -> Value) { state = Mutex(.unmade(make)) }

    package init(value: Value) { state = Mutex(.made(.success(value))) }

    /// - Throws: what making it threw.
    package func get() throws -> Value {
        try state.withLock { state in
            if case .unmade(let make) = state { state = .made(Result(catching: make)) }
            guard case .made(let result) = state else { preconditionFailure("it was just made") }
            return try result.get()
        }
    }
}
