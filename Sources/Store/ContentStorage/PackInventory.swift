internal import Basics

/// What lies in the packs on the disk, as their own footers say: an index that is wrong must not cost data.
struct PackInventory: Sendable {
    struct Pack: Sendable {
        var digest: Digest
        var byteCount: Int64
        var modified: Timestamp
        var entries: [PackEntry]
    }

    /// An object's entry in a pack.
    struct Place: Sendable {
        var pack: Int32
        var entry: Int32
    }

    private(set) var packs: [Pack] = []
    private var places: [ObjectKey: Place] = [:]
    /// Further places of objects that lie in several packs.
    private(set) var copies: [ObjectKey: [Place]] = [:]

    /// Reads all footers; those in `known` are not read again.
    ///
    /// - Throws: kind `.damaged` naming a pack whose footer cannot be read.
    init(of folder: PackFolder, known: PackInventory? = nil) throws {
        var entries: [Digest: [PackEntry]] = [:]
        for pack in known?.packs ?? [] { entries[pack.digest] = pack.entries }
        let digests = try folder.list().sorted()
        for digest in digests {
            let path = folder.path(of: digest)
            guard let status = try FileStatus.of(path) else { continue }
            packs.append(
                Pack(
                    digest: digest, byteCount: status.size,
                    modified: Timestamp(milliseconds: status.modificationNanoseconds / 1_000_000),
                    entries: try entries[digest] ?? PackInventory.footer(of: digest, at: path)))
        }
        places.reserveCapacity(packs.reduce(0) { $0 + $1.entries.count })
        for (number, pack) in packs.enumerated() {
            for (index, entry) in pack.entries.enumerated() {
                let place = Place(pack: Int32(number), entry: Int32(index))
                if places[entry.key] == nil {
                    places[entry.key] = place
                } else {
                    copies[entry.key, default: []].append(place)
                }
            }
        }
    }

    private static func footer(of digest: Digest, at path: String) throws -> [PackEntry] {
        do {
            let footer = try PackReader.readFooter(of: try OpenFile(reading: path))
            if footer.digest == digest { return footer.entries }
            throw MLOpsError(.damaged, "pack `\(path)` has another footer than its name says")
        } catch let error as MLOpsError where error.kind == .damaged {
            throw MLOpsError(
                .damaged, "nothing was removed: \(error.message)", hint: healingHint, cause: error)
        }
    }

    func contains(_ key: ObjectKey) -> Bool { places[key] != nil }

    func first(_ key: ObjectKey) -> Place? { places[key] }

    /// Every place of an object.
    func all(_ key: ObjectKey) -> [Place] { (places[key].map { [$0] } ?? []) + (copies[key] ?? []) }

    func entry(at place: Place) -> PackEntry { packs[Int(place.pack)].entries[Int(place.entry)] }

    /// Whether `root` is here, at least its first object.
    func holdsTop(of root: ContentRoot) -> Bool {
        let kinds: [ObjectKind] = root.kind == .tree ? [.tree, .manifest] : [.chunk, .manifest]
        return root.digest == emptyContent || kinds.contains { contains(ObjectKey($0, root.digest)) }
    }
}
