import Basics
import ContentStorage
import TestSupport
import Testing

/// Collections of garbage, on the store alone.
@Suite struct CollectTests {
    private let project: StoreFolder

    init() throws { project = try StoreFolder() }

    /// Everything that is not needed goes at once.
    private static let now = CollectionOptions(grace: .zero, isDryRun: false)

    private func add(_ name: String, files: Int = 4, seed: UInt64) async throws -> ContentRoot {
        for index in 0..<files {
            try project.folder.write(
                "\(name)/\(index)", StoreFolder.noise(20_000, seed: seed &+ UInt64(index) &* 1000))
        }
        let root = try await project.reopened().add(path: project.path(name)).root
        // Without any grace period what is older than now goes, and now has the kernel's ticks.
        try await Task.sleep(for: .milliseconds(12))
        return root
    }

    private func collect(
        keeping roots: [ContentRoot], _ options: CollectionOptions = now,
        willRemove: @Sendable () async throws -> Void = {}
    ) async throws -> CollectionReport {
        try await project.reopened().collect(options: options, willRemove: willRemove) {
            roots.map { CollectionRoot(name: "datasets/kept", root: $0) }
        }
    }

    private func expectWhole(_ roots: ContentRoot...) async throws {
        let store = try project.reopened()
        let report = try await store.verify(roots: roots.map { (name: "datasets/kept", root: $0) })
        #expect(report.isClean, "\(report)")
        for root in roots {
            #expect(try store.contains(root))
            try await store.checkout(root, to: project.path("copy"))
            #expect(try await store.identify(path: project.path("copy")) == root)
            try FileSystem.removeTree(project.path("copy"))
        }
    }

    @Test func whatNothingNeedsGoesAndTheRestStays() async throws {
        let kept = try await add("a", seed: 1)
        let other = try await add("b", seed: 2)
        let report = try await collect(keeping: [kept])
        #expect(report.removedPackCount == 1 && report.removedObjectCount == 5 && report.freedByteCount > 80_000)
        #expect(report.lost.count == 1 && report.lost[0].hasPrefix("b, added "))
        #expect(try !project.reopened().contains(other))
        try await expectWhole(kept)
        #expect(try await collect(keeping: [kept]).isNothing)
    }

    @Test func withoutYesNothingIsTouched() async throws {
        let kept = try await add("a", seed: 1)
        let other = try await add("b", seed: 2)
        let before = try project.contents(".mlops/store")
        let report = try await collect(keeping: [kept], CollectionOptions(grace: .zero))
        #expect(report.isDryRun && report.removedPackCount == 1 && report.freedByteCount > 80_000)
        #expect(try project.contents(".mlops/store") == before)
        try await expectWhole(kept, other)
    }

    @Test func withinTheGracePeriodEverythingStays() async throws {
        let other = try await add("b", seed: 2)
        let report = try await collect(keeping: [], CollectionOptions(isDryRun: false))
        #expect(report.isNothing)
        try await expectWhole(other)
        let later = CollectionOptions(isDryRun: false) {
            Timestamp(milliseconds: Timestamp.now.milliseconds + 15 * 86_400_000)
        }
        #expect(try await collect(keeping: [], later).removedPackCount == 1)
    }

    @Test func addingAgainWhatIsOldKeepsItForAnotherGracePeriod() async throws {
        let root = try await add("a", seed: 1)
        for pack in try project.packs() { try age(pack, days: 30) }
        try FileSystem.removeFile(project.path(".mlops/store/uses"))
        #expect(try await add("a", seed: 1) == root)
        #expect(try await collect(keeping: [], CollectionOptions(isDryRun: false)).isNothing)
        try await expectWhole(root)
    }

