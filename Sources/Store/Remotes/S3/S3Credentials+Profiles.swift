internal import Basics
internal import CurlTransport

/// Profiles of `~/.aws`: keys, a program that prints keys, or a role that another profile, a token or the machine takes on.
extension S3CredentialChain {
    /// - Parameters:
    ///   - isNamed: asked for by somebody, so that it must be there.
    ///   - visited: the profiles that led here, against circles.
    /// - Throws: kind `.notAllowed` for a profile that is named and missing, or gives nothing.
    func fromFiles(_ name: String, isNamed: Bool, visited: Set<String> = []) async throws -> S3Credentials? {
        let section = try AWSFiles(environment: settings.environment).settings(profile: name)
        if let role = section["role_arn"].nonEmpty, !visited.contains(name) {
            return try await takeOn(role, profile: name, section, visited: visited)
        }
        if let accessKey = section["aws_access_key_id"].nonEmpty,
            let secretKey = section["aws_secret_access_key"].nonEmpty
        {
            return S3Credentials(
                accessKey: accessKey, secretKey: secretKey, sessionToken: section["aws_session_token"].nonEmpty,
                source: "the profile `\(name)`")
        }
        if let command = section["credential_process"].nonEmpty {
            return try await CredentialProcess(command: command, profile: name).run(settings.environment)
        }
        guard isNamed else { return nil }
        guard !section.isEmpty else {
            throw MLOpsError(
                .notAllowed, "there is no profile `\(printable(name))` in the files of AWS's tools",
                hint: "run `aws configure --profile \(printable(name))`")
        }
        throw MLOpsError(
            .notAllowed,
            "the profile `\(printable(name))` holds no access key, role or program (single sign-on is not followed)",
            hint: "run `eval \"$(aws configure export-credentials --profile \(printable(name)) --format env)\"`")
    }

    private func takeOn(
        _ role: String, profile name: String, _ section: [String: String], visited: Set<String>
    ) async throws -> S3Credentials {
        let request = RoleRequest(
            role: role, session: section["role_session_name"].nonEmpty ?? "mlops",
            externalID: section["external_id"].nonEmpty, seconds: section["duration_seconds"].flatMap { Int($0) },
            source: "the role of the profile `\(name)`")
        let service = TokenService(settings: settings)
        if let file = section["web_identity_token_file"].nonEmpty {
            return try await service.takeOn(request, token: try FileSystem.readText(file).trimmingLines)
        }
        let base: S3Credentials?
        if let source = section["source_profile"].nonEmpty {
            // A profile may name itself: its own keys then take on its role.
            base = try await fromFiles(source, isNamed: true, visited: visited.union([name]))
        } else {
            switch section["credential_source"]?.lowercased() {
            case "environment": base = try fromEnvironment()
            case "ecscontainer": base = try await fromContainer()
            case "ec2instancemetadata": base = try await fromInstance()
            default:
                throw MLOpsError(
                    .notAllowed,
                    "the profile `\(printable(name))` has a `role_arn` and says not who takes it on",
                    hint: "add `source_profile`, `credential_source` or `web_identity_token_file` to it")
            }
        }
        guard let base else {
            throw MLOpsError(
                .notAllowed, "there are no credentials that could take on the role of the profile `\(printable(name))`")
        }
        return try await service.takeOn(request, as: base)
    }

    /// A token in a file and a role for it, as Kubernetes gives them to a pod.
    func fromTokenFile() async throws -> S3Credentials? {
        let environment = settings.environment
        guard let file = environment["AWS_WEB_IDENTITY_TOKEN_FILE"].nonEmpty,
            let role = environment["AWS_ROLE_ARN"].nonEmpty
        else { return nil }
        let request = RoleRequest(
            role: role, session: environment["AWS_ROLE_SESSION_NAME"].nonEmpty ?? "mlops", externalID: nil,
            seconds: nil,
            source: "the token in `\(file)`")
        return try await TokenService(settings: settings).takeOn(
            request, token: try FileSystem.readText(file).trimmingLines)
    }
}

