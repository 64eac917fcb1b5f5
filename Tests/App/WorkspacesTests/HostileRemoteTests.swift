import ArtifactRegistry
import Basics
import Remotes
import TestSupport
import Testing

@testable import ContentStorage
@testable import Workspaces

/// Remotes that somebody made by hand: listings with any names, versions with any paths. Whatever they hold, nothing is
/// written outside of the project, or of the folder that a download goes to.
@Suite struct HostileRemoteTests {
    /// A remote whose maker keeps to no rules.
    private struct Shop {
        let folder: TemporaryFolder
        let remote: DirectoryRemote

        init() async throws {
            folder = try TemporaryFolder()
            remote = DirectoryRemote(folder: folder("remote"))
            try await RemoteFormat.establish(remote)
        }

        /// Puts objects there as they are, whatever they say.
        func put(_ objects: [(kind: ObjectKind, bytes: [UInt8])]) async throws {
            try FileSystem.createDirectories(folder("work"))
            let pack = try HostileRemoteTests.pack(objects, in: folder("work"))
            let key = "packs/\(pack.digest.hex.prefix(2))/\(pack.digest.hex).pack"
            try FileSystem.createDirectories(FileSystem.parent(of: FileSystem.join(remote.folder, key)))
            try FileSystem.rename(pack.path, to: FileSystem.join(remote.folder, key))
            let index = PackIndexFile(
                packs: [.init(digest: pack.digest, byteCount: pack.byteCount, entries: pack.entries)]
            ).encode()
            try await remote.put(index, at: "index/" + PackIndexFile.name(of: index))
        }

        func publish(_ root: ContentRoot, as artifact: ArtifactName, at path: String) async throws {
            let log = DirectoryEventLog(root: FileSystem.join(remote.folder, "events"))
            let record = VersionRecord(content: ArtifactContent(root), path: path)
            _ = try await Registry(log: log, actor: "mallory@host").publish(artifact, record, again: true)
        }
    }

    private static func pack(_ objects: [(kind: ObjectKind, bytes: [UInt8])], in folder: String) throws -> FinishedPack
    {
        let writer = try PackWriter(folder: folder)
        for (kind, bytes) in objects {
            let key = ObjectKey(kind, Digest.of(bytes))
            try writer.append(PackFrame(key: key, codec: .raw, plainLength: bytes.count, stored: bytes))
        }
        return try writer.finish()
    }

    private static let content = Array("owned".utf8)

    /// A tree `sub/` with one file of each of `names`, in this order, and the objects that it is made of.
    private static func tree(
        _ names: [String], kind: TreeEntryKind = .file, content: [UInt8] = content
    ) -> (root: ContentRoot, objects: [(kind: ObjectKind, bytes: [UInt8])]) {
        let entries = names.map {
            TreeEntry(name: $0, kind: kind, digest: Digest.of(content), byteCount: Int64(content.count), fileCount: 1)
        }
        let inner = TreeListing(entries: entries)
        let (innerBytes, total) = (inner.encoded(), inner.byteCount)
        let outer = TreeListing(entries: [
            TreeEntry(
                name: "sub", kind: .tree, digest: Digest.of(innerBytes), byteCount: total, fileCount: names.count)
        ]).encoded()
        let root = ContentRoot(digest: Digest.of(outer), kind: .tree, byteCount: total, fileCount: names.count)
        return (root, [(.chunk, content), (.tree, innerBytes), (.tree, outer)])
    }

    private static let host = HostEnvironment(variables: [:], executable: "/bin/false", actor: "test@host")

    private let outside: TemporaryFolder
    private let shop: Shop
    private let artifact: ArtifactName
    private let part: RelativePath

    init() async throws {
        outside = try TemporaryFolder()
        shop = try await Shop()
        try outside.write("secret.txt", "secret")
        try outside.write("etc/passwd", "root")
        try outside.write(
            "project/registry/config.yaml",
            "version: 1\nremotes:\n  origin:\n    url: \"\(shop.remote.folder)\"\n")
        try FileSystem.createDirectories(outside("project/.mlops"))
        try FileSystem.createDirectories(outside("here"))
        artifact = try ArtifactName("datasets/hostile")
        part = try RelativePath("sub")
    }

    /// Opened anew each time, since its store comes and goes.
    private var workspace: Workspace {
        get throws { try Workspace.open(at: outside("project"), environment: HostileRemoteTests.host) }
    }

    /// Everything but the project and the folder of downloads.
    private func surroundings() throws -> [String: String] {
        let own = [outside("project"), outside("here")]
        return try census(of: outside.path).filter { item in
            !own.contains { isInside(item.key, $0) }
        }
    }

    private func clear() throws {
        for name in try FileSystem.list(outside("here")) { try FileSystem.removeTree(outside("here/" + name)) }
        for name in ["data", ".mlops", "registry/datasets"] { try FileSystem.removeTree(outside("project/" + name)) }
        try FileSystem.createDirectories(outside("project/.mlops"))
        for name in ["events", "index", "packs"] {
            try FileSystem.removeTree(FileSystem.join(shop.remote.folder, name))
        }
    }

