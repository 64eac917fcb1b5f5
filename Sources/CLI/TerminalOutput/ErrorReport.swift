package import Basics

/// An error as the user gets it.
package struct ErrorReport: Sendable {
    package let kind: MLOpsError.Kind
    package let message: String
    package let hint: String?
    package let location: SourceLocation?
    /// The errors below, the nearest first.
    package let causes: [String]

    package init(_ error: any Error) {
        var causes: [String] = []
        var below = (error as? MLOpsError)?.cause
        while let cause = below {
            causes.append(String(describing: cause))
            below = (cause as? MLOpsError)?.cause
        }
        self.causes = causes
        switch error {
        case let error as MLOpsError:
            kind = error.kind
            message = error.message
            hint = error.hint
            location = error.location
        case is CancellationError:
            kind = .interrupted
            message = "interrupted"
            hint = nil
            location = nil
        default:
            kind = .failed
            message = String(describing: error)
            hint = nil
            location = nil
        }
    }

    package var exitCode: Int32 { kind.exitCode }

    /// `error: …`, `hint: …` and, if wanted, one `caused by: …` for each cause.
    package func lines(_ style: TextStyle, withCauses: Bool) -> [String] {
        let place = location.map { "\($0): " } ?? ""
        var lines = [style("error:", .bad) + " " + printableLines(place + message)]
        if let hint { lines.append(style("hint:", .accent) + " " + printableLines(hint)) }
        if withCauses { lines += causes.map { style("caused by:", .faint) + " " + printableLines($0) } }
        return lines
    }

    /// `{"error": {"kind", "exit_code", "message", "hint", "location"}}`; `causes` too, if wanted.
    package func json(withCauses: Bool) -> JSONValue {
        var members: [String: JSONValue] = [
            "kind": .string(kind.rawValue), "exit_code": .int(Int64(exitCode)), "message": .string(message),
            "hint": hint.map { .string($0) } ?? .null,
            "location": location.map { place in
                [
                    "path": .string(place.path), "line": .int(Int64(place.line)),
                    "column": place.column.map { .int(Int64($0)) } ?? .null,
                ]
            } ?? .null,
        ]
        if withCauses { members["causes"] = .array(causes.map { .string($0) }) }
        return ["error": .object(members)]
    }
}
