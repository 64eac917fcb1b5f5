import Basics
import GitIntegration
import TestSupport
import Testing

@Suite struct GitHistoryTests {
    @Test func readsFilesOfARevision() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("registry/models/a.yaml", "one")
        try scratch.commit("registry/models/a.yaml", "two")
        try scratch.commit("registry/datasets/b.yaml", "three")
        try scratch.git("tag", "v1", "HEAD~1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        func text(_ path: String, _ revision: String) throws -> String? {
            try repository.file(path, at: revision).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(try text("registry/models/a.yaml", "HEAD~2") == "one")
        #expect(try text("registry/models/a.yaml", "v1") == "two")
        #expect(try text("registry/datasets/b.yaml", "v1") == nil)
        #expect(try text("registry", "main") == nil)
        #expect(
            try repository.files(under: "registry", at: "main") == [
                "registry/datasets/b.yaml", "registry/models/a.yaml",
            ])
        #expect(try repository.files(under: "registry/models", at: "v1") == ["registry/models/a.yaml"])
        #expect(try repository.files(under: "nothing", at: "main") == [])
        #expect(try repository.files(under: ".", at: "main").count == 2)
    }

    @Test(arguments: ["nope", "-x", "--all", "HEAD~99", "main:registry", "", "deadbeef"])
    func anUnknownRevisionIsNamed(_ revision: String) throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        let error = #expect(throws: MLOpsError.self) { try repository.commit(revision) }
        #expect(error?.kind == .notFound)
        #expect(error?.message == "git revision `\(revision)` does not exist")
    }

    @Test func tellsWhoCommittedWhatWhen() throws {
        let scratch = try ScratchRepository()
        let id = try scratch.commit("a.txt", "1")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        let commit = try repository.commit(String(id.prefix(8)))
        #expect(commit.id == id)
        #expect(commit.author == "Ada")
        #expect(commit.email == "ada@example.org")
        #expect(commit.summary == "Change a.txt")
        #expect(String(commit.time.milliseconds / 1000) == (try scratch.git("log", "-1", "--format=%ct")))
    }

    @Test func logsTheCommitsThatGitLogs() throws {
        let scratch = try ScratchRepository()
        try scratch.commit("a.txt", "1")
        try scratch.commit("other.txt", "1")
        try scratch.git("checkout", "-q", "-b", "side")
        try scratch.commit("a.txt", "2")
        try scratch.commit("dir/b.txt", "1")
        try scratch.git("checkout", "-q", "main")
        try scratch.commit("other.txt", "2")
        try scratch.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        try scratch.git("rm", "-q", "a.txt")
        try scratch.git("commit", "-q", "-m", "remove")
        try scratch.commit("a.txt", "3")
        let repository = try #require(try GitRepository.discover(from: scratch.path))
        for path in ["a.txt", "other.txt", "dir", "dir/b.txt", "none"] {
            let byGit = try scratch.git("log", "--format=%H", "--", path).split(separator: "\n").map(String.init)
            #expect(try repository.log(touching: path, limit: 100).map(\.id) == byGit, "\(path)")
        }
        #expect(try repository.log(touching: "a.txt", limit: 2).count == 2)
        #expect(try repository.log(touching: "a.txt", from: "side", limit: 9).count == 2)
    }

    @Test func worksInAShallowClone() throws {
        let scratch = try ScratchRepository()
        for number in 1...4 { try scratch.commit("a.txt", "\(number)") }
        let head = try scratch.git("rev-parse", "HEAD")
        try scratch.git("clone", "-q", "--depth", "2", "file://" + scratch.path, "../shallow")
        let repository = try #require(try GitRepository.discover(from: scratch.folder("shallow")))
        #expect(try repository.head().commit == head)
        #expect(try repository.log(touching: "a.txt", limit: 10).count == 2)
    }

    /// What would be pushed, as `path text`, tips with a star.
    private func outgoing(_ clone: String, tips: [String], remote: String, known: [String] = []) throws -> Set<String> {
        let repository = try #require(try GitRepository.discover(from: clone))
        let files = try repository.outgoingFiles(under: "registry", tips: tips, remote: remote, known: known)
        return Set(
            files.map { "\($0.path.dropFirst(9)) \(String(decoding: $0.bytes, as: UTF8.self))\($0.isAtTip ? "*" : "")" }
        )
    }

    /// - Parameter options: of `git clone`.
    @Test(arguments: [[], ["--depth", "1"], ["--depth", "2"]])
    func outgoingFilesAreThoseOfTheCommitsThatTheOtherSideLacks(_ options: [String]) throws {
        let scratch = try ScratchRepository()
        for number in 1...4 { try scratch.commit("registry/a", "\(number)") }
        try scratch.commit("registry/b", "1")
        let old = try scratch.git("rev-parse", "HEAD")
        let clone = scratch.folder("clone")
        try scratch.git(["clone", "-q"] + options + ["file://" + scratch.path, clone])
        try scratch.git("switch", "-q", "-c", "side", in: clone)
        for text in ["5", "6"] {
            try scratch.folder.write("clone/registry/a", text)
            try scratch.git("commit", "-q", "-a", "-m", text, in: clone)
        }
        let tip = try scratch.git("rev-parse", "HEAD", in: clone)
        #expect(try outgoing(clone, tips: [tip], remote: "origin") == ["a 5", "a 6*", "b 1*"])
        #expect(try outgoing(clone, tips: [tip], remote: "file:///x", known: [old]) == ["a 5", "a 6*", "b 1*"])
        #expect(try outgoing(clone, tips: [old], remote: "origin") == [])
        // Nothing is known of the other side: all that is here goes, the whole oldest commit too.
        let here =
            switch options.last {
            case "1": ["a 4", "a 5", "a 6*", "b 1*"]
            case "2": ["a 4", "a 5", "a 6*", "b 1*"]
            default: ["a 1", "a 2", "a 3", "a 4", "a 5", "a 6*", "b 1*"]
            }
        #expect(try outgoing(clone, tips: [tip], remote: "other") == Set(here))
        // Ids that are not here are left out, and a merge is walked on both sides.
        try scratch.git("switch", "-q", "-c", "more", old, in: clone)
        try scratch.folder.write("clone/registry/c", "1")
        try scratch.git("add", "-A", in: clone)
        try scratch.git("commit", "-q", "-m", "c", in: clone)
        try scratch.git("merge", "-q", "-m", "merge", "side", in: clone)
        let merge = try scratch.git("rev-parse", "HEAD", in: clone)
        let unknown = String(repeating: "1", count: 40)
        #expect(
            try outgoing(clone, tips: [merge], remote: "origin", known: [unknown])
                == ["a 4", "a 5", "a 6*", "b 1*", "c 1*"])
        #expect(try outgoing(clone, tips: [merge], remote: "other", known: [tip]) == ["a 4", "a 6*", "b 1*", "c 1*"])
    }
}
