internal import Basics
internal import CLibcurl
internal import Glibc

/// One exchange while libcurl works on it.
///
/// Safe to hand over: after `TransferLoop.submit` only the loop's thread touches it.
final class ActiveTransfer: @unchecked Sendable {
    let identifier: UInt64
    private let request: HTTPRequest
    private let sink: HTTPSink
    private let options: HTTPClient.Options
    private let progress: (@Sendable (Int64) -> Void)?
    private let continuation: CheckedContinuation<HTTPResponse, any Error>

    private(set) var easy: UnsafeMutableRawPointer?
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var response = HTTPResponse(status: 0)
    private var headerByteCount = 0
    private var sent: Int64 = 0
    /// Up to where the disk was asked to write what came.
    private var writebackStart: Int64 = 0
    private static let writebackLength: Int64 = 8 << 20
    /// What one of the callbacks threw; libcurl itself only knows that the callback gave up.
    private var failure: (any Error)?

    init(
        identifier: UInt64, request: HTTPRequest, sink: HTTPSink, options: HTTPClient.Options,
        progress: (@Sendable (Int64) -> Void)?, continuation: CheckedContinuation<HTTPResponse, any Error>
    ) {
        self.identifier = identifier
        self.request = request
        self.sink = sink
        self.options = options
        self.progress = progress
        self.continuation = continuation
    }

    func resume(_ result: Result<HTTPResponse, any Error>) { continuation.resume(with: result) }

    /// `scheme://host:port` of the request.
    var server: String {
        let parts = request.url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.prefix(3).joined(separator: "/")
    }

    /// Frees what libcurl holds for the transfer.
    func release() {
        if let easy { mlops_curl_easy_destroy(easy) }
        mlops_curl_list_free(headerList)
        easy = nil
        headerList = nil
    }

    /// The answer, or why there is none.
    func result(_ code: CURLcode) -> Result<HTTPResponse, any Error> {
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else { return .failure(error(of: code)) }
        return .success(response)
    }

    private func error(of code: CURLcode) -> TransportError {
        let kind: TransportError.Kind
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: kind = .unresolved
        case CURLE_COULDNT_CONNECT: kind = .refused
        case CURLE_OPERATION_TIMEDOUT:
            let requestSize = easy.map { mlops_curl_get_long($0, CURLINFO_REQUEST_SIZE) } ?? 0
            kind = requestSize > 0 ? .stalled : .connectTimeout
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM:
            kind = .untrusted
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT: kind = .unusable
        default: kind = .broken
        }
        return TransportError(kind, server: server, detail: String(cString: mlops_curl_describe(code)).lowercased())
    }
}

// MARK: - Preparing

