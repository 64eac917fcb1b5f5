import Basics
import Synchronization
import TestSupport
import Testing

@testable import Remotes

/// Servers on their bad days.
@Suite struct S3FailureTests {
    private func remote(_ server: ScriptedServer, limits: S3Remote.Limits = .init()) throws -> S3Remote {
        try remote(server.url, limits: limits)
    }

    private func remote(_ url: String, limits: S3Remote.Limits = .init()) throws -> S3Remote {
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/pre", endpoint: url), environment: TestS3.environment())
        var retry = RetryPolicy()
        retry.firstPause = .milliseconds(1)
        retry.longestPause = .milliseconds(5)
        return S3Remote(settings: settings, limits: limits, retry: retry)
    }

    private static func error(
        _ status: Int, _ code: String, _ headers: [(name: String, value: String)] = []
    )
        -> ScriptedServer.Answer
    {
        let text =
            "<?xml version=\"1.0\"?>\n<Error><Code>\(code)</Code><Message>it &amp; is</Message></Error>"
        return .respond(status, headers: headers, body: Array(text.utf8))
    }

    @Test(arguments: [500, 502, 503, 504, 429, 409, 408])
    func asksAgainWhenTheServerIsBusy(_ status: Int) async throws {
        let count = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            count.add(1, ordering: .relaxed).newValue < 4 ? Self.error(status, "SlowDown") : .text(200, "at last")
        }
        #expect(try await remote(server).get("k") == Array("at last".utf8))
        #expect(server.requests.count == 4)
    }

    @Test func asksAgainAfterBrokenConnections() async throws {
        let count = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            switch count.add(1, ordering: .relaxed).newValue {
            case 1: .hangUp
            case 2: .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".utf8))
            default: .text(200, "0123456789")
            }
        }
        let folder = try TemporaryFolder()
        let moved = Mutex<Int64>(0)
        try await remote(server).download("k", to: folder("f")) { count in moved.withLock { $0 += count } }
        #expect(try folder.read("f") == Array("0123456789".utf8))
        #expect(moved.withLock { $0 } == 10)
    }

    @Test func givesUpAfterEightAnswersOfABusyServer() async throws {
        let server = try ScriptedServer { _ in Self.error(503, "SlowDown") }
        let remote = try remote(server)
        let error = await #expect(throws: MLOpsError.self) { try await remote.put([1], at: "k") }
        #expect(error?.exitCode == 13)
        #expect(error?.message.contains("keeps answering status 503, SlowDown") == true)
        #expect(server.requests.count == 8)
    }

    @Test func waitsAsLongAsTheServerAsks() async throws {
        let count = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            count.add(1, ordering: .relaxed).newValue == 1
                ? Self.error(503, "SlowDown", [("Retry-After", "1")]) : .text(200, "")
        }
        let start = ContinuousClock.now
        _ = try await remote(server).get("k")
        #expect(ContinuousClock.now - start >= .seconds(1))
    }

    @Test func doesNotRepeatWhatIsForbidden() async throws {
        let expected = [
            ("InvalidAccessKeyId", "does not know the access key `AKTEST` (from the environment)"),
            ("SignatureDoesNotMatch", "the secret key is wrong for the access key `AKTEST` (from the environment)"),
            ("AccessDenied", "may not write `k` in the remote `s3://bucket/pre`"),
            ("InvalidToken", "does not accept the session token"),
        ]
        for (code, words) in expected {
            let server = try ScriptedServer { _ in Self.error(403, code) }
            let remote = try remote(server)
            let error = await #expect(throws: MLOpsError.self) { try await remote.put([1], at: "k") }
            #expect(error?.exitCode == 14)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            #expect(error?.hint != nil)
            #expect(server.requests.count == 1)
        }
    }

    @Test func saysWhyTheSizeIsRefused() async throws {
        let server = try ScriptedServer { $0.method == "HEAD" ? .respond(403) : Self.error(403, "InvalidAccessKeyId") }
        let remote = try remote(server)
        let error = await #expect(throws: MLOpsError.self) { try await remote.size(of: "k") }
        #expect(error?.message.contains("does not know the access key") == true)
    }

    @Test func saysThatTheBucketDoesNotExist() async throws {
        let server = try ScriptedServer { _ in Self.error(404, "NoSuchBucket") }
        let remote = try remote(server)
        let error = await #expect(throws: MLOpsError.self) { try await remote.list("packs") }
        #expect(error?.kind == .notFound)
        #expect(error?.message == "bucket `bucket` does not exist on `\(server.url)`")
    }

    @Test func namesTheRegionOfTheBucket() async throws {
        let server = try ScriptedServer { _ in
            let text = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
            return .respond(400, body: Array(text.utf8))
        }
        let remote = try remote(server)
        let error = await #expect(throws: MLOpsError.self) { try await remote.list("packs") }
        #expect(error?.message.contains("lies in the region `eu-west-1`") == true)
    }

    @Test func readsRetryAfterAsSecondsAndAsADate() {
        let now = httpDate("Sun, 06 Nov 1994 08:49:37 GMT") ?? .now
        #expect(retryAfter("7") == .seconds(7))
        #expect(retryAfter("Sun, 06 Nov 1994 08:49:40 GMT", now: now) == .seconds(3))
        #expect(retryAfter("Sun, 06 Nov 1994 08:00:00 GMT", now: now) == .zero)
        let server = "Sun, 06 Nov 1994 08:49:30 GMT"
        #expect(retryAfter("Sun, 06 Nov 1994 08:49:40 GMT", serverDate: server, now: .now) == .seconds(10))
        for text in [nil, "-1", "soon", "Sun, 06 Nov"] { #expect(retryAfter(text) == nil) }
    }

    @Test func saysThatItTriesAgainOnceThatTakesLong() async throws {
        let count = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            count.add(1, ordering: .relaxed).newValue < 6 ? Self.error(503, "SlowDown") : .text(200, "at last")
        }
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/pre", endpoint: server.url), environment: TestS3.environment())
        var retry = RetryPolicy()
        (retry.firstPause, retry.longestPause) = (.milliseconds(40), .milliseconds(200))
        retry.silence = .milliseconds(1)
        let told = Mutex<[String]>([])
        let remote = S3Remote(settings: settings, retry: retry, notice: { text in told.withLock { $0.append(text) } })
        _ = try await remote.get("k")
        let texts = told.withLock { $0 }
        #expect(texts.count == 1, "once in ten seconds: \(texts)")
        #expect(texts.first?.contains("keeps answering status 503, SlowDown; trying again (attempt ") == true)
        retry.deadline = .milliseconds(30)
        (retry.firstPause, retry.longestPause) = (.milliseconds(20), .milliseconds(20))
        let busy = try ScriptedServer { _ in Self.error(503, "SlowDown", [("Retry-After", "1")]) }
        let other = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/pre", endpoint: busy.url), environment: TestS3.environment())
        let hurried = S3Remote(settings: other, retry: retry)
        await #expect(throws: MLOpsError.self) { try await hurried.get("k") }
        #expect(busy.requests.count == 1)
    }

    @Test func signsForTheRegionThatTheServerNames() async throws {
        let server = try ScriptedServer { request in
            if request.headers["authorization"]?.contains("/eu-west-1/s3/") == true { return .text(200, "there") }
            return .respond(
                400,
                body: Array(
                    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>".utf8))
        }
        let remote = try remote(server)
        #expect(try await remote.get("k") == Array("there".utf8))
        #expect(try await remote.get("k") == Array("there".utf8))
        #expect(server.requests.count == 3)
        let settings = try S3Settings(RemoteConfiguration(url: "s3://bucket/p"), environment: [:])
        #expect(settings.moved(to: "eu-west-1")?.server == "https://bucket.s3.eu-west-1.amazonaws.com")
        for hostile in ["evil.example/", "x.evil.example", "", "a b", settings.region] {
            #expect(settings.moved(to: hostile) == nil)
        }
    }

    @Test(arguments: [301, 302, 307, 308])
    func followsNoRedirectToAnotherHost(_ status: Int) async throws {
        let elsewhere = try ScriptedServer { _ in .text(200, "stolen") }
        let server = try ScriptedServer { _ in .respond(status, headers: [("Location", elsewhere.url + "/k")]) }
        let remote = try remote(server)
        await #expect(throws: MLOpsError.self) { try await remote.get("k") }
        await #expect(throws: MLOpsError.self) { try await remote.put([1], at: "k") }
        #expect(elsewhere.requests.isEmpty)
    }

    @Test func signsWithTheServersClockWhenItsOwnIsWrong() async throws {
        let server = try ScriptedServer { request in
            request.headers["x-amz-date"]?.hasPrefix("20010203T04") == true
                ? .text(200, "fine")
                : Self.error(403, "RequestTimeTooSkewed", [("Date", "Sat, 03 Feb 2001 04:05:06 GMT")])
        }
        #expect(try await remote(server).get("k") == Array("fine".utf8))
        #expect(server.requests.count == 2)
    }

    @Test func knowsItsOwnObjectWhenTheAnswerWasLost() async throws {
        let stored = Mutex<[UInt8]?>(nil)
        let server = try ScriptedServer { request in
            if request.method == "GET" { return .respond(200, body: stored.withLock { $0 } ?? []) }
            let isFirst = stored.withLock { bytes in
                defer { bytes = bytes ?? request.body }
                return bytes == nil
            }
            return isFirst ? .hangUp : Self.error(412, "PreconditionFailed")
        }
        let remote = try remote(server)
        #expect(try await remote.putIfAbsent([1], at: "events/1.json"))
        #expect(try await !remote.putIfAbsent([2], at: "events/1.json"))
    }

    @Test func noticesAStoreThatIgnoresConditions() async throws {
        let objects = Mutex<[String: [UInt8]]>([:])
        for statusOfConditions in [200, 501] {
            let server = try ScriptedServer { request in
                switch request.method {
                case "PUT":
                    if request.headers["if-none-match"] != nil, statusOfConditions == 501 {
                        return Self.error(501, "NotImplemented")
                    }
                    objects.withLock { $0[request.path] = request.body }
                    return .respond(200)
                case "DELETE":
                    objects.withLock { $0[request.path] = nil }
                    return .respond(204)
                default:
                    if request.target.contains("list-type") {
                        return .text(200, "<ListBucketResult></ListBucketResult>")
                    }
                    let bytes = objects.withLock { $0[request.path] }
                    return bytes.map { .respond(200, body: $0) } ?? Self.error(404, "NoSuchKey")
                }
            }
            #expect(try await !probeRemote(remote(server)).hasConditionalWrites)
            #expect(objects.withLock { $0.keys.sorted() } == ["/bucket/pre/format.json"])
            objects.withLock { $0 = [:] }
        }
    }

    @Test func readsAnObjectAgainWhoseChecksumIsWrong() async throws {
        let count = Atomic<Int>(0)
        let sum = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="  // of "foo"
        let server = try ScriptedServer { request in
            let isGood = count.add(1, ordering: .relaxed).newValue == 2 && request.path.hasSuffix("once")
            return .respond(
                200, headers: [("x-amz-checksum-sha256", sum)], body: Array((isGood ? "foo" : "fox").utf8))
        }
        let remote = try remote(server)
        #expect(try await remote.get("once") == Array("foo".utf8))
        let error = await #expect(throws: MLOpsError.self) { try await remote.get("always") }
        #expect(error?.exitCode == 12)
    }

    @Test func listsPageByPage() async throws {
        let server = try ScriptedServer { request in
            #expect(request.target.contains("prefix=pre%2Fpacks%2F"))
            if request.target.contains("continuation-token=t%2F1%3D") {
                return .text(
                    200,
                    "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
                        + "<Contents><Key>pre/packs/b%2Bc+d</Key><Size>2</Size></Contents>"
                        + "<Contents><Key>pre/packs/..%2Fx</Key><Size>9</Size></Contents>"
                        + "<Contents><Key>pre/packs/folder/</Key><Size>0</Size></Contents></ListBucketResult>")
            }
            return .text(
                200,
                "<?xml version='1.0'?><ListBucketResult xmlns=\"x\"><EncodingType>url</EncodingType>"
                    + "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1=</NextContinuationToken>"
                    + "<Contents><Key>pre/packs/a</Key><Size>1</Size></Contents></ListBucketResult>")
        }
        let items = try await remote(server).list("packs")
        #expect(items == [RemoteItem(key: "packs/a", byteCount: 1), RemoteItem(key: "packs/b+c d", byteCount: 2)])
    }

    @Test func refusesALoginPageInsteadOfAListing() async throws {
        let server = try ScriptedServer { _ in .text(200, "<!DOCTYPE html><html><body>Log in</body></html>") }
        let remote = try remote(server)
        let error = await #expect(throws: MLOpsError.self) { try await remote.list("packs") }
        #expect(error?.message.contains("something else") == true)
    }

    @Test func dropsThePartsOfAnUploadThatFails() async throws {
        let server = try ScriptedServer { request in
            if request.target.contains("uploads=") {
                return .text(200, "<R><UploadId>u1</UploadId></R>")
            }
            if request.target.contains("partNumber=2") { return Self.error(403, "AccessDenied") }
            return .respond(200, headers: [("ETag", "\"e\"")])
        }
        let folder = try TemporaryFolder()
        let bytes = noise(3_000_000)
        let path = try folder.write("f", bytes)
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part) = (1_000_000, 1_000_000)
        let remote = try remote(server, limits: limits)
        let error = await #expect(throws: MLOpsError.self) {
            try await remote.upload(file: path, to: "packs/x", digest: Digest.of(bytes))
        }
        #expect(error?.exitCode == 14)
        // A part that was on its way when the other failed may be noted after it.
        let removals = server.requests.filter { $0.method == "DELETE" }
        #expect(removals.map(\.target) == ["/bucket/pre/packs/x?uploadId=u1"])
    }

    @Test func believesNoCompletionThatCarriesAnError() async throws {
        let server = try ScriptedServer { request in
            if request.target.contains("uploads=") { return .text(200, "<R><UploadId>u1</UploadId></R>") }
            if request.method == "POST" { return Self.error(200, "InternalError") }
            return .respond(200, headers: [("ETag", "\"e\"")])
        }
        let folder = try TemporaryFolder()
        let bytes = noise(300)
        let path = try folder.write("f", bytes)
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part) = (100, 100)
        let remote = try remote(server, limits: limits)
        let error = await #expect(throws: MLOpsError.self) {
            try await remote.upload(file: path, to: "packs/x", digest: Digest.of(bytes))
        }
        #expect(error?.exitCode == 13)
    }

    @Test(.timeLimit(.minutes(1))) func tellsThatNobodyIsThere() async throws {
        let port = try ScriptedServer { _ in .hangUp }.port
        // 192.0.2.0/24 is reserved for documentation: nothing answers there.
        let urls = ["http://127.0.0.1:\(port)", "http://no-such-host.invalid", "http://192.0.2.1:9"]
        _ = try await mapConcurrently(urls, width: 3) { url in
            let remote = try remote(url)
            let error = await #expect(throws: MLOpsError.self) { try await remote.list("packs") }
            #expect(error?.exitCode == 13)
            #expect(error?.hint != nil)
        }
    }
}
