import Basics
import ContentStorage
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Remotes

/// Pushes and pulls through a network that spoils a fifth of all exchanges.
@Suite(.serialized) struct FaultProxyTests {
    /// A server behind the proxy, and how to look at it without the proxy.
    private struct Site {
        var port: Int
        var bucket: String
        var environment: [String: String]
        var limits = S3Remote.Limits()
        var owner: (any Sendable)?

        func remote(_ url: String, _ prefix: String) throws -> S3Remote {
            let settings = try S3Settings(
                RemoteConfiguration(url: "s3://\(bucket)/\(prefix)", endpoint: url), environment: environment)
            var retry = RetryPolicy()
            (retry.firstPause, retry.longestPause) = (.milliseconds(1), .milliseconds(4))
            retry.stallTimeout = .seconds(1)
            return S3Remote(settings: settings, limits: limits, retry: retry)
        }
    }

    private static func inMemory(_ store: InMemoryS3) throws -> Site {
        let server = try ScriptedServer { store.answer($0) }
        var site = Site(port: server.port, bucket: "bucket", environment: TestS3.environment(), owner: server)
        (site.limits.singlePut, site.limits.part) = (1 << 20, 300_000)
        return site
    }

    private static func real() throws -> Site {
        let port = try #require(TestS3.endpoint?.split(separator: ":").last.flatMap { Int($0) })
        return Site(port: port, bucket: TestS3.bucket, environment: TestS3.environment())
    }

    /// Some small files, of which each round changes one, and a large one that changes now and then.
    private func write(_ round: Int, in folder: TemporaryFolder) throws {
        try FileSystem.createDirectories(folder("data/sub"))
        for file in 0..<8 where round == 0 || file == round % 8 {
            let bytes = noise(3000 * (file + 1), seed: UInt64(round * 100 + file))
            try Data(bytes).write(to: URL(fileURLWithPath: folder("data/\(file % 2 == 0 ? "sub/" : "")\(file)")))
        }
        if round % 6 == 0 {
            try Data(noise(1_500_000, seed: UInt64(round))).write(to: URL(fileURLWithPath: folder("data/big")))
        }
    }

    /// - Returns: how many pushes and pulls there were, all of which ended right.
    private func run(_ site: Site, seed: UInt64, rounds: Int) async throws -> FaultProxy {
        let proxy = try FaultProxy(upstream: site.port, seed: seed, share: 0.2)
        let prefix = "faults-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let (remote, direct) = (
            try site.remote(proxy.url, prefix), try site.remote("http://127.0.0.1:\(site.port)", prefix)
        )
        let folder = try TemporaryFolder()
        let here = try ContentStore(folder: folder("a/.mlops"))
        let there = try ContentStore(folder: folder("b/.mlops"))
        var roots: [(String, ContentRoot)] = []
        for round in 0..<rounds {
            try write(round, in: folder)
            let root = try await here.add(path: folder("data")).root
            roots.append(("v\(round)", root))
            _ = try await Transfer(store: here, remote: remote, jobs: 4).push([root])
            let event = "events/models/x/\(round + 1).json"
            #expect(try await remote.putIfAbsent(Array("event \(round)".utf8), at: event))
            #expect(try await !remote.putIfAbsent(Array("other".utf8), at: event))
            _ = try await Transfer(store: there, remote: remote, jobs: 4).pull([root])
            #expect(try there.contains(root))
            #expect(try await remote.get(event) == Array("event \(round)".utf8))
        }
        #expect(try await there.verify(roots: roots).isClean)
        // Everything that lies on the remote is right, and nothing lies there besides.
        let clean = try ContentStore(folder: folder("c/.mlops"))
        _ = try await Transfer(store: clean, remote: direct).pull(roots.map(\.1))
        #expect(try await clean.verify(roots: roots).isClean)
        for item in try await direct.list("") {
            let bytes = try await direct.get(item.key)
            #expect(Int64(bytes.count) == item.byteCount)
            if item.key.hasPrefix("index/") { #expect(item.key == "index/\(Digest.of(bytes).hex).idx") }
        }
        #expect(try await direct.list("events").count == rounds)
        return proxy
    }

    private func tell(_ proxy: FaultProxy, _ where: String, seed: UInt64, rounds: Int) {
        let counts = proxy.counts.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }
        print(
            "fault proxy, \(`where`), seed \(seed): \(2 * rounds)/\(2 * rounds) pushes and pulls ended right; "
                + "\(proxy.faultCount) of \(proxy.requestCount) requests spoiled (\(counts.joined(separator: ", ")))")
    }

    @Test(arguments: 1...2)
    func everyPushAndPullEndsRightOverAServerInMemoryThatUsesParts(_ number: Int) async throws {
        let seed = UInt64(number)
        let store = InMemoryS3()
        let proxy = try await run(try FaultProxyTests.inMemory(store), seed: seed, rounds: 18)
        #expect(proxy.faultCount > 20)
        #expect(store.state.withLock { $0.uploads.isEmpty && $0.uploadCount > 0 }, "no upload is left open")
        tell(proxy, "the server in memory", seed: seed, rounds: 18)
    }

    @Test(.enabled(if: TestS3.isAvailable, "MLOPS_TEST_S3 is not set"))
    func everyPushAndPullEndsRightOverARealServer() async throws {
        let seed: UInt64 = 7
        let proxy = try await run(try FaultProxyTests.real(), seed: seed, rounds: 18)
        #expect(proxy.faultCount > 20)
        tell(proxy, "SeaweedFS", seed: seed, rounds: 18)
    }

    @Test func aProxyThatStripsConditionsIsFoundOut() async throws {
        let store = InMemoryS3()
        let site = try FaultProxyTests.inMemory(store)
        let proxy = try FaultProxy(upstream: site.port, seed: 1, share: 0, stripsConditions: true)
        let remote = try site.remote(proxy.url, "pre")
        #expect(try await !probeRemote(remote).hasConditionalWrites)
        for _ in 0..<3 { #expect(try await !honoursConditionalWrites(remote)) }
        #expect(try await RemoteFormat.check(remote))
        let direct = try site.remote("http://127.0.0.1:\(site.port)", "pre")
        #expect(try await honoursConditionalWrites(direct))
        let folder = DirectoryRemote(folder: try TemporaryFolder()("x"))
        #expect(try await honoursConditionalWrites(folder))
    }
}
