import Basics
import TestSupport
import Testing

@testable import ContentStorage

@Suite struct FileProofTests {
    private static let mebibyte = FileProof.stretch

    private static func text(_ count: Int) -> [UInt8] {
        StoreFolder.noise(count, seed: UInt64.random(in: 0...UInt64.max))
    }

    private static func midstates(of text: [UInt8]) -> [Digest] {
        var hasher = DigestHasher()
        return (0..<FileProof.midstateCount(ofFile: Int64(text.count))).compactMap { index in
            hasher.update(Array(text[index * mebibyte..<(index + 1) * mebibyte]))
            return hasher.midstate
        }
    }

    /// Hashes in pieces of random lengths, as chunks come.
    private static func proves(_ text: [UInt8], _ midstates: [Digest], _ digest: Digest) -> Bool {
        var proof = FileProof(midstates: midstates)
        text.withUnsafeBytes { raw in
            var start = 0
            while start < raw.count {
                let longest = Bool.random() ? 5 * mebibyte : 100_000
                let end = min(raw.count, start + Int.random(in: 1...longest))
                proof.update(UnsafeRawBufferPointer(rebasing: raw[start..<end]))
                start = end
            }
        }
        return proof.proves(digest)
    }

    @Test(arguments: [1, 999_999, 1_048_576, 1_048_577, 3 << 20, 18 << 20, 19_000_001])
    func aFileIsProvenWithAndWithoutMidstates(count: Int) {
        let text = FileProofTests.text(count)
        let digest = Digest.of(text)
        let midstates = FileProofTests.midstates(of: text)
        for _ in 0..<3 {
            #expect(FileProofTests.proves(text, midstates, digest))
            #expect(FileProofTests.proves(text, [], digest))
        }
        #expect(!FileProofTests.proves(text, midstates, Digest.of("another")))
        #expect(!FileProofTests.proves(text + [0], midstates, digest))
        #expect(!FileProofTests.proves(Array(text.dropLast()), midstates, digest))
    }

    @Test(.enabled(if: DigestHasher.isPaired)) func oneWrongBitAnywhereIsNoticed() {
        let text = FileProofTests.text(4 << 20 | 77)
        let digest = Digest.of(text)
        let midstates = FileProofTests.midstates(of: text)
        #expect(midstates.count == 4)
        for _ in 0..<40 {
            var changed = text
            changed[Int.random(in: 0..<text.count)] ^= 1 << UInt8.random(in: 0...7)
            #expect(!FileProofTests.proves(changed, midstates, digest))
            // Not even with midstates that fit what was changed.
            #expect(!FileProofTests.proves(changed, FileProofTests.midstates(of: changed), digest))
        }
        for index in midstates.indices {
            var wrong = midstates
            wrong[index] = Digest.of("wrong")
            #expect(!FileProofTests.proves(text, wrong, digest))
        }
    }

    @Test(.enabled(if: DigestHasher.isPaired)) func anAdditionNotesMidstatesThatProveTheFile() async throws {
        let project = try StoreFolder()
        for count in [8 << 20 | 1, 9 << 20, 9_700_001] {
            let text = FileProofTests.text(count)
            try project.folder.write("data.bin", text)
            let root = try await project.store.add(path: project.path("data.bin")).root
            #expect(try project.store.midstates(ofFile: root.digest) == FileProofTests.midstates(of: text))
            _ = try await project.store.checkout(root, to: project.path("copy.bin"))
            #expect(try FileSystem.read(project.path("copy.bin")) == text)
            try FileSystem.removeFile(project.path("copy.bin"))
        }
    }

    /// A manifest that is intact and yet lies, as a careless program could write it.
    @Test(.enabled(if: DigestHasher.isPaired)) func wrongMidstatesMakeNoFileUnreadableAndNoneRight() async throws {
        let (project, other) = (try StoreFolder(), try StoreFolder())
        let text = FileProofTests.text(9 << 20 | 77)
        for folder in [project.folder, other.folder] { try folder.write("data.bin", text) }
        let root = try await project.store.add(path: project.path("data.bin")).root
        var manifest = try project.store.manifest(root.digest)
        manifest.midstates[3] = Digest.of("wrong")
        let bytes = manifest.encoded()
        let writer = try PackWriter(folder: try other.store.packsFolder())
        let key = ObjectKey(.manifest, root.digest)
        try writer.append(PackFrame(key: key, codec: .raw, plainLength: bytes.count, stored: bytes))
        let pack = try writer.finish()
        try other.store.packs.install(temporary: pack.path, as: pack.digest)
        // The manifest is there, so the addition stores the chunks alone.
        let store = try other.reopened()
        #expect(try await store.add(path: other.path("data.bin")).root == root)
        _ = try await store.checkout(root, to: other.path("copy.bin"))
        #expect(try FileSystem.read(other.path("copy.bin")) == text)
        // A chunk that is hurt is found all the same.
        let data = try #require(try other.packs().max { try FileSystem.read($0).count < FileSystem.read($1).count })
        try StoreFolder.flip(data, at: 5 << 20)
        let error = await #expect(throws: MLOpsError.self) {
            _ = try await other.reopened().checkout(root, to: other.path("again.bin"))
        }
        #expect(error?.kind == .damaged)
        #expect(!FileSystem.exists(other.path("again.bin")))
    }
}
