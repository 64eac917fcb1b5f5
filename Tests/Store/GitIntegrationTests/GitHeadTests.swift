import Basics
import Foundation
import GitIntegration
import TestSupport
import Testing

@Suite struct GitHeadTests {
    @Test func findsNoRepositoryWhereThereIsNone() throws {
        let folder = try TemporaryFolder()
        #expect(try GitRepository.discover(from: folder.path) == nil)
    }

    @Test func findsTheRepositoryFromAFolderInside() throws {
        let scratch = try ScratchRepository()
        try scratch.write("a/b/c.txt", "x")
        let repository = try #require(try GitRepository.discover(from: scratch("a/b")))
        #expect(repository.workingTree == scratch.path)
        #expect(repository.gitFolder == scratch(".git"))
    }

    @Test func aRepositoryWithoutCommitsHasABranchAndNoCommit() throws {
        let scratch = try ScratchRepository()
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.head() == GitHead(commit: nil, branch: "main"))
        try scratch.write("new.txt", "x")
        #expect(try !repository.isDirty())
        try scratch.git("add", "new.txt")
        #expect(try repository.changedFiles() == ["new.txt"])
        #expect(try repository.log(touching: "new.txt", limit: 10).isEmpty)
    }

    @Test func namesBranchAndCommitAsGitDoes() throws {
        let scratch = try ScratchRepository()
        let first = try scratch.commit("a.txt", "1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.head() == GitHead(commit: first, branch: "main"))
        try scratch.git("checkout", "-q", "-b", "team/topic")
        let second = try scratch.commit("a.txt", "2")
        #expect(try repository.head() == GitHead(commit: second, branch: "team/topic"))
        try scratch.git("checkout", "-q", "--detach", "main")
        #expect(try repository.head() == GitHead(commit: first, branch: nil))
    }

    @Test func aLinkedWorktreeHasItsOwnHeadAndChanges() throws {
        let scratch = try ScratchRepository()
        let commit = try scratch.commit("a.txt", "1")
        try scratch.git("worktree", "add", "-q", "-b", "feature", "../linked")
        let linked = scratch.folder("linked")
        let repository = try #require(try GitRepository.discover(from: linked))
        #expect(repository.workingTree == linked)
        #expect(repository.gitFolder == scratch(".git/worktrees/linked"))
        #expect(try repository.head() == GitHead(commit: commit, branch: "feature"))
        try scratch.folder.write("linked/a.txt", "changed")
        #expect(try repository.isDirty())
        #expect(try #require(try GitRepository.discover(from: scratch.path)).isDirty() == false)
    }

    @Test func listsTagsWithTheCommitsTheyName() throws {
        let scratch = try ScratchRepository()
        let first = try scratch.commit("a.txt", "1")
        try scratch.git("tag", "v1")
        let second = try scratch.commit("a.txt", "2")
        try scratch.git("tag", "-a", "-m", "the second", "v2")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.tags().map(\.name) == ["v1", "v2"])
        #expect(try repository.tags().map(\.target) == [first, second])
        #expect(try repository.commit("v2").id == second)
    }

    @Test func aBareRepositoryIsRefusedWithAWayOut() throws {
        let scratch = try ScratchRepository()
        try scratch.git("init", "-q", "--bare", "../bare.git")
        let error = #expect(throws: MLOpsError.self) {
            _ = try GitRepository.discover(from: scratch.folder("bare.git"))
        }
        #expect(error?.message.contains("is a bare git repository") == true)
        #expect(error?.hint?.contains("git clone") == true)
    }

    @Test func aRepositoryOfSHA256ObjectsIsRefusedByName() throws {
        let scratch = try ScratchRepository("--object-format=sha256")
        let error = #expect(throws: MLOpsError.self) { _ = try GitRepository.discover(from: scratch.path) }
        #expect(error?.message.contains("SHA-256") == true)
        #expect(error?.hint?.contains("--object-format=sha1") == true)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a folder away"))
    func aRepositoryOfAnotherUserIsRefusedWithTheCommandThatTrustsIt() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        for path in [scratch.path, scratch(".git")] { #expect(chown(path, 65534, 65534) == 0) }
        try scratch.write("below/b.txt", "1")
        let error = #expect(throws: MLOpsError.self) { _ = try GitRepository.discover(from: scratch("below")) }
        #expect(error?.kind == .notAllowed)
        #expect(error?.message.contains("belongs to another user") == true)
        #expect(error?.hint?.contains("safe.directory \(scratch.path)") == true)
    }

    @Test func aBrokenGitFileIsAnErrorAndNotAnAbsence() throws {
        let folder = try TemporaryFolder()
        try folder.write("work/.git", "gitdir: /nowhere/at/all\n")
        let error = #expect(throws: MLOpsError.self) { _ = try GitRepository.discover(from: folder("work")) }
        #expect(error?.message.contains("cannot be opened") == true)
    }

    @Test func worksWithPerWorktreeConfiguration() throws {
        let scratch = try ScratchRepository()
        let commit = try scratch.commit("a.txt", "1")
        try scratch.git("config", "extensions.worktreeConfig", "true")
        try scratch.write("excludes", "*.tmp\n")
        try scratch.git("config", "--worktree", "core.excludesFile", scratch("excludes"))
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        #expect(try repository.head().commit == commit)
        #expect(try repository.isIgnored("x.tmp"))
    }
}
