package import Basics
internal import CurlTransport

/// An access key of S3 with its secret.
package struct S3Credentials: Sendable, Hashable {
    package var accessKey: String
    package var secretKey: String
    package var sessionToken: String?
    /// nil for keys that stay.
    package var expires: Timestamp?
    /// For messages: `the environment`, `profile x of ~/.aws/credentials`, …
    package var source: String

    package init(
        accessKey: String, secretKey: String, sessionToken: String? = nil, expires: Timestamp? = nil, source: String
    ) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
        self.expires = expires
        self.source = source
    }
}

/// Finds credentials where AWS's tools look: a profile that the configuration names, the environment, a token file with a role,
/// `AWS_PROFILE` or the default profile, the container's and the instance's metadata; keeps them until five minutes before they
/// expire.
package actor S3CredentialChain {
    let settings: S3Settings
    private var cached: S3Credentials?
    private var lookUp: Task<S3Credentials, any Error>?
    private let now: @Sendable () -> Timestamp

    package init(settings: S3Settings, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.settings = settings
        self.now = now
    }

    /// - Parameter refused: credentials that the server called expired; others are looked for.
    /// - Throws: kind `.notAllowed` that says where was looked, when there are none.
    package func credentials(refused: S3Credentials? = nil) async throws -> S3Credentials {
        if let cached, cached != refused, isFresh(cached) { return cached }
        // Many requests start at once: one of them asks, the others wait for it.
        if let lookUp { return try await lookUp.value }
        let task = Task { try await find() }
        lookUp = task
        defer { lookUp = nil }
        do {
            let found = try await task.value
            cached = found
            return found
        } catch {
            // The service that gives new ones is busy; the old ones still hold for a while.
            if let cached, cached != refused, let expires = cached.expires, now() < expires { return cached }
            throw error
        }
    }

    private func isFresh(_ credentials: S3Credentials) -> Bool {
        guard let expires = credentials.expires else { return true }
        return now().milliseconds + 300_000 < expires.milliseconds
    }

    private func find() async throws -> S3Credentials {
        let environment = settings.environment
        if let profile = settings.profile { return try await fromProfile(profile, isNamed: true) }
        if let found = try fromEnvironment() { return found }
        if let found = try await fromTokenFile() { return found }
        let profile = environment.awsProfile
        if let found = try await fromFiles(profile ?? "default", isNamed: profile != nil) { return found }
        if let found = try await fromContainer() { return found }
        if let found = try await fromInstance() { return found }
        throw MLOpsError(
            .notAllowed, "there are no credentials for the remote `\(settings.location)`",
            hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile to `~/.aws/credentials`")
    }

    private func fromProfile(_ name: String, isNamed: Bool) async throws -> S3Credentials {
        if let found = try await fromFiles(name, isNamed: isNamed) { return found }
        throw MLOpsError(.notAllowed, "there is no profile `\(printable(name))` in the files of AWS's tools")
    }

    func fromEnvironment() throws -> S3Credentials? {
        let environment = settings.environment
        switch (environment["AWS_ACCESS_KEY_ID"].nonEmpty, environment["AWS_SECRET_ACCESS_KEY"].nonEmpty) {
        case (nil, nil): return nil
        case (let accessKey?, let secretKey?):
            return S3Credentials(
                accessKey: accessKey, secretKey: secretKey, sessionToken: environment["AWS_SESSION_TOKEN"].nonEmpty,
                source: "the environment")
        case (let accessKey, _):
            let missing = accessKey == nil ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY"
            throw MLOpsError(
                .notAllowed, "the environment has half of a key for `\(settings.location)`: \(missing) is not set")
        }
    }
}

// MARK: - Metadata services

extension S3CredentialChain {
    /// ECS and EKS hand credentials to a container at an address in its environment.
    func fromContainer() async throws -> S3Credentials? {
        let environment = settings.environment
        let url: String
        if let relative = environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"].nonEmpty {
            url = "http://169.254.170.2" + relative
        } else if let full = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].nonEmpty {
            let hosts = [
                "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]", "http://127.0.0.1",
                "http://localhost",
            ]
            let isKnown = hosts.contains { full == $0 || full.hasPrefix($0 + "/") || full.hasPrefix($0 + ":") }
            // What stands before an `@` is no host.
            guard full.hasPrefix("https://") || isKnown && !full.utf8.contains(UInt8(ascii: "@")) else {
                throw MLOpsError(
                    .notAllowed,
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI names `\(printable(full))`, which is not trusted with credentials",
                    hint: "use https, or the address of the container service")
            }
            url = full
        } else {
            return nil
        }
        var headers: [(name: String, value: String)] = []
        if let file = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"].nonEmpty {
            headers.append(("Authorization", try FileSystem.readText(file).trimmingLines))
        } else if let token = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"].nonEmpty {
            headers.append(("Authorization", token.trimmingLines))
        }
        let response = try await metadata(HTTPRequest("GET", url, headers: headers))
        guard let response, response.isSuccess else {
            throw MLOpsError(.notAllowed, "the container's credential service at `\(url)` gives no credentials")
        }
        return try decode(response, source: "the container's metadata")
    }

    /// EC2's instance metadata service, version 2 only. Off EC2 nobody answers, which is no error.
    func fromInstance() async throws -> S3Credentials? {
        if settings.environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" { return nil }
        let base =
            settings.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"].nonEmpty.map {
                $0.hasSuffix("/") ? String($0.dropLast()) : $0
            } ?? "http://169.254.169.254"
        let tokenRequest = HTTPRequest(
            "PUT", base + "/latest/api/token", headers: [("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
        guard let answer = try await metadata(tokenRequest), answer.isSuccess else { return nil }
        let token = String(decoding: answer.body, as: UTF8.self).trimmingLines
        let headers = [(name: "X-aws-ec2-metadata-token", value: token)]
        let folder = base + "/latest/meta-data/iam/security-credentials/"
        guard let roles = try await metadata(HTTPRequest("GET", folder, headers: headers)), roles.isSuccess,
            let role = String(decoding: roles.body, as: UTF8.self).split(separator: "\n").first,
            let response = try await metadata(
                HTTPRequest("GET", folder + S3Signer.encode(role.trimmingBlanks), headers: headers)),
            response.isSuccess
        else { return nil }
        return try decode(response, source: "the instance's metadata")
    }

    /// One exchange with a metadata service; nil when nobody is there.
    private func metadata(_ request: HTTPRequest) async throws -> HTTPResponse? {
        var options = HTTPClient.Options()
        options.connectTimeout = .seconds(1)
        options.usesProxy = false
        var request = request
        request.timeout = .seconds(2)
        do {
            return try await HTTPClient(options: options).send(request, into: .memory(limit: 64 << 10))
        } catch is TransportError {
            return nil
        }
    }

    private func decode(_ response: HTTPResponse, source: String) throws -> S3Credentials {
        try S3Credentials(json: response.body, tokenName: "Token", source: source)
    }
}

extension S3Credentials {
    /// What services and programs print: `AccessKeyId`, `SecretAccessKey`, a token and `Expiration`.
    init(json bytes: [UInt8], tokenName: String, source: String) throws {
        let json = try? JSONValue(parsing: bytes, source: source)
        guard let accessKey = json?["AccessKeyId"]?.string, let secretKey = json?["SecretAccessKey"]?.string else {
            throw MLOpsError(.notAllowed, "\(source) holds no access key")
        }
        self.init(
            accessKey: accessKey, secretKey: secretKey, sessionToken: json?[tokenName]?.string.nonEmpty,
            expires: json?["Expiration"]?.string.flatMap(awsTime), source: source)
    }
}

/// `2026-01-31T12:00:00Z`, with or without a fraction, or with the offset `+00:00`.
func awsTime(_ text: String) -> Timestamp? {
    let start = text.prefix(19)
    let rest = text.dropFirst(19).drop { $0 == "." || $0.isNumber }
    guard start.utf8.count == 19, rest == "Z" || rest == "+00:00" else { return nil }
    return Timestamp(start + ".000Z")
}

extension String {
    /// Without blanks and line breaks at both ends.
    var trimmingLines: String {
        split(whereSeparator: \.isNewline).map(\.trimmingBlanks).joined()
    }
}
