internal import Basics
internal import CurlTransport
internal import Glibc
internal import Synchronization

/// One request to a bucket, before it is signed.
struct S3Request: Sendable {
    var method: String
    /// nil for the bucket itself.
    var key: String?
    /// What it does, for messages: `read`, `write`, `list`, `remove`.
    var action: String
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body = HTTPRequest.Body.none
    /// The digest of the body.
    var payload = Digest.of("")
    /// Unsuccessful statuses that the caller handles.
    var accepted: Set<Int> = []
    /// Whether the count of attempts must be true, because a second one is answered differently.
    var isSentOnce = false

    init(_ method: String, _ key: String?, action: String) {
        self.method = method
        self.key = key
        self.action = action
    }

    /// A PUT of `bytes` with their checksum.
    init(putting bytes: [UInt8], at key: String) {
        self.init("PUT", key, action: "write")
        body = .bytes(bytes)
        payload = Digest.of(bytes)
        headers = [("x-amz-checksum-sha256", payload.base64)]
    }
}

/// How often a request was made.
final class AttemptCounter: Sendable {
    private let value = Atomic<Int>(0)
    var count: Int { value.load(ordering: .relaxed) }
    func increment() { value.add(1, ordering: .relaxed) }
}

/// Signs requests, makes them, and makes them again where that can help.
final class S3Client: Sendable {
    let settings: S3Settings
    private let retry: RetryPolicy
    private let http: HTTPClient
    private let chain: S3CredentialChain
    /// The server's clock minus ours, in milliseconds, once it said that ours is off.
    private let clockOffset = Atomic<Int64>(0)
    private let hasAnswered = Atomic<Bool>(false)

    init(settings: S3Settings, retry: RetryPolicy) {
        self.settings = settings
        self.retry = retry
        var options = HTTPClient.Options()
        options.certificateFile = settings.certificateFile
        http = HTTPClient(options: options)
        chain = S3CredentialChain(settings: settings)
    }

    /// Makes `request` until it succeeds, is answered with an accepted status, or cannot succeed.
    ///
    /// - Parameters:
    ///   - progress: told what moved; what a failed attempt moved is taken back.
    ///   - beforeRetry: undoes what a failed attempt left in the sink.
    func perform(
        _ request: S3Request, into sink: HTTPSink = .memory(limit: 64 << 20), progress: ByteProgress? = nil,
        counter: AttemptCounter = AttemptCounter(), beforeRetry: @Sendable () throws -> Void = {}
    ) async throws -> HTTPResponse {
        let start = ContinuousClock.now
        var refused: S3Credentials?
        var hasCorrectedClock = false
        while true {
            counter.increment()
            let credentials = try await chain.credentials(refused: refused)
            let moved = MovedBytes(progress)
            let report: ByteProgress? = progress == nil ? nil : { @Sendable count in moved.add(count) }
            let pause: Duration
            do {
                let response = try await http.send(sign(request, credentials), into: sink, progress: report)
                hasAnswered.store(true, ordering: .relaxed)
                if response.isSuccess || request.accepted.contains(response.status) { return response }
                let failure = S3Failure(
                    response, action: request.action, key: request.key, settings: settings, credentials: credentials)
                switch failure {
                case .clockSkew(_, let serverTime) where !hasCorrectedClock:
                    hasCorrectedClock = true
                    clockOffset.store(serverTime.milliseconds - Timestamp.now.milliseconds, ordering: .relaxed)
                    pause = .zero
                case .expired where refused == nil:
                    refused = credentials
                    pause = .zero
                case .passing(_, let retryAfter) where counter.count < retry.attempts:
                    pause = retry.pause(after: counter.count, retryAfter: retryAfter, using: .random(in: 0...1))
                default: throw failure.error
                }
            } catch let error as TransportError {
                guard isWorthAnother(error, attempt: counter.count, since: start) else { throw error.forPeople }
                pause = retry.pause(after: counter.count, retryAfter: nil, using: .random(in: 0...1))
            }
            moved.takeBack()
            try await Task.sleep(for: pause)
            try beforeRetry()
        }
    }

    private func isWorthAnother(_ error: TransportError, attempt: Int, since start: ContinuousClock.Instant) -> Bool {
        switch error.kind {
        case .unresolved, .refused, .connectTimeout:
            let patience = hasAnswered.load(ordering: .relaxed) ? retry.patienceLater : retry.patienceAtFirst
            return ContinuousClock.now - start < patience
        case .stalled: return attempt < retry.attemptsAtStalls
        case .broken: return attempt < retry.attempts
        case .untrusted, .unusable: return false
        }
    }

    private func sign(_ request: S3Request, _ credentials: S3Credentials) -> HTTPRequest {
        let signer = S3Signer(
            accessKey: credentials.accessKey, secretKey: credentials.secretKey, sessionToken: credentials.sessionToken,
            region: settings.region)
        let path = settings.path(of: request.key)
        let now = Timestamp(milliseconds: Timestamp.now.milliseconds + clockOffset.load(ordering: .relaxed))
        let headers = signer.signedHeaders(
            method: request.method, path: path, query: request.query,
            headers: [("host", settings.host)] + request.headers, payloadHash: request.payload.hex, at: now)
        let query = request.query.isEmpty ? "" : "?" + S3Signer.canonicalQuery(request.query)
        var signed = HTTPRequest(request.method, settings.server + path + query, headers: headers, body: request.body)
        signed.isSentOnce = request.isSentOnce
        return signed
    }
}

/// Counts what one attempt reported, so that it can be taken back.
private final class MovedBytes: Sendable {
    private let total = Atomic<Int64>(0)
    private let progress: ByteProgress?

    init(_ progress: ByteProgress?) { self.progress = progress }

    func add(_ count: Int64) {
        total.add(count, ordering: .relaxed)
        progress?(count)
    }

    func takeBack() {
        let count = total.exchange(0, ordering: .relaxed)
        if count != 0 { progress?(-count) }
    }
}
