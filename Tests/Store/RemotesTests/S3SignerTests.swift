import Basics
import Remotes
import TestSupport
import Testing

@Suite struct S3SignerTests {
    private struct Fixture: Decodable {
        struct Case: Decodable {
            var method: String
            var path: String
            var query: [[String]]
            var host: String
            var headers: [[String]]
            var payload: String
            var token: String?
            var region: String
            var authorization: String
        }

        var access: String
        var secret: String
        var time: Timestamp
        var cases: [Case]
    }

    @Test func signsWhatBotocoreSigns() throws {
        let path = FileSystem.absolute("../../../Fixtures/remotes/signatures.json", from: #filePath)
        let json = try JSONValue(parsing: FileSystem.read(path), source: path)
        let fixture = try json.decode(as: Fixture.self)
        #expect(fixture.cases.count == 9)
        for one in fixture.cases {
            let signer = S3Signer(
                accessKey: fixture.access, secretKey: fixture.secret, sessionToken: one.token, region: one.region)
            let headers = signer.signedHeaders(
                method: one.method, path: S3Signer.encode(one.path, keepsSlash: true),
                query: one.query.map { ($0[0], $0[1]) },
                headers: [("host", one.host)] + one.headers.map { ($0[0], $0[1]) }, payloadHash: one.payload,
                at: fixture.time)
            #expect(headers.last?.value == one.authorization, "\(one.method) \(one.path)")
        }
    }

    /// The examples of "Authenticating Requests: Using the Authorization Header" in AWS's S3 API reference.
    @Test func signsTheExamplesOfAWS() throws {
        let signer = S3Signer(
            accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1")
        let time = try #require(Timestamp("2013-05-24T00:00:00.000Z"))
        let empty = Digest.of("").hex
        func signature(
            _ method: String, _ path: String, query: [(name: String, value: String)] = [],
            headers: [(name: String, value: String)] = [], payload: String = empty
        ) -> Substring? {
            signer.signedHeaders(
                method: method, path: path, query: query,
                headers: [("host", "examplebucket.s3.amazonaws.com")] + headers, payloadHash: payload, at: time
            ).last?.value.suffix(64)
        }
        #expect(
            signature("GET", "/test.txt", headers: [("range", "bytes=0-9")])
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        let put = signature(
            "PUT", "/test%24file.text",
            headers: [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payload: Digest.of("Welcome to Amazon S3.").hex)
        #expect(put == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        #expect(
            signature("GET", "/", query: [("lifecycle", "")])
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        #expect(
            signature("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }
}
