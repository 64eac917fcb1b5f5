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

    @Test(arguments: [2, 16]) func hashesManyTextsAsEachAlone(width: Int) {
        guard width <= DigestHasher.width else { return }
        for count in [0, 1, 2, 3, 10, 11, 12, 16, 17, 27, 300] {
            let texts = (0..<count).map { _ in
                (0..<Int.random(in: 0...1300)).map { _ in UInt8.random(in: 0...255) }
            }
            let (digests, plain) = texts.reduce(into: [UInt8]()) { $0 += $1 }.withUnsafeBytes { raw in
                var start = 0
                let parts = texts.map { text in
                    defer { start += text.count }
                    return UnsafeRawBufferPointer(rebasing: raw[start..<start + text.count])
                }
                return (Digest.ofEach(parts, width: width), Digest.ofEach(parts, width: 1))
            }
            #expect(digests == plain, "\(count) texts")
        }
    }

    @Test(arguments: [2, 16]) func goesOnFromMidstatesSideBySide(width: Int) throws {
        guard width <= DigestHasher.width else { return }
        for count in [1, 2, 3, 10, 11, 16, 17, 35] {
            let text = (0..<count * 192 + Int.random(in: 0...100)).map { _ in UInt8.random(in: 0...255) }
            var hasher = DigestHasher()
            var midstates = [try #require(hasher.midstate)]
            for stretch in 0..<count {
                hasher.update(Array(text[stretch * 192..<(stretch + 1) * 192]))
                midstates.append(try #require(hasher.midstate))
            }
            let ends = text.withUnsafeBytes { raw in
                DigestHasher.advance(
                    Array(midstates.dropLast()),
                    over: (0..<count).map { UnsafeRawBufferPointer(rebasing: raw[$0 * 192..<($0 + 1) * 192]) },
                    width: width)
            }
            #expect(ends == Array(midstates.dropFirst()), "\(count) stretches")
            var rest = try #require(DigestHasher(resuming: midstates[count], after: Int64(count * 192)))
            rest.update(Array(text[(count * 192)...]))
            #expect(rest.finalize() == Digest.of(text))
            hasher.update([1])
            #expect(hasher.midstate == nil)
        }
    }

    @Test(arguments: [2, 16]) func goesOnOverStretchesOfManyLengths(width: Int) throws {
        guard width <= DigestHasher.width else { return }
        for count in [2, 12, 17, 40] {
            let lengths = (0..<count).map { _ in 64 * Int.random(in: 0...20) }
            let text = (0..<lengths.reduce(0, +)).map { _ in UInt8.random(in: 0...255) }
            var hasher = DigestHasher()
            var midstates = [try #require(hasher.midstate)]
            var start = 0
            let places = lengths.map { length in
                defer { start += length }
                return start..<start + length
            }
            for place in places {
                hasher.update(Array(text[place]))
                midstates.append(try #require(hasher.midstate))
            }
            let ends = text.withUnsafeBytes { raw in
                DigestHasher.advance(
                    Array(midstates.dropLast()), over: places.map { UnsafeRawBufferPointer(rebasing: raw[$0]) },
                    width: width)
            }
            #expect(ends == Array(midstates.dropFirst()), "\(count) stretches")
        }
    }

    @Test func knowsTheDigestsOfOthers() {
        // FIPS 180-4's examples, and what `sha256sum` says of a million times `a`.
        let texts = [
            "", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            String(repeating: "a", count: 1_000_000),
        ]
        let bytes = texts.map { Array($0.utf8) }
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        ]
        let many = (0..<20).map { bytes[$0 % 4] }
        let digests = many.reduce(into: [UInt8]()) { $0 += $1 }.withUnsafeBytes { raw in
            var start = 0
            return Digest.ofEach(
                many.map { text in
                    defer { start += text.count }
                    return UnsafeRawBufferPointer(rebasing: raw[start..<start + text.count])
                })
        }
        #expect(digests.map(\.hex) == (0..<20).map { expected[$0 % 4] })
        #expect(bytes.map { Digest.of($0).hex } == expected)
    }
}
