import ArtifactRegistry
import Basics
import ContentStorage
import Foundation
import Gates
import Remotes
import TestSupport
import Testing

@testable import Workspaces

@Suite struct WorkspaceTests {
    private let folder: TemporaryFolder
    private let workspace: Workspace

    init() throws {
        folder = try TemporaryFolder()
        workspace = try Workspace.initialize(at: folder.path, environment: WorkspaceTests.environment).workspace
    }

    private static let environment = HostEnvironment(variables: [:], executable: "/bin/false", actor: "test@host")

    @Test(arguments: [
        ("data/train.csv", "datasets/train"), ("models/census", "models/census"), ("out/net.safetensors", "models/net"),
        ("data/Été 1.csv", "datasets/t--1"), ("data.tar.gz", "datasets/data"),
    ])
    func anArtifactIsNamedAfterItsPath(_ path: String, _ name: String) throws {
        #expect(try Workspace.defaultName(for: RelativePath(path)).description == name)
    }

    @Test func aPathWithoutLettersNeedsAName() {
        #expect { try Workspace.defaultName(for: RelativePath("data/---.csv")) } throws: {
            ($0 as? MLOpsError)?.hint?.contains("--as") == true
        }
    }

    @Test func aPointerReadsBackAsItWasWritten() async throws {
        try folder.write("data/a.csv", "x\n")
        let outcome = try await workspace.add(try RelativePath("data/a.csv"), source: "somewhere: else #1")
        let pointer = try #require(try workspace.pointer(of: outcome.artifact))
        #expect(pointer.content == outcome.content)
        #expect(pointer.source == "somewhere: else #1")
        #expect(try Pointer(artifact: pointer.artifact, text: pointer.text, file: "p") == pointer)
    }

    @Test(arguments: [
        ("path: ../x\ndigest: \"sha256:D\"\nkind: file\nsize: 1\nfiles: 1\n", "leaves the repository"),
        ("path: x\ndigest: nothing\nkind: file\nsize: 1\nfiles: 1\n", "digest `nothing`"),
        ("path: x\ndigest: \"sha256:D\"\nkind: link\nsize: 1\nfiles: 1\n", "neither `file` nor `tree`"),
        ("path: x\ndigest: \"sha256:D\"\nkind: file\nsize: one\nfiles: 1\n", "text `one`"),
        ("path: x\ndigest: \"sha256:D\"\nkind: file\nfiles: 1\n", "size"),
        ("path: x\ndigest: \"sha256:D\"\nkind: file\nsize: 1\nfiles: 1\nsise: 1\n", "sise"),
    ])
    func aBrokenPointerIsToldWithItsLine(_ text: String, _ words: String) throws {
        let text = text.replacing("sha256:D", with: Digest.of("x").description)
        try folder.write("registry/datasets/x.yaml", text)
        let error = try #require(throws: MLOpsError.self) { try workspace.pointers() }
        #expect(
            error.description.contains("registry/datasets/x.yaml:") && error.description.contains(words), "\(error)")
        #expect(error.exitCode == 64)
    }

    @Test func pathsThatOverlapAreRefused() async throws {
        try folder.write("data/sub/a.csv", "x\n")
        _ = try await workspace.add(try RelativePath("data/sub/a.csv"))
        await #expect { try await workspace.add(try RelativePath("data")) } throws: {
            "\($0)".contains("overlaps `data/sub/a.csv`")
        }
    }

    /// A clean merge of git can bring such pointers together.
    @Test(arguments: ["data/x", "data/x/sub", "data"])
    func pointersWhosePathsOverlapAreRefused(_ path: String) async throws {
        try folder.write("data/x/sub/a.csv", "x\n")
        try folder.write("data-2/a.csv", "y\n")
        let first = try await workspace.add(try RelativePath("data/x"))
        _ = try await workspace.add(try RelativePath("data-2"))
        #expect(try await workspace.status().artifacts.count == 2)
        let name = try ArtifactName("datasets/other")
        let other = Pointer(artifact: name, path: try RelativePath(path), content: first.content)
        try workspace.save(other)
        func isRefused(_ work: () async throws -> Void) async {
            let error = await #expect(throws: MLOpsError.self) { try await work() }
            let names = ["`registry/datasets/x.yaml`", "`registry/datasets/other.yaml`"]
            #expect(
                error?.kind == .conflict && names.allSatisfy { error?.message.contains($0) == true }, "\(error as Any)")
            #expect(error?.hint?.contains("change its `path:`") == true)
        }
        await isRefused { _ = try await workspace.status() }
        await isRefused { _ = try await workspace.status(of: [first.artifact]) }
        await isRefused { _ = try await workspace.checkout([name]) }
        await isRefused { _ = try await workspace.pull([], remoteName: nil, force: false) }
        await isRefused { _ = try await workspace.add(try RelativePath("data-2")) }
        #expect(try await workspace.status(of: [try ArtifactName("datasets/data-2")]).artifacts.count == 1)
        #expect(try await workspace.verify().isClean)
        let options = CollectionOptions(grace: .zero, isDryRun: false)
        _ = try await workspace.collect(RetentionPolicy(), options: options)
        #expect(try workspace.store.contains(first.content))
    }

    @Test func aPulledVersionIsRefusedWhereAnotherArtifactLies() async throws {
        try folder.write("data/x/a.csv", "x\n")
        let artifact = try await workspace.add(try RelativePath("data/x")).artifact
        _ = try await workspace.publish(artifact)
        try FileSystem.removeFile(folder("registry/datasets/x.yaml"))
        let name = try ArtifactName("datasets/sub")
        try folder.write("data/x/a.csv", "y\n")
        _ = try await workspace.add(try RelativePath("data/x/a.csv"), as: name)
        await #expect { try await workspace.retrieve(try ArtifactReference("\(artifact)@v1"), force: true) } throws: {
            ($0 as? MLOpsError)?.kind == .conflict && "\($0)".contains("registry/datasets/sub.yaml")
        }
        #expect(try folder.read("data/x/a.csv") == Array("y\n".utf8))
        #expect(!FileSystem.exists(folder("registry/datasets/x.yaml")))
    }

    @Test(arguments: [
        ("datasets/F2.yaml", "`registry/datasets/f2.yaml`"), ("datasets/bob.yml", "`registry/datasets/bob.yaml`"),
        ("Models/net.yaml", "`registry/models/net.yaml`"), ("datasets/a b.yaml", "such as"),
    ])
    func aPointerWithAWrongNameIsTold(_ name: String, _ better: String) async throws {
        try folder.write("data/a.csv", "x\n")
        let added = try await workspace.add(try RelativePath("data/a.csv"))
        try FileSystem.createDirectories(FileSystem.parent(of: folder("registry/\(name)")))
        try FileSystem.rename(folder("registry/datasets/a.yaml"), to: folder("registry/\(name)"))
        func isTold(_ work: () async throws -> Void) async {
            let error = await #expect(throws: MLOpsError.self) { try await work() }
            #expect(error?.message.contains("`registry/\(name)`") == true, "\(error as Any)")
            #expect(error?.hint?.contains(better) == true, "\(error as Any)")
        }
        await isTold { _ = try await workspace.status() }
        await isTold { _ = try await workspace.checkout() }
        await isTold { _ = try await workspace.pull([], remoteName: nil, force: false) }
        await isTold {
            _ = try await workspace.collect(
                RetentionPolicy(), options: CollectionOptions(grace: .zero, isDryRun: false))
        }
        let damages = try await workspace.verify().damages
        #expect(damages.contains { $0.object == "pointer `registry/\(name)`" }, "\(damages)")
        #expect(try workspace.store.contains(added.content))
    }

    @Test(arguments: ["README.md", ".gitkeep", ".a.yaml.swp", ".a.yaml", "a.yaml~", "a.yaml.orig", "a.yaml.rej"])
    func aFileThatIsClearlyNoPointerIsIgnored(_ name: String) async throws {
        try folder.write("registry/datasets/\(name)", "x")
        #expect(try await workspace.status().artifacts.isEmpty)
        #expect(try await workspace.verify().isClean)
    }

    @Test func aRemoteInAFileOrAmongTheProjectsOwnFilesIsRefused() async throws {
        try folder.write("rf", "x")
        try FileSystem.createDirectories(folder("inside"))
        for (url, words) in [
            ("rf", "is not a folder"), ("file://" + folder("rf"), "is not a folder"), (".", "own files"),
            ("registry", "own files"), ("registry/new/one", "own files"), (folder(".mlops/store"), "own files"),
        ] {
            await #expect {
                try await workspace.addRemote(
                    "f", RemoteConfiguration(url: url), isLocal: true, makeDefault: false)
            } throws: { ($0 as? MLOpsError)?.kind == .usage && "\($0)".contains(words) }
        }
        _ = try await workspace.addRemote(
            "f", RemoteConfiguration(url: "inside"), isLocal: true, makeDefault: false)
        #expect(try workspace.remotes().count == 1)
        #expect(!FileSystem.exists(folder("registry/new")))
    }

    @Test func whatIsWrongWithAFileTellsTheArtifact() async throws {
        try folder.write("data/x/a.csv", "x\n")
        let artifact = try await workspace.add(try RelativePath("data/x")).artifact
        try FileSystem.rename(folder("data/x"), to: folder("data/y"))
        try FileManager.default.createSymbolicLink(atPath: folder("data/x"), withDestinationPath: "y")
        let status = try await workspace.status()
        #expect(status.artifacts.map(\.state) == [.unreadable])
        #expect(status.failure?.kind == .usage && status.failure?.message.contains("`\(artifact)`") == true)
    }

    @Test func withoutARemoteAVersionStaysHere() async throws {
        try folder.write("models/m.bin", "weights")
        let added = try await workspace.add(try RelativePath("models/m.bin"))
        let first = try await workspace.publish(added.artifact)
        #expect(first.isNew && first.version == 1 && first.remote == nil)
        let again = try await workspace.publish(added.artifact)
        #expect(!again.isNew && again.version == 1)
    }

    @Test func aPromotionNeedsItsRulesAndTheGatesOfTheVersion() async throws {
        try folder.write("models/m.bin", "weights")
        let artifact = try await workspace.add(try RelativePath("models/m.bin")).artifact
        var details = PublicationDetails()
        details.metrics = ["test": ["accuracy": 0.9]]
        _ = try await workspace.publish(artifact, details: details)
        let reference = try ArtifactReference("\(artifact)@v1")
        let high = GateRule(metric: "test.accuracy", min: 0.95)
        await #expect { try await workspace.promote(reference, to: "production", rules: [high]) } throws: {
            ($0 as? MLOpsError)?.exitCode == 4 && "\($0)".contains("test.accuracy is 0.9")
        }
        #expect(try await workspace.registry.history(of: artifact).aliases == [:])
        let low = GateRule(metric: "test.accuracy", min: 0.85)
        #expect(try await workspace.promote(reference, to: "production", rules: [low]).version == 1)
        let events = try await workspace.registry.history(of: artifact).events.count
        #expect(events == 3, "published, refused, promoted")
    }

    @Test func aVersionWhoseGateRefusedIsNotPromoted() async throws {
        try folder.write("models/m.bin", "weights")
        let artifact = try await workspace.add(try RelativePath("models/m.bin")).artifact
        var details = PublicationDetails()
        details.gates = ["gate": ["passed": false]]
        _ = try await workspace.publish(artifact, details: details)
        await #expect {
            try await workspace.promote(try ArtifactReference("\(artifact)@v1"), to: "production", rules: [])
        } throws: { ($0 as? MLOpsError)?.exitCode == 4 }
    }

    @Test func thisMachinesRemoteWinsOverTheSharedOne() async throws {
        let shared = RemoteConfiguration(url: folder("shared"))
        _ = try await workspace.addRemote("origin", shared, isLocal: false, makeDefault: false)
        await #expect { try await workspace.addRemote("origin", shared, isLocal: true, makeDefault: false) } throws: {
            ($0 as? MLOpsError)?.exitCode == 11
        }
        try folder.write(".mlops/config.yaml", "version: 1\nremotes:\n  origin:\n    url: \(folder("local"))\n")
        #expect(try workspace.remote().configuration.url == folder("local"))
        #expect(try workspace.remote().isDefault)
    }
}