/// A role that somebody wants to take on.
struct RoleRequest: Sendable {
    var role: String
    var session: String
    var externalID: String?
    var seconds: Int?
    /// For messages.
    var source: String
}

/// AWS's Security Token Service, which gives keys of a role for a while.
struct TokenService: Sendable {
    let settings: S3Settings

    /// `AssumeRole`, signed by `base`.
    func takeOn(_ request: RoleRequest, as base: S3Credentials) async throws -> S3Credentials {
        var fields = [("Action", "AssumeRole")] + common(request)
        if let identifier = request.externalID { fields.append(("ExternalId", identifier)) }
        return try await ask(fields, signedBy: base, request)
    }

    /// `AssumeRoleWithWebIdentity`, which the token proves.
    func takeOn(_ request: RoleRequest, token: String) async throws -> S3Credentials {
        let fields = [("Action", "AssumeRoleWithWebIdentity"), ("WebIdentityToken", token)] + common(request)
        return try await ask(fields, signedBy: nil, request)
    }

    private func common(_ request: RoleRequest) -> [(String, String)] {
        [("RoleArn", request.role), ("RoleSessionName", request.session), ("Version", "2011-06-15")]
            + (request.seconds.map { [("DurationSeconds", String($0))] } ?? [])
    }

    private func ask(
        _ fields: [(String, String)], signedBy base: S3Credentials?, _ request: RoleRequest
    ) async throws -> S3Credentials {
        let body = fields.map { "\(S3Signer.encode($0.0))=\(S3Signer.encode($0.1))" }.joined(separator: "&")
        let environment = settings.environment
        let endpoint =
            environment["AWS_ENDPOINT_URL_STS"].nonEmpty ?? environment["AWS_ENDPOINT_URL"].nonEmpty
            ?? "https://sts.\(settings.region).amazonaws.com"
        let (scheme, host) = try S3Settings.parse(endpoint: endpoint)
        var headers = [(name: "host", value: host), (name: "content-type", value: "application/x-www-form-urlencoded")]
        if let base {
            headers = S3Signer(
                accessKey: base.accessKey, secretKey: base.secretKey, sessionToken: base.sessionToken,
                region: settings.region, service: "sts"
            ).signedHeaders(
                method: "POST", path: "/", query: [], headers: headers, payloadHash: Digest.of(body).hex, at: .now)
        }
        var exchange = HTTPRequest("POST", "\(scheme)://\(host)/", headers: headers, body: .bytes(Array(body.utf8)))
        exchange.timeout = .seconds(20)
        let response = try await send(exchange)
        let answer = XMLElement(parsing: response.body)
        guard response.isSuccess,
            let found = answer?.children.first(where: { $0.name.hasSuffix("Result") })?.all("Credentials").first,
            let accessKey = found["AccessKeyId"], let secretKey = found["SecretAccessKey"]
        else {
            let words = answer?.all("Error").first?["Code"] ?? "status \(response.status)"
            throw MLOpsError(
                .notAllowed, "`\(host)` does not give the role `\(printable(request.role))`: \(printable(words))",
                hint: "check the role, and who may take it on (\(request.source))")
        }
        return S3Credentials(
            accessKey: accessKey, secretKey: secretKey, sessionToken: found["SessionToken"].nonEmpty,
            expires: found["Expiration"].flatMap(awsTime), source: request.source)
    }

    /// Three attempts: the service is asked once an hour, and everything waits for it.
    private func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        var options = HTTPClient.Options()
        options.certificateFile = settings.certificateFile
        let client = HTTPClient(options: options)
        for attempt in 1...3 {
            do {
                let response = try await client.send(request, into: .memory(limit: 1 << 20))
                if response.status < 500 || attempt == 3 { return response }
            } catch let error as TransportError where attempt == 3 || error.kind == .untrusted {
                throw error.forPeople
            } catch is TransportError {
                // Again, after the pause below.
            }
            try await Task.sleep(for: RetryPolicy().pause(after: attempt, retryAfter: nil, using: .random(in: 0...1)))
        }
        throw MLOpsError(.unreachable, "`\(request.url)` does not answer")
    }
}
