import Basics
import GitIntegration
import TestSupport
import Testing

/// Everything of a repository that can name data, made by the real git.
@Suite struct GitRetentionTests {
    private let repository: ScratchRepository

    init() throws {
        repository = try ScratchRepository()
        try commit("start")
    }

    /// Commits a pointer that holds `word`.
    private func commit(_ word: String) throws { try repository.commit("registry/datasets/x.yaml", word + "\n") }

    private func words(
        kept: Bool = true, _ extent: GitRetention.Extent = .all, in place: String? = nil,
        reflogSince: Timestamp = .now
    ) throws -> Set<String> {
        let git = try #require(try GitRepository.discover(from: place ?? repository.path))
        let versions = try git.everyVersion(
            below: "registry", retention: GitRetention(history: extent, reflogSince: reflogSince)
        ) { $0.hasSuffix(".yaml") }
        return Set(
            versions.filter { $0.isKept == kept }.map { String(decoding: $0.bytes.dropLast(), as: UTF8.self) })
    }

    @Test func branchesTagsAndTheirHistoriesCount() throws {
        try repository.git("checkout", "-q", "-b", "side")
        try commit("side old")
        try commit("side")
        try repository.git("checkout", "-q", "main")
        try repository.git("checkout", "-q", "--detach")
        try commit("light tag")
        try repository.git("tag", "light")
        try commit("annotated tag")
        try repository.git("tag", "-a", "-m", "x", "annotated")
        try commit("tag of a tag")
        try repository.git("tag", "-a", "-m", "x", "inner")
        try repository.git("tag", "-a", "-m", "x", "outer", "inner")
        try repository.git("tag", "-d", "inner")
        try commit("detached head")
        try repository.git("pack-refs", "--all")
        try repository.git("branch", "loose", "side")
        let all: Set = [
            "start", "side old", "side", "light tag", "annotated tag", "tag of a tag", "detached head",
        ]
        #expect(try words() == all)
        try repository.git("gc", "-q")
        #expect(try words() == all)
    }

    @Test func remoteTrackingBranchesCount() throws {
        try commit("pushed")
        try repository.git("clone", "-q", repository.path, repository.folder("clone"))
        try repository.git("reset", "-q", "--hard", "HEAD~1")
        let clone = repository.folder("clone")
        try repository.git("checkout", "-q", "--orphan", "new", in: clone)
        try repository.git("branch", "-q", "-D", "main", in: clone)
        #expect(try words(in: clone) == ["pushed", "start"])
    }

    @Test func allStashesCountWithTheirIndexesAndUntrackedFiles() throws {
        try repository.write("registry/datasets/x.yaml", "staged in the older stash\n")
        try repository.git("add", "-A")
        try repository.write("registry/datasets/x.yaml", "older stash\n")
        try repository.write("registry/datasets/new.yaml", "untracked in the older stash\n")
        try repository.git("stash", "-q", "-u")
        try repository.write("registry/datasets/x.yaml", "newer stash\n")
        try repository.git("stash", "-q")
        let expected: Set = [
            "start", "staged in the older stash", "older stash", "untracked in the older stash", "newer stash",
        ]
        #expect(try words() == expected)
        // However old it is, and whatever is kept of history.
        #expect(try words(.newest(1)) == expected)
        #expect(try words(.since(.now)) == expected)
    }

    @Test func workingTreesCountWithTheirHeadsAndIndexes() throws {
        let tree = repository.folder("tree")
        try repository.git("worktree", "add", "-q", "--detach", tree)
        try repository.folder.write("tree/registry/datasets/x.yaml", "head of the tree\n")
        try repository.git("commit", "-qam", "x", in: tree)
        try repository.folder.write("tree/registry/datasets/x.yaml", "staged in the tree\n")
        try repository.git("add", "-A", in: tree)
        try repository.write("registry/datasets/x.yaml", "staged here\n")
        try repository.git("add", "-A")
        let expected: Set = ["start", "head of the tree", "staged in the tree", "staged here"]
        #expect(try words() == expected)
        #expect(try words(in: tree) == expected)
        let git = try #require(try GitRepository.discover(from: tree))
        #expect(try git.workingTrees() == [tree, repository.path])
        // Bare in the middle, as some lay it out.
        try repository.git("clone", "-q", "--bare", repository.path, repository.folder("bare.git"))
        try repository.git("worktree", "add", "-q", repository.folder("out"), in: repository.folder("bare.git"))
        #expect(try words(in: repository.folder("out")) == ["start"])
    }