    private func download(_ part: RelativePath? = nil) async throws {
        let source = try RemoteArtifacts(
            RemoteConfiguration(url: shop.remote.folder), relativeTo: outside("here"),
            environment: HostileRemoteTests.host, options: TransferOptions())
        _ = try await source.download(
            ArtifactReference("datasets/hostile"), part: part, to: nil, in: outside("here"), replaces: true)
    }

    private func point(_ path: String, to root: ContentRoot) throws {
        try outside.write(
            "project/registry/datasets/hostile.yaml",
            "path: \(JSONValue.string(path).canonicalText)\ndigest: \"\(root.digest)\"\nkind: \(root.kind.rawValue)\n"
                + "size: \(root.byteCount)\nfiles: \(root.fileCount)\n")
    }

    /// The ways by which content of a remote comes here.
    enum Way: CaseIterable, Sendable {
        case get, getPart, registryPull, pull, pullPart, checkout, checkoutPart
    }

    /// Brings `root`, of which everything lies on the remote, to `data/in`.
    private func bring(_ root: ContentRoot, _ objects: [(kind: ObjectKind, bytes: [UInt8])], _ way: Way) async throws {
        let parts = CheckoutExtent(paths: [part])
        switch way {
        case .get: try await download()
        case .getPart: try await download(part)
        case .registryPull: _ = try await workspace.retrieve(ArtifactReference("datasets/hostile"), force: true)
        case .pull: _ = try await workspace.pull([], remoteName: nil, force: true)
        case .pullPart: _ = try await workspace.pull([artifact], parts, remoteName: nil, force: true)
        case .checkout, .checkoutPart:
            // As if an earlier program had let it in.
            let store = try ContentStore(folder: outside("project/.mlops"))
            let pack = try HostileRemoteTests.pack(objects, in: try store.packsFolder())
            try store.packs.install(temporary: pack.path, as: pack.digest)
            _ = try await workspace.checkout([artifact], way == .checkout ? CheckoutExtent() : parts, force: true)
        }
    }

    private func place(_ way: Way) -> String {
        switch way {
        case .get: outside("here/hostile/sub")
        case .getPart: outside("here/sub")
        default: outside("project/data/in/sub")
        }
    }

    @Test(arguments: Way.allCases)
    func namesThatLeadOutsideAreRefused(_ way: Way) async throws {
        let before = try surroundings()
        var refused = 0
        let names = HostileName.refused.filter { $0.utf8.count <= 255 }
        for name in names {
            let (root, objects) = HostileRemoteTests.tree([name])
            try await shop.put(objects)
            try await shop.publish(root, as: artifact, at: "data/in")
            try point("data/in", to: root)
            do {
                try await bring(root, objects, way)
                Issue.record("\(printable(name)) was accepted")
            } catch let error as MLOpsError {
                refused += 1
                #expect(!hasRawControls(printableLines(error.description)), "\(printable(name))")
                #expect(error.kind == .damaged, "\(printable(name)): \(error)")
            }
            #expect(!FileSystem.exists(place(way)), "\(printable(name))")
            #expect(try surroundings() == before, "\(printable(name))")
            try clear()
        }
        #expect(refused == names.count)
    }

    @Test(arguments: Way.allCases)
    func oddNamesStayInsideByteForByte(_ way: Way) async throws {
        let before = try surroundings()
        let names = HostileName.odd.filter { !$0.contains("/") && $0.utf8.count <= 255 }
            .map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
        let (root, objects) = HostileRemoteTests.tree(names.map { String(decoding: $0, as: UTF8.self) })
        try await shop.put(objects)
        try await shop.publish(root, as: artifact, at: "data/in")
        try point("data/in", to: root)
        try await bring(root, objects, way)
        #expect(try FileSystem.list(place(way)).map { Array($0.utf8) } == names)
        #expect(try surroundings() == before)
    }

    @Test(arguments: Way.allCases)
    func linksOfATreeAreNeverWrittenThrough(_ way: Way) async throws {
        let before = try surroundings()
        for target in [outside.path, "../../..", "/etc/passwd", "."] {
            let (root, objects) = HostileRemoteTests.tree(["out"], kind: .symlink, content: Array(target.utf8))
            // The same name as a folder with a file in it, for the checkout that comes after.
            let (inner, deeper) = HostileRemoteTests.tree(["secret.txt"])
            let second = TreeListing(entries: [
                TreeEntry(
                    name: "sub", kind: .tree, digest: Digest.of(outer(inner)), byteCount: inner.byteCount, fileCount: 1)
            ]).encoded()
            for (root, objects) in [
                (root, objects),
                (
                    ContentRoot(
                        digest: Digest.of(second), kind: .tree, byteCount: inner.byteCount, fileCount: 1),
                    deeper + [(.tree, outer(inner)), (.tree, second)]
                ), (root, objects),
            ] {
                try await shop.put(objects)
                try await shop.publish(root, as: artifact, at: "data/in")
                try point("data/in", to: root)
                try await bring(root, objects, way)
                #expect(FileSystem.exists(place(way) + "/out"))
            }
            #expect(try surroundings() == before, "\(target)")
            try clear()
        }
    }

