import Basics
import Remotes
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
        let refused = await #expect(throws: MLOpsError.self) {
            try await credentials(["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example/creds"])
        }
        #expect(refused?.message.contains("not trusted") == true)
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
