import Basics
import Foundation
import TestSupport
import Testing

/// Repositories of git as they may be found, and as somebody may have prepared them.
@Suite struct HostileGitTests {
    private func expectNoCrash(_ result: ProgramResult, _ what: String) {
        #expect(result.exitCode < 128, "\(what): \(result.all)")
        #expect(!hasRawControls(result.output + result.error), "\(what)")
    }

    @Test func programsOfTheConfigurationAreNeverRun() throws {
        let project = try Project()
        try project.folder.write("data/a.txt", "a")
        try project.folder.write(
            "pipelines/p.yaml", "version: 1\nname: p\nstages: { a: { run: cat data/b.txt, deps: [data/b.txt] } }\n")
        try project.folder.write("data/b.txt", "b")
        try project.git("add", "-f", "pipelines", "data/b.txt")
        try project.git("commit", "-q", "-m", "B")
        let marker = project.folder("ran")
        let script = "#!/bin/sh\necho \"$0\" >> \(marker)\ncat\n"
        for name in GitHookNames.all { try project.folder.write("evil/" + name, script) }
        try Program.run("chmod", ["-R", "+x", "evil"], in: project.path).expectSuccess()
        try project.folder.write(".gitattributes", "* filter=evil diff=evil\ndata/b.txt filter=e=vil\n")
        let command = project.folder("evil/run")
        for key in [
            "core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "filter.evil.clean", "filter.evil.smudge",
            "filter.evil.process", "filter.e=vil.clean", "filter.e=vil.process", "diff.evil.textconv",
            "diff.evil.command", "diff.external", "credential.helper",
            "core.gitProxy", "gpg.program", "alias.status", "uploadpack.packObjectsHook",
        ] { try project.git("config", key, command) }
        try project.git("config", "core.hooksPath", project.folder("evil"))
        try project.folder.write("data/b.txt", "changed")
        try FileSystem.removeFile(marker)
        for arguments in [
            ["pipeline", "run", "pipelines/p.yaml"], ["pipeline", "run", "pipelines/p.yaml", "--since", "HEAD"],
            ["pipeline", "status", "pipelines/p.yaml"], ["run", "reproduce", "latest"],
        ] {
            try project.mlops(arguments: arguments).expectSuccess()
        }
        for arguments in [
            ["add", "data/a.txt"], ["status"], ["log"], ["diff"], ["checkout"], ["fsck"], ["import-lfs"],
            ["import-dvc"],
            ["install"], ["uninstall"], ["hook", "post-checkout", "0", "1", "1"], ["hook", "post-merge", "0"],
        ] {
            expectNoCrash(try project.mlops(arguments: arguments), "\(arguments)")
        }
        #expect(!FileSystem.exists(marker), "\((try? FileSystem.readText(marker)) ?? "")")
    }

