import Basics
import ContentStorage
import Glibc
import TestSupport
import Testing

@Suite struct RoundTripTests {
    /// Everything that a folder may hold.
    private func fill(_ project: StoreFolder) throws {
        let folder = project.folder
        try folder.write("data/empty", [])
        try folder.write("data/one", [7])
        try folder.write("data/text.csv", String(repeating: "age,income,label\n39,77516,0\n", count: 20_000))
        for (index, size) in [16383, 16384, 16385, 65536, 262_143, 262_144, 262_145, 1_000_000].enumerated() {
            try folder.write("data/sizes/\(size)", StoreFolder.noise(size, seed: UInt64(index)))
        }
        try folder.write("data/sizes/zeros", [UInt8](repeating: 0, count: 600_000))
        try folder.write("data/deep/a/b/c/d/leaf.txt", "leaf")
        // The same letter composed and decomposed are two names.
        try folder.write("data/names/\u{E9}.txt", "composed")
        try folder.write("data/names/e\u{301}.txt", "decomposed")
        try folder.write("data/names/日本 語 🎉", "wide")
        try folder.write("data/names/" + String(repeating: "n", count: 255), "long")
        try folder.write("data/run.sh", "#!/bin/sh\n")
        chmod(folder("data/run.sh"), 0o755)
        try FileSystem.createDirectories(folder("data/hollow/inner"))
        symlink("../one", folder("data/deep/link"))
        symlink("/nowhere/at/all", folder("data/dangling"))
    }

