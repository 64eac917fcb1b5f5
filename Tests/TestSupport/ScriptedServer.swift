internal import Foundation
internal import Glibc
internal import Synchronization

/// An HTTP/1.1 server on the loopback that answers as a closure says: for tests of clients, above all of their bad days.
package final class ScriptedServer: Sendable {
    package struct Request: Sendable {
        package var method: String
        /// Path and query, as they came.
        package var target: String
        /// Names in lower case.
        package var headers: [String: String]
        package var body: [UInt8]
        /// Which connection it came over, from 1.
        package var connection: Int

        package var path: String { String(target.prefix { $0 != "?" }) }
    }

    package enum Answer: Sendable {
        case respond(Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [])
        /// Answers in full, then closes the connection without having announced it.
        case respondAndClose(Int, body: [UInt8])
        /// Sends these bytes as they are, then closes.
        case raw([UInt8])
        /// Closes without an answer.
        case hangUp
        /// Breaks the connection, so that the client gets an error instead of its end.
        case reset
        /// Sends nothing until the client leaves.
        case stall

        package static func text(_ status: Int, _ text: String) -> Answer { .respond(status, body: Array(text.utf8)) }
    }

    private struct State {
        var requests: [Request] = []
        var connectionCount = 0
    }

    /// What the threads share; they outlive nothing but their own connections.
    private final class Core: Sendable {
        let state = Mutex(State())
        let handler: @Sendable (Request) -> Answer

        init(handler: @escaping @Sendable (Request) -> Answer) { self.handler = handler }
    }

    private let core: Core
    private let listener: Int32
    package let port: Int

    /// Starts at a free port.
    package init(_ handler: @escaping @Sendable (Request) -> Answer) throws {
        core = Core(handler: handler)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 128) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        let core = core
        Thread.detachNewThread { ScriptedServer.accept(listener, core) }
    }

    /// Ends the accepting thread, which closes the socket: closed here, its number could be another server's by then.
    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    package var url: String { "http://127.0.0.1:\(port)" }

    /// What came so far, in order of arrival.
    package var requests: [Request] { core.state.withLock { $0.requests } }

    private static func accept(_ listener: Int32, _ core: Core) {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            if connection < 0 {
                close(listener)
                return
            }
            let number = core.state.withLock { state in
                state.connectionCount += 1
                return state.connectionCount
            }
            Thread.detachNewThread {
                serve(connection, number, core)
                close(connection)
            }
        }
    }

    private static func serve(_ connection: Int32, _ number: Int, _ core: Core) {
        var buffer: [UInt8] = []
        while let request = read(connection, number, &buffer) {
            core.state.withLock { $0.requests.append(request) }
            switch core.handler(request) {
            case .respond(let status, let headers, let body):
                send(connection, response(status, headers, body, isHead: request.method == "HEAD"))
                if request.headers["connection"] == "close" { return }
            case .respondAndClose(let status, let body):
                return send(connection, response(status, [], body, isHead: request.method == "HEAD"))
            case .raw(let bytes): return send(connection, bytes)
            case .hangUp: return
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
                return
            case .stall:
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            }
        }
    }

    private static func read(_ connection: Int32, _ number: Int, _ buffer: inout [UInt8]) -> Request? {
        let separator = Array("\r\n\r\n".utf8)
        var end = buffer.firstRange(of: separator)
        while end == nil {
            guard receive(connection, &buffer) else { return nil }
            end = buffer.firstRange(of: separator)
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ").map(String.init)
        guard words.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        while buffer.count < end.upperBound + length {
            guard receive(connection, &buffer) else { return nil }
        }
        let body = Array(buffer[end.upperBound..<end.upperBound + length])
        buffer.removeFirst(end.upperBound + length)
        return Request(method: words[0], target: words[1], headers: headers, body: body, connection: number)
    }

    static func receive(_ connection: Int32, _ buffer: inout [UInt8]) -> Bool {
        var block = [UInt8](repeating: 0, count: 65536)
        let count = recv(connection, &block, block.count, 0)
        if count > 0 { buffer += block[..<count] }
        return count > 0
    }

    private static func response(
        _ status: Int, _ headers: [(name: String, value: String)], _ body: [UInt8], isHead: Bool
    ) -> [UInt8] {
        var text = "HTTP/1.1 \(status) Status\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        if !headers.contains(where: { $0.name.lowercased() == "content-length" }) {
            text += "Content-Length: \(body.count)\r\n"
        }
        return Array((text + "\r\n").utf8) + (isHead ? [] : body)
    }

    static func send(_ connection: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }
}
