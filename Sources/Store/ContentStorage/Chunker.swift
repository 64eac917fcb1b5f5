internal import CHashes

/// The lengths that chunks have, in bytes: part of the store's format, since another choice would cut other chunks.
struct ChunkSizes {
    var minimum: Int
    /// Where the rule changes from reluctant to willing, which pulls lengths towards it.
    var normal: Int
    var maximum: Int

    static let standard = ChunkSizes(minimum: 16 << 10, normal: 64 << 10, maximum: 256 << 10)
}

/// FastCDC with normalised chunking (Xia et al., USENIX ATC '16): cuts where a rolling hash of the last 64 bytes is small,
/// so that an insertion moves only the cuts near it.
enum Chunker {
    /// Format 1: the outputs of SplitMix64 seeded with `seed`, in order.
    static let seed: UInt64 = 0x6D6C_6F70_7347_5231  // "mlopsGR1"

    /// The random word of each byte value.
    static let gear: [UInt64] = {
        var state = seed
        return (0..<256).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }()

    /// A hash below this cuts before the normal length: 18 leading zero bits.
    private static let reluctant: UInt64 = 1 << (64 - 18)
    /// And this after it: 14 leading zero bits.
    private static let willing: UInt64 = 1 << (64 - 14)

    /// The length of the first chunk of `bytes`.
    ///
    /// - Parameter isFinal: whether the content ends with `bytes`.
    /// - Returns: nil when more bytes are needed to tell: fewer than the maximum are given, and they are not the last.
    static func firstChunk(of bytes: UnsafeRawBufferPointer, isFinal: Bool, sizes: ChunkSizes = .standard) -> Int? {
        if bytes.count < sizes.maximum, !isFinal { return nil }
        guard bytes.count > sizes.minimum else { return bytes.count }
        let end = min(bytes.count, sizes.maximum)
        return gear.withUnsafeBufferPointer { gear in
            let middle = min(end, sizes.normal)
            var hash: UInt64 = 0
            if let cut = cut(bytes, sizes.minimum..<middle, gear, below: reluctant, &hash) { return cut }
            if let cut = cut(bytes, middle..<end, gear, below: willing, &hash) { return cut }
            return end
        }
    }

    /// The end of the first byte in `range` after which the hash is below `limit`.
    private static func cut(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ gear: UnsafeBufferPointer<UInt64>, below limit: UInt64,
        _ hash: inout UInt64
    ) -> Int? {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), let table = gear.baseAddress else {
            return nil
        }
        let length = mlops_gear_cut(start + range.lowerBound, range.count, table, limit, &hash)
        return length == 0 ? nil : range.lowerBound + length
    }

    /// The chunks of all of `bytes`, as lengths; none of no bytes.
    static func lengths(of bytes: UnsafeRawBufferPointer) -> [Int] {
        var lengths: [Int] = []
        var rest = bytes
        while !rest.isEmpty, let length = firstChunk(of: rest, isFinal: true) {
            lengths.append(length)
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        }
        return lengths
    }
}
