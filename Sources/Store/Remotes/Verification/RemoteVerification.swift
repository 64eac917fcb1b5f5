internal import Basics
package import ContentStorage

/// Content that should lie in a remote.
package struct ExpectedContent: Sendable {
    package var name: String
    package var root: ContentRoot
    /// Whether it is damage if the remote has nothing of it; else it was not sent yet.
    package var isPublished: Bool

    package init(name: String, root: ContentRoot, isPublished: Bool) {
        self.name = name
        self.root = root
        self.isPublished = isPublished
    }
}

/// What a look at all of a remote found.
package struct RemoteVerification: Encodable, Sendable {
    package var location: String
    package var indexFileCount = 0
    package var packCount = 0
    package var objectCount = 0
    package var byteCount: Int64 = 0
    /// Whether every byte of the packs was read, or only their sizes compared.
    package var readsData: Bool
    /// Packs that no index file names: left by pushes that were interrupted, and harmless.
    package var orphanPackCount = 0
    package var damages: [VerificationReport.Damage] = []
    /// What was not sent yet.
    package var unsent: [String] = []

    package init(location: String, readsData: Bool) {
        self.location = location
        self.readsData = readsData
    }

    package var isClean: Bool { damages.isEmpty }
    package var hurtRoots: [String] { Set(damages.flatMap(\.hurts)).sorted() }
}

/// What lies in a remote, as its index files say, and what is wrong with that.
struct RemoteState: Sendable {
    /// Sound as far as it was looked at.
    var packs: [Digest: PackIndexFile.Pack] = [:]
    /// Packs that are missing, of another size, or damaged, by what is wrong.
    var faulty: [Digest: (pack: PackIndexFile.Pack, problem: String)] = [:]
    /// Objects in `faulty` that are sound nevertheless are not counted; a push or heal sends them again.
    var places: [ObjectKey: (pack: Digest, entry: PackEntry)] = [:]
    var indexKeys: [String] = []
    var brokenIndexKeys: [(key: String, problem: String)] = []
    /// Packs that no index file names, with their sizes.
    var orphans: [String: Int64] = [:]

    func contains(_ kind: ObjectKind, _ id: Digest) -> Bool { places[ObjectKey(kind, id)] != nil }
}
