internal import Glibc

/// What went wrong with which thing, and the step that mends it.
///
/// `message` is lower case without a full stop, names in backticks; `hint` names the next command.
package struct MLOpsError: Error, Sendable, CustomStringConvertible {
    /// The cause as a caller or a script tells it apart; `exitCode` is its number.
    package enum Kind: String, Sendable, CaseIterable, Codable {
        /// The thing did not work: a stage failed, a file cannot be used.
        case failed
        /// A named thing does not exist.
        case notFound
        /// Some of several things worked.
        case partial
        /// A gate or an audit said no.
        case refused
        /// The disk is full, or reading or writing failed.
        case io
        /// There is no project here.
        case noProject
        /// Someone else holds the lock or won the race.
        case conflict
        /// Stored bytes are not what their digest says.
        case damaged
        /// The remote does not answer.
        case unreachable
        /// The remote or the file system refuses access.
        case notAllowed
        /// The command line, a pipeline or another input is wrong.
        case usage
        /// The user or the system asked to stop.
        case interrupted

        /// The process's exit code: one table for every command.
        package var exitCode: Int32 {
            switch self {
            case .failed, .notFound: 1
            case .partial: 3
            case .refused: 4
            case .io: 5
            case .noProject: 10
            case .conflict: 11
            case .damaged: 12
            case .unreachable: 13
            case .notAllowed: 14
            case .usage: 64
            case .interrupted: 130
            }
        }
    }

    package var kind: Kind
    /// Where in which input, when the fault lies in one.
    package var location: SourceLocation?
    package var message: String
    package var hint: String?
    /// The error below, of another module or of the system; `--verbose` prints the chain.
    package var cause: (any Error)?

    package init(
        _ kind: Kind, _ message: String, hint: String? = nil, at location: SourceLocation? = nil,
        cause: (any Error)? = nil
    ) {
        self.kind = kind
        self.location = location
        self.message = message
        self.hint = hint
        self.cause = cause
    }

    /// `file:line:column: message`, without the hint.
    package var description: String { (location.map { "\($0): " } ?? "") + message }

    package var exitCode: Int32 { kind.exitCode }
}

/// A place in an input file, written `path:line:column`; line and column count from 1.
package struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    package var path: String
    // Every value of a document has a place or two: half the width makes a large document a third smaller.
    private var lineNumber: Int32
    private var columnNumber: Int32

    package var line: Int { Int(lineNumber) }
    package var column: Int? { columnNumber == 0 ? nil : Int(columnNumber) }

    package init(path: String, line: Int, column: Int? = nil) {
        self.path = path
        lineNumber = Int32(clamping: line)
        columnNumber = Int32(clamping: column ?? 0)
    }

    package var description: String { "\(path):\(line)" + (column.map { ":\($0)" } ?? "") }
}

extension MLOpsError {
    /// The error of a failed system call: what was being done to `path`, and the system's own words.
    ///
    /// - Parameter number: `errno`, read before anything else can change it.
    package static func system(_ action: String, _ path: String, errno number: Int32) -> MLOpsError {
        let reason = String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT:
            return MLOpsError(
                .io, "cannot \(action) `\(path)`: the disk is full",
                hint: "free some space on that disk, then run the same command again")
        case EACCES, EPERM, EROFS:
            return MLOpsError(
                .io, "cannot \(action) `\(path)`: \(reason.lowercased())",
                hint: "check the permissions with `ls -ld \(path)`")
        case EMFILE, ENFILE:
            return MLOpsError(
                .io, "cannot \(action) `\(path)`: \(reason.lowercased())",
                hint: "raise the limit of open files with `ulimit -n 1024`, then run the same command again")
        case ENOENT, ENOTDIR:
            return MLOpsError(.notFound, "cannot \(action) `\(path)`: no such file or directory")
        default:
            return MLOpsError(.io, "cannot \(action) `\(path)`: \(reason.lowercased())")
        }
    }
}

/// The candidate closest to `name` by edit distance, if close enough to be what was meant.
package func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
    let limit = max(1, name.count / 3)
    return candidates.map { ($0, editDistance(name.lowercased(), $0.lowercased())) }
        .filter { $0.1 <= limit }
        .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
}

/// The insertions, deletions, substitutions and swaps of neighbours that turn `left` into `right` (optimal string alignment).
func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left), Array(right))
    var (twoBefore, before) = ([Int](), Array(0...right.count))
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var distance = min(before[j] + (left[i] == right[j] ? 0 : 1), before[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                distance = min(distance, twoBefore[j - 1] + 1)
            }
            row.append(distance)
        }
        (twoBefore, before) = (before, row)
    }
    return before[right.count]
}
