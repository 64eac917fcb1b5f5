import Basics
import Foundation
import TestSupport
import Testing

/// `--path`, and remotes that one machine alone may publish to.
@Suite struct PartialPullTests {
    /// A project with a dataset of three folders on a remote, and a clone of it that has no data.
    private func makeClone() throws -> (project: Project, shared: TemporaryFolder, clone: String) {
        let shared = try TemporaryFolder()
        let project = try Project()
        for name in ["train/a", "train/b", "test/a", "extra/a"] { try project.folder.write("data/x/\(name)", name) }
        try project.mlops("add", "data/x").expectSuccess()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.mlops("push").expectSuccess()
        try project.commit("Data")
        try Program.run("git", ["clone", "-q", project.path, shared("clone")], in: shared.path).expectSuccess()
        return (project, shared, shared("clone"))
    }

    @Test func aPartIsPulledAloneAndRemembered() throws {
        let (project, shared, clone) = try makeClone()
        func mlops(_ arguments: String...) throws -> ProgramResult { try Program.mlops(arguments, in: clone) }
        try mlops("pull", "datasets/x", "--path", "train/a", "--path", "test").expectSuccess()
        #expect(try FileSystem.list(clone + "/data/x") == ["test", "train"])
        #expect(try FileSystem.list(clone + "/data/x/train") == ["a"])
        let status = try mlops("status")
        #expect(status.output.contains("partial  datasets/x  data/x (only test, train/a)"), "\(status.all)")
        #expect(try mlops("status", "-q").output == "")
        #expect(try mlops("fsck").exitCode == 0)
        #expect(try mlops("gc", "--dry-run").exitCode == 0, "what was never fetched is not missing")
        // A part that is changed is told, and taken back; what is beside it is nobody's business.
        try FileSystem.replace(clone + "/data/x/test/a", with: [1])
        try FileSystem.replace(clone + "/data/x/note", with: [2])
        let changed = try mlops("status")
        #expect(changed.output.contains("modified  test/a") && !changed.output.contains("deleted"), "\(changed.all)")
        let refused = try mlops("add", "data/x")
        #expect(refused.exitCode == 64 && refused.error.contains("would drop the rest"), "\(refused.all)")
        try mlops("checkout", "--force").expectSuccess()
        #expect(try FileSystem.read(clone + "/data/x/test/a") == Array("test/a".utf8))
        #expect(FileSystem.exists(clone + "/data/x/note"))
        // A later version keeps to the parts; more parts may be asked for.
        try project.folder.write("data/x/train/a", "changed")
        try project.mlops("add", "data/x").expectSuccess()
        try project.mlops("push").expectSuccess()
        try project.commit("Changed")
        try Program.run("git", ["pull", "-q"], in: clone).expectSuccess()
        try mlops("pull").expectSuccess()
        #expect(try FileSystem.read(clone + "/data/x/train/a") == Array("changed".utf8))
        #expect(!FileSystem.exists(clone + "/data/x/extra"))
        try mlops("pull", "datasets/x", "--path", "extra/").expectSuccess()
        #expect(try FileSystem.list(clone + "/data/x") == ["extra", "note", "test", "train"])
        try FileSystem.removeFile(clone + "/data/x/note")
        try mlops("pull", "datasets/x", "--whole").expectSuccess()
        #expect(try FileSystem.list(clone + "/data/x/train") == ["a", "b"])
        #expect(try mlops("status").output.contains("unchanged  datasets/x"))
        withExtendedLifetime(shared) {}
    }

