import Basics
import Testing

@Suite struct DigestTests {
    @Test func isWhatSha256sumPrints() {
        #expect(
            Digest.of("abc").description == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func readsBackWhatItWrites() {
        let digest = Digest.of("x")
        #expect(Digest(digest.description) == digest)
        #expect(Digest(digest.hex) == digest)
        #expect(Digest(bytes: digest.bytes) == digest)
    }

    @Test(arguments: ["", "sha256:", "sha256:12", String(repeating: "g", count: 64), String(repeating: "A", count: 64)])
    func refusesWhatIsNoDigest(_ text: String) { #expect(Digest(text) == nil) }
}
