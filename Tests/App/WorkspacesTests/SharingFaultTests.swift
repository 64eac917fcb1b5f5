import ArtifactRegistry
import Basics
import ContentStorage
import Foundation
import Remotes
import Synchronization
import TestSupport
import Testing

@testable import Workspaces

/// Versions that are published, fetched, downloaded and looked at through a network that spoils a fifth of all exchanges.
@Suite(.serialized) struct SharingFaultTests {
    /// With everything that `make prove` has time for, stalls of half a minute too.
    private static let isProof = ProcessInfo.processInfo.environment["MLOPS_PROVE"] == "1"

    private let folder: TemporaryFolder
    private let store = InMemoryS3()
    private let server: ScriptedServer

    init() throws {
        folder = try TemporaryFolder()
        server = try ScriptedServer { [store] in store.answer($0) }
    }

    private static let host = HostEnvironment(
        variables: [
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        ], executable: "/bin/false", actor: "test@host")

    private func configuration(_ url: String) -> RemoteConfiguration {
        RemoteConfiguration(url: "s3://bucket/prefix", endpoint: url)
    }

    /// A project whose remote is reached through `url`.
    private func workspace(_ name: String, through url: String) throws -> Workspace {
        try folder.write(
            "\(name)/registry/config.yaml",
            "version: 1\nremotes:\n  origin:\n    url: s3://bucket/prefix\n    endpoint: \(url)\n")
        try FileSystem.createDirectories(folder("\(name)/.mlops"))
        return try Workspace.open(at: folder(name), environment: SharingFaultTests.host)
    }

    private func noise(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var random = Philox(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// The files of a version: some change, a large one seldom.
    private func write(_ round: Int) throws -> [String: [UInt8]] {
        let files: [String: [UInt8]] = [
            "a": noise(3000, UInt64(round)), "sub/b": noise(9000, UInt64(round / 2)), "sub/same": noise(500, 99),
            "large": noise(400_000, UInt64(1000 + round / 4)),
        ]
        for (name, bytes) in files { try folder.write("here/models/net/\(name)", bytes) }
        return files
    }

    private func expect(_ files: [String: [UInt8]], at path: String, _ what: String) throws {
        for (name, bytes) in files {
            #expect(try FileSystem.read(FileSystem.join(path, name)) == bytes, "\(what): \(name)")
        }
    }

    @Test func everyPublicationRetrievalDownloadAndLookEndsRight() async throws {
        let faults = FaultProxy.Fault.allCases.filter { SharingFaultTests.isProof || $0 != .stall }
        let seed: UInt64 = SharingFaultTests.isProof ? 3 : 5
        let proxy = try FaultProxy(upstream: server.port, seed: seed, share: 0.2, faults: faults)
        let here = try workspace("here", through: proxy.url)
        let there = try workspace("there", through: proxy.url)
        let artifact = try ArtifactName("models/net")
        let downloads = try RemoteArtifacts(
            configuration(proxy.url), relativeTo: folder.path, environment: SharingFaultTests.host,
            options: TransferOptions())
        let rounds = SharingFaultTests.isProof ? 16 : 4
        var ended = 0
        for round in 1...rounds {
            let files = try write(round)
            _ = try await here.add(try RelativePath("models/net"))
            let published = try await here.publish(artifact)
            #expect(published.version == round && published.isNew)
            let again = try await here.publish(artifact)
            #expect(again.version == round && !again.isNew)
            let fetched = try await there.retrieve(try ArtifactReference("models/net@v\(round)"), force: true)
            #expect(fetched.version == round)
            try expect(files, at: folder("there/models/net"), "retrieved \(round)")
            let reference = try ArtifactReference("models/net")
            _ = try await downloads.download(reference, to: "got", in: folder.path, replaces: true)
            try expect(files, at: folder("got"), "downloaded \(round)")
            _ = try await downloads.download(
                reference, part: try RelativePath("sub"), to: "part", in: folder.path, replaces: true)
            #expect(try FileSystem.list(folder("part")) == ["b", "same"])
            let look = try await here.verifyRemote(nil, readsData: true)
            #expect(look.isClean && look.unsent.isEmpty, "\(look.damages)")
            ended += 6
        }
        #expect(proxy.faultCount > rounds)
        // Without the proxy: no gap in the numbers, every version whole, nothing left of uploads.
        let clean = try workspace("clean", through: server.url)
        let history = try await clean.histories(kind: nil, remoteName: "origin").first
        #expect(history?.versions.map(\.version) == Array(1...rounds))
        for round in 1...rounds {
            _ = try await clean.retrieve(try ArtifactReference("models/net@v\(round)"), force: true)
        }
        try expect(try write(rounds), at: folder("clean/models/net"), "without the proxy")
        #expect(try await clean.verify().isClean)
        #expect(store.state.withLock { $0.uploads.isEmpty })
        #expect(try FileSystem.list(folder.path).filter { $0.hasSuffix(".mlops-get") }.isEmpty)
        print(
            "fault proxy, publications, retrievals, downloads and looks, seed \(seed): \(ended)/\(6 * rounds) ended right; "
                + "\(proxy.faultCount) of \(proxy.requestCount) requests spoiled")
    }

    @Test func damageOnTheRemoteIsToldFromDamageOnTheWayAndHealed() async throws {
        let proxy = try FaultProxy(
            upstream: server.port, seed: 11, share: 0.2, faults: [.wrongBytesDown, .truncatedAnswer])
        let here = try workspace("here", through: proxy.url)
        let artifact = try ArtifactName("models/net")
        let files = try write(1)
        _ = try await here.add(try RelativePath("models/net"))
        _ = try await here.publish(artifact)
        let pack = try #require(store.state.withLock { $0.objects.keys.first { $0.contains("packs/") } })
        store.state.withLock { $0.objects[pack]?[5000] ^= 1 }
        let hurt = try await here.verifyRemote(nil, readsData: true)
        #expect(hurt.hurtRoots == ["models/net", "models/net@v1"], "\(hurt.damages)")
        let there = try workspace("there", through: proxy.url)
        await #expect(throws: MLOpsError.self) {
            try await there.retrieve(try ArtifactReference("models/net"), force: true)
        }
        #expect(!FileSystem.exists(folder("there/models/net/large")))
        _ = try await here.healRemote(nil, readsData: true)
        #expect(try await here.verifyRemote(nil, readsData: true).isClean)
        _ = try await there.retrieve(try ArtifactReference("models/net"), force: true)
        try expect(files, at: folder("there/models/net"), "healed")
    }
}
