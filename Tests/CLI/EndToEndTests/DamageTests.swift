import Basics
import TestSupport
import Testing

/// Flipped bytes and stopped writes, as a user meets them.
@Suite struct DamageTests {
    @Test func fsckFindsAFlippedByteAnywhereInAPackAndNamesTheArtifact() throws {
        let project = try Project()
        try project.folder.write("data/a.csv", String(repeating: "some, text\n", count: 400))
        try project.mlops("add", "data/a.csv", "--as", "datasets/hurt").expectSuccess()
        try project.mlops("fsck").expectSuccess()
        let pack = try #require(try packs(of: project).first)
        let bytes = try FileSystem.read(pack)
        for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 24)) {
            var damaged = bytes
            damaged[position] ^= 0x40
            try FileSystem.replace(pack, with: damaged)
            let result = try project.mlops("fsck")
            #expect(result.exitCode == 12, "byte \(position) of \(bytes.count): \(result.all)")
            #expect(result.all.contains("datasets/hurt"), "byte \(position) of \(bytes.count): \(result.all)")
        }
        try FileSystem.replace(pack, with: bytes)
        try project.mlops("fsck").expectSuccess()
    }

    @Test func fsckNamesTheCommitWhoseDataAreHurt() throws {
        let project = try Project()
        try project.folder.write("data/a.bin", "old content")
        try project.mlops("add", "data/a.bin").expectSuccess()
        try project.commit("Old")
        let old = try #require(try packs(of: project).first)
        try project.folder.write("data/a.bin", "new content")
        try project.mlops("add", "data/a.bin").expectSuccess()
        try project.commit("New")
        var bytes = try FileSystem.read(old)
        bytes[bytes.count / 2] ^= 1
        try FileSystem.replace(old, with: bytes)
        let commit = try project.git("rev-parse", "HEAD~1").output.prefix(12)
        let result = try project.mlops("fsck")
        #expect(result.exitCode == 12 && result.all.contains("datasets/a at commit \(commit)"), "\(result.all)")
    }

    @Test func aBadChunkNeverReachesTheWorkspace() throws {
        let project = try Project()
        let path = try project.folder.write("data/a.bin", (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7919) })
        try project.mlops("add", "data/a.bin").expectSuccess()
        let pack = try #require(try packs(of: project).first)
        var bytes = try FileSystem.read(pack)
        bytes[200] ^= 1
        try FileSystem.replace(pack, with: bytes)
        try FileSystem.removeFile(path)
        let result = try project.mlops("checkout")
        #expect(result.exitCode == 12, "\(result.all)")
        #expect(!FileSystem.exists(path))
    }

    @Test(arguments: ["file.write", "file.fsync", "file.rename", "directory.fsync"])
    func anAdditionThatIsKilledCanBeRepeated(_ point: String) throws {
        let project = try Project()
        try project.folder.write("data/old.csv", "old")
        try project.mlops("add", "data/old.csv").expectSuccess()
        try project.folder.write("data/new.csv", "new")
        for time in 1...20 {
            let killed = try project.mlops(
                "add", "data/new.csv", environment: ["MLOPS_FAILPOINT": "\(point):\(time):kill"])
            try project.mlops("fsck").expectSuccess()
            if killed.exitCode == 0 { break }
            #expect(killed.exitCode == 128 + 9, "\(killed.all)")
        }
        try project.mlops("add", "data/new.csv").expectSuccess()
        try FileSystem.removeFile(project.folder("data/old.csv"))
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.readText(project.folder("data/old.csv")) == "old")
        #expect(try FileSystem.readText(project.folder("data/new.csv")) == "new")
    }

    @Test func aFullDiskEndsWithFiveAndLeavesTheOldState() throws {
        let project = try Project()
        try project.folder.write("data/x.csv", "x")
        let full = try project.mlops("add", "data/x.csv", environment: ["MLOPS_FAILPOINT": "file.write:1:enospc"])
        #expect(
            full.exitCode == 5 && full.error.contains("disk is full") && full.error.contains("hint:"), "\(full.all)")
        #expect(!FileSystem.exists(project.folder("registry/datasets/x.yaml")))
        try project.mlops("add", "data/x.csv").expectSuccess()
    }

    @Test func aFailpointThatIsNotReachedIsTold() throws {
        let project = try Project()
        let done = try project.mlops("status", environment: ["MLOPS_FAILPOINT": "nosuch:2:kill"])
        #expect(
            done.exitCode == 0 && done.error.contains("`nosuch:2:kill`") && done.error.contains("list:FILE"),
            "\(done.all)")
    }

    private func packs(of project: Project) throws -> [String] {
        let folder = project.folder(".mlops/store/packs")
        return try FileSystem.list(folder).flatMap { name in
            try FileSystem.list("\(folder)/\(name)").map { "\(folder)/\(name)/\($0)" }
        }
    }
}
