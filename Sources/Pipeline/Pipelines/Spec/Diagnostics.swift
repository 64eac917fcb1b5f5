internal import Basics

/// The errors found so far, so that one reading of a file tells all of them.
struct Diagnostics {
    /// A file with so many errors is read no further: nobody corrects more in one go.
    static let limit = 1000

    private(set) var errors: [MLOpsError] = []

    var isFull: Bool { errors.count >= Diagnostics.limit }

    mutating func add(_ error: MLOpsError) { if !isFull { errors.append(error) } }

    mutating func add(_ more: [MLOpsError]) { errors += more.prefix(max(0, Diagnostics.limit - errors.count)) }

    /// Says at the last place that what follows was not looked at.
    mutating func close() {
        errors.append(
            MLOpsError(
                .usage, "what follows was not checked, as there are \(errors.count) errors before",
                hint: "correct some of them first", at: inOrder.last?.location))
    }

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
        add(known)
    }

    /// The errors by file, files as they were met, and by their place in it; those without a place come first.
    var inOrder: [MLOpsError] {
        var files: [String: Int] = [:]
        for error in errors { if let path = error.location?.path, files[path] == nil { files[path] = files.count } }
        let keys = errors.enumerated().map { number, error in
            guard let location = error.location else { return (-1, 0, 0, number) }
            return (files[location.path] ?? 0, location.line, location.column ?? 0, number)
        }
        return keys.sorted(by: <).map { errors[$0.3] }
    }

    /// - Throws: the first error of `inOrder`; its hint tells of the others.
    func throwFirst() throws {
        guard var first = inOrder.first else { return }
        if errors.count > 1 {
            let others = "`mlops pipeline lint` shows \(Format.count(errors.count - 1, "more error"))"
            first.hint = first.hint.map { "\($0) (\(others))" } ?? others
        }
        throw first
    }
}
