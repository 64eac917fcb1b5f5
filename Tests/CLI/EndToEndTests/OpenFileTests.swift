import Basics
import TestSupport
import Testing

/// Processes that may open few files, and an index that cannot be written: one clear error, and nothing is lost.
@Suite struct OpenFileTests {
    @Test func tooFewOpenFilesAreToldAsSuchOrSuffice() throws {
        let project = try Project()
        for number in 0..<5 { try project.folder.write("data/x/\(number)", "file \(number)") }
        try project.mlops("add", "data/x").expectSuccess()
        try project.commit("Data")
        try project.folder.write("data/x/0", "changed")
        let program = try Program.path
        var refused = 0
        let verbs = [
            ["add", "data/x"], ["status"], ["checkout", "--force"], ["gc"], ["gc", "--yes"], ["fsck"], ["--help"],
        ]
        for limit in [4, 8, 15, 20, 22, 23, 24, 25, 26, 28, 32] {
            for arguments in verbs {
                let result = try Program.run(
                    "bash", ["-c", "ulimit -n \(limit); exec \"$0\" \"$@\"", program] + arguments, in: project.path)
                let what = "\(arguments) with \(limit): \(result.all)"
                #expect(result.exitCode == 0 || result.exitCode == 5, "\(what)")
                guard result.exitCode != 0 else { continue }
                refused += 1
                #expect(result.error.contains("open files") && result.error.contains("hint:"), "\(what)")
            }
        }
        #expect(refused >= 6)
        try project.mlops("add", "data/x").expectSuccess()
        #expect(try project.mlops("fsck").exitCode == 0)
    }

    @Test func anIndexThatCannotBeWrittenIsNotCalledRebuilt() throws {
        let project = try Project()
        try project.folder.write("data/x", "content")
        try project.mlops("add", "data/x").expectSuccess()
        for ending in ["", "-wal", "-shm"] {
            try FileSystem.removeFile(project.folder(".mlops/index.sqlite" + ending))
        }
        try FileSystem.createDirectories(project.folder(".mlops/index.sqlite"))
        let refused = try project.mlops("fsck", "--rebuild-index")
        #expect(
            refused.exitCode == 5 && refused.error.contains("index.sqlite`") && refused.error.contains("hint:"),
            "\(refused.all)")
        #expect(!refused.error.contains("rebuilt the index"))
        // Reading goes on without it.
        #expect(try project.mlops("fsck").exitCode == 0)
        try project.folder.write("data/x", "other")
        try project.mlops("checkout", "--force").expectSuccess()
        #expect(try project.folder.read("data/x") == Array("content".utf8))
    }
}
