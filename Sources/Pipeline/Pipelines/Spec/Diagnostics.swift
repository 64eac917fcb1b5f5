internal import Basics

/// The errors found so far, so that one reading of a file tells all of them.
struct Diagnostics {
    private(set) var errors: [MLOpsError] = []

    mutating func add(_ error: MLOpsError) { errors.append(error) }

    mutating func add(_ more: [MLOpsError]) { errors += more }

    /// The result of `body`; nil if it throws, with the error kept. An error without a place gets `location`.
    mutating func attempt<Value>(at location: SourceLocation? = nil, _ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            add(error, at: location)
            return nil
        }
    }

    mutating func add(_ error: any Error, at location: SourceLocation?) {
        var known = error as? MLOpsError ?? MLOpsError(.usage, "\(error)")
        if known.location == nil { known.location = location }
        errors.append(known)
    }

    /// - Throws: the first error; its hint tells of the others.
    func throwFirst() throws {
        guard var first = errors.first else { return }
        if errors.count > 1 {
            let others = "`mlops pipeline lint` shows \(Format.count(errors.count - 1, "more error"))"
            first.hint = first.hint.map { "\($0) (\(others))" } ?? others
        }
        throw first
    }
}
