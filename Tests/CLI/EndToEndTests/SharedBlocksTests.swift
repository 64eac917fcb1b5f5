import Basics
import Foundation
import Glibc
import TestSupport
import Testing

/// A disk whose files can share blocks, which Scripts/reflink-disk mounts.
private enum ReflinkDisk {
    static let path = ProcessInfo.processInfo.environment["MLOPS_TEST_REFLINK"]
}

/// On a file system whose files can share blocks, a file of the workspace takes no room beside the pack that has its bytes.
@Suite(.enabled(if: ReflinkDisk.path != nil, "no disk with shared blocks: MLOPS_TEST_REFLINK is not set"))
struct SharedBlocksTests {
    private static let mebibyte: Int64 = 1 << 20

    private func newProject() throws -> Project {
        try Project(in: TemporaryFolder(in: try #require(ReflinkDisk.path))) { _ in }
    }

    private func noise(_ count: Int64, seed: UInt64) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    /// How much of the disk `body` takes, in bytes.
    private func taken(_ body: () throws -> Void) throws -> Int64 {
        let disk = try #require(ReflinkDisk.path)
        func free() -> Int64 {
            sync()
            var status = statvfs()
            statvfs(disk, &status)
            return Int64(status.f_bfree) * Int64(status.f_bsize)
        }
        let before = free()
        try body()
        return before - free()
    }

    @Test func aCheckoutTakesNoRoomAndPacksKeepTheirBytes() throws {
        let project = try newProject()
        let files = [
            "data/large.bin": noise(24 * SharedBlocksTests.mebibyte + 777, seed: 1),
            "data/photos/one.bin": noise(3 * SharedBlocksTests.mebibyte + 5, seed: 2),
            "data/note.txt": Array("note".utf8),
            "data/half.bin": noise(2 * SharedBlocksTests.mebibyte, seed: 3)
                + [UInt8](repeating: 7, count: 9_000_000) + noise(2 * SharedBlocksTests.mebibyte + 1, seed: 4),
        ]
        for (name, bytes) in files { try project.folder.write(name, bytes) }
        try project.mlops("add", "data").expectSuccess()
        try project.commit("Data")
        try FileSystem.removeTree(project.folder("data"))
        let room = try taken { try project.mlops("checkout").expectSuccess() }
        for (name, bytes) in files { #expect(try project.folder.read(name) == bytes, "\(name)") }
        // 40 MiB of files; what is compressed in the store must be written.
        #expect(room < 13 * SharedBlocksTests.mebibyte, "\(room) bytes")

        let file = open(project.folder("data/large.bin"), O_WRONLY)
        _ = "changed".withCString { pwrite(file, $0, 7, 1 << 20) }
        close(file)
        try project.mlops("fsck").expectSuccess()
        #expect(try project.mlops("status").output.contains("modified"))
        try project.mlops("checkout", "--force").expectSuccess()
        #expect(try project.folder.read("data/large.bin") == files["data/large.bin"])
    }

    @Test func anAdditionTakesNoRoomAndPacksKeepTheirBytes() throws {
        let project = try newProject()
        let bytes = noise(24 * SharedBlocksTests.mebibyte + 777, seed: 8)
        try project.folder.write("data/large.bin", bytes)
        let text = (0..<600_000).map { "line \($0) of a text that shrinks\n" }.joined()
        try project.folder.write("data/text.csv", text)
        let room = try taken { try project.mlops("add", "data").expectSuccess() }
        #expect(room < 6 * SharedBlocksTests.mebibyte, "\(room) bytes")
        try project.commit("Data")

        // Of a file in which something was inserted the new chunks alone are stored, shared with it as well.
        let inserted = noise(3 * SharedBlocksTests.mebibyte + 5, seed: 9)
        let longer = Array(bytes[..<7_000_001]) + inserted + Array(bytes[7_000_001...])
        try project.folder.write("data/large.bin", longer)
        let growth = try taken { try project.mlops("add", "data").expectSuccess() }
        #expect(growth < 2 * SharedBlocksTests.mebibyte, "\(growth) bytes")

        // Whoever writes to the file leaves the store alone.
        let file = open(project.folder("data/large.bin"), O_WRONLY)
        _ = "changed".withCString { pwrite(file, $0, 7, 1 << 20) }
        close(file)
        try project.mlops("fsck").expectSuccess()
        try project.mlops("checkout", "--force").expectSuccess()
        #expect(try project.folder.read("data/large.bin") == longer)
        try project.git("checkout", "-q", "--", "registry").expectSuccess()
        try project.mlops("checkout").expectSuccess()
        #expect(try project.folder.read("data/large.bin") == bytes)
        #expect(try project.folder.read("data/text.csv") == Array(text.utf8))
    }

    @Test func aPullKeepsOneCopy() throws {
        let project = try newProject()
        let bytes = noise(40 * SharedBlocksTests.mebibyte + 4097, seed: 5)
        try project.folder.write("model.bin", bytes)
        try project.mlops("add", "model.bin").expectSuccess()
        let remote = try TemporaryFolder()
        try project.mlops("remote", "add", "origin", remote("remote")).expectSuccess()
        try project.commit("Model")
        try project.mlops("push").expectSuccess()
        let elsewhere = try TemporaryFolder(in: try #require(ReflinkDisk.path))
        try Program.run("git", ["clone", "-q", project.path, elsewhere("clone")], in: elsewhere.path).expectSuccess()
        let room = try taken { try Program.mlops(["pull"], in: elsewhere("clone")).expectSuccess() }
        #expect(try elsewhere.read("clone/model.bin") == bytes)
        #expect(room < 44 * SharedBlocksTests.mebibyte, "\(room) bytes")
        try Program.mlops(["fsck"], in: elsewhere("clone")).expectSuccess()
        #expect(try Program.mlops(["status", "-q"], in: elsewhere("clone")).output == "")
    }

    @Test func whatACollectionCopiesStaysShared() throws {
        let project = try newProject()
        let kept = noise(20 * SharedBlocksTests.mebibyte + 99, seed: 6)
        try project.folder.write("data/b.bin", kept)
        try project.folder.write("data/a.bin", noise(30 * SharedBlocksTests.mebibyte, seed: 7))
        try project.mlops("add", "data").expectSuccess()
        try FileSystem.removeFile(project.folder("data/a.bin"))
        try project.mlops("add", "data").expectSuccess()
        try project.commit("One of two")
        let collected = try project.mlops("gc", "--yes", "--grace", "0s")
        try collected.expectSuccess()
        try FileSystem.removeTree(project.folder("data"))
        let room = try taken { try project.mlops("checkout").expectSuccess() }
        #expect(try project.folder.read("data/b.bin") == kept)
        #expect(room < 2 * SharedBlocksTests.mebibyte, "\(room) bytes; \(collected.all)")
    }
}
