import Basics
import ContentStorage
import Foundation
import Remotes
import Synchronization
import TestSupport
import Testing

/// A small S3 in memory, behind a network that spoils a fifth of all exchanges.
private final class UnreliableS3: Sendable {
    private struct State {
        var objects: [String: [UInt8]] = [:]
        var uploads: [String: [Int: [UInt8]]] = [:]
        var random: Philox
        var faultCount = 0
    }

    private let state: Mutex<State>
    private let faultShare: Double

    init(seed: UInt64, faultShare: Double) {
        state = Mutex(State(random: Philox(seed: seed)))
        self.faultShare = faultShare
    }

    var faultCount: Int { state.withLock { $0.faultCount } }

    func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Answer {
        state.withLock { state in
            let isSpoiled = state.random.nextUniformDouble() < faultShare
            if isSpoiled { state.faultCount += 1 }
            let fault = isSpoiled ? state.random.nextIndex(below: 7) : -1
            switch fault {
            case 0: return .text(503, "<Error><Code>SlowDown</Code></Error>")
            case 1: return .text(429, "")
            case 2: return .text(500, "<html>oops</html>")
            case 3: return .hangUp
            default: break
            }
            let (status, body) = UnreliableS3.perform(request, &state)
            switch fault {
            case 4: return .hangUp
            case 5 where request.method == "GET" && !body.isEmpty:
                let head = "HTTP/1.1 \(status) X\r\nContent-Length: \(body.count)\r\n\r\n"
                return .raw(Array(head.utf8) + body.dropLast(1 + body.count / 3))
            case 6 where request.method == "GET" && !request.target.contains("list-type") && body.count > 10:
                var wrong = body
                wrong[body.count / 2] ^= 4
                return .respond(status, body: wrong)
            default: return .respond(status, headers: [("ETag", "\"x\"")], body: body)
            }
        }
    }

    private static func perform(_ request: ScriptedServer.Request, _ state: inout State) -> (Int, [UInt8]) {
        let key = String(request.path.dropFirst("/bucket/".count)).removingPercentEncoding ?? ""
        let query = URLComponents(string: "http://x" + request.target)?.queryItems ?? []
        func value(_ name: String) -> String? { query.first { $0.name == name }?.value }
        switch request.method {
        case "GET" where value("list-type") != nil:
            let prefix = value("prefix") ?? ""
            let items = state.objects.filter { $0.key.hasPrefix(prefix) }.map {
                "<Contents><Key>\($0.key)</Key><Size>\($0.value.count)</Size></Contents>"
            }
            return (200, Array("<ListBucketResult>\(items.joined())</ListBucketResult>".utf8))
        case "GET":
            guard let bytes = state.objects[key] else { return (404, Array("<Error/>".utf8)) }
            guard let range = request.headers["range"]?.dropFirst("bytes=".count).split(separator: "-"),
                let start = Int(range[0]), let end = Int(range[1])
            else { return (200, bytes) }
            return (206, Array(bytes[start...min(end, bytes.count - 1)]))
        case "HEAD":
            // A `HEAD` carries the length of what `GET` would bring.
            return state.objects[key].map { (200, $0) } ?? (404, [])
        case "POST" where value("uploads") != nil:
            let id = "u\(state.uploads.count)"
            state.uploads[id] = [:]
            return (200, Array("<R><UploadId>\(id)</UploadId></R>".utf8))
        case "PUT" where value("uploadId") != nil:
            state.uploads[value("uploadId") ?? "", default: [:]][Int(value("partNumber") ?? "") ?? 0] = request.body
            return (200, [])
        case "POST":
            guard let parts = state.uploads.removeValue(forKey: value("uploadId") ?? "") else {
                return (404, Array("<Error><Code>NoSuchUpload</Code></Error>".utf8))
            }
            state.objects[key] = parts.sorted { $0.key < $1.key }.flatMap(\.value)
            return (200, Array("<CompleteMultipartUploadResult/>".utf8))
        case "PUT":
            if request.headers["if-none-match"] == "*", state.objects[key] != nil { return (412, []) }
            state.objects[key] = request.body
            return (200, [])
        default:
            state.objects[key] = nil
            return (204, [])
        }
    }
}

@Suite struct UnreliableS3Tests {
    @Test(arguments: 1...4)
    func pushAndPullEndRightWhenAFifthOfAllExchangesIsSpoiled(_ seed: Int) async throws {
        let network = UnreliableS3(seed: UInt64(seed), faultShare: 0.2)
        let server = try ScriptedServer { network.answer($0) }
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/pre", endpoint: server.url), environment: TestS3.environment())
        var retry = RetryPolicy()
        (retry.firstPause, retry.longestPause) = (.milliseconds(1), .milliseconds(4))
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part) = (1 << 20, 300_000)
        let remote = S3Remote(settings: settings, limits: limits, retry: retry)
        let folder = try TemporaryFolder()
        let (here, there) = (
            try ContentStore(folder: folder("a/.mlops")), try ContentStore(folder: folder("b/.mlops"))
        )
        var roots: [ContentRoot] = []
        for version in 0..<6 {
            try FileSystem.createDirectories(folder("data"))
            for file in 0..<20 {
                let bytes = noise(3000 * (file + 1), seed: UInt64(file * 10 + version % (file + 1)))
                try Data(bytes).write(to: URL(fileURLWithPath: folder("data/\(file)")))
            }
            try Data(noise(3 << 20, seed: UInt64(version / 3))).write(to: URL(fileURLWithPath: folder("data/big")))
            let root = try await here.add(path: folder("data")).root
            roots.append(root)
            _ = try await Transfer(store: here, remote: remote).push([root])
            _ = try await Transfer(store: there, remote: remote).pull([root])
            #expect(try there.contains(root))
            let number = "events/models/x/\(version).json"
            #expect(try await remote.putIfAbsent(Array("event \(version)".utf8), at: number))
            #expect(try await !remote.putIfAbsent(Array("other".utf8), at: number))
        }
        #expect(try await there.verify(roots: roots.enumerated().map { ("v\($0.offset)", $0.element) }).isClean)
        #expect(network.faultCount > 5)
    }
}
