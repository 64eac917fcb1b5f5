import Basics
import Testing

@Suite struct DigestHasherTests {
    @Test func hashesAsThePlainWayDoesWhateverTheLengths() {
        for round in 0..<400 {
            let text = (0..<Int.random(in: 0...700)).map { _ in UInt8.random(in: 0...255) }
            var plain = DigestHasher(isPaired: false)
            plain.update(text)
            var pieces = DigestHasher()
            var position = 0
            while position < text.count {
                let end = min(text.count, position + Int.random(in: 1...200))
                pieces.update(Array(text[position..<end]))
                position = end
            }
            #expect(pieces.finalize() == plain.finalize(), "round \(round): \(text.count) bytes")
        }
    }

    @Test(arguments: [true, false]) func hashesAStreamAndItsPiecesAtOnce(isPaired: Bool) {
        let isPaired = isPaired && DigestHasher.isPaired
        for round in 0..<200 {
            let before = (0..<Int.random(in: 0...150)).map { _ in UInt8.random(in: 0...255) }
            let text = (0..<Int.random(in: 0...3000)).map { _ in UInt8.random(in: 0...255) }
            var lengths: [UInt32] = []
            var left = text.count
            while left > 0, lengths.count < 9 {
                let length = Int.random(in: 0...left)
                lengths.append(UInt32(length))
                left -= length
            }
            var stream = DigestHasher(isPaired: isPaired)
            stream.update(before)
            let fresh = Int.random(in: 0...text.count)
            let digests = text.withUnsafeBytes { raw in
                stream.update(UnsafeRawBufferPointer(rebasing: raw[fresh...]), pieces: raw, lengths: lengths)
            }
            var start = 0
            for (length, digest) in zip(lengths, digests) {
                #expect(digest == Digest.of(text[start..<start + Int(length)]), "round \(round)")
                start += Int(length)
            }
            #expect(stream.finalize() == Digest.of(before + text[fresh...]), "round \(round)")
        }
    }

    @Test func hashesManyTextsAsEachAlone() {
        let texts = (0..<300).map { number in (0..<number * 7 % 400).map { UInt8(truncatingIfNeeded: $0 &* number) } }
        let digests = texts.reduce(into: [UInt8]()) { $0 += $1 }.withUnsafeBytes { raw in
            var start = 0
            return Digest.ofEach(
                texts.map { text in
                    defer { start += text.count }
                    return UnsafeRawBufferPointer(rebasing: raw[start..<start + text.count])
                })
        }
        #expect(digests == texts.map { Digest.of($0) })
        #expect(Digest.ofEach([]) == [])
        #expect(Digest.of("abc").hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
