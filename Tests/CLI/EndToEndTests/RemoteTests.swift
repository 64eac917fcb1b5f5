import Basics
import Foundation
import TestSupport
import Testing

/// What one clone pushes another pulls, through a folder and through a real S3 server.
@Suite struct RemoteTests {
    @Test func aFreshCloneElsewherePullsTheSameBytes() throws {
        let shared = try TemporaryFolder()
        try roundTrip(addRemote: ["remote", "add", "origin", shared("remote")], environment: [:])
    }

    @Test(.enabled(if: S3.isThere, "no S3 server: MLOPS_TEST_S3 is not set"))
    func aFreshCloneElsewherePullsTheSameBytesThroughS3() throws {
        let s3 = try S3()
        try roundTrip(addRemote: s3.addRemote, environment: s3.environment)
    }

    private func roundTrip(addRemote: [String], environment: [String: String]) throws {
        let project = try Project()
        let model = (0..<700_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        try project.folder.write("models/census/model.bin", model)
        try project.folder.write("models/census/README.md", "# Card\n")
        try project.mlops("add", "models/census").expectSuccess()
        try Program.mlops(addRemote, in: project.path, environment: environment).expectSuccess()
        try project.commit("Model")
        let pushed = try project.mlops("registry", "push", "models/census", environment: environment)
        try pushed.expectSuccess()
        #expect(pushed.output.contains("published models/census@v1"), "\(pushed.all)")
        let again = try project.mlops("registry", "push", "models/census", environment: environment)
        #expect(
            again.output.contains("already published") && again.output.contains("nothing to transfer"), "\(again.all)")

        let elsewhere = try TemporaryFolder()
        try Program.run("git", ["clone", "-q", project.path, elsewhere("clone")], in: elsewhere.path).expectSuccess()
        let pulled = try Program.mlops(
            ["registry", "pull", "models/census@v1"], in: elsewhere("clone"), environment: environment)
        try pulled.expectSuccess()
        #expect(try elsewhere.read("clone/models/census/model.bin") == model)
        #expect(try elsewhere.read("clone/models/census/README.md") == Array("# Card\n".utf8))
        #expect(try Program.mlops(["status", "-q"], in: elsewhere("clone")).output == "")
        let other = try Program.mlops(["pull"], in: elsewhere("clone"), environment: environment)
        try other.expectSuccess()
    }

    @Test func aRemoteThatIsGoneIsNotMadeAnew() throws {
        let project = try Project()
        let shared = try TemporaryFolder()
        let add = ["remote", "add", "disk", shared("mount/remote")]
        try Program.mlops(add, in: project.path).expectSuccess()
        try project.folder.write("x", "one")
        try project.mlops("add", "x").expectSuccess()
        try project.mlops("push").expectSuccess()
        try FileSystem.rename(shared("mount"), to: shared("unmounted"))
        try project.folder.write("x", "two")
        try project.mlops("add", "x").expectSuccess()
        let refused = try project.mlops("push")
        #expect(refused.exitCode == 1 && refused.error.contains("holds nothing"), "\(refused.all)")
        #expect(!FileSystem.exists(shared("mount")))
        try FileSystem.rename(shared("unmounted"), to: shared("mount"))
        try project.mlops("push").expectSuccess()
        try FileSystem.removeTree(shared("mount"))
        try Program.mlops(add, in: project.path).expectSuccess()
        try project.mlops("push").expectSuccess()
        try project.mlops("fsck", "--remote", "--read-data").expectSuccess()
    }

    @Test func whatWasNeverPushedIsToldByItsName() throws {
        let project = try Project()
        let shared = try TemporaryFolder()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        for name in ["one", "two"] {
            try project.folder.write("data/\(name)/a", name)
            try project.mlops("add", "data/\(name)").expectSuccess()
        }
        try project.mlops("push", "datasets/one").expectSuccess()
        try project.commit("Data")
        try Program.run("git", ["clone", "-q", project.path, shared("clone")], in: shared.path).expectSuccess()
        let pulled = try Program.mlops(["pull"], in: shared("clone"))
        #expect(pulled.exitCode == 1 && pulled.error.contains("`datasets/two`: the remote"), "\(pulled.all)")
    }

