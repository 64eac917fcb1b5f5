import Basics
import ContentStorage
import Glibc
import TestSupport
import Testing

@Suite struct InPlaceTests {
    private static let inPlace = AddOptions(isInPlace: true)

    /// A folder with small files, a large one, text, a link and an empty file.
    private func filled() throws -> StoreFolder {
        let project = try StoreFolder()
        for index in 0..<20 { try project.folder.write("data/s/\(index)", StoreFolder.noise(900, seed: UInt64(index))) }
        try project.folder.write("data/big", StoreFolder.noise(9_500_000, seed: 99))
        try project.folder.write("data/text", String(repeating: "a line of text\n", count: 30_000))
        try project.folder.write("data/empty", "")
        symlink("s/1", project.path("data/link"))
        return project
    }

    private func storeByteCount(_ project: StoreFolder) throws -> Int64 {
        try project.packs().reduce(0) { try $0 + (FileStatus.of($1)?.size ?? 0) }
    }

    private func error(_ body: () async throws -> some Any) async -> MLOpsError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? MLOpsError }
    }

    /// Copies what `target` lacks of `root`, as a push and a pull do.
    private func transfer(_ root: ContentRoot, from source: StoreFolder, to target: StoreFolder) async throws {
        while true {
            let missing = try await target.store.missingContent(below: [root])
            if missing.isEmpty { return }
            let writer = try PackWriter(folder: try target.store.packsFolder())
            for item in missing {
                let key = try #require(
                    item.candidates.first { (try? source.store.missingObjects(among: [$0])) == [] })
                try writer.append(source.store.frame(of: key))
            }
            let pack = try writer.finish()
            try target.store.install(packAt: pack.path, digest: pack.digest, entries: pack.entries)
        }
    }

    @Test func nothingIsCopiedAndEverythingCanBeReadAndSent() async throws {
        let project = try filled()
        let report = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        // All but the link's target, which lies in no file.
        #expect(report.inPlaceByteCount == report.newByteCount - 3)
        #expect(try storeByteCount(project) < 40_000)
        // The same content, whether it is copied or not.
        #expect(try await project.reopened().identify(path: project.path("data")) == report.root)
        #expect(try project.store.contains(report.root))
        #expect(try await project.store.compare(report.root, with: project.path("data")) == [])
        #expect(try await project.store.verify(roots: [("datasets/x", report.root)]).isClean)
        #expect(try await project.store.read(report.root, path: "big") == StoreFolder.noise(9_500_000, seed: 99))
        let objects = try await project.store.reachableObjects(from: report.root)
        #expect(objects.reduce(0) { $0 + $1.plainLength } > 9_900_000)
        #expect(try project.store.wholePacks(covering: Set(objects.map(\.key))).rest.count > 40)

        let there = try StoreFolder()
        try await transfer(report.root, from: project, to: there)
        try await there.store.checkout(report.root, to: there.path("data"))
        #expect(try there.contents("data") == project.contents("data"))
        // What is sent is compressed where that pays.
        #expect(try storeByteCount(there) < 9_700_000)

        // Another place, from the files here.
        try await project.store.checkout(report.root, to: project.path("copy"))
        #expect(try project.contents("copy") == project.contents("data"))
    }

    @Test func addingAgainReadsAndLeavesOnlyWhatChanged() async throws {
        let project = try filled()
        _ = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        let again = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        #expect(again.hashedFileCount == 0)
        #expect(again.newByteCount == 0)
        try project.folder.write("data/s/3", "changed")
        let changed = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        #expect(changed.inPlaceByteCount == 7)
        #expect(try await project.store.verify(roots: [("datasets/x", changed.root)]).isClean)
    }

    @Test func aPlainAdditionStoresWhatWasLeft() async throws {
        let project = try filled()
        let left = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        let stored = try await project.store.add(path: project.path("data"))
        #expect(stored.root == left.root)
        #expect(stored.newByteCount == left.inPlaceByteCount)
        #expect(stored.inPlaceByteCount == 0)
        try FileSystem.removeTree(project.path("data"))
        try await project.store.checkout(left.root, to: project.path("data"))
        #expect(try await project.reopened().identify(path: project.path("data")) == left.root)
        #expect(try await project.store.verify(roots: [("datasets/x", left.root)]).isClean)
    }

    @Test func aChangedFileIsNamedWithWhatChanged() async throws {
        let project = try filled()
        let root = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace).root
        let big = ObjectKey(.chunk, Digest.of(StoreFolder.noise(900, seed: 5)))

        try project.folder.write("data/s/5", "longer or shorter")
        let written = await error { try project.store.frame(of: big) }
        #expect(written?.kind == .damaged)
        #expect(written?.message == "`data/s/5`, whose content was added in place, has 17 B now, and had 900 B")
        #expect(written?.hint?.contains("mlops add --in-place") == true)
        #expect(try !project.store.contains(root))
        let report = try await project.store.verify(roots: [("datasets/x", root)])
        #expect(report.hurtRoots == ["datasets/x"])
        #expect(report.damages.first?.problem.contains("`data/s/5`") == true)
        // Who needs something else is not hurt.
        let other = try await project.store.identify(path: project.path("data/big"))
        #expect(try await project.store.verify(roots: [("datasets/big", other)]).isClean)

        try FileSystem.removeFile(project.path("data/s/5"))
        #expect(await error { try project.store.frame(of: big) }?.message.hasSuffix("is gone") == true)
    }

    @Test func aChangeThatItsTimeHidesIsSeenByTheBytes() async throws {
        let project = try filled()
        let root = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace).root
        var before = stat()
        stat(project.path("data/s/7"), &before)
        let descriptor = open(project.path("data/s/7"), O_WRONLY)
        _ = "x".withCString { pwrite(descriptor, $0, 1, 400) }
        var times = [before.st_atim, before.st_mtim]
        futimens(descriptor, &times)
        close(descriptor)
        let key = ObjectKey(.chunk, Digest.of(StoreFolder.noise(900, seed: 7)))
        #expect(await error { try project.store.frame(of: key) }?.message.contains("has other bytes now") == true)
        #expect(try await project.store.verify(roots: [("datasets/x", root)]).hurtRoots == ["datasets/x"])
    }

    @Test func whatIsGoneComesBackFromElsewhere() async throws {
        let project = try filled()
        let root = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace).root
        let there = try StoreFolder()
        try await transfer(root, from: project, to: there)
        try FileSystem.removeFile(project.path("data/big"))
        #expect(try await !project.store.missingContent(below: [root]).isEmpty)
        try await transfer(root, from: there, to: project)
        try await project.store.checkout(root, to: project.path("data"))
        #expect(try project.folder.read("data/big") == StoreFolder.noise(9_500_000, seed: 99))
        #expect(try await project.store.verify(roots: [("datasets/x", root)]).isClean)
    }

    @Test func aCheckoutDoesNotOverwriteTheOnlyCopy() async throws {
        let project = try filled()
        let first = try await project.store.add(path: project.path("data")).root
        try project.folder.write("data/s/1", "precious")
        _ = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace)
        let refusal = await error { try await project.store.checkout(first, to: project.path("data")) }
        #expect(refusal?.message.contains("data/s/1") == true)
        #expect(try project.folder.read("data/s/1") == Array("precious".utf8))
    }

    @Test func aCollectionLeavesWhatIsInPlaceAlone() async throws {
        let project = try filled()
        let root = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace).root
        let options = CollectionOptions(grace: .zero, isDryRun: false)
        _ = try await project.reopened().collect(options: options) { [CollectionRoot(name: "datasets/x", root: root)] }
        #expect(try await project.reopened().verify(roots: [("datasets/x", root)]).isClean)
        #expect(try project.reopened().contains(root))
    }

    @Test func theIndexIsRebuiltFromTheRecords() async throws {
        let project = try filled()
        let root = try await project.store.add(path: project.path("data"), options: InPlaceTests.inPlace).root
        for name in ["", "-wal", "-shm"] { try FileSystem.removeFile(project.path(".mlops/index.sqlite") + name) }
        #expect(try project.reopened().contains(root))
        _ = try await project.reopened().rebuildIndex()
        #expect(try project.reopened().contains(root))
        // A record that is damaged is told and not believed.
        let folder = project.path(".mlops/store/inplace")
        let record = folder + "/" + (try #require(try FileSystem.list(folder).first))
        try StoreFolder.flip(record, at: 100)
        #expect(try await project.reopened().rebuildIndex().unreadablePacks == [record])
        #expect(try !project.reopened().contains(root))
        // Recording once more mends it.
        #expect(
            try await project.reopened().add(path: project.path("data"), options: InPlaceTests.inPlace).root == root)
        #expect(try project.reopened().contains(root))
    }

    @Test func anExplanationTellsWhatBecameOfEachFile() async throws {
        let project = try filled()
        try project.folder.write("data/twin", StoreFolder.noise(900, seed: 4))
        let options = AddOptions(explains: true)
        let report = try await project.store.add(path: project.path("data"), options: options)
        let files = Dictionary(uniqueKeysWithValues: (report.files ?? []).map { ($0.path, $0) })
        #expect(files.count == report.hashedFileCount)
        #expect(files["big"]?.logicalByteCount == 9_500_000)
        #expect(files["big"]?.storedByteCount == 9_500_000)
        #expect((files["big"]?.chunkCount ?? 0) > 100)
        #expect((files["text"]?.storedByteCount ?? .max) < 20_000)
        #expect((files["twin"]?.newChunkCount ?? 1) + (files["s/4"]?.newChunkCount ?? 1) == 1)
        #expect(files.values.reduce(0) { $0 + $1.newByteCount } == report.newByteCount)
        #expect(files.values.reduce(0) { $0 + $1.storedByteCount } < report.storedByteCount)
        #expect(try await project.store.add(path: project.path("data"), options: options).files == [])
        #expect(try await project.store.add(path: project.path("data")).files == nil)
    }
}
