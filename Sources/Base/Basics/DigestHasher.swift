internal import CHashes
internal import Crypto

/// SHA-256 of bytes that arrive piece by piece.
///
/// Where the processor has instructions for SHA-256, two streams are hashed at once, which takes little longer than one:
/// instructions of one wait for each other. Elsewhere swift-crypto does the work.
package struct DigestHasher: Sendable {
    /// Whether this processor can hash two streams at once.
    package static let isPaired = mlops_sha256_is_here() != 0
    /// How many whole texts this processor hashes side by side: 16 with AVX-512, 2 with instructions for SHA-256, else 1.
    package static let width = max(1, Int(mlops_sha256_lanes()))

    private var paired = mlops_sha256()
    /// nil where `paired` is used.
    private var plain: SHA256?

    package init() { self.init(isPaired: DigestHasher.isPaired) }

    /// - Parameter isPaired: false for the plain way, with which the other is compared in tests.
    package init(isPaired: Bool) {
        if isPaired { mlops_sha256_start(&paired) } else { plain = SHA256() }
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if plain != nil {
            plain?.update(bufferPointer: bytes)
        } else if let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) {
            mlops_sha256_update(&paired, start, bytes.count)
        }
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    package func finalize() -> Digest {
        if let plain { return plain.finalize().withUnsafeBytes { Digest(raw: $0) } }
        var paired = paired
        return DigestHasher.digest { mlops_sha256_finish(&paired, $0) }
    }

    /// Continues with `bytes`, and gives the digests of pieces that follow each other in `pieces`.
    ///
    /// - Parameters:
    ///   - bytes: what comes next in this stream; often a part of `pieces`, which is then still in the cache.
    ///   - lengths: of the pieces, in bytes; their sum is at most the count of `pieces`.
    package mutating func update(
        _ bytes: UnsafeRawBufferPointer, pieces: UnsafeRawBufferPointer, lengths: [UInt32]
    ) -> [Digest] {
        precondition(lengths.reduce(0) { $0 + Int($1) } <= pieces.count, "the pieces are longer than their bytes")
        if plain != nil {
            update(bytes)
            var start = 0
            return lengths.map { length in
                defer { start += Int(length) }
                var hasher = DigestHasher(isPaired: false)
                hasher.update(UnsafeRawBufferPointer(rebasing: pieces[start..<start + Int(length)]))
                return hasher.finalize()
            }
        }
        return DigestHasher.digests(lengths.count) { digests in
            mlops_sha256_with_pieces(
                &paired, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count,
                pieces.baseAddress?.assumingMemoryBound(to: UInt8.self), lengths, lengths.count, digests)
        }
    }

    /// What this has come to, in the form of a digest: the intermediate hash value of FIPS 180-4. nil within a block of 64
    /// bytes, and where swift-crypto does the work.
    package var midstate: Digest? {
        guard plain == nil, paired.count % 64 == 0 else { return nil }
        var paired = paired
        return DigestHasher.digest { mlops_sha256_midstate(&paired, $0) }
    }

    /// One that has come to `midstate`; nil where swift-crypto does the work.
    ///
    /// - Parameter byteCount: of what it has seen, whole blocks of 64 bytes.
    package init?(resuming midstate: Digest, after byteCount: Int64) {
        precondition(byteCount % 64 == 0, "\(byteCount) bytes are not whole blocks")
        guard DigestHasher.isPaired else { return nil }
        self.init(isPaired: true)
        midstate.bytes.withUnsafeBufferPointer {
            if let start = $0.baseAddress { mlops_sha256_resume(&paired, start, UInt64(byteCount)) }
        }
    }

    /// Where each of `midstates` leads over its stretch; some side by side.
    ///
    /// - Parameters:
    ///   - stretches: whole blocks of 64 bytes each.
    ///   - width: of this processor; 2 in tests.
    package static func advance(
        _ midstates: [Digest], over stretches: [UnsafeRawBufferPointer], width: Int = DigestHasher.width
    ) -> [Digest] {
        precondition(width <= DigestHasher.width, "this processor hashes \(DigestHasher.width) side by side at most")
        precondition(
            isPaired && stretches.count == midstates.count && stretches.allSatisfy { $0.count % 64 == 0 },
            "a stretch for each midstate, of whole blocks")
        return digests(midstates.count) { results in
            for (index, midstate) in midstates.enumerated() {
                midstate.copy(to: UnsafeMutableRawBufferPointer(start: results + 32 * index, count: 32))
            }
            let starts = stretches.map { $0.baseAddress?.assumingMemoryBound(to: UInt8.self) }
            mlops_sha256_advance(starts, stretches.map(\.count), stretches.count, results, Int32(width))
        }
    }

    private static func digest(_ body: (UnsafeMutablePointer<UInt8>) -> Void) -> Digest {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 16) { raw in
            if let start = raw.baseAddress { body(start.assumingMemoryBound(to: UInt8.self)) }
            return Digest(raw: UnsafeRawBufferPointer(raw))
        }
    }

    fileprivate static func digests(_ count: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Void) -> [Digest] {
        guard count > 0 else {
            var nothing: UInt8 = 0
            body(&nothing)
            return []
        }
        return withUnsafeTemporaryAllocation(byteCount: 32 * count, alignment: 16) { raw in
            if let start = raw.baseAddress { body(start.assumingMemoryBound(to: UInt8.self)) }
            return (0..<count).map {
                Digest(raw: UnsafeRawBufferPointer(rebasing: raw[32 * $0..<32 * $0 + 32]))
            }
        }
    }
}

extension Digest {
    /// The digests of several texts, some side by side.
    ///
    /// - Parameter width: 1 for the plain way, with which the others are compared in tests; at most `DigestHasher.width`.
    package static func ofEach(
        _ texts: [UnsafeRawBufferPointer], width: Int = DigestHasher.width
    ) -> [Digest] {
        precondition(width <= DigestHasher.width, "this processor hashes \(DigestHasher.width) side by side at most")
        guard width > 1 else {
            return texts.map { text in
                var hasher = DigestHasher(isPaired: false)
                hasher.update(text)
                return hasher.finalize()
            }
        }
        return DigestHasher.digests(texts.count) { digests in
            let starts = texts.map { $0.baseAddress?.assumingMemoryBound(to: UInt8.self) }
            mlops_sha256_of_many(starts, texts.map(\.count), texts.count, digests, Int32(width))
        }
    }
}
