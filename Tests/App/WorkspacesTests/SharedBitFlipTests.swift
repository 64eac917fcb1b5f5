import ArtifactRegistry
import Basics
import ContentStorage
import Foundation
import Remotes
import TestSupport
import Testing

@testable import Workspaces

/// Every file that holds data, here and on a remote: a bit that is flipped anywhere is told by `mlops fsck`.
@Suite struct SharedBitFlipTests {
    private static let triesEveryFlip = ProcessInfo.processInfo.environment["MLOPS_PROVE"] == "1"

    private let folder: TemporaryFolder
    private let workspace: Workspace

    init() async throws {
        folder = try TemporaryFolder()
        try folder.write(
            "project/registry/config.yaml", "version: 1\nremotes:\n  origin:\n    url: \"\(folder("remote"))\"\n")
        try FileSystem.createDirectories(folder("project/.mlops"))
        workspace = try Workspace.open(
            at: folder("project"),
            environment: HostEnvironment(variables: [:], executable: "/bin/false", actor: "test@host"))
        try folder.write("project/data/x/text", String(repeating: "compressible ", count: 40))
        try folder.write("project/data/x/sub/noise", (0..<300).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) })
        let artifact = try ArtifactName("datasets/x")
        for round in 1...2 {
            try folder.write("project/data/x/sub/round", "round \(round)")
            _ = try await workspace.add(try RelativePath("data/x"))
            _ = try await workspace.publish(artifact)
        }
    }

    private func files(below path: String) throws -> [String] {
        try FileSystem.list(path).flatMap { name -> [String] in
            let below = FileSystem.join(path, name)
            if FileSystem.isDirectory(below) { return try files(below: below) }
            // Locks are empty, and what was used lately is advice.
            return name.hasPrefix(".") || name == "uses" ? [] : [below]
        }
    }

    /// - Returns: of the flips that were tried, how many made `look` say or throw something.
    private func flip(_ path: String, _ look: () async throws -> Bool) async throws -> (noticed: Int, tried: Int) {
        let good = try FileSystem.read(path)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let step = SharedBitFlipTests.triesEveryFlip ? 1 : max(1, good.count * 8 / 40)
        var (noticed, tried) = (0, 0)
        for bit in stride(from: 0, to: good.count * 8, by: step) {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            tried += 1
            do {
                let isClean = try await look()
                #expect(!isClean, "bit \(bit) of `\(path)`")
                noticed += isClean ? 0 : 1
            } catch is MLOpsError {
                noticed += 1
            }
        }
        try Data(good).write(to: URL(fileURLWithPath: path))
        return (noticed, tried)
    }

    @Test func aDamagedLogOfWholeContentsIsMended() async throws {
        let path = folder("project/.mlops/store/whole")
        var bytes = try FileSystem.read(path)
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        #expect(try await !workspace.verify().isClean)
        _ = try await workspace.heal(remoteName: nil)
        #expect(try await workspace.verify().isClean)
    }

    @Test func everyFlippedBitHereIsNoticed() async throws {
        let places = try files(below: folder("project/.mlops/store")) + files(below: folder("project/.mlops/events"))
        #expect(places.count >= 4, "packs and events: \(places)")
        for path in places {
            let result = try await flip(path) { try await workspace.verify().isClean }
            #expect(result.noticed == result.tried)
            print("bit flips: here, \(kind(path)) \(result.noticed)/\(result.tried) noticed")
        }
        #expect(try await workspace.verify().isClean)
    }

    @Test func everyFlippedBitOnTheRemoteIsNoticed() async throws {
        let places = try files(below: folder("remote"))
        for part in ["format.json", "index/", "packs/", "events/"] {
            #expect(places.contains { $0.contains(part) }, "\(part)")
        }
        for path in places {
            let result = try await flip(path) { try await workspace.verifyRemote(nil, readsData: true).isClean }
            #expect(result.noticed == result.tried)
            print("bit flips: on the remote, \(kind(path)) \(result.noticed)/\(result.tried) noticed")
        }
        #expect(try await workspace.verifyRemote(nil, readsData: true).isClean)
    }

    private func kind(_ path: String) -> String {
        path.hasSuffix(".pack") ? "pack" : path.hasSuffix(".idx") ? "index file" : FileSystem.name(of: path)
    }
}
