import Basics
import GitIntegration
import TestSupport
import Testing

@Suite struct GitIgnoreTests {
    @Test func addsALineBesideTheFileOnce() throws {
        let scratch = try ScratchRepository()
        try scratch.write("data/train.csv", "x")
        let path = try RelativePath("data/train.csv")
        #expect(try ignore(path: path, in: scratch.path) == "data/.gitignore")
        #expect(try FileSystem.readText(scratch("data/.gitignore")) == "/train.csv\n")
        #expect(try ignore(path: path, in: scratch.path) == nil)
        #expect(try ignore(path: RelativePath("model.bin"), in: scratch.path) == ".gitignore")
    }

    @Test func leavesAloneWhatIsIgnoredAlready() throws {
        let scratch = try ScratchRepository()
        try scratch.write(".gitignore", "*.csv\n")
        try scratch.write("data/train.csv", "x")
        #expect(try ignore(path: RelativePath("data/train.csv"), in: scratch.path) == nil)
    }

    @Test func keepsTheLinesThatAreThere() throws {
        let scratch = try ScratchRepository()
        try scratch.write(".gitignore", "*.tmp\r\n!x")
        _ = try ignore(path: RelativePath("data"), in: scratch.path)
        #expect(try FileSystem.readText(scratch(".gitignore")) == "*.tmp\r\n!x\r\n/data\r\n")
    }

    @Test(arguments: ["a*b", "q?", "[x]", "back\\slash", "#hash", "!bang", "end ", "two  ", "a b", "ünï", "*"])
    func ignoresJustTheOneName(_ name: String) throws {
        let scratch = try ScratchRepository()
        try scratch.write(name, "x")
        try scratch.write("other", "x")
        _ = try ignore(path: RelativePath(name), in: scratch.path)
        // `-q` ends with 0 for an ignored path, 1 for another.
        try scratch.git(["check-ignore", "-q", "--", name], accepting: [0])
        try scratch.git(["check-ignore", "-q", "--", "other"], accepting: [1])
    }

    @Test func worksInAFolderBelowTheWorkingTree() throws {
        let scratch = try ScratchRepository()
        try scratch.write("project/data/x.bin", "x")
        #expect(try ignore(path: RelativePath("data/x.bin"), in: scratch("project")) == "data/.gitignore")
        #expect(try scratch.git("check-ignore", "project/data/x.bin") == "project/data/x.bin")
    }

    @Test func doesNothingOutsideOfARepository() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", "x")
        #expect(try ignore(path: RelativePath("x"), in: folder.path) == nil)
        #expect(!FileSystem.exists(folder(".gitignore")))
    }

    @Test func writersAtTheSameTimeLoseNoLine() async throws {
        let scratch = try ScratchRepository()
        let changed = try await mapConcurrently(Array(0..<32), width: 16) { number in
            try ignore(path: RelativePath("file\(number)"), in: scratch.path)
        }
        #expect(changed.allSatisfy { $0 == ".gitignore" })
        let lines = try FileSystem.readText(scratch(".gitignore")).split(separator: "\n")
        #expect(Set(lines).count == 32)
    }
}