    @Test func aPackOfWhichLittleIsNeededIsWrittenAnew() async throws {
        // One pack with two folders; then only one file of it is needed.
        for index in 0..<10 {
            try project.folder.write("a/\(index)", StoreFolder.noise(30_000, seed: UInt64(index)))
        }
        _ = try await project.store.add(path: project.path("a"))
        let kept = try await project.reopened().add(path: project.path("a/3")).root
        try await Task.sleep(for: .milliseconds(12))
        let report = try await collect(keeping: [kept])
        #expect(report.rewrittenPackCount == 1 && report.freedByteCount > 250_000)
        #expect(try project.packs().count == 1)
        try await expectWhole(kept)
    }

    @Test func aListThatNobodyNeedsNeverNamesWhatIsGone() async throws {
        // The second version shares most of the first one's pack.
        let first = try await add("a", files: 30, seed: 1)
        try project.folder.write("a/0", StoreFolder.noise(20_000, seed: 99))
        let second = try await project.reopened().add(path: project.path("a")).root
        try await Task.sleep(for: .milliseconds(12))
        _ = try await collect(keeping: [second])
        // Either the first one's tree is here with all below it, or it is not here.
        let store = try project.reopened()
        #expect(try store.missingObjects(among: [ObjectKey(.tree, first.digest)]).count == 1)
        try await expectWhole(second)
    }

    @Test func whatIsAddedBetweenMarkAndSweepSurvives() async throws {
        let kept = try await add("a", seed: 1)
        let doomed = try await add("b", seed: 2)
        for pack in try project.packs() { try age(pack, days: 30) }
        try FileSystem.removeFile(project.path(".mlops/store/uses"))
        // All of it is in the old pack already, so nothing new is written.
        let report = try await collect(keeping: [kept], CollectionOptions(isDryRun: false)) { [project] in
            let added = try await project.reopened().add(path: project.path("b"))
            #expect(added.newObjectCount == 0)
        }
        #expect(report.removedPackCount == 0)
        try await expectWhole(kept, doomed)
    }

