import Basics
import Foundation
import TestSupport
import Testing

@testable import ContentStorage

/// Whether every flip is tried, as `make prove` asks, or a part that a test has time for.
let triesEveryFlip = ProcessInfo.processInfo.environment["MLOPS_PROVE"] == "1"

/// What is a cache may be flipped anywhere: answers stay right. What is data is noticed (see DamageTests for packs).
@Suite struct BitFlipTests {
    /// The numbers of the bits to flip: all of them, or as many as there is time for, from a seed.
    private func bits(_ byteCount: Int, atMost limit: Int) -> [Int] {
        guard byteCount * 8 > limit else { return Array(0..<byteCount * 8) }
        var random = Philox(seed: 7)
        return (0..<limit).map { _ in Int(random.next() % UInt64(byteCount * 8)) }
    }

    @Test func everyFlippedBitOfAListOfChunksIsRefused() throws {
        for count in [3, 2000] {
            let chunks = (0..<count).map { FileManifest.Entry(chunk: Digest.of("\($0)"), byteCount: Int64($0 + 1)) }
            let made = FileManifest.make(of: chunks)
            let good = made.manifest.encoded()
            #expect((made.manifest.depth == 1) == (count > 1024))
            var noticed = 0
            for bit in 0..<good.count * 8 {
                var bytes = good
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                if (try? FileManifest(parsing: bytes, id: Digest.of("x"))) == nil { noticed += 1 }
            }
            #expect(noticed == good.count * 8)
            // A segment is a chunk: its digest vouches for each of its bits.
            for (entry, segment) in zip(made.manifest.entries, made.segments) {
                #expect(Digest.of(segment) == entry.chunk)
            }
            print("bit flips: list of \(count) chunks \(noticed)/\(good.count * 8) noticed")
        }
    }

    @Test func everyFlippedBitOfAStoredListAndItsSegmentsIsFound() async throws {
        let project = try StoreFolder()
        let pieces = (0..<1030).map { Array("piece \($0)".utf8) }
        let whole = pieces.flatMap { $0 }
        let made = FileManifest.make(of: pieces.map { .init(chunk: Digest.of($0), byteCount: Int64($0.count)) })
        #expect(made.segments.count >= 2)
        let writer = try PackWriter(folder: try project.store.packsFolder())
        for bytes in made.segments + pieces {
            let key = ObjectKey(.chunk, Digest.of(bytes))
            try writer.append(PackFrame(key: key, codec: .raw, plainLength: bytes.count, stored: bytes))
        }
        let list = made.manifest.encoded()
        try writer.append(
            PackFrame(
                key: ObjectKey(.manifest, Digest.of(whole)), codec: .raw, plainLength: list.count, stored: list))
        let pack = try writer.finish()
        try project.store.packs.install(temporary: pack.path, as: pack.digest)
        let root = ContentRoot(digest: Digest.of(whole), kind: .file, byteCount: Int64(whole.count), fileCount: 1)
        let store = try project.reopened()
        #expect(try await store.verify(roots: [("models/m", root)]).isClean)
        let path = try #require(try project.packs().first)
        var (noticed, tried) = (0, 0)
        for entry in pack.entries where entry.key.kind == .manifest || entry.plainLength > 1000 {
            let isList = entry.key.kind == .manifest
            let first = Int(entry.offset) * 8
            let step = triesEveryFlip ? 37 : isList ? 61 : 4001
            for bit in stride(from: first, to: first + entry.storedLength * 8, by: step) {
                try StoreFolder.flipInPlace(path, bit: bit)
                tried += 1
                if try await store.verify(roots: [("models/m", root)]).hurtRoots == ["models/m"] { noticed += 1 }
                try StoreFolder.flipInPlace(path, bit: bit)
            }
        }
        #expect(noticed == tried && tried > 50)
        print("bit flips: stored list with segments \(noticed)/\(tried) noticed")
    }

    @Test func everyFlippedBitOfARowOfTheStatCacheIsNoticed() {
        let record = StoreFolder.noise(160, seed: 3)
        let good = FolderRecord.sealed(record, path: "data/x")
        #expect(unsealed(good, path: "data/x") == record)
        #expect(unsealed(good, path: "data/y") == nil)
        for bit in 0..<good.count * 8 {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(unsealed(bytes, path: "data/x") == nil)
        }
        for count in 0..<good.count { #expect(unsealed(Array(good[..<count]), path: "data/x") == nil) }
    }

    @Test func noFlippedBitOfTheIndexChangesAnAnswer() async throws {
        let project = try StoreFolder()
        for index in 0..<12 {
            try project.folder.write("data/\(index % 3)/\(index)", StoreFolder.noise(300, seed: UInt64(index)))
        }
        try project.folder.write("data/big", StoreFolder.noise(300_000, seed: 99))
        let path = project.path(".mlops/index.sqlite")
        let root = try await ContentStore(folder: project.path(".mlops")).add(path: project.path("data")).root
        let files = try project.contents("data")
        let good = try FileSystem.read(path)
        let flips = bits(good.count, atMost: triesEveryFlip ? 4000 : 120)
        var right = 0
        for bit in flips {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            for ending in ["-wal", "-shm"] { try FileSystem.removeFile(path + ending) }
            try StoreFolder.overwrite(path, with: bytes)
            let store = try project.reopened()
            #expect(try await store.identify(path: project.path("data")) == root, "bit \(bit)")
            _ = try await store.checkout(root, to: project.path("copy"))
            #expect(try project.contents("copy") == files, "bit \(bit)")
            #expect(try await store.add(path: project.path("data")).root == root, "bit \(bit)")
            if try await store.verify(roots: [("datasets/x", root)]).isClean { right += 1 }
            try FileSystem.removeTree(project.path("copy"))
        }
        #expect(right == flips.count)
        print("bit flips: index and stat cache \(right)/\(flips.count) harmless, of \(good.count * 8) bits")
    }

    @Test func wrongTotalsBesideADigestAreNoticed() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", "a")
        try project.folder.write("data/b", StoreFolder.noise(300_000, seed: 1))
        for name in ["data", "data/a", "data/b"] {
            let root = try await project.store.add(path: project.path(name)).root
            #expect(try await project.store.verify(roots: [("x", root)]).isClean)
            for bit in 0..<20 {
                var wrong = root
                wrong.byteCount ^= 1 << Int64(bit)
                #expect(try await project.store.verify(roots: [("x", wrong)]).hurtRoots == ["x"])
                wrong = root
                wrong.fileCount ^= 1 << bit
                #expect(try await project.store.verify(roots: [("x", wrong)]).hurtRoots == ["x"])
            }
        }
    }
}

private func unsealed(_ bytes: [UInt8], path: String) -> [UInt8]? {
    bytes.withUnsafeBytes { FolderRecord.unsealed($0, path: path) }
}