    @Test func whatACloneNeverFetchedIsNotMissing() throws {
        let project = try Project()
        let shared = try TemporaryFolder()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        // Both versions share a folder, whose listing lies in a pack of the first one beside its other listings.
        try project.folder.write("data/x/sub/same", "the same in both")
        for seed in [1, 2] {
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &* seed) >> 13) }
            try project.folder.write("data/x/big", bytes)
            try project.mlops("add", "data/x").expectSuccess()
            try project.commit("Version \(seed)")
            try project.mlops("registry", "push", "datasets/x").expectSuccess()
        }
        let elsewhere = try TemporaryFolder()
        let clone = elsewhere("clone")
        try Program.run("git", ["clone", "-q", project.path, clone], in: elsewhere.path).expectSuccess()
        try Program.mlops(["pull"], in: clone).expectSuccess()
        try Program.mlops(["registry", "pull", "datasets/x@v2"], in: clone).expectSuccess()
        for arguments in [["fsck"], ["gc"], ["gc", "--yes", "--grace", "0s"], ["fsck"]] {
            let result = try Program.mlops(arguments, in: clone)
            #expect(result.exitCode == 0, "\(arguments): \(result.all)")
        }

        // What was here once is missed.
        try Program.mlops(["registry", "pull", "datasets/x@v1"], in: clone).expectSuccess()
        try Program.run("git", ["checkout", "-q", "."], in: clone).expectSuccess()
        try Program.mlops(["checkout"], in: clone).expectSuccess()
        try Program.mlops(["fsck"], in: clone).expectSuccess()
        for pack in try packs(in: clone) where try FileSystem.read(pack).count > 2_000_000 {
            try FileSystem.removeFile(pack)
        }
        let lost = try Program.mlops(["fsck"], in: clone)
        #expect(lost.exitCode == 12 && lost.all.contains("datasets/x@v1"), "\(lost.all)")
        #expect(try Program.mlops(["gc"], in: clone).exitCode == 12)
        try Program.mlops(["fsck", "--heal"], in: clone).expectSuccess()
        try Program.mlops(["fsck"], in: clone).expectSuccess()
    }

    private func packs(in project: String) throws -> [String] {
        let folder = FileSystem.join(project, ".mlops/store/packs")
        return try FileSystem.list(folder).flatMap { group in
            let path = FileSystem.join(folder, group)
            guard FileSystem.isDirectory(path) else { return [String]() }
            return try FileSystem.list(path).map { FileSystem.join(path, $0) }
        }
    }

    @Test(.enabled(if: S3.isThere, "no S3 server: MLOPS_TEST_S3 is not set"))
    func aWrongKeyIsNotAllowed() throws {
        let s3 = try S3()
        let project = try Project()
        var environment = s3.environment
        environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        let wrong = try Program.mlops(s3.addRemote, in: project.path, environment: environment)
        #expect(wrong.exitCode == 14 && wrong.error.contains("secret"), "\(wrong.all)")
        #expect(!(try FileSystem.readText(project.folder("registry/config.yaml")).contains("s3://")))
    }

    @Test(.timeLimit(.minutes(1))) func aServerThatIsNotThereIsUnreachable() throws {
        let project = try Project()
        let result = try Program.mlops(
            ["remote", "add", "origin", "s3://bucket/x", "--endpoint", "http://127.0.0.1:9"], in: project.path,
            environment: ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"])
        #expect(result.exitCode == 13 && result.error.contains("hint:"), "\(result.all)")
    }

    @Test func twoClonesThatPublishAtOnceBothKeepTheirVersions() throws {
        let shared = try TemporaryFolder()
        let project = try Project()
        try project.mlops("remote", "add", "origin", shared("remote")).expectSuccess()
        try project.commit("Remote")
        try Program.run("git", ["clone", "-q", project.path, shared("second")], in: shared.path).expectSuccess()
        try project.folder.write("models/m.bin", "first")
        try FileSystem.createDirectories(shared("second/models"))
        try FileSystem.replace(shared("second/models/m.bin"), with: Array("second".utf8))
        for folder in [project.path, shared("second")] {
            try Program.mlops(["add", "models/m.bin"], in: folder).expectSuccess()
            try Program.mlops(["registry", "push", "models/m"], in: folder).expectSuccess()
        }
        let listing = try project.mlops("registry", "list", "--remote", "origin", "--json").json()
        #expect(listing["artifacts"]?.array?.first?["versions"] == 2)
        try project.mlops("registry", "pull", "models/m@v2").expectSuccess()
        #expect(try FileSystem.readText(project.folder("models/m.bin")) == "second")
    }
}

/// The S3 server that `Scripts/run-tests` started.
struct S3 {
    let endpoint: String
    let bucket: String
    let environment: [String: String]
    /// Each test has a prefix of its own.
    let prefix = String(UInt64.random(in: .min ... .max), radix: 36)

    static var isThere: Bool { ProcessInfo.processInfo.environment["MLOPS_TEST_S3"] != nil }

    init() throws {
        let variables = ProcessInfo.processInfo.environment
        endpoint = try #require(variables["MLOPS_TEST_S3"])
        bucket = try #require(variables["MLOPS_TEST_S3_BUCKET"])
        environment = [
            "AWS_ACCESS_KEY_ID": try #require(variables["MLOPS_TEST_S3_ACCESS_KEY"]),
            "AWS_SECRET_ACCESS_KEY": try #require(variables["MLOPS_TEST_S3_SECRET_KEY"]), "AWS_REGION": "us-east-1",
        ]
    }

    var addRemote: [String] { ["remote", "add", "origin", "s3://\(bucket)/\(prefix)", "--endpoint", endpoint] }
}