    @Test(arguments: ["pull", "checkout"])
    func wholeLeavesAChangedPartAloneSoThatItCanBeAdded(_ verb: String) throws {
        let (_, shared, clone) = try makeClone()
        func mlops(_ arguments: String...) throws -> ProgramResult { try Program.mlops(arguments, in: clone) }
        if verb == "checkout" {
            // All of it is in the store, a part of it in the workspace.
            try mlops("pull").expectSuccess()
            try FileSystem.removeTree(clone + "/data/x")
            try mlops("checkout", "datasets/x", "--path", "train").expectSuccess()
        } else {
            try mlops("pull", "datasets/x", "--path", "train").expectSuccess()
        }
        #expect(try FileSystem.list(clone + "/data/x") == ["train"])
        try FileSystem.replace(clone + "/data/x/train/a", with: Array("mine".utf8))
        try FileSystem.replace(clone + "/data/x/note", with: Array("new".utf8))
        let refused = try mlops("add", "data/x")
        #expect(refused.exitCode == 64 && refused.error.contains("--whole"), "\(refused.all)")
        try mlops(verb, "datasets/x", "--whole").expectSuccess()
        #expect(try FileSystem.list(clone + "/data/x") == ["extra", "note", "test", "train"])
        #expect(try FileSystem.read(clone + "/data/x/train/a") == Array("mine".utf8))
        let status = try mlops("status")
        #expect(
            status.output.contains("modified  train/a") && status.output.contains("added  note")
                && !status.output.contains("deleted"), "\(status.all)")
        try mlops("add", "data/x").expectSuccess()
        #expect(try mlops("status").output.contains("unchanged  datasets/x"))
        withExtendedLifetime(shared) {}
    }

    @Test func aPartOfWhatIsWholeIsRestoredAndTheRestStaysWanted() throws {
        let (_, shared, clone) = try makeClone()
        func mlops(_ arguments: String...) throws -> ProgramResult { try Program.mlops(arguments, in: clone) }
        try mlops("pull").expectSuccess()
        try FileSystem.removeFile(clone + "/data/x/train/a")
        try mlops("checkout", "datasets/x", "--path", "train").expectSuccess()
        #expect(try FileSystem.list(clone + "/data/x/train") == ["a", "b"])
        #expect(!FileSystem.exists(clone + "/.mlops/partial/datasets/x.json"))
        #expect(try mlops("status").output.contains("unchanged  datasets/x"))
        try mlops("add", "data/x").expectSuccess()
        withExtendedLifetime(shared) {}
    }

    @Test func aPartOfANewVersionOfWhatIsWholeLeavesAllOfItWanted() throws {
        let (project, shared, clone) = try makeClone()
        func mlops(_ arguments: String...) throws -> ProgramResult { try Program.mlops(arguments, in: clone) }
        try mlops("pull").expectSuccess()
        try project.folder.write("data/x/train/a", "changed")
        try project.folder.write("data/x/extra/more/new", "new")
        try project.mlops("add", "data/x").expectSuccess()
        try project.mlops("push").expectSuccess()
        try project.commit("Changed")
        try Program.run("git", ["pull", "-q"], in: clone).expectSuccess()
        try mlops("pull", "datasets/x", "--path", "train").expectSuccess()
        #expect(try FileSystem.read(clone + "/data/x/train/a") == Array("changed".utf8))
        let status = try mlops("status")
        #expect(!status.output.contains("only train") && !status.output.contains("partial"), "\(status.all)")
        try mlops("pull").expectSuccess()
        #expect(try FileSystem.read(clone + "/data/x/extra/more/new") == Array("new".utf8))
        #expect(try mlops("status").output.contains("unchanged  datasets/x"))
        withExtendedLifetime(shared) {}
    }

    @Test func diffLooksAtThePartsAlone() throws {
        let (_, shared, clone) = try makeClone()
        func mlops(_ arguments: String...) throws -> ProgramResult { try Program.mlops(arguments, in: clone) }
        try mlops("pull", "datasets/x", "--path", "train").expectSuccess()
        #expect(try mlops("diff").output == "no differences\n")
        #expect(try mlops("diff", "--json").json()["artifacts"]?.array?.isEmpty == true)
        try FileSystem.replace(clone + "/data/x/train/a", with: Array("mine".utf8))
        let changed = try mlops("diff", "--json").json()["artifacts"]?.array
        #expect(changed?.first?["changes"]?.array?.count == 1, "\(String(describing: changed))")
        #expect(changed?.first?["changes"]?.array?.first?["path"] == "train/a")
        withExtendedLifetime(shared) {}
    }

    @Test func aPathThatIsNotThereOrMakesNoSenseIsRefused() throws {
        let (_, shared, clone) = try makeClone()
        let absent = try Program.mlops(["pull", "datasets/x", "--path", "nothing"], in: clone)
        #expect(absent.exitCode == 1 && absent.error.contains("no `nothing` in this version"), "\(absent.all)")
        #expect(!FileSystem.exists(clone + "/.mlops/partial/datasets/x.json"))
        #expect(try Program.mlops(["pull", "--path", "train"], in: clone).exitCode == 64)
        #expect(try Program.mlops(["pull", "datasets/x", "--path", "../up"], in: clone).exitCode == 64)
        #expect(try Program.mlops(["pull", "datasets/x", "--limit-rate", "5"], in: clone).exitCode == 64)
        #expect(try Program.mlops(["pull", "datasets/x", "--jobs", "0"], in: clone).exitCode == 64)
        try Program.mlops(["pull", "datasets/x", "--limit-rate", "1M", "--jobs", "2"], in: clone).expectSuccess()
        withExtendedLifetime(shared) {}
    }

    @Test func aRemoteThatIgnoresConditionsIsForOneWriter() throws {
        let objects = PlainStore()
        let server = try ScriptedServer { objects.answer($0) }
        let keys = ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"]
        let project = try Project()
        func mlops(_ arguments: String...) throws -> ProgramResult {
            try Program.mlops(arguments, in: project.path, environment: keys)
        }
        let added = try mlops("remote", "add", "origin", "s3://bucket/x", "--endpoint", server.url)
        #expect(added.exitCode == 0 && added.error.contains("`mlops registry push` refuses"), "\(added.all)")
        try project.folder.write("models/m.bin", "weights")
        try mlops("add", "models/m.bin").expectSuccess()
        try mlops("push").expectSuccess()
        let refused = try mlops("registry", "push", "models/m")
        #expect(refused.exitCode == 14 && refused.error.contains("single_writer: true"), "\(refused.all)")
        #expect(objects.keys.allSatisfy { !$0.contains("/events/") })
        try mlops("remote", "remove", "origin").expectSuccess()
        let alone = try mlops("remote", "add", "origin", "s3://bucket/x", "--endpoint", server.url, "--single-writer")
        #expect(alone.exitCode == 0 && alone.error.isEmpty, "\(alone.all)")
        #expect(try FileSystem.readText(project.folder("registry/config.yaml")).contains("single_writer: true"))
        try mlops("registry", "push", "models/m").expectSuccess()
        #expect(objects.keys.contains("/bucket/x/events/models/m/1.json"))
    }
}
