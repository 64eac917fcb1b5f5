import Basics
import ContentStorage
import CurlTransport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Remotes

/// What was moved once is not moved again.
@Suite struct ResumeTests {
    private func remote(
        _ url: String, limits: S3Remote.Limits = .init(), limiter: RateLimiter? = nil
    ) throws -> S3Remote {
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/pre", endpoint: url), environment: TestS3.environment())
        var retry = RetryPolicy()
        (retry.firstPause, retry.longestPause) = (.milliseconds(1), .milliseconds(5))
        return S3Remote(settings: settings, limits: limits, retry: retry, limiter: limiter)
    }

    @Test func aDownloadGoesOnWhereItsConnectionBroke() async throws {
        let bytes = noise(300_000)
        let server = try ScriptedServer { request in
            guard let range = request.headers["range"] else {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"
                return .raw(Array(head.utf8) + bytes[..<100_000])
            }
            let start = Int(range.dropFirst("bytes=".count).dropLast()) ?? 0
            return .respond(206, body: Array(bytes[start...]))
        }
        let folder = try TemporaryFolder()
        let moved = Mutex<Int64>(0)
        try await remote(server.url).download("k", to: folder("f")) { count in moved.withLock { $0 += count } }
        #expect(try folder.read("f") == bytes)
        #expect(server.requests.map { $0.headers["range"] } == [nil, "bytes=100000-"])
        #expect(moved.withLock { $0 } == 300_000)
    }

