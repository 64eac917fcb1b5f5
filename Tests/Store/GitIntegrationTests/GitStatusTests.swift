import Basics
import GitIntegration
import TestSupport
import Testing

@Suite struct GitStatusTests {
    @Test func onlyTrackedFilesMakeItDirty() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        try scratch.commit("b.txt", "1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try !repository.isDirty())
        try scratch.write("untracked.txt", "x")
        #expect(try !repository.isDirty())
        try scratch.write("a.txt", "2")
        #expect(try repository.changedFiles() == ["a.txt"])
        try scratch.git("add", "a.txt")
        try scratch.git("rm", "-q", "b.txt")
        #expect(try repository.changedFiles() == ["a.txt", "b.txt"])
        try scratch.git("commit", "-q", "-m", "all")
        #expect(try !repository.isDirty())
    }

    @Test func aMissingFileMakesItDirty() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        try FileSystem.removeFile(scratch("a.txt"))
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.changedFiles() == ["a.txt"])
    }

    @Test func sparseCheckoutIsNotDirty() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("kept/a.txt", "1")
        try scratch.commit("left/b.txt", "1")
        try scratch.git("sparse-checkout", "set", "kept")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(!FileSystem.exists(scratch("left")))
        #expect(try repository.changedFiles() == [])
    }

    @Test func tellsTrackedFilesAndFolders() throws {
        let scratch = try ScratchRepository()
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try !repository.isTracked("."))
        try scratch.commit("data/train.csv", "1")
        try scratch.write("data/other.csv", "1")
        #expect(try repository.isTracked("data/train.csv"))
        #expect(try repository.isTracked("data"))
        #expect(try repository.isTracked(scratch("data/train.csv")))
        #expect(try !repository.isTracked("data/other.csv"))
        #expect(try !repository.isTracked("dat"))
        #expect(throws: MLOpsError.self) { try repository.isTracked("/etc/passwd") }
    }

    @Test func absolutePathsWorkBelowAFolderWithAccents() throws {
        let scratch = try ScratchRepository()
        try scratch.git("init", "-q", "../Überñ/é")
        try scratch.folder.write("Überñ/é/.gitignore", "/a.bin\n")
        let tree = scratch.folder("Überñ/é")
        let repository = try #require(try GitRepository.discover(from: tree))
        #expect(try repository.isIgnored(tree + "/a.bin"))
        #expect(try !repository.isIgnored(tree + "/b/a.bin"))
    }

    @Test func ignoresWhatGitIgnores() throws {
        let scratch = try ScratchRepository()
        try scratch.write(".gitignore", "*.bin\n!keep.bin\n/build\nlogs/\n**/cache/**\n\\#odd\nspace\\ \n")
        try scratch.write("deep/.gitignore", "*.txt\n!yes.txt\n/only-here\n")
        try scratch.write("deep/er/.gitignore", "!*.txt\n")
        try scratch.write(".git/info/exclude", "private*\n")
        try scratch.write("excludes", "*.global\n")
        try scratch.git("config", "core.excludesFile", scratch("excludes"))
        let paths = [
            "a.bin", "keep.bin", "build", "sub/build", "build/x", "logs/a", "sub/logs/a", "logs", "x/cache/y/z", "#odd",
            "space ", "deep/a.txt", "deep/yes.txt", "deep/er/a.txt", "deep/only-here", "deep/er/only-here",
            "private.key",
            "sub/private", "x.global", "plain", "deep/keep.bin", "build.c", "ünïcode.bin",
        ]
        for path in paths where path != "build" && path != "logs" { try? scratch.write(path, "x") }
        try scratch.write("build/inner", "x")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        let byGit = try Set(
            scratch.git(["-c", "core.quotePath=false", "check-ignore", "--no-index"] + paths, accepting: [0, 1])
                .split(separator: "\n").map(String.init))
        let byUs = try Set(paths.filter { try repository.isIgnored($0) })
        #expect(byUs == byGit)
        #expect(byUs.count > 10)
        #expect(try repository.isIgnored(scratch("a.bin")))
    }

    @Test func runsNoProgramThatTheRepositoryNames() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        let program = try scratch.folder.write("evil.sh", "#!/bin/sh\ntouch \(scratch.folder("ran"))\ncat\n")
        try scratch.git("update-index", "--refresh")
        try scratch.write(".gitattributes", "*.txt filter=evil diff=evil\n")
        for key in [
            "core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "core.sshCommand",
        ] {
            try scratch.git("config", key, "sh " + program)
        }
        for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction"] {
            try scratch.write(".git/hooks/" + hook, "#!/bin/sh\ntouch \(scratch.folder("ran"))\n")
            try scratch.git("config", "core.hooksPath", scratch(".git/hooks"))
        }
        try FileSystem.removeFile(scratch.folder("ran"))
        try scratch.write("a.txt", "3")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.isDirty())
        _ = try repository.isIgnored("x")
        _ = try repository.file("a.txt", at: "HEAD")
        _ = try repository.log(touching: "a.txt", limit: 5)
        #expect(!FileSystem.exists(scratch.folder("ran")))
    }

    @Test func manyTasksMayAskAtOnce() async throws {
        let scratch = try ScratchRepository()
        let commit = try scratch.commit("a.txt", "1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        let heads = try await mapConcurrently(Array(0..<64), width: 16) { _ in
            _ = try repository.isDirty()
            _ = try repository.file("a.txt", at: "HEAD")
            return try repository.head().commit
        }
        #expect(heads.allSatisfy { $0 == commit })
    }
}
