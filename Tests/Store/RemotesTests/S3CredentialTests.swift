import Basics
import Remotes
import Synchronization
import TestSupport
import Testing

@Suite struct S3CredentialTests {
    private func credentials(
        _ environment: [String: String], profile: String? = nil
    ) async throws -> S3Credentials {
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket", profile: profile), environment: environment)
        return try await S3CredentialChain(settings: settings).credentials()
    }

    private func home() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write(
            ".aws/credentials",
            """
            # keys
            [default]
            aws_access_key_id = AKDEFAULT
            aws_secret_access_key=SKDEFAULT

            [ team ]
            AWS_ACCESS_KEY_ID = AKTEAM
            aws_secret_access_key = SK/TEAM+==
            aws_session_token = TOKEN
            """)
        try folder.write(
            ".aws/config",
            """
            [profile team]
            region = eu-central-1   # near us
            endpoint_url = https://s3.team.example:9000
            s3 =
              addressing_style = path
            [profile sso]
            sso_session = x
            """)
        return folder
    }

    @Test func takesTheEnvironmentFirst() async throws {
        let home = try home()
        let found = try await credentials([
            "HOME": home.path, "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_SESSION_TOKEN": "T",
            "AWS_PROFILE": "team",
        ])
        #expect(found == S3Credentials(accessKey: "AK", secretKey: "SK", sessionToken: "T", source: "the environment"))
    }

    @Test func takesTheProfileThatIsNamed() async throws {
        let home = try home()
        let environment = ["HOME": home.path, "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"]
        #expect(try await credentials(["HOME": home.path]).accessKey == "AKDEFAULT")
        #expect(try await credentials(["HOME": home.path, "AWS_PROFILE": "team"]).secretKey == "SK/TEAM+==")
        let asked = try await credentials(environment, profile: "team")
        #expect(asked.accessKey == "AKTEAM")
        #expect(asked.sessionToken == "TOKEN")
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket/p", profile: "team"), environment: environment)
        #expect(settings.region == "eu-central-1")
        #expect(settings.server == "https://s3.team.example:9000")
    }

    @Test(arguments: [
        (["[profile default]"], ["AWS_PROFILE": "default"]), (["[profile default]"], [:]),
        (["[profile \"team a\"]"], ["AWS_PROFILE": "team a"]), (["[ profile 'team a' ]"], ["AWS_PROFILE": "team a"]),
        (["[profile b]"], ["AWS_DEFAULT_PROFILE": "b"]),
    ]) func profilesAreNamedAsInTheToolsOfAWS(_ lines: [String], _ chosen: [String: String]) async throws {
        let home = try TemporaryFolder()
        let section = lines + ["aws_access_key_id = AK", "aws_secret_access_key = SK", "region ="]
        try home.write(".aws/config", section.joined(separator: "\n"))
        let environment = chosen.merging(["HOME": home.path]) { $1 }
        #expect(try await credentials(environment).accessKey == "AK")
        let settings = try S3Settings(RemoteConfiguration(url: "s3://bucket"), environment: environment)
        #expect(settings.region == "us-east-1")
    }

    @Test func saysWhatIsWrongWithAProfile() async throws {
        let home = try home()
        let missing = await #expect(throws: MLOpsError.self) {
            try await credentials(["HOME": home.path], profile: "no")
        }
        #expect(missing?.exitCode == 14)
        #expect(missing?.message == "there is no profile `no` in the files of AWS's tools")
        let indirect = await #expect(throws: MLOpsError.self) {
            try await credentials(["HOME": home.path], profile: "sso")
        }
        #expect(indirect?.hint?.contains("export-credentials --profile sso") == true)
    }

    @Test func saysThatHalfOfAKeyIsMissing() async throws {
        let error = await #expect(throws: MLOpsError.self) { try await credentials(["AWS_ACCESS_KEY_ID": "AK"]) }
        #expect(error?.message.hasSuffix("AWS_SECRET_ACCESS_KEY is not set") == true)
    }

    @Test func saysThatThereAreNone() async throws {
        let error = await #expect(throws: MLOpsError.self) {
            try await credentials(["AWS_EC2_METADATA_DISABLED": "true"])
        }
        #expect(error?.exitCode == 14)
        #expect(error?.message == "there are no credentials for the remote `s3://bucket`")
    }

    private static let answer =
        #"{"AccessKeyId":"AKM","SecretAccessKey":"SKM","Token":"TM","Expiration":"2099-01-01T00:00:00Z"}"#

    @Test func asksTheContainer() async throws {
        let server = try ScriptedServer {
            $0.headers["authorization"] == "secret" ? .text(200, Self.answer) : .respond(401)
        }
        let environment = [
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret",
        ]
        let found = try await credentials(environment)
        #expect(found.sessionToken == "TM")
        #expect(found.expires == Timestamp("2099-01-01T00:00:00.000Z"))
        for address in ["http://evil.example/creds", "http://127.0.0.1:x@evil.example/creds"] {
            let refused = await #expect(throws: MLOpsError.self) {
                try await credentials(["AWS_CONTAINER_CREDENTIALS_FULL_URI": address])
            }
            #expect(refused?.message.contains("not trusted") == true)
        }
    }

    @Test func asksTheInstance() async throws {
        let server = try ScriptedServer { request in
            if request.method == "PUT" { return .text(200, "tok") }
            guard request.headers["x-aws-ec2-metadata-token"] == "tok" else { return .respond(401) }
            return request.path.hasSuffix("/") ? .text(200, "role\n") : .text(200, Self.answer)
        }
        let found = try await credentials(["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/"])
        #expect(found.accessKey == "AKM")
        #expect(server.requests.map(\.method) == ["PUT", "GET", "GET"])
    }

    private static let roleAnswer = """
        <AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        <AccessKeyId>AKROLE</AccessKeyId><SecretAccessKey>SKROLE</SecretAccessKey><SessionToken>TROLE</SessionToken>
        <Expiration>2099-01-01T00:00:00.500Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>
        """

    private func home(config: String, credentials: String = "") throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write(".aws/config", config)
        try folder.write(".aws/credentials", credentials)
        return folder
    }

    @Test func takesOnTheRoleOfAProfile() async throws {
        let server = try ScriptedServer { _ in .text(200, Self.roleAnswer) }
        let home = try home(
            config: """
                [profile deploy]
                role_arn = arn:aws:iam::1:role/deploy
                source_profile = base
                external_id = x y
                [profile chained]
                role_arn = arn:aws:iam::2:role/other
                source_profile = deploy
                [profile self]
                role_arn = arn:aws:iam::1:role/self
                source_profile = self
                aws_access_key_id = AKSELF
                aws_secret_access_key = SKSELF
                [profile nobody]
                role_arn = arn:aws:iam::1:role/x
                [profile machine]
                role_arn = arn:aws:iam::1:role/x
                credential_source = Environment
                """, credentials: "[base]\naws_access_key_id = AKBASE\naws_secret_access_key = SKBASE\n")
        let environment = ["HOME": home.path, "AWS_ENDPOINT_URL_STS": server.url]
        let found = try await credentials(environment, profile: "deploy")
        #expect(found.accessKey == "AKROLE" && found.sessionToken == "TROLE")
        #expect(found.expires == Timestamp("2099-01-01T00:00:00.000Z"))
        let request = try #require(server.requests.first)
        let body = String(decoding: request.body, as: UTF8.self)
        #expect(body.contains("Action=AssumeRole&") && body.contains("ExternalId=x%20y"))
        #expect(body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fdeploy"))
        #expect(request.headers["authorization"]?.contains("Credential=AKBASE/") == true)
        #expect(request.headers["authorization"]?.contains("/us-east-1/sts/aws4_request") == true)
        _ = try await credentials(environment, profile: "chained")
        #expect(server.requests.count == 3)
        #expect(server.requests[2].headers["x-amz-security-token"] == "TROLE")
        _ = try await credentials(environment, profile: "self")
        #expect(server.requests[3].headers["authorization"]?.contains("Credential=AKSELF/") == true)
        let nobody = await #expect(throws: MLOpsError.self) { try await credentials(environment, profile: "nobody") }
        #expect(nobody?.message.contains("says not who takes it on") == true)
        let keys = environment.merging(["AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "S"]) { $1 }
        _ = try await credentials(keys, profile: "machine")
        #expect(server.requests[4].headers["authorization"]?.contains("Credential=AKENV/") == true)
    }

    @Test func saysWhoRefusesARole() async throws {
        let server = try ScriptedServer { _ in
            .text(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
        }
        let folder = try TemporaryFolder()
        let token = try folder.write("token", "abc\n")
        let error = await #expect(throws: MLOpsError.self) {
            try await credentials([
                "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:x", "AWS_ENDPOINT_URL_STS": server.url,
            ])
        }
        #expect(error?.exitCode == 14)
        #expect(error?.message.contains("does not give the role `arn:x`: AccessDenied") == true)
        let body = String(decoding: server.requests.first?.body ?? [], as: UTF8.self)
        #expect(body.hasPrefix("Action=AssumeRoleWithWebIdentity&WebIdentityToken=abc&RoleArn=arn%3Ax"))
        #expect(server.requests.first?.headers["authorization"] == nil)
    }

    @Test func asksTheProgramOfAProfile() async throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "print keys",
            #"#!/bin/sh\necho '{"Version":1,"AccessKeyId":"AKP'"$1"'","SecretAccessKey":"S","SessionToken":"T"}'\n"#
                .replacing("\\n", with: "\n"))
        let home = try home(
            config: """
                [profile tool]
                credential_process = /bin/sh "\(folder("print keys"))" 'a b'
                [profile broken]
                credential_process = /bin/false
                [profile odd]
                credential_process = "unfinished
                """)
        let environment = ["HOME": home.path, "PATH": "/usr/bin:/bin"]
        let found = try await credentials(environment, profile: "tool")
        #expect(found.accessKey == "AKPa b" && found.sessionToken == "T")
        for (profile, words) in [("broken", "ended with status 1"), ("odd", "is no command line")] {
            let error = await #expect(throws: MLOpsError.self) { try await credentials(environment, profile: profile) }
            #expect(error?.exitCode == 14)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    @Test func readsTheTokenOfAContainerFromItsFile() async throws {
        let server = try ScriptedServer {
            $0.headers["authorization"] == "from-file" ? .text(200, Self.answer) : .respond(401)
        }
        let folder = try TemporaryFolder()
        let file = try folder.write("token", "from-file\n")
        let found = try await credentials([
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file,
        ])
        #expect(found.accessKey == "AKM")
    }

    @Test func looksForNewKeysBeforeTheOldOnesExpireAndKeepsThoseWhileNoneCome() async throws {
        let isDown = Atomic<Bool>(false)
        let server = try ScriptedServer { _ in
            isDown.load(ordering: .relaxed) ? .respond(500) : .text(200, Self.answer)
        }
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket"), environment: ["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url])
        let expiry = try #require(Timestamp("2099-01-01T00:00:00.000Z")).milliseconds
        let clock = Mutex<Int64>(expiry - 3_600_000)
        let chain = S3CredentialChain(settings: settings, now: { Timestamp(milliseconds: clock.withLock { $0 }) })
        _ = try await chain.credentials()
        _ = try await chain.credentials()
        #expect(server.requests.count == 1)
        clock.withLock { $0 = expiry - 200_000 }
        _ = try await chain.credentials()
        #expect(server.requests.count == 2)
        isDown.store(true, ordering: .relaxed)
        #expect(try await chain.credentials().accessKey == "AKM")
        clock.withLock { $0 = expiry + 1 }
        await #expect(throws: MLOpsError.self) { try await chain.credentials() }
    }

    @Test func asksAgainWhenTheTokenHasExpired() async throws {
        let metadata = try ScriptedServer { _ in .text(200, Self.answer) }
        let server = try ScriptedServer { request in
            metadata.requests.count < 2
                ? .text(400, "<Error><Code>ExpiredToken</Code></Error>") : .text(200, "fine")
        }
        let settings = try S3Settings(
            RemoteConfiguration(url: "s3://bucket", endpoint: server.url),
            environment: ["AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.url])
        #expect(try await S3Remote(settings: settings).get("k") == Array("fine".utf8))
    }
}
