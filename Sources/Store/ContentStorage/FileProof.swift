internal import Basics

/// Compares a file with its SHA-256, many stretches of it side by side.
///
/// SHA-256 (FIPS 180-4) leads from one intermediate hash value to the next, block by block, so a file is hashed from its first
/// byte to its last, by one core, at the pace of one stream. Values that somebody noted on the way, here called midstates, let each
/// stretch begin on its own: when every stretch leads from its midstate to the next one, the first from the standard's initial value,
/// and the last one to the digest, then the same blocks were hashed in the same order as one stream would have. The midstates
/// need no trust for that: wrong ones do not pass.
struct FileProof: Sendable {
    /// Bytes from one midstate to the next.
    static let stretch = 1 << 20

    /// How many midstates a file of `byteCount` bytes has: one after each stretch but the last.
    static func midstateCount(ofFile byteCount: Int64) -> Int {
        byteCount > 0 ? Int((byteCount - 1) / Int64(stretch)) : 0
    }

    private let midstates: [Digest]
    /// Has hashed the file up to `position`, or its last stretch that has begun.
    private var hasher = DigestHasher()
    private var position: Int64 = 0
    /// Whether all stretches so far led where they should.
    private var isRight = true

    /// - Parameter midstates: of the whole file; none to hash it in one stream.
    init(midstates: [Digest] = []) { self.midstates = DigestHasher.isPaired ? midstates : [] }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard !midstates.isEmpty else { return hasher.update(bytes) }
        var rest = bytes
        func take(_ count: Int) -> UnsafeRawBufferPointer {
            let taken = UnsafeRawBufferPointer(rebasing: rest[..<count])
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            return taken
        }
        // Up to the next block of the hash; then the rest of the stretch that has begun, whole ones, and the beginning of one more.
        if position % 64 > 0 { advance(over: take(min(64 - Int(position % 64), rest.count))) }
        var stretches: [UnsafeRawBufferPointer] = []
        var end = position
        while rest.count >= 64 {
            let left = FileProof.stretch - Int(end % Int64(FileProof.stretch))
            stretches.append(take(min(left, rest.count / 64 * 64)))
            end += Int64(stretches[stretches.count - 1].count)
        }
        if !stretches.isEmpty { advance(over: stretches) }
        if !rest.isEmpty { advance(over: rest) }
    }

    /// Goes on with the block that has begun, at most to its end.
    private mutating func advance(over bytes: UnsafeRawBufferPointer) {
        hasher.update(bytes)
        position += Int64(bytes.count)
        if position % Int64(FileProof.stretch) == 0 { reach(hasher.midstate) }
    }

    /// Goes on with several that follow each other, the first of which may have begun.
    private mutating func advance(over stretches: [UnsafeRawBufferPointer]) {
        let next = Int(position / Int64(FileProof.stretch))
        guard let start = hasher.midstate, next + stretches.count - 1 <= midstates.count else {
            // The file is longer than its midstates tell.
            isRight = false
            return
        }
        // The hasher stands at the first, wherever the list says that it should stand.
        let starts = [start] + midstates[next..<next + stretches.count - 1]
        let ends = DigestHasher.advance(starts, over: stretches)
        for (stretch, end) in zip(stretches, ends) {
            position += Int64(stretch.count)
            if position % Int64(FileProof.stretch) == 0 { reach(end) }
        }
        if let end = ends.last, let resumed = DigestHasher(resuming: end, after: position) { hasher = resumed }
    }

    /// Compares what a stretch came to with the midstate at `position`.
    private mutating func reach(_ end: Digest?) {
        let index = Int(position / Int64(FileProof.stretch)) - 1
        // Behind the last one the digest itself follows.
        if index < midstates.count, midstates[index] != end { isRight = false }
    }

    /// Whether all bytes so far are those of the file with `digest`.
    func proves(_ digest: Digest) -> Bool { isRight && hasher.finalize() == digest }
}
