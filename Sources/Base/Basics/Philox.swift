/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11): random numbers as a function of key
/// and counter, so that a result depends on the seed alone and not on who draws first or on how many threads.
public struct Philox: RandomNumberGenerator, Sendable, Hashable, Codable {
    private var key: SIMD2<UInt32>
    private var counter: SIMD4<UInt32>
    private var block = SIMD4<UInt32>()
    /// Words of `block` already given out; 4 means that the next draw computes a new block.
    private var used = 4

    /// The stream `stream` of `seed`; different streams never overlap.
    public init(seed: UInt64, stream: UInt64 = 0) {
        key = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
        counter = [0, 0, UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)]
    }

    /// The stream named `name` of `seed`: the same name gives the same stream in every run.
    public init(seed: UInt64, stream name: String) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        self.init(seed: seed, stream: hash)
    }

    /// The block of four words at `counter` under `key`: ten rounds.
    public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        let words = rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1])
        return [words.0, words.1, words.2, words.3]
    }

    /// The ten rounds over single words, which compile to four times as fast code as over `SIMD4`.
    @inline(__always)
    private static func rounds(
        _ x0: UInt32, _ x1: UInt32, _ x2: UInt32, _ x3: UInt32, _ k0: UInt32, _ k1: UInt32
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        var x = (x0, x1, x2, x3)
        var k = (k0, k1)
        for _ in 0..<10 {
            let first = UInt64(0xD251_1F53) &* UInt64(x.0)
            let second = UInt64(0xCD9E_8D57) &* UInt64(x.2)
            x = (
                UInt32(truncatingIfNeeded: second >> 32) ^ x.1 ^ k.0, UInt32(truncatingIfNeeded: second),
                UInt32(truncatingIfNeeded: first >> 32) ^ x.3 ^ k.1, UInt32(truncatingIfNeeded: first)
            )
            k = (k.0 &+ 0x9E37_79B9, k.1 &+ 0xBB67_AE85)
        }
        return x
    }

    /// Moves on to the next block.
    @inline(__always)
    private mutating func step() {
        let low = (UInt64(counter[1]) << 32 | UInt64(counter[0])) &+ 1
        counter[0] = UInt32(truncatingIfNeeded: low)
        counter[1] = UInt32(truncatingIfNeeded: low >> 32)
    }

    /// 32 random bits.
    public mutating func nextWord() -> UInt32 {
        if used == 4 {
            block = Philox.block(counter: counter, key: key)
            step()
            used = 0
        }
        defer { used += 1 }
        return block[used]
    }

    /// Fills `words` with what `nextWord` would give, at a quarter of the cost.
    public mutating func fill(_ words: UnsafeMutableBufferPointer<UInt32>) {
        var index = 0
        while index < words.count, used < 4 {
            words[index] = nextWord()
            index += 1
        }
        while index + 4 <= words.count {
            let four = Philox.rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1])
            (words[index], words[index + 1], words[index + 2], words[index + 3]) = four
            step()
            index += 4
        }
        while index < words.count {
            words[index] = nextWord()
            index += 1
        }
    }

    public mutating func next() -> UInt64 { UInt64(nextWord()) << 32 | UInt64(nextWord()) }

    /// Uniform in `0 ..< 1`, a multiple of 2⁻²⁴.
    public mutating func nextUniform() -> Float { Float(nextWord() >> 8) * 0x1p-24 }

    /// Uniform in `0 ..< 1`, a multiple of 2⁻⁵³.
    public mutating func nextUniformDouble() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in `0 ..< bound` without bias (Lemire, 2019).
    public mutating func nextIndex(below bound: Int) -> Int {
        precondition(bound > 0, "bound must be positive, not \(bound)")
        return Int(truncatingIfNeeded: next(upperBound: UInt64(bound)))
    }

    /// A random order of `0 ..< count` (Fisher–Yates).
    public mutating func permutation(of count: Int) -> [Int] {
        var order = Array(0..<count)
        for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, nextIndex(below: i + 1)) }
        return order
    }
}
