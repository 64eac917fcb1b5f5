package import Basics

/// One HTTP exchange to make: nothing is followed, retried or added behind the caller's back.
package struct HTTPRequest: Sendable {
    /// What is sent after the headers; its length is always announced.
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// A range of an open file, which must not change while it is sent.
        case file(OpenFile, Range<Int64>)

        /// The count of bytes.
        package var byteCount: Int64 {
            switch self {
            case .none: 0
            case .bytes(let bytes): Int64(bytes.count)
            case .file(_, let range): range.upperBound - range.lowerBound
            }
        }
    }

    /// `GET`, `HEAD`, `PUT`, `POST` or `DELETE`.
    package var method: String
    /// Absolute and encoded; it is sent as it stands (no `..` is folded).
    package var url: String
    /// Sent in this order; `Host`, `Content-Length` and `Accept` are added.
    package var headers: [(name: String, value: String)]
    package var body: Body
    /// A limit for the whole exchange; nil relies on the client's connect and stall limits.
    package var timeout: Duration?
    /// Whether it may reach the server once only. Otherwise libcurl by itself sends a request again when a kept-alive
    /// connection breaks before any answer, although the server may have done it; true costs a new connection.
    package var isSentOnce = false

    package init(
        _ method: String, _ url: String, headers: [(name: String, value: String)] = [], body: Body = .none,
        timeout: Duration? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }
}

/// Where the body of a response goes.
package enum HTTPSink: Sendable {
    /// Into memory; a longer body than `limit` bytes ends the transfer with kind `.damaged`.
    case memory(limit: Int64)
    /// Into memory that is there, when the status is 2xx, as for a file; a longer body ends the transfer with kind `.damaged`.
    case pooled(PooledBytes)
    /// Into a file from `offset`, when the status is 2xx; the body of any other status goes to memory, cut at 64 KiB.
    case file(OpenFile, offset: Int64, limit: Int64)
    /// The same for what follows the first `offset` bytes of an object, when a range was asked for: a server that answers 200
    /// instead of 206 sends all of it, which goes to the start of the file.
    case rest(OpenFile, offset: Int64, limit: Int64)
}

/// The answer of a server, whatever its status.
package struct HTTPResponse: Sendable {
    /// 100 … 599.
    package var status: Int
    /// Names in lower case; values of a repeated name are joined by `, `.
    package var headers: [String: String]
    /// Empty when the body went into a file or into memory of the caller's.
    package var body: [UInt8]
    /// The count of bytes of the body, wherever it went.
    package var byteCount: Int64

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = [], byteCount: Int64 = 0) {
        self.status = status
        self.headers = headers
        self.body = body
        self.byteCount = byteCount
    }

    package var isSuccess: Bool { (200...299).contains(status) }
}

/// Why no whole answer came. The server may or may not have done what was asked.
package struct TransportError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The host has no address.
        case unresolved
        /// Nobody listens there, or no route leads there.
        case refused
        /// No connection within the limit.
        case connectTimeout
        /// Connected, but too few bytes moved for too long, or the request's own limit passed.
        case stalled
        /// The connection broke before the answer was whole.
        case broken
        /// The server's certificate is not trusted, or TLS failed.
        case untrusted
        /// libcurl is missing or refuses the request.
        case unusable
    }

    package var kind: Kind
    /// `scheme://host:port` of the request.
    package var server: String
    /// libcurl's own words.
    package var detail: String

    package init(_ kind: Kind, server: String, detail: String) {
        self.kind = kind
        self.server = server
        self.detail = detail
    }

    package var description: String { "`\(server)`: \(detail)" }

    /// The error for people: kind `.unreachable`, or `.failed` when libcurl itself is at fault.
    package var forPeople: MLOpsError {
        switch kind {
        case .unresolved:
            MLOpsError(
                .unreachable, "cannot reach `\(server)`: its host name has no address",
                hint: "check the spelling of the endpoint and the network, then run the same command again", cause: self
            )
        case .refused:
            MLOpsError(
                .unreachable, "cannot reach `\(server)`: nothing accepts connections there",
                hint: "check that the server runs and that host and port are right", cause: self)
        case .connectTimeout:
            MLOpsError(
                .unreachable, "cannot reach `\(server)`: no connection within the time limit",
                hint: "check the network and its firewall, then run the same command again", cause: self)
        case .stalled:
            MLOpsError(
                .unreachable, "`\(server)` stopped answering",
                hint: "run the same command again: what was transferred is not sent twice", cause: self)
        case .broken:
            MLOpsError(
                .unreachable, "the connection to `\(server)` broke: \(detail)",
                hint: "run the same command again: what was transferred is not sent twice", cause: self)
        case .untrusted:
            MLOpsError(
                .unreachable, "the certificate of `\(server)` is not trusted: \(detail)",
                hint: "name the file of its certificate authority with AWS_CA_BUNDLE or `ca_file`", cause: self)
        case .unusable:
            MLOpsError(
                .failed, "cannot use libcurl: \(detail)",
                hint: "install it with `apt-get install libcurl4`", cause: self)
        }
    }
}
