import Basics
import ContentStorage
import Glibc
import TestSupport
import Testing

@Suite struct WorkspaceTests {
    private func error(_ body: () async throws -> some Any) async -> MLOpsError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? MLOpsError }
    }

    @Test func changesAreTold() async throws {
        let project = try StoreFolder()
        for name in ["a", "b", "sub/c"] { try project.folder.write("data/\(name)", name) }
        let root = try await project.store.add(path: project.path("data")).root
        try project.folder.write("data/b", "changed")
        try project.folder.write("data/new/d", "d")
        try FileSystem.removeFile(project.path("data/sub/c"))
        let changes = try await project.store.compare(root, with: project.path("data"))
        #expect(changes.map(\.path) == ["b", "new/d", "sub/c"])
        #expect(changes.map(\.kind) == [.modified, .added, .deleted])
        #expect(changes[0].newByteCount == 7)
        try FileSystem.removeTree(project.path("data"))
        #expect(
            try await project.store.compare(root, with: project.path("data")).map(\.kind) == [
                .deleted, .deleted, .deleted,
            ])
    }

    @Test func aChangeInTheSameTickWithTheSameSizeIsSeen() async throws {
        let project = try StoreFolder()
        for round in 0..<30 {
            try OpenFile(creating: project.path("f\(round)")).write(Array("aaaa".utf8))
            let old = try await project.store.add(path: project.path("f\(round)")).root
            let descriptor = open(project.path("f\(round)"), O_WRONLY)
            _ = "bbbb".withCString { pwrite(descriptor, $0, 4, 0) }
            close(descriptor)
            #expect(try await project.store.compare(old, with: project.path("f\(round)")).count == 1)
        }
    }

    @Test func aRestoredTimeDoesNotHideAChange() async throws {
        let project = try StoreFolder()
        try project.folder.write("f", "aaaa")
        let old = try await project.store.add(path: project.path("f")).root
        var before = stat()
        stat(project.path("f"), &before)
        let descriptor = open(project.path("f"), O_WRONLY)
        _ = "bbbb".withCString { pwrite(descriptor, $0, 4, 0) }
        var times = [before.st_atim, before.st_mtim]
        futimens(descriptor, &times)
        close(descriptor)
        #expect(try await project.store.compare(old, with: project.path("f")).count == 1)
    }

    @Test func contentThatIsStoredNowhereIsNotOverwritten() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", "one")
        try project.folder.write("data/b", "two")
        let root = try await project.store.add(path: project.path("data")).root
        try project.folder.write("data/a", "precious")
        try project.folder.write("data/extra", "also precious")
        try FileSystem.removeFile(project.path("data/b"))
        let refusal = await error { try await project.store.checkout(root, to: project.path("data")) }
        #expect(refusal?.message.contains("`\(project.path("data"))/a`") == true)
        #expect(refusal?.hint?.contains("--force") == true)
        #expect(try project.folder.read("data/a") == Array("precious".utf8))
        #expect(!FileSystem.exists(project.path("data/b")))

        // Once it is stored, nothing is lost by overwriting it.
        let kept = try await project.store.add(path: project.path("data")).root
        try await project.store.checkout(root, to: project.path("data"))
        #expect(!FileSystem.exists(project.path("data/extra")))
        try await project.store.checkout(kept, to: project.path("data"))
        #expect(try project.folder.read("data/extra") == Array("also precious".utf8))

        try project.folder.write("data/a", "given up")
        try await project.store.checkout(root, to: project.path("data"), options: CheckoutOptions(force: true))
        #expect(try project.folder.read("data/a") == Array("one".utf8))
    }

    /// A file's name reached the disk and its bytes did in part, as the log tells after the machine's next start.
    @Test func whatAPowerCutToreIsReplacedAndWhatTheUserCutIsNot() async throws {
        let project = try StoreFolder()
        let whole = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) | 1 })
        try OpenFile(creating: project.path("f")).write(whole)
        let root = try await project.store.add(path: project.path("f")).root
        let log = project.path(".mlops/store/checkouts")
        /// What a fresh checkout looks like once `found` lies where the file was.
        func refusal(of found: [UInt8], isRestarted: Bool = true, secondsLater: Int = 0) async throws -> MLOpsError? {
            try FileSystem.removeFile(project.path("f"))
            try FileSystem.removeFile(log)
            try await project.store.checkout(root, to: project.path("f"))
            var status = stat()
            stat(project.path("f"), &status)
            try FileSystem.removeFile(project.path("f"))
            let file = try OpenFile(creating: project.path("f"))
            try file.write(found)
            status.st_mtim.tv_sec += secondsLater
            var times = [status.st_mtim, status.st_mtim]
            futimens(file.descriptor, &times)
            if isRestarted {
                let boot = try #require(FileSystem.readText(log).split { $0.isWhitespace }.first)
                let text = try FileSystem.readText(log).replacing(boot, with: "another-start-of-the-machine")
                try FileSystem.replace(log, with: Array(text.utf8))
            }
            return await error { try await project.store.checkout(root, to: project.path("f")) }
        }
        let half = Array(whole[..<150_000])
        let isTorn = [
            half, half + [UInt8](repeating: 0, count: 150_000), [UInt8](repeating: 0, count: 5000) + whole[5000...],
        ]
        for found in isTorn {
            #expect(try await refusal(of: found) == nil)
            #expect(try project.folder.read("f") == whole)
        }
        for refused in [
            try await refusal(of: half + [7]), try await refusal(of: whole + [0]),
            try await refusal(of: half, isRestarted: false), try await refusal(of: half, secondsLater: 3),
        ] { #expect(refused?.message.contains("stored nowhere") == true) }
    }

    @Test(.timeLimit(.minutes(1))) func pipesAreRefusedUnopened() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", "one")
        let root = try await project.store.add(path: project.path("data")).root
        mkfifo(project.path("data/pipe"), 0o644)
        for path in ["data", "data/pipe"] {
            let refusal = await error { try await project.store.add(path: project.path(path)) }
            #expect(refusal?.kind == .usage)
            #expect(refusal?.message.contains("pipe") == true)
        }
        // A pipe is not lost silently either.
        let refusal = await error { try await project.store.checkout(root, to: project.path("data")) }
        #expect(refusal?.message.contains("data/pipe") == true)
    }

    @Test func linksAreNotFollowedOutOfTheProject() async throws {
        let project = try StoreFolder()
        let outside = try TemporaryFolder()
        try outside.write("secret", "do not touch")
        try project.folder.write("data/a", "one")
        let root = try await project.store.add(path: project.path("data")).root
        symlink(outside.path, project.path("linked"))
        for path in ["linked", "linked/sub"] {
            #expect(await error { try await project.store.checkout(root, to: project.path(path)) }?.kind == .usage)
        }
        #expect(await error { try await project.store.add(path: project.path("linked/secret")) }?.kind == .usage)
        #expect(try FileSystem.list(outside.path) == ["secret"])
    }

    @Test func aNewFolderAppearsWholeAndLeavesNothingBeside() async throws {
        let project = try StoreFolder()
        for name in ["a", "sub/b", "sub/deeper/c"] { try project.folder.write("data/\(name)", name) }
        try FileSystem.createDirectories(project.path("data/empty"))
        for git in [nil, "*.log\n"] {
            if let git { try project.folder.write("data/.gitignore", git) }
            let root = try await project.store.add(path: project.path("data")).root
            let before = try project.contents("data")
            try FileSystem.removeTree(project.path("data"))
            try await project.store.checkout(root, to: project.path("data"))
            #expect(try project.contents("data") == before)
            #expect(try FileSystem.list(project.folder.path).sorted() == [".mlops", "data"])
            #expect(try await project.store.compare(root, with: project.path("data")).isEmpty)
        }
    }

    @Test func aFolderThatADeadCheckoutLeftIsSwept() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", "one")
        let root = try await project.store.add(path: project.path("data")).root
        try FileSystem.removeTree(project.path("data"))
        let outside = try TemporaryFolder()
        try outside.write("kept", "do not touch")
        let left = TemporaryFile.name()
        try project.folder.write("\(left)/sub/half", "half")
        symlink(outside.path, project.path("\(left)/link"))
        let held = TemporaryFile.name()
        try project.folder.write("\(held)/half", "half")
        let holder = open(project.path(held), O_RDONLY | O_DIRECTORY)
        defer { close(holder) }
        #expect(TemporaryFile.hold(holder))
        try await project.store.checkout(root, to: project.path("data"))
        #expect(Set(try FileSystem.list(project.folder.path)) == [".mlops", "data", held])
        #expect(try FileSystem.list(outside.path) == ["kept"])
    }

    @Test func aDamagedFileLeavesTheOthersOfANewFolder() async throws {
        let project = try StoreFolder()
        for number in 0..<40 {
            try project.folder.write("data/\(number)", StoreFolder.noise(2000, seed: UInt64(number)))
        }
        let root = try await project.store.add(path: project.path("data")).root
        let wanted = try project.contents("data")
        try FileSystem.removeTree(project.path("data"))
        let pack = try #require(try project.packs().max { try FileSystem.read($0).count < FileSystem.read($1).count })
        try StoreFolder.flip(pack, at: 2000 * 20)
        let store = try project.reopened()
        #expect(await error { try await store.checkout(root, to: project.path("data")) }?.kind == .damaged)
        let found = try project.contents("data")
        #expect(!found.isEmpty && found.count < 40)
        #expect(found.allSatisfy { wanted[$0.key] == $0.value })
        #expect(try FileSystem.list(project.folder.path).sorted() == [".mlops", "data"])
    }

    @Test func reservedNamesAreRefused() async throws {
        let project = try StoreFolder()
        for name in [".git/config", ".mlops/x", "a\nb", ".GIT/config"] {
            try project.folder.write("data/\(name)", "x")
            #expect(await error { try await project.store.add(path: project.path("data")) }?.kind == .usage, "\(name)")
            try FileSystem.removeTree(project.path("data"))
        }
    }

    @Test func aFileThatChangesWhileItIsReadIsNoticed() async throws {
        let project = try StoreFolder()
        try project.folder.write("f", StoreFolder.noise(30_000_000, seed: 1))
        let path = project.path("f")
        let writer = Task.detached {
            let descriptor = open(path, O_WRONLY)
            defer { close(descriptor) }
            var value: UInt8 = 0
            while !Task.isCancelled {
                pwrite(descriptor, &value, 1, 29_000_000)
                value &+= 1
                usleep(500)
            }
        }
        let refusal = await error { try await project.store.add(path: path) }
        writer.cancel()
        await writer.value
        #expect(refusal?.message.contains("changed while it was read") == true)
        #expect(try FileSystem.list(project.path(".mlops/store/packs")).filter { $0.hasSuffix("mlops-tmp") } == [])
    }

    @Test func twoAdditionsAtOnceBothSucceed() async throws {
        let project = try StoreFolder()
        for index in 0..<300 {
            try project.folder.write("one/\(index)", StoreFolder.noise(3000, seed: UInt64(index)))
            try project.folder.write("two/\(index)", StoreFolder.noise(3000, seed: UInt64(index + 150)))
        }
        // Two stores, as two processes have them.
        let (first, second) = (try project.reopened(), try project.reopened())
        async let one = first.add(path: project.path("one"))
        async let two = second.add(path: project.path("two"))
        let roots = [("datasets/one", try await one.root), ("datasets/two", try await two.root)]
        let report = try await project.store.verify(roots: roots.map { (name: $0.0, root: $0.1) })
        #expect(report.isClean)
        for (name, root) in roots { #expect(try project.store.contains(root), "\(name)") }
    }

    @Test func aDeadCheckoutLeavesNothingThatCounts() async throws {
        let project = try StoreFolder()
        try project.folder.write("data/a", "one")
        let root = try await project.store.add(path: project.path("data")).root
        try OpenFile(creating: project.path("data/.k3j2h.mlops-tmp")).write([1, 2, 3])
        #expect(try await project.store.compare(root, with: project.path("data")) == [])
        #expect(try await project.store.identify(path: project.path("data")) == root)
    }
}
