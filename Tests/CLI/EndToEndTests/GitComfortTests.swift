import Basics
import TestSupport
import Testing

/// `mlops install` with the real git: data follow branches, go along with pushes, and merge file by file.
@Suite struct GitComfortTests {
    /// A project with the hooks, and `data/images` of five files on `main`.
    private static func installed() throws -> Project {
        let project = try Project()
        for index in 0..<5 { try project.folder.write("data/images/\(index).txt", "image \(index)\n") }
        try project.mlops("add", "data/images", "--as", "datasets/images").expectSuccess()
        try project.mlops("install").expectSuccess()
        try project.commit("Images")
        return project
    }

    private static func text(_ project: Project, _ name: String) throws -> String {
        try FileSystem.readText(project.folder("data/images/\(name).txt"))
    }

    private static func record(_ project: Project, _ message: String) throws {
        try project.mlops("add", "data/images").expectSuccess()
        try project.commit(message)
    }

    @Test func dataFollowTheBranchesAndMergeFileByFile() throws {
        let project = try GitComfortTests.installed()
        try project.git("switch", "-q", "-c", "other")
        try project.folder.write("data/images/1.txt", "changed on other\n")
        try project.folder.write("data/images/new/other.txt", "added on other\n")
        try FileSystem.removeFile(project.folder("data/images/4.txt"))
        try GitComfortTests.record(project, "Other")
        try project.git("switch", "-q", "main")
        #expect(try GitComfortTests.text(project, "1") == "image 1\n", "the switch brought the data of main")
        #expect(try GitComfortTests.text(project, "4") == "image 4\n")
        try project.folder.write("data/images/2.txt", "changed on main\n")
        try GitComfortTests.record(project, "Main")

        try project.git("merge", "-q", "-m", "Merge", "other")
        #expect(try GitComfortTests.text(project, "1") == "changed on other\n")
        #expect(try GitComfortTests.text(project, "2") == "changed on main\n")
        #expect(try GitComfortTests.text(project, "new/other") == "added on other\n")
        #expect(!FileSystem.exists(project.folder("data/images/4.txt")))
        #expect(try project.mlops("status", "--quiet").output == "", "the merged pointer is what lies there")
        #expect(try project.git("status", "--porcelain").output == "")
    }

