import Basics
import ContentStorage
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct DamageTests {
    @Test func everyFlippedBitOfAPackIsFound() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/text", String(repeating: "compressible ", count: 40))
        try project.folder.write("data/noise", StoreFolder.noise(300, seed: 1))
        try project.folder.write("data/sub/other", StoreFolder.noise(90, seed: 2))
        let root = try await project.store.add(path: project.path("data")).root
        let pack = try #require(try project.packs().first)
        let good = try FileSystem.read(pack)
        #expect(try await project.store.verify(roots: [("datasets/x", root)]).isClean)
        let entries = try PackReader.readFooter(at: pack)
        #expect(Set(entries.map(\.codec)) == [.raw, .zstd], "both kinds of frames are tried")
        for bit in 0..<good.count * 8 {
            try StoreFolder.flipInPlace(pack, bit: bit)
            // A pack as a whole or an object in it: either way the data set is named.
            let report = try await project.store.verify(roots: [("datasets/x", root)])
            #expect(report.hurtRoots == ["datasets/x"], "bit \(bit % 8) of byte \(bit / 8) of \(good.count)")
            // Whoever reads the object meets it too, though the index knows nothing of it.
            for entry in entries
            where (entry.offset..<entry.offset + Int64(entry.storedLength)).contains(Int64(bit / 8)) {
                #expect(throws: MLOpsError.self, "bit \(bit % 8) of byte \(bit / 8)") {
                    try project.store.frame(of: entry.key)
                }
            }
            try StoreFolder.flipInPlace(pack, bit: bit)
        }
        #expect(try await project.reopened().verify(roots: [("datasets/x", root)]).isClean)
    }

    @Test func everyFlippedByteOfAManifestIsFound() async throws {
        let project = try StoreFolder()
        try project.folder.write("big", StoreFolder.noise(700_000, seed: 1))
        let root = try await project.store.add(path: project.path("big")).root
        let pack = try #require(try project.packs().first)
        let good = try FileSystem.read(pack)
        let entries = try PackReader.readFooter(at: pack)
        let manifest = try #require(entries.first { $0.key.kind == .manifest })
        for offset in Int(manifest.offset)..<Int(manifest.offset) + manifest.storedLength where offset % 3 == 0 {
            try StoreFolder.flip(pack, at: offset)
            let report = try await project.store.verify(roots: [("models/m", root)])
            #expect(report.hurtRoots == ["models/m"])
            try StoreFolder.overwrite(pack, with: good)
        }
    }

    @Test func aDamagedChunkNeverReachesTheWorkspace() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", StoreFolder.noise(5000, seed: 1))
        try project.folder.write("data/big", StoreFolder.noise(900_000, seed: 2))
        let root = try await project.store.add(path: project.path("data")).root
        for pack in try project.packs() {
            for entry in try PackReader.readFooter(at: pack) where entry.key.kind == .chunk {
                let good = try FileSystem.read(pack)
                try StoreFolder.flip(pack, at: Int(entry.offset) + entry.storedLength / 2)
                let store = try project.reopened()
                await expectDamage { try await store.checkout(root, to: project.path("copy")) }
                // Whatever is there is right.
                for name in ["a", "big"] where FileSystem.exists(project.path("copy/\(name)")) {
                    #expect(try project.folder.read("copy/\(name)") == project.folder.read("data/\(name)"))
                }
                try FileSystem.removeTree(project.path("copy"))
                try StoreFolder.overwrite(pack, with: good)
            }
        }
    }

    @Test func aTruncatedPackIsFoundAndNamed() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", StoreFolder.noise(5000, seed: 1))
        let root = try await project.store.add(path: project.path("data")).root
        let pack = try #require(try project.packs().first)
        let good = try FileSystem.read(pack)
        for length in [0, 10, 63, good.count / 2, good.count - 1] {
            try StoreFolder.overwrite(pack, with: Array(good[..<length]))
            let report = try await project.reopened().verify(roots: [("datasets/x", root)])
            #expect(report.hurtRoots == ["datasets/x"], "after \(length) bytes")
        }
    }

    @Test func aPackThatIsGoneGivesAHint() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", StoreFolder.noise(5000, seed: 1))
        let root = try await project.store.add(path: project.path("data")).root
        for pack in try project.packs() { try FileSystem.removeFile(pack) }
        for store in [project.store, try project.reopened()] {
            let error = await expectDamage { try await store.checkout(root, to: project.path("copy")) }
            #expect(error?.hint?.contains("mlops pull") == true)
            let report = try await store.verify(roots: [("datasets/x", root)])
            #expect(report.hurtRoots == ["datasets/x"])
        }
        #expect(!FileSystem.exists(project.path("copy/a")))
        // Adding it again heals.
        #expect(try await project.reopened().add(path: project.path("data")).root == root)
        #expect(try await project.reopened().verify(roots: [("datasets/x", root)]).isClean)
    }

    @Test func whatIsSoundInADamagedPackIsKept() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", StoreFolder.noise(5000, seed: 1))
        try project.folder.write("data/b", StoreFolder.noise(5000, seed: 2))
        let root = try await project.store.add(path: project.path("data")).root
        let pack = try #require(try project.packs().first)
        let key = ObjectKey(.chunk, Digest.of(try project.folder.read("data/a")))
        let entry = try #require(try PackReader.readFooter(at: pack).first { $0.key == key })
        try StoreFolder.flip(pack, at: Int(entry.offset))
        let report = try await project.store.verify(roots: [("datasets/x", root)])
        #expect(report.damages.map(\.object) == [key.description])
        #expect(report.damages.first?.files == ["datasets/x: a"])
        let moved = try await project.store.setAside(report)
        #expect(moved.count == 1)
        let missing = try await project.store.missingContent(below: [root])
        #expect(missing == [MissingContent(candidates: [key], byteCount: 5000)])
        _ = try await project.store.add(path: project.path("data"))
        #expect(try await project.store.verify(roots: [("datasets/x", root)]).isClean)
    }

    // MARK: The index

    @Test func aLostOrTornIndexIsRebuilt() async throws {
        let project = try StoreFolder()
        for index in 0..<200 { try project.folder.write("data/\(index)", StoreFolder.noise(700, seed: UInt64(index))) }
        // Closed again, so that all of it lies in the one file.
        let (root, expected) = try await {
            let store = try project.reopened()
            let root = try await store.add(path: project.path("data")).root
            return (root, try await store.reachableObjects(from: root))
        }()
        let path = project.path(".mlops/index.sqlite")
        func check(_ what: String) async throws {
            let store = try project.reopened()
            #expect(try store.contains(root), "\(what)")
            #expect(try await store.reachableObjects(from: root) == expected, "\(what)")
            #expect(try await store.compare(root, with: project.path("data")) == [], "\(what)")
        }
        try await check("untouched")
        let good = try FileSystem.read(path)
        for name in ["", "-wal", "-shm"] { try FileSystem.removeFile(path + name) }
        try await check("removed")
        for length in stride(from: 0, to: good.count, by: 4096 * 3 + 512) {
            for name in ["-wal", "-shm"] { try FileSystem.removeFile(path + name) }
            try StoreFolder.overwrite(path, with: Array(good[..<length]))
            try await check("cut to \(length) bytes")
        }
        for name in ["-wal", "-shm"] { try FileSystem.removeFile(path + name) }
        try StoreFolder.overwrite(path, with: StoreFolder.noise(50_000, seed: 1))
        try await check("noise")
        let report = try await project.reopened().rebuildIndex()
        #expect(report.objectCount == expected.count)
        #expect(report.unreadablePacks == [])
    }

    @Test func packsThatCameWithoutTheIndexAreNoticed() async throws {
        let project = try StoreFolder()
        try project.folder.write("a", StoreFolder.noise(500, seed: 1))
        let first = try await project.store.add(path: project.path("a")).root
        let path = project.path(".mlops/index.sqlite")
        let old = try FileSystem.read(path)
        try project.folder.write("b", StoreFolder.noise(500, seed: 2))
        let second = try await project.reopened().add(path: project.path("b")).root
        for name in ["", "-wal", "-shm"] { try FileSystem.removeFile(path + name) }
        try StoreFolder.overwrite(path, with: old)
        let store = try project.reopened()
        #expect(try store.contains(first))
        #expect(try store.contains(second))
    }

    @discardableResult
    private func expectDamage(_ body: () async throws -> some Any) async -> MLOpsError? {
        do {
            _ = try await body()
            Issue.record("damage went unnoticed")
            return nil
        } catch let error as MLOpsError {
            #expect(error.kind == .damaged)
            return error
        } catch {
            Issue.record(error)
            return nil
        }
    }
}
