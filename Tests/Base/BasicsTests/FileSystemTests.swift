import Basics
import TestSupport
import Testing

@Suite(.serialized) struct FileSystemTests {
    @Test func replacingIsAllOrNothing() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("file", "old")
        for point in ["file.write", "file.fsync", "file.rename"] {
            #expect(throws: MLOpsError.self, "at \(point)") {
                try Failpoint.within("\(point):1:enospc") { try FileSystem.replace(path, with: Array("new".utf8)) }
            }
            #expect(try FileSystem.readText(path) == "old")
            #expect(try FileSystem.list(folder.path) == ["file"], "no temporary is left after \(point)")
        }
        try FileSystem.replace(path, with: Array("new".utf8))
        #expect(try FileSystem.readText(path) == "new")
    }

    @Test func whatLiesInAFolderIsToldByBytes() {
        #expect(FileSystem.relative("/p/data/x", to: "/p") == "data/x")
        #expect(FileSystem.relative("/p", to: "/p")?.isEmpty == true)
        #expect(FileSystem.relative("/p/x", to: "/") == "p/x")
        #expect(FileSystem.relative("/pq/x", to: "/p") == nil)
        // An accent that begins a name makes one letter of itself and the slash.
        #expect(FileSystem.relative("/p/\u{301}x", to: "/p").map { Array($0.utf8) } == Array("\u{301}x".utf8))
        // Two ways to write an é are two names.
        #expect(!FileSystem.contains("/caf\u{e9}", "/cafe\u{301}/x"))
        #expect(FileSystem.contains("/caf\u{e9}", "/caf\u{e9}/x"))
    }

    @Test func aFullDiskHasItsOwnExitCode() throws {
        let folder = try TemporaryFolder()
        #expect {
            try Failpoint.within("file.write:1:enospc") { try FileSystem.replace(folder("x"), with: [1]) }
        } throws: {
            ($0 as? MLOpsError)?.exitCode == 5 && "\($0)".contains("disk is full")
        }
    }

    @Test func ofManyExclusiveCreatorsExactlyOneWins() async throws {
        let folder = try TemporaryFolder()
        let path = folder("1.json")
        let won = try await mapConcurrently(Array(0..<16), width: 8) {
            try FileSystem.createExclusively(path, with: [$0])
        }
        #expect(won.filter { $0 }.count == 1)
        #expect(try FileSystem.list(folder.path) == ["1.json"])
    }

    @Test func removingATreeLeavesWhatItsLinksPointAt() throws {
        let folder = try TemporaryFolder()
        let kept = try folder.write("kept/file", "x")
        try FileSystem.createDirectories(folder("tree/sub"))
        try folder.write("tree/sub/file", "y")
        #expect(symbolicLink(folder("kept"), folder("tree/link")))
        try FileSystem.removeTree(folder("tree"))
        #expect(!FileSystem.exists(folder("tree")))
        #expect(try FileSystem.readText(kept) == "x")
    }

    @Test(arguments: [
        ("/a/./b//../c", "/a/c"), ("x", "/base/x"), ("../x", "/x"), ("../../..", "/"), ("/", "/"), ("a/..", "/base"),
    ])
    func absolutePathsAreTidy(_ path: String, _ expected: String) {
        #expect(FileSystem.absolute(path, from: "/base") == expected)
    }

    @Test func filesOfTheKernelAreReadThoughTheySayTheyAreEmpty() throws {
        #expect(try FileSystem.readText("/proc/self/status").contains("Name:"))
    }

    @Test func aLockedFileIsAConflict() async throws {
        let folder = try TemporaryFolder()
        let lock = try await FileLock(folder("lock"), .exclusive)
        await #expect { _ = try await FileLock(folder("lock"), .shared) } throws: {
            ($0 as? MLOpsError)?.exitCode == 11
        }
        withExtendedLifetime(lock) {}
    }
}
