internal import Basics

/// A stored object as it lies in a pack.
package struct PackFrame: Sendable {
    package var key: ObjectKey
    package var codec: PackCodec
    package var plainLength: Int
    /// The bytes in the pack, maybe compressed.
    package var stored: [UInt8]
    /// What the footer says of the stored bytes of a compressed frame; nil where nobody has said anything.
    package var check: UInt32?

    package init(key: ObjectKey, codec: PackCodec, plainLength: Int, stored: [UInt8], check: UInt32? = nil) {
        self.key = key
        self.codec = codec
        self.plainLength = plainLength
        self.stored = stored
        self.check = check
    }

    /// The frame that `entry` tells of.
    package init(_ entry: PackEntry, stored: [UInt8]) {
        self.init(
            key: entry.key, codec: entry.codec, plainLength: entry.plainLength, stored: stored, check: entry.check)
    }

    /// The plain bytes, proven to be what the key says. A manifest proves only that it is well formed; the file that it
    /// describes is proven when it is put together.
    ///
    /// - Throws: kind `.damaged`.
    package func decoded() throws -> [UInt8] {
        let plain = try unverified()
        switch key.kind {
        case .chunk, .tree:
            guard Digest.of(plain) == key.id else {
                throw PackFrame.damaged(key, "has other bytes than its digest says")
            }
            if key.kind == .tree { _ = try TreeListing(parsing: plain, subject: "\(key)") }
        case .manifest:
            _ = try FileManifest(parsing: plain, id: key.id)
        }
        return plain
    }

    /// The plain bytes, not compared with the key.
    func unverified() throws -> [UInt8] {
        switch codec {
        case .raw:
            guard stored.count == plainLength else { throw PackFrame.damaged(key, "has the wrong length") }
            return stored
        case .zstd:
            guard plainLength <= PackFrame.limit(of: key.kind) else { throw PackFrame.damaged(key, "is too large") }
            if let check, check != stored.withUnsafeBytes({ PackFormat.check(of: $0) }) {
                throw PackFrame.damaged(key, "has other stored bytes than its pack says")
            }
            guard let plain = stored.withUnsafeBytes({ decompress($0, plainLength: plainLength) }) else {
                throw PackFrame.damaged(key, "cannot be decompressed")
            }
            return plain
        }
    }

    /// The most plain bytes that an object of this kind may claim.
    static func limit(of kind: ObjectKind) -> Int {
        switch kind {
        case .chunk, .tree: ChunkSizes.standard.maximum
        case .manifest: ObjectLimits.plainLength
        }
    }

    static func damaged(_ key: ObjectKey, _ problem: String) -> MLOpsError {
        MLOpsError(.damaged, "\(key.kind) `\(key.id)` \(problem)", hint: healingHint)
    }
}

/// What to do about damaged or missing content.
let healingHint = "run `mlops fsck --heal` to see what is hurt, and to fetch it again from a remote"
