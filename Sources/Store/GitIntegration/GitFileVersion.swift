package import Basics

/// A version of a file that something in the repository still needs, or that only what is given up needs.
package struct GitFileVersion: Hashable, Sendable {
    /// From the root of the working tree.
    package var path: String
    package var bytes: [UInt8]
    /// What holds it, for people: `commit 0123456789ab`, `the index of <working tree>`.
    package var holder: String
    /// False if only commits hold it that the policy gives up.
    package var isKept: Bool
}

/// Which commits count when it is asked what a repository needs. The commit that a branch, tag, stash, working tree or
/// unfinished merge names counts always.
package struct GitRetention: Sendable {
    /// How far back the history of what is named counts.
    package enum Extent: Hashable, Sendable {
        case all
        /// Commits made at this time or later.
        case since(Timestamp)
        /// So many commits back from each branch, itself included.
        case newest(Int)
    }

    package var history: Extent
    /// What a branch named at this time or later counts, although it names something else by now.
    package var reflogSince: Timestamp

    package init(history: Extent = .all, reflogSince: Timestamp) {
        self.history = history
        self.reflogSince = reflogSince
    }
}