    @Test func oddRepositoriesWorkOrSayWhy() throws {
        let project = try Project()
        try project.folder.write("data/a.txt", "a")
        try project.mlops("add", "data/a.txt").expectSuccess()
        try project.commit("A")
        let commands = [["status"], ["log"], ["diff"], ["install"], ["import-lfs"], ["checkout"], ["fsck"]]
        func check(_ folder: String, _ what: String, environment: [String: String] = [:]) throws {
            for arguments in commands {
                let result = try Program.mlops(arguments, in: folder, environment: environment)
                expectNoCrash(result, "\(what): \(arguments)")
            }
        }
        let scratch = try TemporaryFolder()
        try Program.run("git", ["init", "-q"], in: scratch.path).expectSuccess()
        try Program.mlops(["init"], in: scratch.path).expectSuccess()
        try check(scratch.path, "no commits")
        try project.git("checkout", "-q", "--detach")
        try check(project.path, "a detached head")
        #expect(try project.mlops("status").output.contains("detached"))
        let clones = try TemporaryFolder()
        try Program.run(
            "git", ["clone", "-q", "--depth", "1", "file://" + project.path, "shallow"], in: clones.path
        ).expectSuccess()
        try check(clones("shallow"), "a shallow clone")
        try Program.run("git", ["clone", "-q", "--bare", project.path, "bare"], in: clones.path).expectSuccess()
        let bare = try Program.mlops(["init"], in: clones("bare"))
        #expect(bare.exitCode == 1 && bare.error.contains("bare git repository"), "\(bare.all)")
        try Program.run(
            "git", ["-c", "protocol.file.allow=always", "submodule", "add", "-q", project.path, "sub"], in: scratch.path
        ).expectSuccess()
        try check(scratch("sub"), "a submodule")
        let hooks = try Program.mlops(["install"], in: scratch("sub"))
        #expect(hooks.exitCode == 0, "\(hooks.all)")
        #expect(FileSystem.exists(scratch(".git/modules/sub/hooks/pre-push")), "in the submodule's own folder")
        try check(
            project.path, "another repository in the environment",
            environment: [
                "GIT_DIR": clones("shallow/.git"), "GIT_WORK_TREE": clones("shallow"), "GIT_INDEX_FILE": "/dev/null",
            ])
        #expect(
            try Program.mlops(["status"], in: project.path, environment: ["GIT_DIR": clones("bare")]).output
                .contains(project.path))
        try project.folder.write(".git/HEAD", "ref: refs/heads/\u{1B}[2J\n")
        try check(project.path, "a head of control characters")
        try project.folder.write(".git/HEAD", "ref: ../../../../etc/passwd\n")
        try check(project.path, "a head that climbs")
        try project.folder.write(".git/config", "[core\nbroken")
        try check(project.path, "a broken configuration")
    }

    @Test(arguments: [
        "-x", "--help", "--output=x", "-", "@{-1}", "refs/../../x", "HEAD:../../etc/passwd", ":/x", "\u{1B}[2J",
    ])
    func namesOfRevisionsAreNeverFlags(_ revision: String) throws {
        let project = try Project()
        let result = try project.mlops("diff", "--", revision)
        expectNoCrash(result, printable(revision))
        #expect(result.exitCode != 0)
        let hook = try project.mlops("hook", "post-checkout", "--", revision, revision + "x", "1")
        expectNoCrash(hook, printable(revision))
        #expect(hook.exitCode == 0, "a hook after a checkout never fails: \(hook.all)")
        let merge = try project.mlops("merge-pointer", "--", revision, revision, revision, revision)
        expectNoCrash(merge, printable(revision))
    }

    @Test func eventsOfAHostileRemoteLeadNowhere() throws {
        let project = try Project()
        let remote = try TemporaryFolder()
        let outside = try TemporaryFolder()
        try project.folder.write("data/a.txt", "a")
        try project.mlops("add", "data/a.txt").expectSuccess()
        try project.commit("A")
        try project.mlops("remote", "add", "origin", remote.path).expectSuccess()
        try project.mlops("registry", "push", "datasets/a").expectSuccess()
        let event = remote("events/datasets/a/1.json")
        let text = try FileSystem.readText(event)
        try #require(text.contains("\"data/a.txt\""))
        try outside.write("x", "x")
        let before = try census(of: outside.path)
        for name in HostileName.sample {
            let hostile = JSONValue.string(name.text).canonicalText
            try FileSystem.replace(event, with: Array(text.replacing("\"data/a.txt\"", with: hostile).utf8))
            let work = FileSystem.join(outside.path, "w")
            try FileSystem.createDirectories(work)
            try Program.mlops(["init"], in: work).expectSuccess()
            try FileSystem.replace(
                work + "/registry/config.yaml",
                with: Array("version: 1\nremotes:\n  origin:\n    url: \"\(remote.path)\"\n".utf8))
            let result = try Program.mlops(["registry", "pull", "datasets/a"], in: work)
            expectNoCrash(result, name.description)
            if name.kind == .refused { #expect(result.exitCode != 0, "\(name): \(result.all)") }
            try FileSystem.removeTree(work)
            #expect(try census(of: outside.path) == before, "\(name)")
        }
    }
}

/// The hooks that git knows.
private enum GitHookNames {
    static let all = [
        "run", "post-checkout", "post-merge", "pre-push", "post-index-change", "reference-transaction", "pre-commit",
        "post-commit", "post-rewrite", "fsmonitor-watchman", "pre-auto-gc",
    ]
}

extension Project {
    fileprivate func mlops(arguments: [String]) throws -> ProgramResult {
        try Program.mlops(arguments, in: folder.path)
    }
}
