package import Basics

/// Some content, and who knows of it.
package struct CollectionRoot: Hashable, Sendable {
    /// `models/census@v3`, `datasets/x at commit 0123456789ab`.
    package var name: String
    package var root: ContentRoot
    /// False for what is given up: it is named only to tell whose bytes go.
    package var isKept: Bool
    /// Whether parts of it were asked for alone, so that it is here in part.
    package var isPartial = false

    package init(name: String, root: ContentRoot, isKept: Bool = true) {
        self.name = name
        self.root = root
        self.isKept = isKept
    }
}

package struct CollectionOptions: Sendable {
    /// What was written, added or fetched so recently stays in any case.
    package var grace: Duration
    /// Go on where content that is kept is here only in part, as after a partial pull.
    package var allowsPartial: Bool
    /// Say what would go, and remove nothing.
    package var isDryRun: Bool
    /// A pack of whose bytes less than this is needed is written anew.
    package var rewriteShare: Double
    /// How long the sweep waits for additions to end.
    package var patience: Duration
    package var now: @Sendable () -> Timestamp

    package init(
        grace: Duration = .seconds(14 * 86400), allowsPartial: Bool = false, isDryRun: Bool = true,
        rewriteShare: Double = 0.5, patience: Duration = .seconds(10),
        now: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.grace = grace
        self.allowsPartial = allowsPartial
        self.isDryRun = isDryRun
        self.rewriteShare = rewriteShare
        self.patience = patience
        self.now = now
    }

    /// The time since which everything stays.
    package var graceStart: Timestamp {
        Timestamp(milliseconds: now().milliseconds - Int64(min(grace.seconds, 1e10) * 1000))
    }
}

/// What a collection of garbage removed, or would.
package struct CollectionReport: Encodable, Sendable {
    package var isDryRun = true
    /// What the store held before.
    package var packCount = 0
    package var objectCount = 0
    package var byteCount: Int64 = 0
    /// Packs that go as a whole; packs that are written anew without what nobody needs.
    package var removedPackCount = 0
    package var rewrittenPackCount = 0
    package var removedObjectCount = 0
    /// Bytes on the disk.
    package var freedByteCount: Int64 = 0
    /// Names of content that goes, in whole or in part, as far as anybody knew it.
    package var lost: [String] = []
    /// Packs that need no object but are younger than the grace period.
    package var youngPackCount = 0
    /// Packs that were left as they are, because the disk has no room to write them anew.
    package var postponedPackCount = 0
    /// Leftovers of interrupted work, and packs set aside as damaged.
    package var leftoverCount = 0

    package init() {}

    package var isNothing: Bool { removedObjectCount == 0 && freedByteCount == 0 && leftoverCount == 0 }
}
