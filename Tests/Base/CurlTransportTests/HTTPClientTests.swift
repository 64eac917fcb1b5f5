import Basics
import CurlTransport
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite struct HTTPClientTests {
    @Test func returnsStatusHeadersAndBody() async throws {
        let server = try ScriptedServer { _ in
            .respond(418, headers: [("X-Kind", " tea "), ("x-kind", "green")], body: [1, 2, 3])
        }
        let response = try await HTTPClient().send(HTTPRequest("GET", server.url + "/a?b=c"))
        #expect(response.status == 418)
        #expect(response.headers["x-kind"] == "tea, green")
        #expect(response.body == [1, 2, 3])
        #expect(server.requests.first?.target == "/a?b=c")
    }

    @Test func sendsBytesWithTheirLengthAndWithoutExpect() async throws {
        let server = try ScriptedServer { _ in .respond(200) }
        let body = [UInt8](repeating: 7, count: 3_000_000)
        let client = HTTPClient()
        _ = try await client.send(
            HTTPRequest("PUT", server.url + "/x", headers: [("X-Empty", ""), ("X-Full", "yes")], body: .bytes(body)))
        _ = try await client.send(HTTPRequest("POST", server.url + "/y"))
        let (first, second) = (server.requests[0], server.requests[1])
        #expect(first.body == body)
        #expect(first.headers["content-length"] == "3000000")
        #expect(first.headers["expect"] == nil)
        #expect(first.headers["x-full"] == "yes")
        #expect(first.headers["x-empty"] == "")
        #expect(second.method == "POST")
        #expect(second.headers["content-length"] == "0")
    }

    @Test func sendsARangeOfAFile() async throws {
        let server = try ScriptedServer { _ in .respond(200) }
        let folder = try TemporaryFolder()
        let path = try folder.write("f", Array("0123456789".utf8))
        let moved = Mutex<Int64>(0)
        _ = try await HTTPClient().send(
            HTTPRequest("PUT", server.url + "/x", body: .file(try OpenFile(reading: path), 2..<7)),
            progress: { count in moved.withLock { $0 += count } })
        #expect(server.requests.first?.body == Array("23456".utf8))
        #expect(moved.withLock { $0 } == 5)
    }

    @Test func writesTheBodyIntoAFileButNotTheTextOfAnError() async throws {
        let server = try ScriptedServer { $0.path == "/good" ? .text(200, "data") : .text(500, "sorry") }
        let folder = try TemporaryFolder()
        let file = try OpenFile(creating: folder("f"))
        let client = HTTPClient()
        let bad = try await client.send(
            HTTPRequest("GET", server.url + "/bad"), into: .file(file, offset: 0, limit: 100))
        #expect(bad.body == Array("sorry".utf8))
        #expect(try file.status().size == 0)
        let good = try await client.send(
            HTTPRequest("GET", server.url + "/good"), into: .file(file, offset: 3, limit: 100))
        #expect(good.body.isEmpty)
        #expect(good.byteCount == 4)
        #expect(try folder.read("f") == [0, 0, 0] + Array("data".utf8))
    }

    @Test func writesTheRestOfAnObjectBehindWhatIsThere() async throws {
        let server = try ScriptedServer { .respond($0.path == "/rest" ? 206 : 200, body: [4, 5]) }
        let folder = try TemporaryFolder()
        for (path, bytes) in [("/rest", [1, 2, 3, 4, 5] as [UInt8]), ("/all", [4, 5, 3])] {
            try folder.write("f", [1, 2, 3])
            let file = OpenFile(descriptor: open(folder("f"), O_RDWR), path: folder("f"))
            _ = try await HTTPClient().send(
                HTTPRequest("GET", server.url + path), into: .rest(file, offset: 3, limit: 10))
            #expect(try folder.read("f") == bytes)
        }
    }

    @Test func keepsItsConnection() async throws {
        let server = try ScriptedServer { _ in .respond(200, body: [1]) }
        let client = HTTPClient()
        for _ in 0..<5 { _ = try await client.send(HTTPRequest("GET", server.url + "/")) }
        #expect(Set(server.requests.map(\.connection)) == [1])
    }

    @Test func sendsAgainOverANewConnectionWhenTheOldOneIsDead() async throws {
        let server = try ScriptedServer { _ in .respondAndClose(200, body: []) }
        let client = HTTPClient()
        let body = [UInt8](repeating: 1, count: 200_000)
        for _ in 0..<3 {
            let response = try await client.send(HTTPRequest("PUT", server.url + "/", body: .bytes(body)))
            #expect(response.status == 200)
        }
        #expect(server.requests.allSatisfy { $0.body == body })
    }

    @Test func repeatsNothingThatMayBeSentOnceOnly() async throws {
        for isSentOnce in [true, false] {
            let server = try ScriptedServer { $0.method == "GET" ? .respond(200) : .hangUp }
            let client = HTTPClient()
            _ = try await client.send(HTTPRequest("GET", server.url + "/"))
            var request = HTTPRequest("PUT", server.url + "/", body: .bytes([1]))
            request.isSentOnce = isSentOnce
            await #expect(throws: TransportError.self) { try await client.send(request) }
            #expect(server.requests.count { $0.method == "PUT" } == (isSentOnce ? 1 : 2))
        }
    }

    @Test func followsNoRedirect() async throws {
        let other = try ScriptedServer { _ in .text(200, "stolen") }
        let target = other.url
        let server = try ScriptedServer { _ in .respond(302, headers: [("Location", target)]) }
        let response = try await HTTPClient().send(
            HTTPRequest("GET", server.url + "/", headers: [("Authorization", "secret")]))
        #expect(response.status == 302)
        #expect(other.requests.isEmpty)
    }

    @Test func sendsThePathAsItStands() async throws {
        let server = try ScriptedServer { _ in .respond(200) }
        _ = try await HTTPClient().send(HTTPRequest("GET", server.url + "/a/../b/./%2F+c"))
        #expect(server.requests.first?.target == "/a/../b/./%2F+c")
    }

    @Test func saysThatABodyWasCutOff() async throws {
        let server = try ScriptedServer { _ in .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".utf8)) }
        let error = await #expect(throws: TransportError.self) {
            try await HTTPClient().send(HTTPRequest("GET", server.url + "/"))
        }
        #expect(error?.kind == .broken)
        #expect(error?.forPeople.exitCode == 13)
    }

    @Test func refusesABodyBeyondTheLimit() async throws {
        let server = try ScriptedServer { _ in .respond(200, body: [UInt8](repeating: 0, count: 1001)) }
        let error = await #expect(throws: MLOpsError.self) {
            try await HTTPClient().send(HTTPRequest("GET", server.url + "/"), into: .memory(limit: 1000))
        }
        #expect(error?.kind == .damaged)
    }

    @Test func saysThatNobodyListens() async throws {
        let port = try ScriptedServer { _ in .hangUp }.port
        let error = await #expect(throws: TransportError.self) {
            try await HTTPClient().send(HTTPRequest("GET", "http://127.0.0.1:\(port)/"))
        }
        #expect(error?.kind == .refused)
        #expect(
            error?.forPeople.message == "cannot reach `http://127.0.0.1:\(port)`: nothing accepts connections there")
    }

    @Test func givesUpAStalledTransfer() async throws {
        let server = try ScriptedServer { _ in .stall }
        var options = HTTPClient.Options()
        options.stallTimeout = .seconds(1)
        let client = HTTPClient(options: options)
        let error = await #expect(throws: TransportError.self) {
            try await client.send(HTTPRequest("GET", server.url + "/"))
        }
        #expect(error?.kind == .stalled)
    }

    @Test(.timeLimit(.minutes(1))) func endsWhenItsTaskIsCancelled() async throws {
        let server = try ScriptedServer { _ in .stall }
        let client = HTTPClient()
        let url = server.url
        let task = Task { try await client.send(HTTPRequest("GET", url + "/")) }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func startsNothingForATaskThatWasCancelledBefore() async throws {
        let server = try ScriptedServer { _ in .respond(200) }
        let url = server.url
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await HTTPClient().send(HTTPRequest("GET", url + "/"))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(server.requests.isEmpty)
    }

    @Test func makesManyExchangesAtOnce() async throws {
        let server = try ScriptedServer { .respond(200, body: Array($0.path.utf8)) }
        let client = HTTPClient()
        let url = server.url
        let answers = try await mapConcurrently(Array(0..<200), width: 20) { number in
            try await client.send(HTTPRequest("GET", url + "/\(number)")).body
        }
        #expect(answers == (0..<200).map { Array("/\($0)".utf8) })
        #expect(Set(server.requests.map(\.connection)).count <= 20)
    }
}
