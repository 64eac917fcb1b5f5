import Basics
import Foundation
import TestSupport
import Testing

/// `mlops get` on a machine without a project.
@Suite struct GetTests {
    /// A folder as a remote, with two versions of a model, one of them in production, and a dataset that is a file.
    private struct Shop {
        let folder: TemporaryFolder
        let remote: String

        init() throws {
            folder = try TemporaryFolder()
            remote = folder("remote")
            let project = try Project()
            try project.mlops("remote", "add", "origin", remote).expectSuccess()
            for version in 1...2 {
                try project.folder.write("models/net/weights/w.bin", "weights \(version)")
                try project.folder.write("models/net/run.sh", "#!/bin/sh\n")
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o755], ofItemAtPath: project.folder("models/net/run.sh"))
                try project.mlops("add", "models/net").expectSuccess()
                try project.mlops("registry", "push", "models/net").expectSuccess()
            }
            try project.mlops("registry", "promote", "models/net@v1", "production").expectSuccess()
            try project.folder.write("data/list.csv", "a,b\n")
            try project.mlops("add", "data/list.csv").expectSuccess()
            try project.mlops("registry", "push", "datasets/list").expectSuccess()
        }

        func get(_ arguments: String...) throws -> ProgramResult {
            try FileSystem.createDirectories(folder("here"))
            return try Program.mlops(["get", remote] + arguments, in: folder("here"))
        }

        /// Every name in the working directory: nothing but what was asked for may be left.
        var names: [String] { get throws { try FileSystem.list(folder("here")) } }
    }

    @Test func bringsAVersionByNumberAliasOrTheLatest() throws {
        let shop = try Shop()
        try shop.get("models/net").expectSuccess()
        #expect(try shop.folder.read("here/net/weights/w.bin") == Array("weights 2".utf8))
        #expect(try FileStatus.of(shop.folder("here/net/run.sh"))?.isExecutable == true)
        let pinned = try shop.get("models/net@production", "out/p")
        #expect(pinned.exitCode == 0 && pinned.output.contains("got models/net@v1"), "\(pinned.all)")
        #expect(try shop.folder.read("here/out/p/weights/w.bin") == Array("weights 1".utf8))
        #expect(try shop.get("models/net@v1", "v1", "-q").output == shop.folder("here/v1") + "\n")
        #expect(try shop.names == ["net", "out", "v1"])
    }

    @Test func bringsAFileAndAPart() throws {
        let shop = try Shop()
        try shop.get("datasets/list").expectSuccess()
        #expect(try shop.folder.read("here/list") == Array("a,b\n".utf8))
        try shop.get("datasets/list", "here.csv").expectSuccess()
        try shop.get("models/net", "--path", "weights/").expectSuccess()
        #expect(try shop.folder.read("here/weights/w.bin") == Array("weights 2".utf8))
        try shop.get("models/net@v1", "w", "--path", "weights/w.bin").expectSuccess()
        #expect(try shop.folder.read("here/w") == Array("weights 1".utf8))
        try shop.get("models/net", "--path", "run.sh").expectSuccess()
        #expect(try FileStatus.of(shop.folder("here/run.sh"))?.isExecutable == true)
        let missing = try shop.get("models/net", "--path", "no/such")
        #expect(missing.exitCode == 1 && missing.error.contains("no `no/such` in this version"), "\(missing.all)")
        #expect(try shop.names == ["here.csv", "list", "run.sh", "w", "weights"])
    }

    @Test func listsWhatTheRemoteHas() throws {
        let shop = try Shop()
        #expect(try shop.get("-q").output == "datasets/list\nmodels/net\n")
        #expect(try shop.get("--list").output.contains("production → v1"))
        let json = try shop.get("models/net", "--list", "--json").json()
        #expect(json["artifacts"]?.array?.count == 1)
        #expect(json["artifacts"]?.array?.first?["versions"] == 2)
    }

    @Test func replacesNothingThatItWasNotToldTo() throws {
        let shop = try Shop()
        try shop.folder.write("here/net/mine", "precious")
        let refused = try shop.get("models/net")
        #expect(refused.exitCode == 1 && refused.error.contains("exists and holds something else"), "\(refused.all)")
        #expect(try shop.folder.read("here/net/mine") == Array("precious".utf8))
        try shop.get("models/net", "--force").expectSuccess()
        #expect(try FileSystem.list(shop.folder("here/net")) == ["run.sh", "weights"])
        let again = try shop.get("models/net")
        #expect(again.exitCode == 0 && again.output.contains("unchanged"), "\(again.all)")
        #expect(try shop.names == ["net"])
    }

    /// A shell may stand in it, or a disk may be mounted there: it is filled, never swapped.
    @Test func aFolderThatIsThereStaysItself() throws {
        let shop = try Shop()
        func number(_ path: String) throws -> UInt64 { try #require(try FileStatus.of(shop.folder(path))).inode }
        try FileSystem.createDirectories(shop.folder("here/here"))
        let before = try number("here/here")
        let got = try Program.mlops(["get", shop.remote, "models/net", "."], in: shop.folder("here/here"))
        try got.expectSuccess()
        #expect(try number("here/here") == before)
        #expect(try FileSystem.list(shop.folder("here/here")) == ["run.sh", "weights"])
        #expect(try shop.get("models/net", "here").output.contains("unchanged"))
        try shop.folder.write("here/here/mine", "precious")
        #expect(try shop.get("models/net@v1", "here").exitCode == 1)
        try shop.get("models/net@v1", "here", "--force").expectSuccess()
        #expect(try number("here/here") == before)
        #expect(try FileSystem.list(shop.folder("here/here")) == ["run.sh", "weights"])
        #expect(try shop.folder.read("here/here/weights/w.bin") == Array("weights 1".utf8))
        try FileSystem.createDirectories(shop.folder("here/part"))
        let part = try number("here/part")
        try shop.get("models/net", "part", "--path", "weights").expectSuccess()
        #expect(try number("here/part") == part)
        #expect(try FileSystem.list(shop.folder("here/part")) == ["w.bin"])
    }

    @Test(arguments: ["kill", "eio"])
    func aFolderThatIsThereIsFilledAllOrNothing(_ action: String) throws {
        let shop = try Shop()
        for step in 1... {
            let place = "here/to\(step)"
            try shop.folder.write(place + "/mine", "precious")
            let stopped = try Program.mlops(
                ["get", shop.remote, "models/net", shop.folder(place), "--force"], in: shop.folder.path,
                environment: ["MLOPS_FAILPOINT": "file.rename:\(step):\(action)"])
            if stopped.exitCode == 0 { break }
            if action == "eio" {
                #expect(try shop.folder.read(place + "/mine") == Array("precious".utf8), "\(stopped.all)")
            }
            try shop.get("models/net", shop.folder(place), "--force").expectSuccess()
            #expect(try FileSystem.list(shop.folder(place)) == ["run.sh", "weights"], "after \(step) renames")
        }
        // Killed while it fills an empty folder, it goes on without `--force`.
        try FileSystem.createDirectories(shop.folder("here/empty"))
        let killed = try Program.mlops(
            ["get", shop.remote, "models/net", "empty"], in: shop.folder("here"),
            environment: ["MLOPS_FAILPOINT": "checkout.file:1:\(action)"])
        #expect(killed.exitCode != 0, "\(killed.all)")
        try shop.get("models/net", "empty").expectSuccess()
        #expect(try FileSystem.list(shop.folder("here/empty")) == ["run.sh", "weights"])
    }

    @Test func aRepositoryIsNotReplaced() throws {
        let shop = try Shop()
        try shop.folder.write("here/repo/.git/HEAD", "ref")
        let refused = try shop.get("models/net", "repo", "--force")
        #expect(refused.exitCode == 1 && refused.error.contains("`.git`"), "\(refused.all)")
        #expect(try shop.folder.read("here/repo/.git/HEAD") == Array("ref".utf8))
        #expect(try FileSystem.list(shop.folder("here/repo")) == [".git"])
    }

    @Test func saysWhatIsNotThere() throws {
        let shop = try Shop()
        let expected = [
            ("models/nett", "artifact `models/nett` does not exist", "did you mean `models/net`?"),
            ("models/net@v9", "version `models/net@v9` does not exist", "--list"),
            ("models/net@prod", "no alias `prod`", "hint:"),
        ]
        for (name, words, hint) in expected {
            let result = try shop.get(name)
            #expect(
                result.exitCode == 1 && result.error.contains(words) && result.error.contains(hint), "\(result.all)")
        }
        let elsewhere = try Program.mlops(["get", "nowhere", "models/net"], in: shop.folder("here"))
        #expect(
            elsewhere.exitCode == 1 && elsewhere.error.contains("no remote or folder `nowhere`"), "\(elsewhere.all)")
        let empty = try Program.mlops(["get", shop.folder("here"), "models/net"], in: shop.folder("here"))
        #expect(empty.exitCode == 1 && empty.error.contains("is empty"), "\(empty.all)")
        #expect(try shop.get("../x").exitCode == 64)
        #expect(try shop.get("models/net", "--path", "../x").exitCode == 64)
        #expect(try shop.names.isEmpty)
    }

    @Test func leavesNothingHalfDoneAndGoesOnAfterADamage() throws {
        let shop = try Shop()
        let packs = try FileManager.default.subpathsOfDirectory(atPath: shop.remote).filter { $0.hasSuffix(".pack") }
        for name in packs {
            var bytes = try FileSystem.read(FileSystem.join(shop.remote, name))
            bytes[30] ^= 1
            try FileSystem.replace(FileSystem.join(shop.remote, name), with: bytes)
        }
        let hurt = try shop.get("models/net")
        #expect(hurt.exitCode == 12, "\(hurt.all)")
        #expect(!FileSystem.exists(shop.folder("here/net")))
        for name in packs {
            var bytes = try FileSystem.read(FileSystem.join(shop.remote, name))
            bytes[30] ^= 1
            try FileSystem.replace(FileSystem.join(shop.remote, name), with: bytes)
        }
        try shop.get("models/net").expectSuccess()
        #expect(try shop.names == ["net"])
    }

    /// What an interrupted call fetched is used by the next, unless the machine went down: it was not flushed.
    @Test func goesOnAfterAKillAndStartsOverAfterAPowerCut() throws {
        let shop = try Shop()
        func kill() throws {
            let killed = try Program.mlops(
                ["get", shop.remote, "models/net"], in: shop.folder("here"),
                environment: ["MLOPS_FAILPOINT": "checkout.file:1:kill"])
            #expect(killed.exitCode == 137, "\(killed.all)")
        }
        try FileSystem.createDirectories(shop.folder("here"))
        try kill()
        let next = try shop.get("models/net", "--json").json()
        #expect(next["transfer"]?["byteCount"] == 0, "\(next)")
        #expect(try shop.names == ["net"])

        try FileSystem.removeTree(shop.folder("here/net"))
        try kill()
        let scratch = shop.folder("here/.net.mlops-get")
        let packs = try FileManager.default.subpathsOfDirectory(atPath: scratch).filter { $0.hasSuffix(".pack") }
        #expect(!packs.isEmpty)
        for name in packs { try FileSystem.replace(FileSystem.join(scratch, name), with: []) }
        try FileSystem.replace(FileSystem.join(scratch, "boot"), with: Array("another\n".utf8))
        try shop.get("models/net").expectSuccess()
        #expect(try shop.folder.read("here/net/weights/w.bin") == Array("weights 2".utf8))
        #expect(try shop.names == ["net"])
    }

    @Test(.enabled(if: S3.isThere, "no S3 server: MLOPS_TEST_S3 is not set"))
    func bringsAVersionFromS3() throws {
        let s3 = try S3()
        let project = try Project()
        try project.folder.write("models/m.bin", "weights")
        try Program.mlops(s3.addRemote, in: project.path, environment: s3.environment).expectSuccess()
        try project.mlops("add", "models/m.bin").expectSuccess()
        try project.mlops("registry", "push", "models/m", environment: s3.environment).expectSuccess()
        let elsewhere = try TemporaryFolder()
        let got = try Program.mlops(
            [
                "get", "s3://\(s3.bucket)/\(s3.prefix)", "models/m", "m.bin", "--endpoint", s3.endpoint, "--region",
                "us-east-1", "--path-style", "--limit-rate", "50M", "--jobs", "2",
            ], in: elsewhere.path, environment: s3.environment)
        try got.expectSuccess()
        #expect(try elsewhere.read("m.bin") == Array("weights".utf8))
        let byName = try project.mlops("get", "origin", "models/m", "copy.bin", environment: s3.environment)
        try byName.expectSuccess()
        #expect(try project.folder.read("copy.bin") == Array("weights".utf8))
    }
}