    @Test func aServerThatIgnoresTheRangeSendsAllOfItToTheStart() async throws {
        let bytes = noise(300_000)
        let count = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            if count.add(1, ordering: .relaxed).newValue > 1 { return .respond(200, body: bytes) }
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"
            return .raw(Array(head.utf8) + bytes[..<100_000])
        }
        let folder = try TemporaryFolder()
        try await remote(server.url).download("k", to: folder("f"))
        #expect(try folder.read("f") == bytes)
    }

    @Test func anUploadInPartsGoesOnWithThePartsThatLieThere() async throws {
        let store = InMemoryS3()
        let isDown = Atomic<Bool>(false)
        // The process dies with the third part: nothing it says any more arrives.
        let server = try ScriptedServer { request in
            if request.target.contains("partNumber=3") { isDown.store(true, ordering: .relaxed) }
            return isDown.load(ordering: .relaxed) ? .text(403, "") : store.answer(request)
        }
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part, limits.parallelParts) = (100_000, 100_000, 1)
        let folder = try TemporaryFolder()
        let bytes = noise(550_000)
        let path = try folder.write("f", bytes)
        let remote = try remote(server.url, limits: limits)
        await #expect(throws: MLOpsError.self) {
            try await remote.upload(file: path, to: "packs/x", digest: Digest.of(bytes))
        }
        isDown.store(false, ordering: .relaxed)
        #expect(store.state.withLock { $0.partCount } == 2)
        let moved = Mutex<Int64>(0)
        // The server lets the third part through this time.
        let second = try ScriptedServer { store.answer($0) }
        try await self.remote(second.url, limits: limits).upload(
            file: path, to: "packs/x", digest: Digest.of(bytes)
        ) { count in moved.withLock { $0 += count } }
        #expect(store.state.withLock { $0.partCount } == 6)
        #expect(store.state.withLock { $0.uploadCount } == 1)
        #expect(store.state.withLock { $0.uploads.isEmpty })
        #expect(store.state.withLock { $0.objects["pre/packs/x"] } == bytes)
        #expect(moved.withLock { $0 } == 550_000)
    }

    @Test(.enabled(if: TestS3.isAvailable, "MLOPS_TEST_S3 is not set"))
    func anUploadThatWasLeftOpenIsUsedOnARealServer() async throws {
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part) = (5 << 20, 5 << 20)
        let remote = try TestS3.remote(limits: limits)
        let bytes = noise(11 << 20)
        let folder = try TemporaryFolder()
        let path = try folder.write("f", bytes)
        var start = S3Request("POST", "packs/x", action: "write")
        start.query = [("uploads", "")]
        start.headers = [("x-amz-checksum-algorithm", "SHA256")]
        _ = try await remote.client.perform(start)
        try await remote.upload(file: path, to: "packs/x", digest: Digest.of(bytes))
        #expect(try Digest.of(await remote.get("packs/x")) == Digest.of(bytes))
        var list = S3Request("GET", nil, action: "list")
        list.query = [("uploads", ""), ("prefix", remote.client.settings.prefix)]
        let answer = XMLElement(parsing: try await remote.client.perform(list).body)
        #expect(answer?.all("Upload").isEmpty == true)
    }

    @Test func allConnectionsTogetherKeepToTheRate() async throws {
        let bytes = noise(500_000)
        let server = try ScriptedServer { $0.method == "GET" ? .respond(200, body: bytes) : .respond(200) }
        let remote = try remote(server.url, limiter: RateLimiter(bytesPerSecond: 800_000))
        let start = ContinuousClock.now
        _ = try await mapConcurrently(Array(0..<4), width: 4) { number in
            if number % 2 == 0 { try await remote.put(bytes, at: "k") } else { _ = try await remote.get("k") }
        }
        let seconds = (ContinuousClock.now - start).seconds
        // What each connection moved last, an eighth of a second's worth, nobody waits for any more.
        #expect(seconds > 1.9 && seconds < 6, "2 MB at 800 kB/s took \(seconds) s")
        let folder = try TemporaryFolder()
        let disk = DirectoryRemote(folder: folder("r"), limiter: RateLimiter(bytesPerSecond: 1_000_000))
        let path = try folder.write("f", noise(500_000))
        let before = ContinuousClock.now
        try await disk.upload(file: path, to: "k", digest: Digest.of(noise(500_000)))
        #expect((ContinuousClock.now - before).seconds > 0.4)
    }

    @Test func onlyTheChosenPartIsFetched() async throws {
        let folder = try TemporaryFolder()
        for number in 0..<40 {
            try FileSystem.createDirectories(folder("data/\(number % 4)/deep"))
            try Data(noise(20_000, seed: UInt64(number))).write(
                to: URL(fileURLWithPath: folder("data/\(number % 4)/deep/\(number)")))
        }
        try folder.write("data/run.sh", "#!/bin/sh\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder("data/run.sh"))
        let here = try ContentStore(folder: folder("a/.mlops"))
        let root = try await here.add(path: folder("data")).root
        let base = DirectoryRemote(folder: folder("remote"))
        _ = try await Transfer(store: here, remote: base).push([root])
        let counting = FaultyRemote(base)
        let there = try ContentStore(folder: folder("b/.mlops"))
        let selection = PathSelection(try ["2/deep", "run.sh", "not/there"].map { try RelativePath($0) })
        _ = try await Transfer(store: there, remote: counting).pull([root], selection)
        // Ten of forty files, their listings, and the index.
        #expect(counting.readByteCount.load(ordering: .relaxed) < 260_000)
        let options = CheckoutOptions(selection: selection)
        try folder.write("b/out/mine", "left alone")
        try folder.write("b/out/2/also-mine", "left alone")
        try await there.checkout(root, to: folder("b/out"), options: options)
        #expect(try FileSystem.list(folder("b/out")) == ["2", "mine", "run.sh"])
        #expect(try FileSystem.list(folder("b/out/2")) == ["also-mine", "deep"])
        #expect(try FileSystem.list(folder("b/out/2/deep")).count == 10)
        #expect(try FileStatus.of(folder("b/out/run.sh"))?.isExecutable == true)
        #expect(try await there.compare(root, with: folder("b/out"), selection: selection).isEmpty)
        try FileSystem.removeFile(folder("b/out/2/deep/2"))
        try folder.write("b/out/2/deep/new", "x")
        let changes = try await there.compare(root, with: folder("b/out"), selection: selection)
        #expect(changes.map { "\($0.kind) \($0.path)" } == ["deleted 2/deep/2", "added 2/deep/new"])
        let error = #expect(throws: MLOpsError.self) { try there.part(RelativePath("no"), of: root) }
        #expect(error?.kind == .notFound)
    }
}
