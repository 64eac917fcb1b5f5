package import Basics

/// What the bytes of a stored object mean.
package enum ObjectKind: UInt8, Sendable, CaseIterable, Codable {
    /// A piece of a file, or a whole small one. Its id is the SHA-256 of its bytes.
    case chunk = 1
    /// The list of a file's chunks. Its id is the SHA-256 of the file that it describes.
    case manifest = 2
    /// The listing of one directory. Its id is the SHA-256 of the listing.
    case tree = 3
}

/// The name of a stored object.
package struct ObjectKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var kind: ObjectKind
    package var id: Digest

    package init(_ kind: ObjectKind, _ id: Digest) {
        self.kind = kind
        self.id = id
    }

    package var description: String { "\(kind) \(id)" }

    package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.kind.rawValue, left.id) < (right.kind.rawValue, right.id)
    }
}

/// How the bytes of an object are stored.
package enum PackCodec: UInt8, Sendable, Codable {
    case raw = 0
    /// One zstd frame.
    case zstd = 1
}

/// Where an object lies in a pack.
package struct PackEntry: Hashable, Sendable {
    package var key: ObjectKey
    /// Of the first stored byte, from the start of the pack.
    package var offset: Int64
    package var storedLength: Int
    package var plainLength: Int
    package var codec: PackCodec
    /// The first 4 bytes of the SHA-256 of the stored bytes, little-endian; 0 where they are not compressed.
    package var check: UInt32

    package init(
        key: ObjectKey, offset: Int64, storedLength: Int, plainLength: Int, codec: PackCodec, check: UInt32 = 0
    ) {
        self.key = key
        self.offset = offset
        self.storedLength = storedLength
        self.plainLength = plainLength
        self.codec = codec
        self.check = check
    }
}

/// An object of the store with its sizes in bytes.
package struct StoredObject: Hashable, Sendable {
    package var key: ObjectKey
    package var storedLength: Int
    package var plainLength: Int

    package init(key: ObjectKey, storedLength: Int, plainLength: Int) {
        self.key = key
        self.storedLength = storedLength
        self.plainLength = plainLength
    }
}

/// A pack of this store.
package struct LocalPack: Sendable {
    package var digest: Digest
    package var path: String
    package var byteCount: Int64
    package var entries: [PackEntry]
}

/// Content that is not here: one of `candidates`, whichever a remote has, brings it a step nearer.
package struct MissingContent: Hashable, Sendable {
    /// In order of preference.
    package var candidates: [ObjectKey]
    /// The plain bytes of the content, as far as they are known.
    package var byteCount: Int64
    /// Whether it lists other content.
    package var isListing: Bool
    /// Whether it is a part of a file.
    package var isPart: Bool

    package init(candidates: [ObjectKey], byteCount: Int64, isListing: Bool = false, isPart: Bool = false) {
        self.candidates = candidates
        self.byteCount = byteCount
        self.isPart = isPart
        self.isListing = isListing || candidates.allSatisfy { $0.kind != .chunk }
    }
}

/// How many bytes of an object can be believed before it is read.
enum ObjectLimits {
    /// A tree or a manifest larger than this is refused.
    static let plainLength = 1 << 30
}