    @Test func whatABranchNamedLatelyCounts() throws {
        try commit("given up")
        try repository.git("reset", "-q", "--hard", "HEAD~1")
        let now = Timestamp.now.milliseconds
        #expect(try words(reflogSince: Timestamp(milliseconds: now - 60_000)) == ["start", "given up"])
        let later = Timestamp(milliseconds: now + 60_000)
        #expect(try words(reflogSince: later) == ["start", "given up"], "`ORIG_HEAD` names it still")
        try FileSystem.removeFile(repository(".git/ORIG_HEAD"))
        #expect(try words(reflogSince: later) == ["start"])
        #expect(try words(kept: false, reflogSince: later) == ["given up"])
    }

    @Test func unfinishedMergesAndRebasesCount() throws {
        try repository.git("checkout", "-q", "-b", "side")
        try commit("theirs")
        let theirs = try repository.git("rev-parse", "HEAD")
        try repository.git("checkout", "-q", "main")
        try commit("ours")
        try repository.git(["merge", "-q", theirs], accepting: [1])
        try repository.git("branch", "-q", "-D", "side")
        try FileSystem.removeTree(repository(".git/logs"))
        #expect(try words() == ["start", "theirs", "ours"])
        try repository.git("merge", "--abort")
        try repository.git("checkout", "-q", "-b", "other", theirs)
        try repository.git(["rebase", "-q", "main"], accepting: [1])
        try FileSystem.removeTree(repository(".git/logs"))
        #expect(try words() == ["start", "theirs", "ours"])
    }

    @Test func aPolicyGivesUpOldCommitsButNoTips() throws {
        for number in 1...5 { try commit("\(number)") }
        try repository.git("tag", "early", "HEAD~3")
        #expect(try words(.newest(2)) == ["5", "4", "2"])
        #expect(try words(kept: false, .newest(2)) == ["start", "1", "3"])
        #expect(try words(.newest(99)).count == 6)
        #expect(try words(.since(Timestamp(milliseconds: Timestamp.now.milliseconds + 60_000))) == ["5", "2"])
        #expect(try words(.since(Timestamp(milliseconds: 0))).count == 6)
    }

    @Test func shallowClonesMissNothing() throws {
        for number in 1...3 { try commit("\(number)") }
        let clone = repository.folder("clone")
        try repository.git("clone", "-q", "--depth", "2", "file://" + repository.path, clone)
        #expect(try words(in: clone) == ["3", "2"])
    }

    @Test func submodulesAndFoldersOfARepositoryAreFound() throws {
        let outer = try ScratchRepository()
        try outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", repository.path, "inner")
        try outer.git("commit", "-qm", "Add")
        #expect(try words(in: outer("inner")) == ["start"])
        try outer.commit("team/registry/models/m.yaml", "deep\n")
        let git = try #require(try GitRepository.discover(from: outer.path))
        let found = try git.everyVersion(
            below: "team/registry", retention: GitRetention(reflogSince: .now), isWanted: { _ in true })
        #expect(found.map(\.path) == ["team/registry/models/m.yaml"])
    }

    @Test func aReferenceThatCannotBeReadStopsEverything() throws {
        try repository.git("branch", "other")
        for text in ["", "0123\n", String(repeating: "0", count: 40)] {
            try FileSystem.replace(repository(".git/refs/heads/other"), with: Array(text.utf8))
            #expect { try words() } throws: {
                ($0 as? MLOpsError)?.exitCode == 12 && "\($0)".contains("refs/heads/other")
            }
        }
        // It names what is gone.
        try FileSystem.replace(
            repository(".git/refs/heads/other"), with: Array((String(repeating: "1", count: 40) + "\n").utf8))
        #expect { try words() } throws: { "\($0)".contains("refs/heads/other") }
    }

    @Test func anIndexOrObjectThatCannotBeReadStopsEverything() throws {
        try commit("second")
        let index = try FileSystem.read(repository(".git/index"))
        try FileSystem.replace(repository(".git/index"), with: Array(index.dropLast(30)))
        #expect { try words() } throws: { ($0 as? MLOpsError)?.exitCode == 12 && "\($0)".contains("index") }
        try FileSystem.replace(repository(".git/index"), with: index)
        let blob = try repository.git("rev-parse", "HEAD~1:registry/datasets/x.yaml")
        try FileSystem.removeFile(repository(".git/objects/\(blob.prefix(2))/\(blob.dropFirst(2))"))
        #expect { try words() } throws: {
            ($0 as? MLOpsError)?.exitCode == 12 && "\($0)".contains("registry/datasets/x.yaml")
        }
    }
}