    @Test func aSweepWaitsForAdditions() async throws {
        let kept = try await add("a", seed: 1)
        _ = try await add("b", seed: 2)
        let lease = try await project.reopened().lease()
        var options = CollectTests.now
        options.patience = .milliseconds(50)
        await #expect { try await collect(keeping: [kept], options) } throws: {
            ($0 as? MLOpsError)?.exitCode == 11
        }
        withExtendedLifetime(lease) {}
        #expect(try project.packs().count == 2)
    }

    @Test func anAdditionTakesNoNoteOfWhatASweepRemoved() async throws {
        _ = try await add("b", seed: 2)
        let old = try project.reopened()
        // It has read the index, and then everything goes.
        let root = try await old.identify(path: project.path("b"))
        #expect(try old.contains(root))
        _ = try await collect(keeping: [])
        #expect(try await old.add(path: project.path("b")).root == root)
        try await expectWhole(root)
    }

    @Test func nothingGoesWhileATreeCannotBeRead() async throws {
        let kept = try await add("a", seed: 1)
        _ = try await add("b", seed: 2)
        let pack = try #require(
            try project.packs().first { path in
                try PackReader.readFooter(at: path).contains { $0.key.id == kept.digest }
            })
        let entry = try #require(try PackReader.readFooter(at: pack).first { $0.key.id == kept.digest })
        try StoreFolder.flip(pack, at: Int(entry.offset) + entry.storedLength / 2)
        let before = try project.packs()
        await #expect { try await collect(keeping: [kept]) } throws: {
            let error = $0 as? MLOpsError
            return error?.exitCode == 12 && error?.message.contains("datasets/kept") == true
                && error?.hint?.contains("mlops fsck --heal") == true
        }
        #expect(try project.packs() == before)
        // A pack that cannot be read at all could hold anything.
        try StoreFolder.overwrite(pack, with: [1, 2, 3])
        await #expect { try await collect(keeping: []) } throws: { ($0 as? MLOpsError)?.exitCode == 12 }
        #expect(try project.packs() == before)
    }

    @Test func nothingGoesWhileSomethingIsMissingUnlessItIsSaidToBe() async throws {
        let big = try project.folder.write("big", StoreFolder.noise(900_000, seed: 5))
        let kept = try await project.store.add(path: big).root
        _ = try await add("b", seed: 2)
        // Of the big file only the list of its chunks stays.
        let list = try #require(try await project.store.reachableObjects(from: kept).last)
        let frame = try project.store.frame(of: list.key)
        for pack in try project.packs() {
            guard try PackReader.readFooter(at: pack).contains(where: { $0.key == list.key }) else { continue }
            try FileSystem.removeFile(pack)
        }
        let writer = try PackWriter(folder: try project.store.packsFolder())
        try writer.append(frame)
        let pack = try writer.finish()
        try project.reopened().install(packAt: pack.path, digest: pack.digest, entries: pack.entries)
        await #expect { try await collect(keeping: [kept]) } throws: {
            ($0 as? MLOpsError)?.exitCode == 12 && "\($0)".contains("which the store lacks")
        }
        var options = CollectTests.now
        options.allowsPartial = true
        #expect(try await collect(keeping: [kept], options).removedPackCount == 1)
    }

    @Test func aWrongIndexCostsNothing() async throws {
        let kept = try await add("a", seed: 1)
        let other = try await add("b", seed: 2)
        // The index of another time: it knows nothing of the kept content.
        let path = project.path(".mlops/index.sqlite")
        for name in ["", "-wal", "-shm"] { try FileSystem.removeFile(path + name) }
        try StoreFolder.overwrite(path, with: StoreFolder.noise(9000, seed: 1))
        #expect(try await collect(keeping: [kept]).removedPackCount == 1)
        #expect(try !project.reopened().contains(other))
        try await expectWhole(kept)
    }

    @Test func aSweepThatWasKilledIsFinishedByTheNextAddition() async throws {
        let kept = try await add("a", seed: 1)
        let other = try await add("b", seed: 2)
        let store = try project.reopened()
        let packs = try project.packs()
        let doomed = try #require(
            try packs.first { try PackReader.readFooter(at: $0).contains { $0.key.id == other.digest } })
        let name = FileSystem.name(of: doomed).dropLast(5)
        try project.folder.write(".mlops/store/doomed", name + "\n")
        // It counts as gone at once, and adding it again stores it again.
        #expect(try !project.reopened().contains(other))
        try await expectWhole(kept)
        #expect(try await store.add(path: project.path("b")).newObjectCount > 0)
        #expect(!FileSystem.exists(project.path(".mlops/store/doomed")))
        try await expectWhole(kept, other)
    }

    @Test func damagedPacksThatWereSetAsideGoAfterAWhile() async throws {
        try project.folder.write(".mlops/store/damaged/x.pack", "broken")
        try await Task.sleep(for: .milliseconds(12))
        #expect(try await collect(keeping: [], CollectionOptions(isDryRun: false)).leftoverCount == 0)
        #expect(try await collect(keeping: []).leftoverCount == 1)
        #expect(!FileSystem.exists(project.path(".mlops/store/damaged/x.pack")))
    }

    @Test func recordsOfWhatWasAddedInPlaceGoWithTheirLastNeed() async throws {
        var options = AddOptions()
        options.isInPlace = true
        func add(_ name: String, seed: UInt64) async throws -> ContentRoot {
            try project.folder.write(name, StoreFolder.noise(600_000, seed: seed))
            let root = try await project.reopened().add(path: project.path(name), options: options).root
            try await Task.sleep(for: .milliseconds(12))
            return root
        }
        let kept = try await add("a", seed: 1)
        let other = try await add("b", seed: 2)
        let records = project.path(".mlops/store/inplace")
        #expect(try FileSystem.list(records).count == 2)
        #expect(try await collect(keeping: [kept], CollectionOptions(isDryRun: false)).isNothing)
        #expect(try await collect(keeping: [kept]).leftoverCount == 1)
        #expect(try FileSystem.list(records).count == 1)
        let store = try project.reopened()
        #expect(try store.contains(kept) && !store.contains(other))
        #expect(FileSystem.exists(project.path("b")), "the files are the workspace's")
        #expect(try await store.verify(roots: [("datasets/kept", kept)]).isClean)
    }
}