    /// The listing of a folder that holds the tree `root` under the name `out`.
    private func outer(_ root: ContentRoot) -> [UInt8] {
        TreeListing(entries: [
            TreeEntry(
                name: "out", kind: .tree, digest: root.digest, byteCount: root.byteCount, fileCount: root.fileCount)
        ]).encoded()
    }

    @Test func pathsOfPublishedVersionsStayInTheProject() async throws {
        let before = try surroundings()
        let (root, objects) = HostileRemoteTests.tree(["x"])
        for name in HostileName.all {
            try await shop.put(objects)
            try await shop.publish(root, as: artifact, at: name.text)
            do {
                let outcome = try await workspace.retrieve(ArtifactReference("datasets/hostile"), force: true)
                #expect(name.kind == .odd, "\(name) was accepted")
                #expect(outcome.path.description.utf8.elementsEqual(name.text.utf8))
                try FileSystem.removeTree(workspace.absolute(outcome.path))
            } catch let error as MLOpsError {
                #expect(!hasRawControls(printableLines(error.description)), "\(name)")
            }
            #expect(try surroundings() == before, "\(name)")
            try clear()
        }
        for reserved in ["registry/config.yaml", "registry", "REGISTRY/x", ".gitignore", "a/.gitattributes"] {
            try await shop.put(objects)
            try await shop.publish(root, as: artifact, at: reserved)
            await #expect(throws: MLOpsError.self, "\(reserved)") {
                try await workspace.retrieve(ArtifactReference("datasets/hostile"), force: true)
            }
            try clear()
        }
    }

    @Test func pathsOfPointersStayInTheProjectWhenPulled() async throws {
        let before = try surroundings()
        let (root, objects) = HostileRemoteTests.tree(["x"])
        try await shop.put(objects)
        for name in HostileName.all {
            for extent in [CheckoutExtent(), CheckoutExtent(paths: [part])] {
                try point(name.text, to: root)
                do {
                    _ = try await workspace.pull([artifact], extent, remoteName: nil, force: true)
                    #expect(name.kind == .odd, "\(name) was accepted")
                } catch let error as MLOpsError {
                    #expect(!hasRawControls(printableLines(error.description)), "\(name)")
                }
                #expect(try surroundings() == before, "\(name)")
            }
        }
    }

    @Test func partsThatLeadOutsideAreRefused() async throws {
        let before = try surroundings()
        let (root, objects) = HostileRemoteTests.tree(["x"])
        try await shop.put(objects)
        try await shop.publish(root, as: artifact, at: "data/in")
        try point("data/in", to: root)
        for name in HostileName.all {
            guard let part = try? RelativePath(name.text) else { continue }
            #expect(name.kind == .odd, "\(name) was accepted")
            await #expect(throws: MLOpsError.self, "\(name)") { try await download(part) }
            await #expect(throws: MLOpsError.self, "\(name)") {
                _ = try await workspace.pull(
                    [artifact], CheckoutExtent(paths: [part]), remoteName: nil, force: true)
            }
            #expect(try surroundings() == before, "\(name)")
            #expect(try FileSystem.list(outside("here")).isEmpty, "\(name)")
        }
    }

    /// A repository may hold what looks like the rest of an interrupted download, and leads elsewhere.
    @Test func whatARepositoryPlantedForADownloadIsNotFollowed() async throws {
        let (root, objects) = HostileRemoteTests.tree(["x"])
        try await shop.put(objects)
        try await shop.publish(root, as: artifact, at: "data/in")
        try outside.write("victim/content/precious", "precious")
        try outside.write("victim/old/precious", "precious")
        try FileSystem.createDirectories(outside("victim/store/packs"))
        let scratch = outside("here/.hostile.mlops-get")
        let plans: [() throws -> Void] = [
            { #expect(symbolicLink(outside("victim"), scratch)) },
            {
                try FileSystem.createDirectories(scratch, mode: 0o700)
                #expect(symbolicLink(outside("victim"), scratch + "/.mlops"))
            },
            {
                try FileSystem.createDirectories(scratch + "/.mlops", mode: 0o700)
                #expect(symbolicLink(outside("victim/store"), scratch + "/.mlops/store"))
            },
            {
                try FileSystem.createDirectories(scratch, mode: 0o700)
                #expect(symbolicLink(outside("victim/content/precious"), scratch + "/lock"))
            },
        ]
        for (number, plan) in plans.enumerated() {
            try plan()
            let before = try surroundings()
            await #expect(throws: MLOpsError.self, "plan \(number)") { try await download() }
            #expect(try surroundings() == before, "plan \(number)")
            try FileSystem.removeTree(scratch)
        }
        // A folder of links where the content is put together is only ever removed.
        try FileSystem.createDirectories(scratch, mode: 0o700)
        #expect(symbolicLink(outside("victim"), scratch + "/content"))
        #expect(symbolicLink(outside("victim"), scratch + "/old"))
        let before = try surroundings()
        try await download()
        #expect(try surroundings() == before)
        #expect(try FileSystem.read(outside("here/hostile/sub/x")) == HostileRemoteTests.content)
    }
}
