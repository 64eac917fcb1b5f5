import Basics
import Testing

@Suite struct PhiloxTests {
    /// kat_vectors of Random123 1.14, philox4x32 with 10 rounds: counter, key, result.
    @Test(arguments: [
        (
            SIMD4<UInt32>(repeating: 0), SIMD2<UInt32>(repeating: 0),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        ),
        (
            SIMD4<UInt32>(repeating: .max), SIMD2<UInt32>(repeating: .max),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        ),
        (
            SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), SIMD2<UInt32>(0xa409_3822, 0x299f_31d0),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        ),
    ])
    func givesThePublishedVectors(_ vector: (SIMD4<UInt32>, SIMD2<UInt32>, [UInt32])) {
        let block = Philox.block(counter: vector.0, key: vector.1)
        #expect((0..<4).map { block[$0] } == vector.2)
    }

    @Test func streamsDifferAndRepeat() {
        func draw(_ stream: String) -> [UInt64] {
            var generator = Philox(seed: 1, stream: stream)
            return (0..<5).map { _ in generator.next() }
        }
        #expect(draw("a") == draw("a"))
        #expect(draw("a") != draw("b"))
    }

    @Test(arguments: 0...9, 0...5)
    func aBufferFillsWithTheWordsThatDrawsGive(_ count: Int, _ before: Int) {
        var drawn = Philox(seed: 5)
        for _ in 0..<before { _ = drawn.nextWord() }
        var filled = drawn
        var words = [UInt32](repeating: 0, count: count)
        words.withUnsafeMutableBufferPointer { filled.fill($0) }
        #expect(words == (0..<count).map { _ in drawn.nextWord() })
        #expect(filled.nextWord() == drawn.nextWord())
    }
}
