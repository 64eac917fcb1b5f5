import Basics
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ContentStorage

/// Listings that somebody made by hand, and links that appear while files are written.
@Suite struct HostileTreeTests {
    /// Stores the object `bytes` of `kind` as it is, whatever it says.
    private func plant(_ kind: ObjectKind, _ bytes: [UInt8], in project: StoreFolder) throws -> Digest {
        let writer = try PackWriter(folder: try project.store.packsFolder())
        let digest = Digest.of(bytes)
        try writer.append(PackFrame(key: ObjectKey(kind, digest), codec: .raw, plainLength: bytes.count, stored: bytes))
        let pack = try writer.finish()
        try project.store.packs.install(temporary: pack.path, as: pack.digest)
        return digest
    }

    @Test func hostileNamesOfAListingAreRefusedOrKeptInside() async throws {
        let outside = try TemporaryFolder()
        let project = try StoreFolder()
        let content = Array("owned".utf8)
        let file = try await project.store.add(bytes: content)
        let before = try census(of: outside.path)
        var refused = 0
        for name in HostileName.all where name.text.utf8.count <= 255 {
            let entry = TreeEntry(name: name.text, kind: .file, digest: file.digest, byteCount: 5, fileCount: 1)
            let digest = try plant(.tree, TreeListing(entries: [entry]).encoded(), in: project)
            let root = ContentRoot(digest: digest, kind: .tree, byteCount: 5, fileCount: 1)
            let store = try project.reopened()
            do {
                try await store.checkout(root, to: project.path("data/in"))
                #expect(name.kind == .odd, "\(name) was accepted")
                let names = try FileSystem.list(project.path("data/in"))
                #expect(names.map { Array($0.utf8) } == [Array(name.text.utf8)])
            } catch let error as MLOpsError {
                refused += 1
                #expect(!hasRawControls(error.description), "\(name)")
            }
            try FileSystem.removeTree(project.path("data"))
            #expect(try FileSystem.list(project.folder.path) == [".mlops"], "\(name)")
        }
        for bytes in HostileName.broken {
            var listing = TreeListing(entries: [
                TreeEntry(
                    name: String(repeating: "x", count: bytes.count), kind: .file, digest: file.digest, byteCount: 5,
                    fileCount: 1)
            ]).encoded()
            listing.replaceSubrange(18..<18 + bytes.count, with: bytes)
            #expect(throws: MLOpsError.self) { try TreeListing(parsing: listing, subject: "x") }
        }
        #expect(refused >= HostileName.refused.filter { $0.utf8.count <= 255 }.count)
        #expect(try census(of: outside.path) == before)
    }

