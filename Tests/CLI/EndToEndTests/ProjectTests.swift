import Basics
import TestSupport
import Testing

/// Data in a git repository: recorded, changed, brought back.
@Suite struct ProjectTests {
    @Test func checkoutBringsBackTheDataOfAnEarlierCommit() throws {
        let project = try Project()
        try project.folder.write("data/train.csv", "a,b\n1,2\n")
        try project.mlops("add", "data/train.csv").expectSuccess()
        try project.commit("First data")
        try project.folder.write("data/train.csv", "a,b\n3,4\n5,6\n")
        let status = try project.mlops("status")
        #expect(status.output.contains("modified  datasets/train"), "\(status.all)")
        try project.mlops("add", "data/train.csv").expectSuccess()
        try project.commit("Second data")
        #expect(try project.git("status", "--porcelain").output == "", "the data themselves are ignored by git")

        try project.git("checkout", "-q", "HEAD~1")
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.readText(project.folder("data/train.csv")) == "a,b\n1,2\n")
        try project.git("checkout", "-q", "main")
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.readText(project.folder("data/train.csv")) == "a,b\n3,4\n5,6\n")

        let log = try project.mlops("log", "datasets/train")
        #expect(log.output.contains("Second data") && log.output.contains("First data"), "\(log.all)")
        let difference = try project.mlops("diff", "HEAD~1", "HEAD")
        #expect(difference.output.contains("modified  datasets/train"), "\(difference.all)")
    }

    /// The `.gitignore` of a commit that is older than the project says nothing of `.mlops/`.
    @Test func cleaningAnOlderCommitLeavesTheStore() throws {
        let folder = try TemporaryFolder()
        let project = try Project(in: folder) {
            try folder.write("README", "old")
            try $0.commit("Old")
            try $0.git("branch", "old")
        }
        try folder.write("data/x.csv", "x")
        try project.mlops("add", "data/x.csv").expectSuccess()
        try project.commit("Data")
        try project.git("switch", "-q", "old")
        try FileSystem.removeTree(folder("data"))
        #expect(try project.git("status", "--porcelain").output == "")
        try project.git("clean", "-fdq")
        try project.git("stash", "-uq")
        try project.git("switch", "-q", "main")
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.readText(folder("data/x.csv")) == "x")
    }

    @Test func aRemovedWorkingDirectoryIsNoProject() throws {
        let folder = try TemporaryFolder()
        try FileSystem.createDirectories(folder("gone"))
        let program = try Program.path
        let result = try Program.run(
            "sh", ["-c", "cd gone && rmdir ../gone && exec '\(program)' init"], in: folder.path)
        #expect(result.exitCode == 1 && result.error.contains("working directory"), "\(result.all)")
        #expect(result.error.contains("hint: "))
    }

    @Test func aFolderIsRecordedFileByFile() throws {
        let project = try Project()
        for index in 0..<20 {
            try project.folder.write("data/images/\(index).bin", [UInt8](repeating: UInt8(index), count: 5000))
        }
        try project.mlops("add", "data/images", "--as", "datasets/images").expectSuccess()
        try project.commit("Images")
        try project.folder.write("data/images/3.bin", "changed")
        try FileSystem.removeFile(project.folder("data/images/4.bin"))
        try project.folder.write("data/images/new/20.bin", "new")
        let status = try project.mlops("status", "--json").json()
        let changes = status["artifacts"]?.array?.first?["changes"]?.array ?? []
        let words = Set(
            changes.compactMap { change in change["kind"]?.string.map { "\($0) \(change["path"]?.string ?? "")" } })
        #expect(words == ["modified 3.bin", "deleted 4.bin", "added new/20.bin"])
        let refused = try project.mlops("checkout")
        #expect(refused.exitCode != 0, "changed files whose content is nowhere else are not overwritten")
        try project.mlops("checkout", "--force").expectSuccess()
        #expect(try project.folder.read("data/images/4.bin") == [UInt8](repeating: 4, count: 5000))
        #expect(try project.mlops("status", "--quiet").output == "")
    }

    @Test func statusTellsOfTheOthersWhereOneArtifactCannotBeRead() throws {
        let project = try Project()
        for name in ["a", "b", "c"] {
            try project.folder.write("data/\(name)/file", name)
            try project.mlops("add", "data/\(name)").expectSuccess()
        }
        try FileSystem.removeTree(project.folder("data/a"))
        try Program.run("ln", ["-s", "nowhere", project.folder("data/a")], in: project.path).expectSuccess()
        try project.folder.write("data/c/file", "changed")
        let status = try project.mlops("status")
        #expect(status.exitCode == 64 && status.error.contains("`datasets/a`"), "\(status.all)")
        for line in ["unreadable  datasets/a", "unchanged  datasets/b", "modified  datasets/c"] {
            #expect(status.output.contains(line), "\(status.all)")
        }
        let json = try project.mlops("status", "--json").json()
        let problems = json["artifacts"]?.array?.map { $0["problem"]?.string?.contains("symbolic link") }
        #expect(problems == [true, nil, nil])
    }

    @Test func logCountsCommitsThatChangedAnArtifact() throws {
        let project = try Project()
        try project.folder.write("data.bin", "one")
        try project.mlops("add", "data.bin").expectSuccess()
        try project.commit("Data")
        for number in 0..<3 {
            try project.folder.write("registry/README.md", "\(number)")
            try project.commit("Words \(number)")
        }
        let newest = try project.mlops("log", "-n", "1")
        #expect(newest.exitCode == 0 && newest.output.contains("Data"), "\(newest.all)")
        try project.git("rm", "-q", "registry/datasets/data.yaml")
        try project.commit("Gone")
        #expect(try project.mlops("log", "datasets/data", "-q").output.split(separator: "\n").count == 2)
        #expect(try project.mlops("log", "-n", "1").output.contains("Gone"))
    }

    @Test(arguments: [["log", "datasets/dats"], ["diff", "--artifact", "datasets/dats"]])
    func anArtifactThatNothingKnowsIsAnError(_ arguments: [String]) throws {
        let project = try Project()
        try project.folder.write("data.bin", "one")
        try project.mlops("add", "data.bin").expectSuccess()
        try project.commit("Data")
        let result = try Program.mlops(arguments, in: project.path)
        #expect(
            result.exitCode == 1 && result.error.contains("no pointer `registry/datasets/dats.yaml`"), "\(result.all)")
        #expect(result.error.contains("did you mean `datasets/data`?"), "\(result.all)")
    }

    @Test func aResultThatCannotBeWrittenIsAnError() throws {
        let project = try Project()
        let program = try Program.path
        for arguments in ["status --json", "status", "--help"] {
            let result = try Program.run("sh", ["-c", "\(program) \(arguments) > /dev/full"], in: project.path)
            #expect(result.exitCode == 5 && result.error.contains("cannot write to `standard output`"), "\(result.all)")
        }
        let unread = try Program.run(
            "sh", ["-c", "{ sleep 1; \(program) status; echo $? > code; } | true; cat code"], in: project.path)
        #expect(unread.output == "0\n" && unread.error.isEmpty, "\(unread.all)")
    }

    @Test func aFileThatGitTracksIsRefused() throws {
        let project = try Project()
        try project.folder.write("tracked.csv", "x")
        try project.commit("Track")
        let result = try project.mlops("add", "tracked.csv")
        #expect(result.exitCode == 64)
        #expect(result.error.contains("tracked by git") && result.error.contains("hint: run `git rm -r --cached"))
        #expect(!FileSystem.exists(project.folder("registry/datasets")))
    }

    @Test func worksInWorktreesAndOnADetachedHead() throws {
        let project = try Project()
        try project.folder.write("data.bin", "one")
        try project.mlops("add", "data.bin").expectSuccess()
        try project.commit("Data")
        try project.git("worktree", "add", "-q", "--detach", "tree")
        let tree = project.folder("tree")
        try Program.mlops(["status"], in: tree).expectSuccess()
        let missing = try Program.mlops(["checkout"], in: tree)
        #expect(missing.exitCode == 1 && missing.error.contains("hint:"), "its own store is empty: \(missing.all)")
    }

    @Test func outsideAProjectTheHintSaysInit() throws {
        let project = try Project()
        let result = try Program.mlops(["status"], in: "/tmp")
        #expect(result.exitCode == 10)
        #expect(result.error.contains("hint: run `mlops init`"))
        #expect(
            try Program.mlops(["-C", project.path, "status"], in: "/tmp").exitCode == 0, "-C stands before the verb too"
        )
    }

    @Test func initTwiceChangesNothing() throws {
        let project = try Project()
        let before = try FileSystem.readText(project.folder(".gitignore"))
        let again = try project.mlops("init")
        #expect(again.exitCode == 0 && again.output.contains("already"))
        #expect(try FileSystem.readText(project.folder(".gitignore")) == before)
    }
}
