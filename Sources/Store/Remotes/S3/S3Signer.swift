package import Basics

/// Signature version 4 of AWS for S3: pure, so that it can be held against published examples.
///
/// Source: "Authenticating Requests: Using the Authorization Header" of the S3 API reference.
package struct S3Signer: Sendable {
    package var accessKey: String
    package var secretKey: String
    package var sessionToken: String?
    package var region: String
    /// `s3`, or `sts` for the service that gives out session keys.
    package var service: String

    package init(
        accessKey: String, secretKey: String, sessionToken: String? = nil, region: String, service: String = "s3"
    ) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
        self.region = region
        self.service = service
    }

    /// The headers of a request together with those that sign it.
    ///
    /// - Parameters:
    ///   - path: encoded as it is sent, from `/`.
    ///   - query: not encoded, in any order.
    ///   - headers: with `host`; every one is signed.
    ///   - payloadHash: 64 hex digits: the SHA-256 of the body.
    package func signedHeaders(
        method: String, path: String, query: [(name: String, value: String)],
        headers: [(name: String, value: String)], payloadHash: String, at time: Timestamp
    ) -> [(name: String, value: String)] {
        var headers = headers
        headers.append(("x-amz-content-sha256", payloadHash))
        headers.append(("x-amz-date", time.compact))
        if let sessionToken { headers.append(("x-amz-security-token", sessionToken)) }
        let canonical = headers.map { (name: $0.name.lowercased(), value: S3Signer.collapsed($0.value)) }
            .sorted { $0.name < $1.name }
        let names = canonical.map(\.name).joined(separator: ";")
        let request = [
            method, path, S3Signer.canonicalQuery(query), canonical.map { "\($0.name):\($0.value)\n" }.joined(), names,
            payloadHash,
        ].joined(separator: "\n")
        let day = String(time.compact.prefix(8))
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time.compact)\n\(scope)\n\(Digest.of(request).hex)"
        let signature = hexadecimal(messageAuthenticationCode(of: Array(text.utf8), key: signingKey(day: day)))
        headers.append(
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(accessKey)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
            ))
        return headers
    }

    private func signingKey(day: String) -> [UInt8] {
        [day, region, service, "aws4_request"].reduce(Array("AWS4\(secretKey)".utf8)) { key, part in
            messageAuthenticationCode(of: Array(part.utf8), key: key)
        }
    }

    /// `query` encoded and sorted; also what is sent, so that both sides see the same.
    package static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (encode($0.name), encode($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// Percent-encodes all bytes but `A–Z a–z 0–9 - . _ ~`, and `/` where `keepsSlash`.
    package static func encode(_ text: String, keepsSlash: Bool = false) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                output.append(byte)
            case UInt8(ascii: "/") where keepsSlash: output.append(byte)
            default: output += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Without blanks at the ends, with single blanks inside.
    private static func collapsed(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }
}