    @Test func aFileThatBothSidesChangedIsNamed() throws {
        let project = try GitComfortTests.installed()
        try project.git("switch", "-q", "-c", "other")
        try project.folder.write("data/images/1.txt", "theirs\n")
        try GitComfortTests.record(project, "Other")
        try project.git("switch", "-q", "main")
        try project.folder.write("data/images/1.txt", "ours\n")
        try GitComfortTests.record(project, "Main")
        let merge = try Program.run("git", ["merge", "other"], in: project.path)
        #expect(merge.exitCode == 1 && merge.all.contains("`1.txt`"), "\(merge.all)")
        let pointer = try FileSystem.readText(project.folder("registry/datasets/images.yaml"))
        #expect(pointer.contains("<<<<<<< ours") && pointer.contains("# merge conflict: both sides changed `1.txt`"))
        let status = try project.mlops("status")
        #expect(
            status.exitCode == 64 && status.error.contains("unresolved merge conflict")
                && status.error.contains("git checkout --ours"), "\(status.all)")
        try project.git("checkout", "--theirs", "registry/datasets/images.yaml")
        try project.mlops("checkout").expectSuccess()
        #expect(try GitComfortTests.text(project, "1") == "theirs\n")
        try project.commit("Merge")
    }

    @Test func aPushSendsTheDataFirstOrDoesNotHappen() throws {
        let project = try GitComfortTests.installed()
        let bare = try TemporaryFolder()
        try Program.run("git", ["init", "-q", "--bare", "-b", "main"], in: bare.path).expectSuccess()
        try project.git("remote", "add", "origin", bare.path)
        let refused = try Program.run("git", ["push", "-q", "origin", "main"], in: project.path)
        #expect(refused.exitCode != 0 && refused.error.contains("has no remote"), "\(refused.all)")
        #expect(refused.error.contains("--no-verify"))
        try #require(try Program.run("git", ["branch", "--list"], in: bare.path).output == "", "nothing arrived")

        let storage = try TemporaryFolder()
        try project.mlops("remote", "add", "origin", storage.path).expectSuccess()
        try project.commit("Remote")
        try project.git("push", "-q", "origin", "main")
        #expect(!(try FileSystem.list(storage("packs")).isEmpty), "the data went along")

        let clone = try TemporaryFolder()
        try Program.run("git", ["clone", "-q", bare.path, clone("work")], in: clone.path).expectSuccess()
        try Program.mlops(["pull"], in: clone("work")).expectSuccess()
        #expect(try FileSystem.readText(clone("work/data/images/3.txt")) == "image 3\n")

        try project.folder.write("data/images/3.txt", "more\n")
        try GitComfortTests.record(project, "More")
        try FileSystem.rename(storage.path, to: storage.path + "-gone")
        defer { try? FileSystem.removeTree(storage.path + "-gone") }
        try FileSystem.replace(storage.path, with: [])
        #expect(try Program.run("git", ["push", "-q", "origin", "main"], in: project.path).exitCode != 0)
        try project.git("push", "-q", "--no-verify", "origin", "main")
        try FileSystem.removeFile(storage.path)
    }

    @Test func whatIsMissingIsAHintAndNeverAFailedCheckout() throws {
        let project = try GitComfortTests.installed()
        try project.git("branch", "old")
        try project.folder.write("data/images/0.txt", "new\n")
        try GitComfortTests.record(project, "New")
        try FileSystem.removeTree(project.folder(".mlops"))
        let back = try Program.run("git", ["switch", "-q", "old"], in: project.path)
        #expect(back.exitCode == 0 && back.error.contains("no content for `datasets/images`"), "\(back.all)")
        #expect(back.error.contains("hint:"))
        try project.git("switch", "-q", "main")
        try project.mlops("add", "data/images").expectSuccess()
        try project.folder.write("data/images/0.txt", "not recorded\n")
        let kept = try Program.run("git", ["switch", "-q", "old"], in: project.path)
        #expect(kept.exitCode == 0, "\(kept.all)")
        #expect(try GitComfortTests.text(project, "0") == "not recorded\n", "changes are never overwritten")
    }

    @Test func hooksThatWereThereStayAndRunToo() throws {
        let project = try Project()
        let log = project.folder("hook.log")
        let old = "#!/bin/sh -e\n# ours since 2019\nwhile read line; do echo \"push $line\" >> \(log); done\n"
        try project.folder.write(".git/hooks/pre-push", old)
        try Program.run("chmod", ["+x", ".git/hooks/pre-push"], in: project.path).expectSuccess()
        try project.mlops("install").expectSuccess()
        let first = try project.folder.read(".git/hooks/pre-push")
        #expect(try project.mlops("install").output.contains("installed already"))
        #expect(try project.folder.read(".git/hooks/pre-push") == first)
        let bare = try TemporaryFolder()
        try Program.run("git", ["init", "-q", "--bare"], in: bare.path).expectSuccess()
        try project.git("push", "-q", bare.path, "main")
        #expect(try FileSystem.readText(log).hasPrefix("push refs/heads/main "), "it still gets git's lines")
        try project.mlops("uninstall").expectSuccess()
        #expect(try FileSystem.readText(project.folder(".git/hooks/pre-push")) == old)
        #expect(!FileSystem.exists(project.folder(".git/hooks/post-merge")))
        #expect(!FileSystem.exists(project.folder(".gitattributes")))
        #expect(try project.git("config", "--local", "--list").output.contains("mlops") == false)
    }

    @Test func hooksThatAreNoScriptsAreRefusedBeforeAnythingIsWritten() throws {
        let project = try Project()
        try project.folder.write(".git/hooks/pre-push", "#!/usr/bin/env python3\nprint('x')\n")
        let result = try project.mlops("install")
        #expect(result.exitCode == 1 && result.error.contains("is no shell script") && result.error.contains("--print"))
        #expect(!FileSystem.exists(project.folder(".git/hooks/post-checkout")))
        #expect(symbolicLink("/bin/true", project.folder(".git/hooks/post-merge")))
        try FileSystem.removeFile(project.folder(".git/hooks/pre-push"))
        #expect(try project.mlops("install").error.contains("symbolic link"))
        #expect(try project.mlops("install", "--print").output.contains("mlops hook pre-push") == false)
        #expect(try project.mlops("install", "--print").output.contains("hook pre-push -- \"$@\""))
    }

    @Test func foldersOfHooksInAndOutsideTheWorkTree() throws {
        let project = try Project()
        try project.folder.write(".husky/_/h", "#!/bin/sh\n")
        try project.git("config", "core.hooksPath", ".husky/_")
        try project.mlops("install").expectSuccess()
        let hook = try FileSystem.readText(project.folder(".husky/pre-push"))
        #expect(hook.contains("hook pre-push") && !hook.contains("/mlops'"), "no path of this machine: \(hook)")
        try project.mlops("uninstall").expectSuccess()
        let elsewhere = try TemporaryFolder()
        try project.git("config", "core.hooksPath", elsewhere.path)
        let refused = try project.mlops("install")
        #expect(refused.exitCode == 1 && refused.error.contains("core.hooksPath"), "\(refused.all)")
        #expect(try FileSystem.list(elsewhere.path).isEmpty)
    }

    @Test func installsInAWorktreeAndRefusesWithoutGit() throws {
        let project = try GitComfortTests.installed()
        try project.git("worktree", "add", "-q", "-b", "side", "tree")
        let again = try Program.mlops(["install"], in: project.folder("tree"))
        #expect(again.exitCode == 0 && again.output.contains("installed already"), "\(again.all)")
        let bare = try TemporaryFolder()
        try Program.mlops(["init"], in: bare.path).expectSuccess()
        let refused = try Program.mlops(["install"], in: bare.path)
        #expect(refused.exitCode == 1 && refused.error.contains("not in a git repository"), "\(refused.all)")
    }

    @Test func aProjectInAFolderOfTheRepositoryIsFound() throws {
        let folder = try TemporaryFolder()
        try Program.run("git", ["init", "-q", "-b", "main"], in: folder.path).expectSuccess()
        try FileSystem.createDirectories(folder("team a/ml"))
        try Program.mlops(["init"], in: folder("team a/ml")).expectSuccess()
        try folder.write("team a/ml/data.txt", "one\n")
        try Program.mlops(["add", "data.txt"], in: folder("team a/ml")).expectSuccess()
        try Program.mlops(["install"], in: folder("team a/ml")).expectSuccess()
        for command in [["add", "-A"], ["commit", "-q", "-m", "One"], ["switch", "-q", "-c", "two"]] {
            try Program.run("git", command, in: folder.path).expectSuccess()
        }
        try folder.write("team a/ml/data.txt", "two\n")
        try Program.mlops(["add", "data.txt"], in: folder("team a/ml")).expectSuccess()
        try Program.run("git", ["commit", "-q", "-a", "-m", "Two"], in: folder.path).expectSuccess()
        try Program.run("git", ["switch", "-q", "main"], in: folder.path).expectSuccess()
        #expect(try FileSystem.readText(folder("team a/ml/data.txt")) == "one\n")
    }

    /// A repository with an installed project in each of `folders`.
    private static func repository(ofProjects folders: String...) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try Program.run("git", ["init", "-q", "-b", "main"], in: folder.path).expectSuccess()
        for name in folders {
            try FileSystem.createDirectories(folder(name))
            try Program.mlops(["init"], in: folder(name)).expectSuccess()
            try Program.mlops(["install"], in: folder(name)).expectSuccess()
        }
        return folder
    }

    @Test func aProjectWhoseNameBeginsWithAnotherOnesKeepsItsBlock() throws {
        let folder = try GitComfortTests.repository(ofProjects: "p1 b", "p1", "p1 (from `mlops install`)")
        let hook = folder(".git/hooks/post-checkout")
        let all = try FileSystem.readText(hook)
        for block in ["p1", "p1 b", "p1 (from `mlops install`)"] {
            #expect(all.contains("# >>> mlops >>> \(block) (from `mlops install`)\n"), "\(all)")
        }
        #expect(try Program.mlops(["install"], in: folder("p1")).output.contains("installed already"))
        try Program.mlops(["uninstall"], in: folder("p1")).expectSuccess()
        let rest = try FileSystem.readText(hook)
        #expect(rest.contains("# >>> mlops >>> p1 b (from") && rest.contains("# <<< mlops <<< p1 b\n"), "\(rest)")
        #expect(rest.contains("# >>> mlops >>> p1 (from `mlops install`) (from"), "\(rest)")
        #expect(!rest.contains("-C 'p1' "))
    }

    @Test func theMergeDriverStaysAsLongAsAProjectNeedsIt() throws {
        let folder = try GitComfortTests.repository(ofProjects: "one", "two")
        func driver() throws -> String {
            try Program.run("git", ["config", "--local", "merge.mlops-pointer.driver"], in: folder.path).output
        }
        let first = try Program.mlops(["uninstall"], in: folder("one"))
        #expect(first.exitCode == 0 && !first.output.contains("merge driver"), "\(first.all)")
        #expect(try driver().contains("merge-pointer %O %A %B %P"), "the other project merges by it")
        let last = try Program.mlops(["uninstall"], in: folder("two"))
        #expect(last.exitCode == 0 && last.output.contains("removed the merge driver"), "\(last.all)")
        #expect(try FileSystem.readText(folder(".git/config")).contains("mlops") == false, "nor an empty section")
        #expect(try FileSystem.readText(folder(".git/config")).contains("[core]"))
    }

    @Test func aHookThatIsSwitchedOffStaysSo() throws {
        let project = try Project()
        let hook = project.folder(".git/hooks/post-merge")
        try project.folder.write(".git/hooks/post-merge", "#!/bin/sh\necho no longer\n")
        let refused = try project.mlops("install")
        #expect(refused.exitCode == 1 && refused.error.contains("is not executable, so git skips it"), "\(refused.all)")
        #expect(refused.error.contains("hint: run `chmod +x \(hook)`"), "\(refused.all)")
        #expect(!FileSystem.exists(project.folder(".git/hooks/post-checkout")), "nothing is half done")
        #expect(try FileSystem.readText(project.folder(".git/config")).contains("mlops") == false)
        #expect(try FileStatus.of(hook)?.permissions == 0o644)
        try Program.run("chmod", ["700", hook], in: project.path).expectSuccess()
        try project.mlops("install").expectSuccess()
        #expect(try FileStatus.of(hook)?.permissions == 0o700)
        try Program.run("chmod", ["600", hook], in: project.path).expectSuccess()
        #expect(try project.mlops("install").exitCode == 1, "also when it was switched off later")
        // With nothing but our lines in it, it is ours to switch on.
        try project.folder.write(".git/hooks/pre-push", try FileSystem.read(project.folder(".git/hooks/pre-push")))
        try FileSystem.removeFile(hook)
        try project.mlops("install").expectSuccess()
        #expect(try FileStatus.of(project.folder(".git/hooks/pre-push"))?.isExecutable == true)
        // Husky runs its users' hooks whatever their mode is.
        try project.folder.write(".husky/_/h", "#!/bin/sh\n")
        try project.folder.write(".husky/post-merge", "npm test\n")
        try project.git("config", "core.hooksPath", ".husky/_")
        try project.mlops("install").expectSuccess()
        #expect(try FileSystem.readText(project.folder(".husky/post-merge")).hasSuffix("\nnpm test\n"))
    }

    @Test func aLockedConfigurationStopsTheInstallBeforeAnythingIsWritten() throws {
        let project = try Project()
        try project.folder.write(".git/config.lock", "")
        let refused = try project.mlops("install")
        #expect(refused.exitCode == 11 && refused.error.contains("is locked by"), "\(refused.all)")
        #expect(!FileSystem.exists(project.folder(".git/hooks/post-checkout")))
        #expect(!FileSystem.exists(project.folder(".gitattributes")))
        try FileSystem.removeFile(project.folder(".git/config.lock"))
        try project.mlops("install").expectSuccess()
        try project.folder.write(".git/config.lock", "")
        #expect(try project.mlops("uninstall").exitCode == 11)
        #expect(FileSystem.exists(project.folder(".git/hooks/post-checkout")))
        #expect(FileSystem.exists(project.folder(".git/config.lock")), "it is another program's")
    }

    /// `other` has changed the images, and both branches `notes.txt`, so that merging them stops there.
    private static func diverged() throws -> Project {
        let project = try installed()
        for branch in ["main", "other"] {
            if branch == "other" { try project.git("switch", "-q", "-c", "other", "HEAD^") }
            try project.folder.write("notes.txt", "\(branch)\n")
            if branch == "other" {
                try project.folder.write("data/images/1.txt", "theirs\n")
                try FileSystem.removeFile(project.folder("data/images/4.txt"))
                try project.folder.write("data/images/5.txt", "new\n")
            }
            try record(project, branch)
        }
        try project.git("switch", "-q", "main")
        return project
    }

    private static func expectTheirs(_ project: Project) throws {
        #expect(try text(project, "1") == "theirs\n")
        #expect(try text(project, "5") == "new\n")
        #expect(!FileSystem.exists(project.folder("data/images/4.txt")))
        #expect(try project.mlops("status", "--quiet").output == "")
    }

    @Test func filesFollowTheCommitThatEndsAMergeWithConflicts() throws {
        let project = try GitComfortTests.diverged()
        #expect(try Program.run("git", ["merge", "other"], in: project.path).exitCode == 1)
        #expect(try GitComfortTests.text(project, "1") == "image 1\n", "git has called no hook yet")
        try project.folder.write("notes.txt", "both\n")
        try project.commit("Merge")
        try GitComfortTests.expectTheirs(project)
        try project.folder.write("data/images/0.txt", "not recorded\n")
        let plain = try Program.run("git", ["commit", "-q", "--allow-empty", "-m", "Plain"], in: project.path)
        #expect(plain.exitCode == 0 && plain.all == "exit 0\n", "a commit with one parent is none of its business")
        #expect(try GitComfortTests.text(project, "0") == "not recorded\n")
    }

    @Test func filesFollowARebase() throws {
        let project = try GitComfortTests.diverged()
        try project.git("switch", "-q", "other")
        let log = project.folder(".git/rewritten")
        try project.mlops("uninstall").expectSuccess()
        let own = "#!/bin/sh\nwhile read old new; do echo \"$1 $old $new\" >> '\(log)'; done\n"
        try project.folder.write(".git/hooks/post-rewrite", own)
        try Program.run("chmod", ["+x", ".git/hooks/post-rewrite"], in: project.path).expectSuccess()
        try project.mlops("install").expectSuccess()
        #expect(try Program.run("git", ["rebase", "main"], in: project.path).exitCode != 0)
        try project.folder.write("notes.txt", "both\n")
        try project.git("add", "notes.txt")
        try project.git("-c", "core.editor=true", "rebase", "--continue")
        try GitComfortTests.expectTheirs(project)
        #expect(try FileSystem.readText(log).hasPrefix("rebase "), "the user's own lines still get git's")
    }

    @Test func withoutMlopsGitMergesTheLines() throws {
        let project = try GitComfortTests.installed()
        // As installed into a folder that other machines use, with no mlops on PATH.
        try project.git("config", "core.hooksPath", "hooks")
        try project.mlops("install").expectSuccess()
        #expect(try project.git("config", "merge.mlops-pointer.driver").output.contains("mlops=''"))
        let path = ["PATH": "/usr/bin:/bin"]
        try #require(!FileSystem.exists("/usr/bin/mlops") && !FileSystem.exists("/bin/mlops"))
        let pointer = "registry/datasets/images.yaml"
        let base = try FileSystem.readText(project.folder(pointer))
        try project.git("switch", "-q", "-c", "other")
        try project.folder.write(pointer, base.replacing("digest: sha256:", with: "digest: sha256:1"))
        try project.commit("Other")
        try project.git("switch", "-q", "main")
        try project.folder.write(pointer, base.replacing("digest: sha256:", with: "digest: sha256:2"))
        try project.commit("Main")
        let merge = try Program.run("git", ["merge", "other"], in: project.path, environment: path)
        #expect(merge.exitCode == 1 && merge.all.contains("mlops was not found"), "\(merge.all)")
        let text = try FileSystem.readText(project.folder(pointer))
        #expect(text.contains("<<<<<<< ours\ndigest: sha256:2") && text.contains(">>>>>>> theirs"), "\(text)")
    }
}
