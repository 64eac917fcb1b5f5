import Basics
import ContentStorage
import TestSupport
import Testing

@Suite struct TransferTests {
    private func filled() async throws -> (StoreFolder, ContentRoot) {
        let project = try StoreFolder()
        for index in 0..<50 { try project.folder.write("data/s/\(index)", StoreFolder.noise(900, seed: UInt64(index))) }
        try project.folder.write("data/big", StoreFolder.noise(800_000, seed: 99))
        return (project, try await project.store.add(path: project.path("data")).root)
    }

    @Test func objectByObjectAStoreCanBeCopied() async throws {
        let (source, root) = try await filled()
        let target = try StoreFolder()
        var rounds = 0
        while true {
            let missing = try await target.store.missingContent(below: [root])
            if missing.isEmpty { break }
            rounds += 1
            let keys = try missing.map { item in
                try #require(item.candidates.first { (try? source.store.missingObjects(among: [$0])) == [] })
            }
            let writer = try PackWriter(folder: try target.store.packsFolder())
            for key in keys { try writer.append(source.store.frame(of: key)) }
            let pack = try writer.finish()
            try target.store.install(packAt: pack.path, digest: pack.digest, entries: pack.entries)
            try #require(rounds < 10)
        }
        #expect(try target.store.contains(root))
        try await target.store.checkout(root, to: target.path("data"))
        #expect(try target.contents("data").keys.sorted() == source.contents("data").keys.sorted())
        #expect(try await target.store.verify(roots: [("x", root)]).isClean)
    }

    @Test func wholePacksCanBeCopied() async throws {
        let (source, root) = try await filled()
        let target = try StoreFolder()
        let objects = try await source.store.reachableObjects(from: root)
        let (packs, rest) = try source.store.wholePacks(covering: Set(objects.map(\.key)))
        #expect(rest.isEmpty)
        let index = PackIndexFile(
            packs: packs.map { PackIndexFile.Pack(digest: $0.digest, byteCount: $0.byteCount, entries: $0.entries) })
        #expect(try PackIndexFile.decode(index.encode(), subject: "x") == index)
        for pack in packs {
            let temporary = TemporaryFile.path(beside: FileSystem.join(try target.store.packsFolder(), "x"))
            try FileSystem.replace(temporary, with: try FileSystem.read(pack.path))
            try target.store.install(packAt: temporary, digest: pack.digest, entries: pack.entries)
        }
        #expect(try target.store.contains(root))
        // A part of the objects covers no pack.
        let part = Set(objects.map(\.key).dropLast())
        #expect(try source.store.wholePacks(covering: part).packs.isEmpty)
        #expect(try source.store.wholePacks(covering: part).rest == part.sorted())
    }

    @Test func aPackThatArrivesDamagedIsRefused() async throws {
        let (source, root) = try await filled()
        let objects = try await source.store.reachableObjects(from: root)
        let pack = try #require(try source.store.wholePacks(covering: Set(objects.map(\.key))).packs.first)
        let target = try StoreFolder()
        var bytes = try FileSystem.read(pack.path)
        bytes[bytes.count / 2] ^= 4
        let temporary = TemporaryFile.path(beside: FileSystem.join(try target.store.packsFolder(), "x"))
        try FileSystem.replace(temporary, with: bytes)
        #expect(throws: MLOpsError.self) {
            try target.store.install(packAt: temporary, digest: pack.digest, entries: pack.entries)
        }
        #expect(!FileSystem.exists(temporary))
        #expect(try target.packs() == [])
    }

    @Test func childrenComeBeforeWhatListsThem() async throws {
        let (source, root) = try await filled()
        let keys = try await source.store.reachableObjects(from: root).map(\.key)
        #expect(keys.last == ObjectKey(.tree, root.digest))
        #expect(Set(keys).count == keys.count)
    }

    @Test func brokenIndexFilesAreRefused() throws {
        let bytes = PackIndexFile(packs: [
            .init(
                digest: Digest.of("pack"), byteCount: 4096,
                entries: [
                    PackEntry(
                        key: ObjectKey(.chunk, Digest.of("a")), offset: 16, storedLength: 5, plainLength: 5, codec: .raw
                    )
                ])
        ]).encode()
        for length in 0..<bytes.count {
            #expect(throws: MLOpsError.self) { try PackIndexFile.decode(Array(bytes[..<length]), subject: "x") }
        }
        #expect(throws: MLOpsError.self) { try PackIndexFile.decode(bytes + [0], subject: "x") }
    }
}
