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

/// What a failed attempt left, and how the next one goes on from it.
enum RetryPreparation: Sendable {
    /// All of it is made again.
    case startOver
    /// What moved stays: the next attempt asks for the rest.
    case goOn(S3Request, HTTPSink)
}

/// Signs requests, makes them, and makes them again where that can help.
final class S3Client: Sendable {
    let settings: S3Settings
    private let retry: RetryPolicy
    private let http: HTTPClient
    private let chain: S3CredentialChain
    private let notices: RetryNotices
    /// The server's clock minus ours, in milliseconds, once it said that ours is off.
    private let clockOffset = Atomic<Int64>(0)
    private let hasAnswered = Atomic<Bool>(false)
    /// The settings with the region that the server named, once it did.
    private let moved: Mutex<S3Settings?>

    init(settings: S3Settings, retry: RetryPolicy, limiter: RateLimiter?, notice: NoticeHandler?) {
        self.settings = settings
        self.retry = retry
        var options = HTTPClient.Options()
        options.certificateFile = settings.certificateFile
        options.stallTimeout = retry.stallTimeout
        options.limiter = limiter
        http = HTTPClient(options: options)
        chain = S3CredentialChain(settings: settings)
        notices = RetryNotices(after: retry.silence, notice)
        moved = Mutex(nil)
    }

    /// How the attempts at one request went so far.
    private struct Attempts {
        let start = ContinuousClock.now
        var firstFailure: ContinuousClock.Instant?
        var refused: S3Credentials?
        var hasCorrectedClock = false
        var hasChangedRegion = false
    }

    /// Makes `request` until it succeeds, is answered with an accepted status, or cannot succeed.
    ///
    /// - Parameters:
    ///   - progress: told what moved; what a failed attempt moved is taken back, unless the next goes on from there.
    ///   - beforeRetry: looks at what a failed attempt left in the sink.
    func perform(
        _ request: S3Request, into sink: HTTPSink = .memory(limit: 64 << 20), progress: ByteProgress? = nil,
        counter: AttemptCounter = AttemptCounter(),
        beforeRetry: @Sendable () throws -> RetryPreparation = { .startOver }
    ) async throws -> HTTPResponse {
        var (request, sink, attempts) = (request, sink, Attempts())
        var keptCount: Int64 = 0
        while true {
            counter.increment()
            let credentials = try await chain.credentials(refused: attempts.refused)
            let moved = MovedBytes(progress)
            let report: ByteProgress? = progress == nil ? nil : { @Sendable count in moved.add(count) }
            let pause: Duration
            do {
                let response = try await http.send(sign(request, credentials), into: sink, progress: report)
                hasAnswered.store(true, ordering: .relaxed)
                if response.isSuccess || request.accepted.contains(response.status) {
                    // All of it came again, although the rest was asked for.
                    if case .rest = sink, response.status == 200 { progress?(-keptCount) }
                    return response
                }
                let failure = S3Failure(
                    response, action: request.action, key: request.key, settings: current, credentials: credentials)
                pause = try self.pause(after: failure, counter.count, &attempts, credentials)
            } catch let error as TransportError {
                pause = try self.pause(after: error, counter.count, &attempts)
            }
            switch try beforeRetry() {
            case .startOver: moved.takeBack()
            case .goOn(let rest, let place):
                (request, sink) = (rest, place)
                keptCount += moved.total
            }
            try await Task.sleep(for: pause)
        }
    }

    /// - Throws: what `failure` means, if another attempt cannot help.
    private func pause(
        after failure: S3Failure, _ attempt: Int, _ attempts: inout Attempts, _ credentials: S3Credentials
    ) throws -> Duration {
        switch failure {
        case .clockSkew(_, let serverTime) where !attempts.hasCorrectedClock:
            attempts.hasCorrectedClock = true
            clockOffset.store(serverTime.milliseconds - Timestamp.now.milliseconds, ordering: .relaxed)
            return .zero
        case .expired where attempts.refused == nil:
            attempts.refused = credentials
            return .zero
        case .elsewhere(_, let region) where !attempts.hasChangedRegion:
            attempts.hasChangedRegion = true
            guard let place = settings.moved(to: region) else { throw failure.error }
            moved.withLock { $0 = place }
            return .zero
        case .passing(let error, let retryAfter) where attempt < retry.attempts:
            let pause = retry.pause(after: attempt, retryAfter: retryAfter, using: .random(in: 0...1))
            return try settle(pause, attempt, &attempts, since: .now, reason: error.message, orThrow: error)
        case .hurt where attempt < retry.attemptsAtDamage:
            return retry.pause(after: attempt, retryAfter: nil, using: .random(in: 0...1))
        default: throw failure.error
        }
    }

    private func pause(after error: TransportError, _ attempt: Int, _ attempts: inout Attempts) throws -> Duration {
        var pause = retry.pause(after: attempt, retryAfter: nil, using: .random(in: 0...1))
        switch error.kind {
        case .unresolved, .refused, .connectTimeout:
            let patience = hasAnswered.load(ordering: .relaxed) ? retry.patienceLater : retry.patienceAtFirst
            // An upload may have gone well for longer than that before the server went away.
            let rest = patience - (ContinuousClock.now - (attempts.firstFailure ?? attempts.start))
            guard rest > .zero else { throw error.forPeople }
            // The last attempt comes when patience ends, not a pause later.
            pause = min(pause, rest)
        case .stalled where attempt < retry.attemptsAtStalls, .broken where attempt < retry.attempts: break
        case .stalled, .broken, .untrusted, .unusable: throw error.forPeople
        }
        // A connection that stalled has been failing for all of its time.
        let start = error.kind == .stalled ? attempts.start : .now
        return try settle(
            pause, attempt, &attempts, since: start, reason: error.forPeople.message, orThrow: error.forPeople)
    }

    /// Keeps to the deadline, and tells whoever waits that something fails.
    private func settle(
        _ pause: Duration, _ attempt: Int, _ attempts: inout Attempts, since start: ContinuousClock.Instant,
        reason: String, orThrow error: MLOpsError
    ) throws -> Duration {
        let first = attempts.firstFailure ?? start
        attempts.firstFailure = first
        let failing = ContinuousClock.now - first + pause
        guard failing < retry.deadline else { throw error }
        notices.tell(reason, attempt: attempt, failingFor: failing)
        return pause
    }

    private var current: S3Settings { moved.withLock { $0 } ?? settings }

    private func sign(_ request: S3Request, _ credentials: S3Credentials) -> HTTPRequest {
        let settings = current
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
    private let count = Atomic<Int64>(0)
    private let progress: ByteProgress?

    var total: Int64 { count.load(ordering: .relaxed) }

    init(_ progress: ByteProgress?) { self.progress = progress }

    func add(_ count: Int64) {
        self.count.add(count, ordering: .relaxed)
        progress?(count)
    }

    func takeBack() {
        let count = self.count.exchange(0, ordering: .relaxed)
        if count != 0 { progress?(-count) }
    }
}