    @Test func whatIsAddedComesBackAsItWas() async throws {
        let project = try StoreFolder()
        try fill(project)
        let before = try project.contents("data")
        let report = try await project.store.add(path: project.path("data"))
        #expect(report.root.kind == .tree)
        #expect(report.root.fileCount == before.keys.filter { !$0.isFolder }.count)
        #expect(try await project.store.compare(report.root, with: project.path("data")) == [])

        try await project.reopened().checkout(report.root, to: project.path("copy"))
        let after = try project.contents("copy")
        #expect(after.keys.sorted() == before.keys.sorted())
        for (path, bytes) in before { #expect(after[path] == bytes, "\(path) differs") }
        #expect(try await project.store.verify(roots: [("datasets/x", report.root)]).isClean)
    }

    @Test func aSingleFileComesBackAndIsNamedByItsDigest() async throws {
        let project = try StoreFolder()
        let bytes = StoreFolder.noise(3_000_000, seed: 9)
        try project.folder.write("model.bin", bytes)
        let report = try await project.store.add(path: project.path("model.bin"))
        #expect(report.root == ContentRoot(digest: Digest.of(bytes), kind: .file, byteCount: 3_000_000, fileCount: 1))
        try await project.store.checkout(report.root, to: project.path("sub/folder/model.bin"))
        #expect(try project.folder.read("sub/folder/model.bin") == bytes)
        #expect(try await project.store.read(report.root) == bytes)
    }

    @Test func aFileLargerThanABlockComesBack() async throws {
        let project = try StoreFolder()
        let bytes = StoreFolder.noise(20_000_001, seed: 5)
        try project.folder.write("big", bytes)
        let report = try await project.store.add(path: project.path("big"))
        #expect(report.root.digest == Digest.of(bytes))
        try await project.store.checkout(report.root, to: project.path("again"))
        #expect(try project.folder.read("again") == bytes)
    }

    @Test func bytesInMemoryAreAFileLikeAnyOther() async throws {
        let project = try StoreFolder()
        for size in [0, 1, 300_000] {
            let bytes = StoreFolder.noise(size, seed: 3)
            let root = try await project.store.add(bytes: bytes)
            #expect(root.digest == Digest.of(bytes))
            #expect(try await project.store.read(root) == bytes)
            #expect(try project.store.contains(root))
        }
    }

    @Test func filesAreListedAndReadByPath() async throws {
        let project = try StoreFolder()
        try fill(project)
        let root = try await project.store.add(path: project.path("data")).root
        let files = try await project.store.listing(of: root)
        #expect(files.contains { $0.path == "run.sh" && $0.kind == .executable })
        #expect(files.contains { $0.path == "deep/link" && $0.kind == .symlink })
        #expect(files.reduce(0) { $0 + $1.byteCount } == root.byteCount)
        #expect(try await project.store.read(root, path: "deep/a/b/c/d/leaf.txt") == Array("leaf".utf8))
        #expect(try await project.store.read(root, path: "names/\u{E9}.txt") == Array("composed".utf8))
        await #expect(throws: MLOpsError.self) { try await project.store.read(root, path: "deep/nothing") }
    }

    @Test func identifyTellsWhatAddWouldStore() async throws {
        let project = try StoreFolder()
        try fill(project)
        let identified = try await project.store.identify(path: project.path("data"))
        #expect(try !project.store.contains(identified))
        #expect(try await project.store.add(path: project.path("data")).root == identified)
        #expect(try project.store.contains(identified))
    }

    @Test func anInsertionStoresFewNewChunks() async throws {
        let project = try StoreFolder()
        var bytes = StoreFolder.noise(12_000_000, seed: 1)
        try project.folder.write("big", bytes)
        let first = try await project.store.add(path: project.path("big"))
        #expect(first.newByteCount == 12_000_000)
        bytes.insert(contentsOf: Array("inserted".utf8), at: 6_000_000)
        try project.folder.write("big", bytes)
        let second = try await project.store.add(path: project.path("big"))
        #expect(second.newByteCount < 600_000)
        #expect(second.storedByteCount < 700_000)
        try await project.store.checkout(first.root, to: project.path("big"))
        #expect(Digest.of(try project.folder.read("big")) == first.root.digest)
        try await project.store.checkout(second.root, to: project.path("big"))
        #expect(try project.folder.read("big") == bytes)
    }

    @Test func textIsCompressed() async throws {
        let project = try StoreFolder()
        try project.folder.write("t.csv", String(repeating: "39,State-gov,77516,Bachelors\n", count: 40_000))
        let report = try await project.store.add(path: project.path("t.csv"))
        #expect(report.storedByteCount < report.logicalByteCount / 10)
    }

    @Test func addingAgainReadsNothing() async throws {
        let project = try StoreFolder()
        try fill(project)
        let first = try await project.store.add(path: project.path("data"))
        #expect(first.hashedFileCount > 0)
        let second = try await project.reopened().add(path: project.path("data"))
        #expect(second.hashedFileCount == 0)
        #expect(second.packCount == 0)
        #expect(second.root == first.root)

        try project.folder.write("data/one", [8])
        let third = try await project.store.add(path: project.path("data"))
        #expect(third.hashedFileCount == 1)
        #expect(third.root.digest != first.root.digest)
    }

    @Test func checkoutLeavesWhatIsRightAlone() async throws {
        let project = try StoreFolder()
        try fill(project)
        let old = try await project.store.add(path: project.path("data")).root
        try project.folder.write("data/one", [9, 9])
        try project.folder.write("data/new/file", "new")
        try FileSystem.removeTree(project.path("data/deep"))
        let new = try await project.store.add(path: project.path("data")).root
        let inode = try FileStatus.of(project.path("data/text.csv"))?.inode

        let report = try await project.store.checkout(old, to: project.path("data"))
        #expect(report.removedFileCount == 1)
        #expect(report.writtenFileCount == 3)
        #expect(try await project.store.compare(old, with: project.path("data")) == [])
        #expect(try FileStatus.of(project.path("data/text.csv"))?.inode == inode)
        #expect(!FileSystem.exists(project.path("data/new")))

        let changes = try await project.store.compare(old, new)
        #expect(changes.map(\.path) == ["deep/a/b/c/d/leaf.txt", "deep/link", "new/file", "one"])
        #expect(changes.map(\.kind) == [.deleted, .deleted, .added, .modified])
        // The files just written are known already.
        let again = try await project.store.add(path: project.path("data"))
        #expect(again.hashedFileCount == 0)
    }

    @Test func aFolderAndAFileCanTradePlaces() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/x/inside", "1")
        try project.folder.write("data/y", "2")
        let first = try await project.store.add(path: project.path("data")).root
        try FileSystem.removeTree(project.path("data"))
        try project.folder.write("data/x", "3")
        try project.folder.write("data/y/inside", "4")
        let second = try await project.store.add(path: project.path("data")).root
        for root in [first, second, first] {
            try await project.store.checkout(root, to: project.path("data"))
            #expect(try await project.store.identify(path: project.path("data")) == root)
        }
    }

    @Test func theExecutableBitAloneIsAChange() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/run", "x")
        let plain = try await project.store.add(path: project.path("data")).root
        chmod(project.path("data/run"), 0o755)
        #expect(try await project.store.compare(plain, with: project.path("data")).map(\.kind) == [.modified])
        try await project.store.checkout(plain, to: project.path("data"))
        #expect(try FileStatus.of(project.path("data/run"))?.isExecutable == false)
    }
}
