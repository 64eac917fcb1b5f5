internal import Basics
internal import CurlTransport
internal import Glibc

/// What an unsuccessful answer of an S3 store means.
enum S3Failure {
    /// It may pass by itself: ask again, not before `after`.
    case passing(MLOpsError, after: Duration?)
    /// Our clock is off: sign again with the server's.
    case clockSkew(MLOpsError, serverTime: Timestamp)
    /// The session token is too old: find new credentials.
    case expired(MLOpsError)
    /// The bucket lies in another region: sign for that one.
    case elsewhere(MLOpsError, region: String)
    /// The bytes were hurt on their way: send them again, but not for ever, as it may be the file that is hurt.
    case hurt(MLOpsError)
    case final(MLOpsError)

    var error: MLOpsError {
        switch self {
        case .passing(let error, _), .clockSkew(let error, _), .expired(let error), .elsewhere(let error, _),
            .hurt(let error), .final(let error):
            error
        }
    }

    /// - Parameters:
    ///   - action: `read`, `write`, `list`, `remove`.
    ///   - key: nil for the bucket itself.
    init(_ response: HTTPResponse, action: String, key: String?, settings: S3Settings, credentials: S3Credentials) {
        let document = XMLElement(parsing: response.body)
        let code = document?.name == "Error" ? document?["Code"] ?? "" : ""
        let context = Context(
            code: code, detail: document?["Message"] ?? "", status: response.status, action: action, key: key,
            settings: settings, credentials: credentials, response: response)
        switch (response.status, code) {
        case (_, "RequestTimeTooSkewed"):
            let error = context.clockError
            self = response.headers["date"].flatMap(httpDate).map { .clockSkew(error, serverTime: $0) } ?? .final(error)
        case (_, "ExpiredToken"), (_, "ExpiredTokenException"), (_, "TokenRefreshRequired"):
            self = .expired(context.tokenError)
        case (301, _), (307, _), (400, "AuthorizationHeaderMalformed"), (400, "IllegalLocationConstraintException"):
            let error = context.regionError
            self = context.region.map { .elsewhere(error, region: $0) } ?? .final(error)
        case (501, _): self = .final(context.finalError)
        case (408, _), (409, _), (429, _), (500..., _), (_, "SlowDown"), (_, "RequestTimeout"):
            self = .passing(
                context.busyError,
                after: retryAfter(response.headers["retry-after"], serverDate: response.headers["date"]))
        case (_, "IncompleteBody"), (_, "BadDigest"), (_, "XAmzContentSHA256Mismatch"),
            (_, "XAmzContentChecksumMismatch"),
            (_, "InvalidDigest"):
            // The bytes were hurt on their way: what we signed was computed from what we read.
            self = .hurt(context.transitError)
        default: self = .final(context.finalError)
        }
    }

    private struct Context {
        var code: String
        var detail: String
        var status: Int
        var action: String
        var key: String?
        var settings: S3Settings
        var credentials: S3Credentials
        var response: HTTPResponse

        var target: String {
            key.map { "`\(printable($0))` in the remote `\(settings.location)`" } ?? "the remote `\(settings.location)`"
        }

        var words: String { code.isEmpty ? "status \(status)" : "status \(status), \(printable(code))" }

        /// `status 403, AccessDenied: Access Denied.`, for the chain of causes.
        var cause: S3Answer { S3Answer(description: detail.isEmpty ? words : "\(words): \(printable(detail))") }

        var clockError: MLOpsError {
            MLOpsError(
                .notAllowed, "`\(settings.server)` refuses the request because this machine's clock is wrong",
                hint: "set the clock (`timedatectl set-ntp true`), then run the same command again", cause: cause)
        }

        var tokenError: MLOpsError {
            MLOpsError(
                .notAllowed, "the session token from \(credentials.source) has expired",
                hint: "fetch new credentials, then run the same command again", cause: cause)
        }

        var busyError: MLOpsError {
            MLOpsError(
                .unreachable, "cannot \(action) \(target): `\(settings.server)` keeps answering \(words)",
                hint: "run the same command again later: what was transferred is not sent twice", cause: cause)
        }

