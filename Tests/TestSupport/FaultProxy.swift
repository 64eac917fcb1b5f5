internal import Foundation
internal import Glibc
internal import Synchronization

/// Stands between a client and an HTTP server on the loopback and spoils a share of all exchanges, as its seed says.
package final class FaultProxy: Sendable {
    package enum Fault: String, CaseIterable, Sendable {
        case internalError, badGateway, slowDown, tooManyRequests
        case reset, closed, answerLost
        case truncatedAnswer, wrongBytesUp, wrongBytesDown, stall

        /// How often it comes, among the others: a stall costs whoever tests a second.
        fileprivate var weight: Int { self == .stall ? 1 : 8 }
    }

    /// What the threads share.
    private final class Core: Sendable {
        struct State {
            var random: UInt64
            var counts: [Fault: Int] = [:]
            var requestCount = 0
        }

        let state: Mutex<State>
        let upstream: Int
        let share: Double
        let stripsConditions: Bool
        let faults: [Fault]

        init(seed: UInt64, upstream: Int, share: Double, stripsConditions: Bool, faults: [Fault]) {
            state = Mutex(State(random: seed))
            self.upstream = upstream
            self.share = share
            self.stripsConditions = stripsConditions
            self.faults = faults
        }
    }

    private let core: Core
    private let server: ScriptedServer

    /// - Parameters:
    ///   - upstream: the port of the server on the loopback.
    ///   - share: of the exchanges that are spoiled.
    ///   - stripsConditions: whether `If-None-Match` never reaches the server, as with some proxies.
    ///   - faults: those that may come.
    package init(
        upstream: Int, seed: UInt64, share: Double, stripsConditions: Bool = false, faults: [Fault] = Fault.allCases
    ) throws {
        let core = Core(
            seed: seed, upstream: upstream, share: share, stripsConditions: stripsConditions, faults: faults)
        self.core = core
        server = try ScriptedServer { FaultProxy.answer($0, core) }
    }

    package var url: String { server.url }

    /// How often each fault came.
    package var counts: [Fault: Int] { core.state.withLock { $0.counts } }

    package var faultCount: Int { counts.values.reduce(0, +) }

    package var requestCount: Int { core.state.withLock { $0.requestCount } }

    /// SplitMix64.
    private static func next(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    private static func draw(_ request: ScriptedServer.Request, _ core: Core) -> Fault? {
        core.state.withLock { state in
            state.requestCount += 1
            guard Double(next(&state.random) >> 11) / Double(1 << 53) < core.share else { return nil }
            let isObject = !request.target.contains("list-type") && !request.target.contains("uploads")
            let fitting = core.faults.filter { fault in
                switch fault {
                case .wrongBytesUp: request.method == "PUT" && !request.body.isEmpty
                case .wrongBytesDown: request.method == "GET" && isObject
                case .truncatedAnswer: request.method == "GET"
                default: true
                }
            }
            guard !fitting.isEmpty else { return nil }
            var position = Int(next(&state.random) % UInt64(fitting.reduce(0) { $0 + $1.weight }))
            for fault in fitting {
                position -= fault.weight
                if position < 0 {
                    state.counts[fault, default: 0] += 1
                    return fault
                }
            }
            return nil
        }
    }

    private static func answer(_ request: ScriptedServer.Request, _ core: Core) -> ScriptedServer.Answer {
        let fault = draw(request, core)
        switch fault {
        case .internalError: return .text(500, "<html>oops</html>")
        case .badGateway: return .text(502, "")
        case .slowDown:
            return .respond(
                503, headers: [("Retry-After", "0")], body: Array("<Error><Code>SlowDown</Code></Error>".utf8))
        case .tooManyRequests:
            return .respond(429, headers: [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")])
        case .reset: return .reset
        case .closed: return .hangUp
        case .stall: return .stall
        default: break
        }
        var request = request
        if core.stripsConditions { request.headers["if-none-match"] = nil }
        if fault == .wrongBytesUp { request.body[request.body.count / 2] ^= 4 }
        guard var reply = forward(request, to: core.upstream) else { return .text(502, "") }
        switch fault {
        case .answerLost: return .hangUp
        case .truncatedAnswer where !reply.body.isEmpty:
            let head = "HTTP/1.1 \(reply.status) X\r\nContent-Length: \(reply.body.count)\r\n\r\n"
            return .raw(Array(head.utf8) + reply.body.dropLast(1 + reply.body.count / 3))
        case .wrongBytesDown where reply.status < 300 && !reply.body.isEmpty: reply.body[reply.body.count / 2] ^= 4
        default: break
        }
        return .respond(reply.status, headers: reply.headers, body: reply.body)
    }
}

// MARK: - Forwarding

extension FaultProxy {
    private struct Reply {
        var status: Int
        var headers: [(name: String, value: String)]
        var body: [UInt8]
    }

    /// The answer of the server, over a connection of its own; nil if there is none.
    private static func forward(_ request: ScriptedServer.Request, to port: Int) -> Reply? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { return nil }
        var head = "\(request.method) \(request.target) HTTP/1.1\r\n"
        for (name, value) in request.headers where name != "connection" { head += "\(name): \(value)\r\n" }
        ScriptedServer.send(connection, Array((head + "connection: close\r\n\r\n").utf8) + request.body)
        var bytes: [UInt8] = []
        while ScriptedServer.receive(connection, &bytes) {}
        return parse(bytes)
    }

    private static func parse(_ bytes: [UInt8]) -> Reply? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { return nil }
        var headers: [(name: String, value: String)] = []
        var isChunked = false
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            if name == "transfer-encoding" { isChunked = value == "chunked" }
            if !["connection", "transfer-encoding"].contains(name) { headers.append((name, value)) }
        }
        let body = Array(bytes[end.upperBound...])
        return Reply(status: status, headers: headers, body: isChunked ? unchunked(body) : body)
    }

    private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstRange(of: Array("\r\n".utf8)) {
            let count = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16) ?? 0
            if count == 0 { break }
            body += rest[end.upperBound...].prefix(count)
            rest = rest[end.upperBound...].dropFirst(count + 2)
        }
        return body
    }
}