extension ActiveTransfer {
    /// Makes the easy handle of the request.
    func prepare() throws -> UnsafeMutableRawPointer {
        guard let easy = mlops_curl_easy_create() else {
            throw TransportError(.unusable, server: server, detail: "out of memory")
        }
        self.easy = easy
        try set(text: CURLOPT_URL, request.url)
        try set(text: CURLOPT_PROTOCOLS_STR, "http,https")
        try set(text: CURLOPT_USERAGENT, options.userAgent)
        if let file = options.certificateFile { try set(text: CURLOPT_CAINFO, file) }
        if !options.usesProxy { try set(text: CURLOPT_PROXY, "") }
        let connectMilliseconds = Int(options.connectTimeout.seconds * 1000)
        let longs: [(CURLoption, Int)] = [
            (CURLOPT_NOSIGNAL, 1), (CURLOPT_PATH_AS_IS, 1), (CURLOPT_FOLLOWLOCATION, 0), (CURLOPT_TCP_KEEPALIVE, 1),
            // CURL_HTTP_VERSION_1_1: many streams of one connection are slower for bulk.
            (CURLOPT_HTTP_VERSION, 2),
            (CURLOPT_CONNECTTIMEOUT_MS, connectMilliseconds),
            (CURLOPT_LOW_SPEED_LIMIT, stallLimit),
            (CURLOPT_LOW_SPEED_TIME, max(1, Int(options.stallTimeout.seconds.rounded(.up)))),
            (CURLOPT_BUFFERSIZE, blockSize(128 << 10)), (CURLOPT_UPLOAD_BUFFERSIZE, blockSize(1 << 20)),
        ]
        for (option, value) in longs { try check(mlops_curl_set_long(easy, option, value)) }
        // libcurl repeats requests only on connections that it used before.
        if request.isSentOnce { try check(mlops_curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1)) }
        if let timeout = request.timeout {
            try check(mlops_curl_set_long(easy, CURLOPT_TIMEOUT_MS, max(1, Int(timeout.seconds * 1000))))
        }
        try setMethod(easy)
        try setHeaders(easy)
        try setCallbacks(easy)
        return easy
    }

    /// What moves in one go: an eighth of a second's worth at most, so that a limited rate is even.
    private func blockSize(_ usual: Int) -> Int {
        guard let rate = options.limiter?.bytesPerSecond else { return usual }
        return max(16 << 10, min(usual, Int(rate / 8)))
    }

    /// Many transfers that share a low rate are slow without being stalled.
    private var stallLimit: Int {
        guard let rate = options.limiter?.bytesPerSecond else { return options.stallBytesPerSecond }
        return max(1, min(options.stallBytesPerSecond, Int(rate / 1024)))
    }

    private func setMethod(_ easy: UnsafeMutableRawPointer) throws {
        switch request.method {
        case "GET": try check(mlops_curl_set_long(easy, CURLOPT_HTTPGET, 1))
        case "HEAD": try check(mlops_curl_set_long(easy, CURLOPT_NOBODY, 1))
        case "PUT", "POST":
            try check(mlops_curl_set_long(easy, CURLOPT_UPLOAD, 1))
            try check(mlops_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.body.byteCount)))
            try set(text: CURLOPT_CUSTOMREQUEST, request.method)
        default: try set(text: CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer) throws {
        // `Expect: 100-continue` would cost a round trip, or a second where the server ignores it.
        let lines = request.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" } + ["Expect:"]
        for line in lines {
            precondition(!line.utf8.contains { $0 == 10 || $0 == 13 }, "a header line holds a line break: \(line)")
            guard let longer = mlops_curl_list_append(headerList, line) else {
                throw TransportError(.unusable, server: server, detail: "out of memory")
            }
            headerList = longer
        }
        try check(mlops_curl_set_headers(easy, headerList))
    }

    private func setCallbacks(_ easy: UnsafeMutableRawPointer) throws {
        // The loop keeps the transfer until after the handle is gone, so the pointer stays good without a count.
        let context = Unmanaged.passUnretained(self).toOpaque()
        try check(
            mlops_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { buffer, size, count, context in
                ActiveTransfer.from(context).receive(UnsafeRawBufferPointer(start: buffer, count: size * count))
            })
        try check(
            mlops_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { buffer, size, count, context in
                ActiveTransfer.from(context).receiveHeader(UnsafeRawBufferPointer(start: buffer, count: size * count))
            })
        try check(
            mlops_curl_set_callback(easy, CURLOPT_READFUNCTION) { buffer, size, count, context in
                ActiveTransfer.from(context).provide(UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
            })
        try check(
            mlops_curl_set_seek_callback(easy) { context, offset, origin in
                ActiveTransfer.from(context).rewind(to: Int64(offset), origin: origin)
            })
        for option in [CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA] {
            try check(mlops_curl_set_pointer(easy, option, context))
        }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> ActiveTransfer {
        guard let context else { preconditionFailure("libcurl lost the context of a transfer") }
        return Unmanaged<ActiveTransfer>.fromOpaque(context).takeUnretainedValue()
    }

    private func set(text option: CURLoption, _ value: String) throws {
        try check(mlops_curl_set_text(easy, option, value))
    }

    private func check(_ code: CURLcode) throws {
        guard code != CURLE_OK else { return }
        throw TransportError(.unusable, server: server, detail: String(cString: mlops_curl_describe(code)).lowercased())
    }
}

// MARK: - Callbacks

extension ActiveTransfer {
    /// CURL_READFUNC_ABORT.
    private static let abort = 0x1000_0000

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        headerByteCount += line.count
        guard headerByteCount <= 64 << 10 else {
            failure = MLOpsError(.damaged, "`\(server)` sent more than 64 KiB of headers")
            return 0
        }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            // An interim answer (100 Continue) or a proxy's comes before the real one.
            response.headers = [:]
            response.status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if let colon = text.firstIndex(of: ":") {
            let name = text[..<colon].lowercased()
            let value = String(text[text.index(after: colon)...]).trimmed
            response.headers[name] = response.headers[name].map { $0 + ", " + value } ?? value
        }
        return line.count
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        do {
            switch sink {
            case .file(let file, let offset, let limit) where response.isSuccess:
                try store(bytes, in: file, from: offset, limit: limit)
            case .rest(let file, let offset, let limit) where response.isSuccess:
                try store(bytes, in: file, from: response.status == 206 ? offset : 0, limit: limit)
            case .pooled(let target) where response.isSuccess:
                try checkLimit(bytes.count, Int64(target.count))
                UnsafeMutableRawBufferPointer(rebasing: target.memory[Int(response.byteCount)...])
                    .copyMemory(from: bytes)
                progress?(Int64(bytes.count))
            case .file, .rest, .pooled:
                // The text of an error: enough of it to say what is wrong.
                response.body += bytes.prefix(max(0, 64 << 10 - response.body.count))
            case .memory(let limit):
                try checkLimit(bytes.count, limit)
                if response.body.isEmpty { reserveBody(atMost: limit) }
                response.body += bytes
                if response.isSuccess { progress?(Int64(bytes.count)) }
            }
            response.byteCount += Int64(bytes.count)
            options.limiter?.spend(bytes.count)
            return bytes.count
        } catch {
            failure = error
            return 0
        }
    }

    /// Growing step by step would copy a large body once more.
    private func reserveBody(atMost limit: Int64) {
        guard let length = response.headers["content-length"].flatMap({ Int64($0) }), length > 0 else { return }
        response.body.reserveCapacity(Int(min(length, limit, 64 << 20)))
    }

    private func store(_ bytes: UnsafeRawBufferPointer, in file: OpenFile, from start: Int64, limit: Int64) throws {
        try checkLimit(bytes.count, limit)
        let end = start + response.byteCount + Int64(bytes.count)
        try file.place(bytes, at: start + response.byteCount)
        if end - max(start, writebackStart) >= ActiveTransfer.writebackLength {
            file.startWriteback(from: max(start, writebackStart), count: end - max(start, writebackStart))
            writebackStart = end
        }
        progress?(Int64(bytes.count))
    }

    private func checkLimit(_ count: Int, _ limit: Int64) throws {
        guard response.byteCount + Int64(count) <= limit else {
            throw MLOpsError(.damaged, "`\(server)` sent more than the \(limit) bytes that were expected")
        }
    }

    private func provide(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        let rest = request.body.byteCount - sent
        let count = Int(min(rest, Int64(buffer.count)))
        guard count > 0 else { return 0 }
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        do {
            switch request.body {
            case .none: return 0
            case .bytes(let bytes):
                bytes.withUnsafeBytes { target.copyMemory(from: .init(rebasing: $0[Int(sent)..<Int(sent) + count])) }
            case .file(let file, let range):
                let got = try file.read(into: target, at: range.lowerBound + sent)
                guard got == count else {
                    throw MLOpsError(.failed, "`\(file.path)` became shorter while it was sent")
                }
            }
        } catch {
            failure = error
            return ActiveTransfer.abort
        }
        sent += Int64(count)
        options.limiter?.spend(count)
        progress?(Int64(count))
        return count
    }

    /// libcurl starts over when a kept-alive connection turns out to be dead.
    private func rewind(to offset: Int64, origin: Int32) -> Int32 {
        guard origin == SEEK_SET, offset >= 0, offset <= request.body.byteCount else { return 1 }
        progress?(offset - sent)
        sent = offset
        return 0
    }
}

extension OpenFile {
    /// Writes all of `bytes` at `offset`.
    fileprivate func place(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        var total = 0
        while total < bytes.count {
            let start = bytes.baseAddress?.advanced(by: total)
            let count = pwrite(descriptor, start, bytes.count - total, off_t(offset) + off_t(total))
            if count < 0 {
                if errno == EINTR { continue }
                throw MLOpsError.system("write", path, errno: errno)
            }
            total += count
        }
    }
}

extension String {
    /// Without spaces, tabs and line breaks at both ends.
    fileprivate var trimmed: String {
        let isBlank: (UInt8) -> Bool = { $0 == 32 || $0 == 9 || $0 == 10 || $0 == 13 }
        let bytes = Array(utf8)
        guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
}