    @Test func linksAreStoredAsLinksAndNeverFollowed() async throws {
        let outside = try TemporaryFolder()
        try outside.write("secret", "secret")
        let project = try StoreFolder()
        try project.folder.write("tree/file", "x")
        for (name, target) in [
            ("absolute", outside("secret")), ("climbing", "../../../../etc/passwd"), ("dangling", "nowhere"),
            ("round", "."), ("folder", outside.path),
        ] { #expect(symbolicLink(target, project.path("tree/" + name))) }
        let root = try await project.store.add(path: project.path("tree")).root
        try FileSystem.removeTree(project.path("tree"))
        // What is written through a link of the same tree would land outside.
        try await project.store.checkout(root, to: project.path("tree"))
        #expect(try FileStatus.of(project.path("tree/folder"))?.kind == .symlink)
        let before = try census(of: outside.path)
        // A tree in which the link has become a folder, and back, with the link in place.
        let inner = TreeListing(entries: [
            TreeEntry(name: "secret", kind: .file, digest: Digest.of("x"), byteCount: 1, fileCount: 1)
        ])
        let below = try plant(.tree, inner.encoded(), in: project)
        let outer = TreeListing(entries: [
            TreeEntry(name: "folder", kind: .tree, digest: below, byteCount: 1, fileCount: 1)
        ])
        let digest = try plant(.tree, outer.encoded(), in: project)
        let store = try project.reopened()
        let changed = ContentRoot(digest: digest, kind: .tree, byteCount: 1, fileCount: 1)
        try await store.checkout(changed, to: project.path("tree"))
        #expect(try FileSystem.readText(project.path("tree/folder/secret")) == "x")
        try await store.checkout(root, to: project.path("tree"))
        #expect(try census(of: outside.path) == before)
    }

    @Test func foldersThatTurnIntoLinksMeanwhileLeadNowhere() async throws {
        let outside = try TemporaryFolder()
        let project = try StoreFolder()
        for index in 0..<40 { try project.folder.write("tree/sub/deep/\(index)", "content \(index)") }
        let root = try await project.store.add(path: project.path("tree")).root
        let before = try census(of: outside.path)
        let isDone = Mutex(false)
        let (sub, hidden, link) = (project.path("tree/sub"), project.path("hidden"), project.path("link"))
        #expect(symbolicLink(outside.path, link))
        try FileSystem.createDirectories(outside("deep"))
        let swapper = Thread {
            while !isDone.withLock({ $0 }) {
                try? FileSystem.rename(sub, to: hidden)
                try? FileSystem.rename(link, to: sub)
                try? FileSystem.rename(sub, to: link)
                try? FileSystem.rename(hidden, to: sub)
            }
        }
        swapper.start()
        let end = ContinuousClock.now + .seconds(2)
        var rounds = 0
        while ContinuousClock.now < end {
            for index in 0..<40 { try? FileSystem.removeFile(project.path("tree/sub/deep/\(index)")) }
            _ = try? await project.store.checkout(
                root, to: project.path("tree"), options: CheckoutOptions(force: true))
            _ = try? await project.store.add(path: project.path("tree"))
            rounds += 1
        }
        isDone.withLock { $0 = true }
        while !swapper.isFinished { try await Task.sleep(for: .milliseconds(5)) }
        #expect(rounds > 10)
        let after = try census(of: outside.path).filter { $0.key != outside("deep") }
        #expect(after == before, "after \(rounds) rounds")
    }

    // MARK: Files from elsewhere, and merging

    @Test func filesFromElsewhereMakeTheTreeThatAddingThemMakes() async throws {
        let project = try StoreFolder()
        let large = StoreFolder.noise(9 << 20, seed: 7)
        let contents: [String: [UInt8]] = [
            "a.txt": Array("a".utf8), "a/b.txt": Array("b".utf8), "a-b/c": [], "large": large, "z/y/x": Array("x".utf8),
        ]
        var files: [ForeignFile] = []
        for (index, (path, bytes)) in contents.enumerated() {
            try project.folder.write("tree/" + path.replacing("a/", with: "a2/"), bytes)
            let source = try project.folder.write("cache/\(index)", bytes)
            files.append(
                ForeignFile(
                    path: path.replacing("a/", with: "a2/"), source: source, checksum: .md5(MD5Hasher.hex(of: bytes))))
        }
        let foreign = try await project.store.add(foreign: files, as: .tree).root
        #expect(try await project.store.identify(path: project.path("tree")) == foreign)
        #expect(try project.store.contains(foreign))
        var wrong = files
        let place = try #require(files.firstIndex { $0.path == "large" })
        wrong[place].checksum = .md5(String(repeating: "0", count: 32))
        let (first, second) = (wrong, files + [files[0]])
        await #expect(throws: MLOpsError.self) { try await project.store.add(foreign: first, as: .tree) }
        await #expect(throws: MLOpsError.self) { try await project.store.add(foreign: second, as: .tree) }
    }

    @Test func changesOfTwoSidesAreMergedFileByFile() async throws {
        let project = try StoreFolder()
        func tree(_ files: [String: String]) async throws -> ContentRoot {
            try FileSystem.removeTree(project.path("t"))
            try FileSystem.createDirectories(project.path("t"))
            for (path, text) in files { try project.folder.write("t/" + path, text) }
            return try await project.store.add(path: project.path("t")).root
        }
        let base = try await tree(["a": "1", "b": "1", "c/d": "1", "c/e": "1", "gone/x": "1"])
        let ours = try await tree(["a": "2", "b": "1", "c/d": "1", "c/e": "1", "new": "ours", "gone/x": "1"])
        let theirs = try await tree(["a": "1", "c/d": "2", "c/e": "1", "c/f": "theirs"])
        let expected = try await tree(["a": "2", "c/d": "2", "c/e": "1", "c/f": "theirs", "new": "ours"])
        #expect(try await project.store.merge(base: base, ours: ours, theirs: theirs).root == expected)
        #expect(try await project.store.merge(base: base, ours: theirs, theirs: ours).root == expected)
        let clash = try await tree(["a": "3", "b": "1", "c/d": "1", "c/e": "9", "gone/x": "2", "new": "theirs"])
        let merge = try await project.store.merge(base: base, ours: ours, theirs: clash)
        #expect(merge.conflicts == ["a", "new"])
        #expect(
            try await project.store.merge(base: base, ours: theirs, theirs: clash).conflicts == ["gone/x"],
            "removed here, changed there")
        #expect(try await project.store.merge(base: nil, ours: base, theirs: ours).conflicts == ["a"])
    }

    @Test func namesThatDifferOnlyInCaseAreSaid() async throws {
        let project = try StoreFolder()
        for name in ["t/A", "t/a", "t/b", "t/sub/caf\u{E9}", "t/sub/cafe\u{301}", "t/sub/x"] {
            try project.folder.write(name, name)
        }
        let report = try await project.store.add(path: project.path("t"))
        #expect(report.collisions.count == 2 && report.collisions.contains("`A` and `a`"), "\(report.collisions)")
    }
}
