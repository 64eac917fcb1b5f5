import Basics
import TestSupport
import Testing

@testable import ContentStorage

/// What comes into the folder of packs or goes from it while a store is open, behind its back.
@Suite struct PackGroupTests {
    private let here: StoreFolder
    private let elsewhere: StoreFolder

    init() throws {
        here = try StoreFolder()
        elsewhere = try StoreFolder()
    }

    /// Adds a file to a store of its own; what it is, and its pack.
    private func made(_ name: String, seed: UInt64) async throws -> (root: ContentRoot, pack: String) {
        let before = Set(FileSystem.exists(elsewhere.path(".mlops/store/packs")) ? try elsewhere.packs() : [])
        try elsewhere.folder.write(name, StoreFolder.noise(5000, seed: seed))
        let root = try await elsewhere.store.add(path: elsewhere.path(name)).root
        return (root, try #require(try elsewhere.packs().first { !before.contains($0) }))
    }

    private func place(_ pack: String) throws -> String {
        let name = FileSystem.name(of: pack)
        let group = here.path(".mlops/store/packs/\(name.prefix(2))")
        try FileSystem.createDirectories(group)
        return FileSystem.join(group, name)
    }

    private func lease() async throws { withExtendedLifetime(try await here.store.lease()) {} }

    @Test func packsThatAreBroughtInAreSeenByTheNextLease() async throws {
        try here.folder.write("a", StoreFolder.noise(5000, seed: 1))
        _ = try await here.store.add(path: here.path("a"))
        for seed in 10..<20 as Range<UInt64> {
            let (root, pack) = try await made("f\(seed)", seed: seed)
            try await lease()
            #expect(try !here.store.contains(root))
            try FileSystem.copy(pack, to: try place(pack))
            try await lease()
            #expect(try here.store.contains(root), "pack \(seed)")
        }
    }

    @Test func packsThatAreTakenAwayAreMissedByTheNextLease() async throws {
        var roots: [(root: ContentRoot, pack: String)] = []
        for seed in 0..<5 as Range<UInt64> {
            let before = seed == 0 ? [] : Set(try here.packs())
            try here.folder.write("f\(seed)", StoreFolder.noise(5000, seed: seed))
            let root = try await here.store.add(path: here.path("f\(seed)")).root
            roots.append((root, try #require(try here.packs().first { !before.contains($0) })))
        }
        for (number, item) in roots.enumerated() {
            try FileSystem.removeFile(item.pack)
            try await lease()
            let present = try roots.map { try here.store.contains($0.root) }
            #expect(present == roots.indices.map { $0 > number })
        }
    }

    @Test func aGroupIsListedAgainUntilItIsOldEnoughToTell() async throws {
        let packs = PackFolder(path: here.path("packs"))
        try FileSystem.createDirectories(here.path("packs/ab"))
        var groups = PackGroups()
        let first = groups.changed(in: packs)
        #expect(first.count == 256, "at first nothing is known")
        for group in first { groups.note(group) }
        let young = groups.changed(in: packs)
        #expect(young.map(\.name) == ["ab"], "it was made just now")
        for group in young { groups.note(group) }
        #expect(groups.changed(in: packs).map(\.name) == ["ab"], "another change might not show")
        try await Task.sleep(for: .milliseconds(60))
        for group in groups.changed(in: packs) { groups.note(group) }
        #expect(groups.changed(in: packs).isEmpty)
        try FileSystem.createDirectories(here.path("packs/ab/x"))
        #expect(groups.changed(in: packs).map(\.name) == ["ab"])
    }
}
