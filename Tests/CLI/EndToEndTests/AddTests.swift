import Basics
import Foundation
import TestSupport
import Testing

/// What `mlops add` shows, and what it leaves where it is.
@Suite struct AddTests {
    private static let noise = (0..<900_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 11 ^ $0 >> 3) }

    @Test func whatWasAddedInPlaceIsPushedFromTheWorkspaceAndPulledBack() throws {
        let project = try Project()
        let shared = try TemporaryFolder()
        try project.folder.write("data/video/one.bin", AddTests.noise)
        try project.folder.write("data/video/two.txt", "a line\n")
        let added = try project.mlops("add", "data/video", "--in-place")
        try added.expectSuccess()
        #expect(added.output.contains("left in place"), "\(added.all)")
        let packs = try Program.run("du", ["-sb", ".mlops/store/packs"], in: project.path)
        #expect((packs.output.split(separator: "\t").first.flatMap { Int($0) } ?? .max) < 100_000, "\(packs.all)")
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.mlops("status").expectSuccess()
        try project.mlops("fsck").expectSuccess()
        try project.commit("Video")
        try project.mlops("push").expectSuccess()

        // A file that goes is fetched, although its content was never in a pack here.
        try FileSystem.removeFile(project.folder("data/video/one.bin"))
        let damaged = try project.mlops("fsck")
        #expect(damaged.exitCode == 12 && damaged.all.contains("data/video/one.bin"), "\(damaged.all)")
        try project.mlops("pull").expectSuccess()
        try project.mlops("checkout").expectSuccess()
        #expect(try project.folder.read("data/video/one.bin") == AddTests.noise)
        try project.mlops("fsck").expectSuccess()
    }

    @Test func aPushNamesTheFileThatChangedSinceItWasAddedInPlace() throws {
        let project = try Project()
        let shared = try TemporaryFolder()
        try project.folder.write("data/video/one.bin", AddTests.noise)
        try project.mlops("add", "data/video", "--in-place").expectSuccess()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.commit("Video")
        try project.folder.write("data/video/one.bin", "short")
        let push = try project.mlops("push")
        #expect(push.exitCode == 12, "\(push.all)")
        #expect(push.error.contains("`data/video/one.bin`, whose content was added in place"), "\(push.all)")
        #expect(push.error.contains("hint: run `mlops add --in-place`"), "\(push.all)")
        // All its chunks are gone, which is said once.
        let found = try project.mlops("fsck")
        #expect(found.exitCode == 12, "\(found.all)")
        let told = found.output.split(separator: "\n").filter { $0.contains("left in `data/video/one.bin`") }
        #expect(told.count == 1 && told.first?.contains(" more: ") == true, "\(found.all)")
        try project.mlops("add", "data/video", "--in-place").expectSuccess()
        try project.mlops("push").expectSuccess()
    }

    @Test func anExplanationIsATableAndJSON() throws {
        let project = try Project()
        try project.folder.write("data/noise.bin", AddTests.noise)
        let shown = try project.mlops("add", "data/noise.bin", "--explain")
        try shown.expectSuccess()
        for part in ["FILE", "STORED", "data/noise.bin", "total", "100 %"] {
            #expect(shown.output.contains(part), "\(shown.all)")
        }
        try project.folder.write("data/text.txt", String(repeating: "compressible ", count: 40_000))
        let explained = try project.mlops("add", "data/text.txt", "--explain", "--json").json()
        let artifact = try #require(explained["artifacts"]?.array?.first)
        let file = try #require(artifact["files"]?.array?.first)
        #expect(file["logicalByteCount"]?.integer == 520_000)
        #expect((file["storedByteCount"]?.integer ?? .max) < 20_000)
        #expect((file["chunkCount"]?.integer ?? 0) > 1)
    }
}
