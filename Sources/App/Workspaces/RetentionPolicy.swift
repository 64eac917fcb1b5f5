internal import Basics

/// How much of the past `mlops gc` keeps. What is named now is kept under every policy: the data of branches' and tags' own
/// commits, of stashes, working trees and aliases.
package struct RetentionPolicy: Sendable {
    package enum Limit: Hashable, Sendable {
        case all
        case age(Duration)
        case count(Int)

        /// Reads `all`, a number of at least 1, or a duration such as `90d`.
        ///
        /// - Parameter flag: where it was given, for the error.
        /// - Throws: kind `.usage` for anything else, and for what would keep nothing.
        package init(_ text: String, flag: String) throws {
            if text == "all" {
                self = .all
            } else if let count = Int(text) {
                guard count > 0 else { throw Limit.keepsNothing(text, flag) }
                self = .count(count)
            } else if let age = Duration(age: text) {
                guard age > .zero else { throw Limit.keepsNothing(text, flag) }
                self = .age(age)
            } else {
                throw MLOpsError(
                    .usage, "`\(flag) \(printable(text))` is neither `all`, nor a number, nor a duration such as `90d`")
            }
        }

        private static func keepsNothing(_ text: String, _ flag: String) -> MLOpsError {
            MLOpsError(
                .usage, "`\(flag) \(text)` would keep nothing",
                hint: "give at least 1; what branches, tags and aliases name now is kept in any case")
        }
    }

    /// Of the commits of each branch.
    package var history: Limit
    /// Of the versions of each artifact; nil keeps all that were not withdrawn.
    package var versions: Int?
    /// Of runs and of the stage cache.
    package var runs: Limit

    package init(history: Limit = .all, versions: Int? = nil, runs: Limit = .all) {
        self.history = history
        self.versions = versions
        self.runs = runs
    }
}

extension Duration {
    /// `14d`, `2w`, or any duration that `Duration(parsing:)` reads and that has a unit: a bare number could be meant as days
    /// and be taken for seconds.
    package init?(age text: String) {
        let factor: Double = text.hasSuffix("w") ? 7 * 86400 : 86400
        if text.hasSuffix("d") || text.hasSuffix("w"), let count = Double(text.dropLast()), count >= 0, count < 1e5 {
            self = .seconds(count * factor)
        } else if Double(text) == nil, let duration = Duration(parsing: text) {
            self = duration
        } else {
            return nil
        }
    }
}