        var transitError: MLOpsError {
            MLOpsError(
                .damaged, "cannot \(action) \(target): the bytes are hurt on their way to `\(settings.server)`",
                hint: "check proxies and the network between, then run the same command again", cause: cause)
        }

        var finalError: MLOpsError {
            let key = printable(credentials.accessKey)
            let source = credentials.source
            switch (status, code) {
            case (_, "InvalidAccessKeyId"):
                return MLOpsError(
                    .notAllowed, "`\(settings.server)` does not know the access key `\(key)` (from \(source))",
                    hint: "check AWS_ACCESS_KEY_ID, or the profile, for `\(settings.location)`", cause: cause)
            case (_, "SignatureDoesNotMatch"):
                return MLOpsError(
                    .notAllowed, "the secret key is wrong for the access key `\(key)` (from \(source))",
                    hint: "check AWS_SECRET_ACCESS_KEY, or the profile, for `\(settings.location)`", cause: cause)
            case (_, "InvalidToken"):
                return MLOpsError(
                    .notAllowed, "`\(settings.server)` does not accept the session token from \(source)",
                    hint: "check AWS_SESSION_TOKEN; unset it if the key is a lasting one", cause: cause)
            case (_, "NoSuchBucket"):
                return MLOpsError(
                    .notFound, "bucket `\(settings.bucket)` does not exist on `\(settings.server)`",
                    hint: "create it, or correct the remote `\(settings.location)`", cause: cause)
            case (404, _):
                return MLOpsError(.notFound, "\(target) does not exist", cause: cause)
            case (401, _), (403, _):
                return MLOpsError(
                    .notAllowed, "the access key `\(key)` (from \(source)) may not \(action) \(target)",
                    hint: "ask for the right to \(action) objects there, or use another key", cause: cause)
            case (501, _):
                return MLOpsError(
                    .failed, "`\(settings.server)` does not support what is needed to \(action) \(target)", cause: cause
                )
            default:
                return MLOpsError(
                    .failed, "cannot \(action) \(target): `\(settings.server)` answers \(words)", cause: cause)
            }
        }

        /// The region that the server names, if it names one.
        var region: String? {
            XMLElement(parsing: response.body)?["Region"].nonEmpty ?? response.headers["x-amz-bucket-region"].nonEmpty
        }

        var regionError: MLOpsError {
            let place = region.map { "in the region `\(printable($0))`, not `\(settings.region)`" } ?? "elsewhere"
            return MLOpsError(
                .failed, "bucket `\(settings.bucket)` lies \(place)",
                hint: region.map { "set `region: \(printable($0))` for the remote" }
                    ?? "set the remote's `endpoint` and `region`",
                cause: cause)
        }
    }
}

/// The server's own words, as the cause of an error.
struct S3Answer: Error, CustomStringConvertible {
    var description: String
}

/// How long `Retry-After` asks to wait: it holds seconds, or a date, which is held against the server's own clock if it tells it.
func retryAfter(_ value: String?, serverDate: String? = nil, now: Timestamp = .now) -> Duration? {
    guard let value else { return nil }
    if let seconds = Int(value) { return seconds >= 0 ? .seconds(min(seconds, 3600)) : nil }
    guard let date = httpDate(value) else { return nil }
    let present = serverDate.flatMap(httpDate) ?? now
    return .milliseconds(max(0, min(date.milliseconds - present.milliseconds, 3_600_000)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers send; nil for anything else.
func httpDate(_ text: String) -> Timestamp? {
    let parts = text.split(separator: " ")
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard parts.count == 6, parts[5] == "GMT", let day = Int32(parts[1]), let year = Int32(parts[3]),
        let month = months.firstIndex(of: String(parts[2]))
    else { return nil }
    let clock = parts[4].split(separator: ":").compactMap { Int32($0) }
    guard clock.count == 3 else { return nil }
    var fields = tm()
    fields.tm_year = year - 1900
    fields.tm_mon = Int32(month)
    fields.tm_mday = day
    (fields.tm_hour, fields.tm_min, fields.tm_sec) = (clock[0], clock[1], clock[2])
    return Timestamp(milliseconds: Int64(timegm(&fields)) * 1000)
}
