internal import Basics

/// A bucket, how to reach it, and where its credentials may come from.
package struct S3Settings: Sendable {
    /// As the configuration wrote it.
    package var location: String
    package var bucket: String
    /// Empty, or ends with a slash.
    package var prefix: String
    /// `http` or `https`.
    package var scheme: String
    /// Host with port, as the `Host` header carries it.
    package var host: String
    package var region: String
    package var isPathStyle: Bool
    /// Whether the host is AWS's own, which follows from the region.
    package private(set) var isOnAWS: Bool
    package var certificateFile: String?
    /// Asked for by the configuration: its profile comes before the environment's keys.
    package var profile: String?
    package var environment: [String: String]

    /// - Throws: kind `.usage` that names the setting and what is wrong with it.
    package init(_ configuration: RemoteConfiguration, environment: [String: String]) throws {
        let rest = configuration.url.dropFirst("s3://".count).split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        location = configuration.url
        bucket = String(rest.first ?? "")
        prefix = try S3Settings.prefix(rest.count > 1 ? String(rest[1]) : "", location: location)
        try S3Settings.check(bucket: bucket, location: location)
        self.environment = environment
        profile = configuration.profile
        certificateFile = configuration.certificateFile ?? environment["AWS_CA_BUNDLE"].nonEmpty
        let files = AWSFiles(environment: environment)
        let section = try files.settings(profile: profile ?? environment.awsProfile ?? "default")
        region =
            configuration.region ?? environment["AWS_REGION"].nonEmpty ?? environment["AWS_DEFAULT_REGION"].nonEmpty
            ?? section["region"].nonEmpty ?? "us-east-1"
        guard !region.isEmpty, region.utf8.allSatisfy({ S3Settings.isPlain($0) }) else {
            throw MLOpsError(.usage, "region `\(printable(region))` of the remote `\(location)` is not a region's name")
        }
        let endpoint =
            configuration.endpoint ?? environment["AWS_ENDPOINT_URL_S3"].nonEmpty
            ?? environment["AWS_ENDPOINT_URL"].nonEmpty ?? section["endpoint_url"]
        // A bucket with points in its name does not match the certificate of `*.s3.amazonaws.com`.
        isPathStyle = configuration.pathStyle ?? (endpoint != nil || bucket.contains("."))
        isOnAWS = endpoint == nil
        if let endpoint {
            (scheme, host) = try S3Settings.parse(endpoint: endpoint)
        } else {
            (scheme, host) = ("https", "s3.\(region).amazonaws.com")
        }
        if !isPathStyle { host = "\(bucket).\(host)" }
    }

    /// The same bucket in another region, which a server named; nil if that is no region's name. Only AWS's own host changes
    /// with it: no server sends a request, and the signature on it, to a host of its choice.
    func moved(to region: String) -> S3Settings? {
        guard region != self.region, (1...40).contains(region.utf8.count),
            region.utf8.allSatisfy({ S3Settings.isPlain($0) && $0 != UInt8(ascii: ".") })
        else { return nil }
        var moved = self
        moved.region = region
        if isOnAWS { moved.host = (isPathStyle ? "" : "\(bucket).") + "s3.\(region).amazonaws.com" }
        return moved
    }

    /// The encoded path of an object, or of the bucket for nil.
    package func path(of key: String?) -> String {
        let bucketPath = isPathStyle ? "/" + S3Signer.encode(bucket) : ""
        guard let key else { return bucketPath.isEmpty ? "/" : bucketPath }
        return bucketPath + "/" + S3Signer.encode(prefix + key, keepsSlash: true)
    }

    /// `scheme://host:port`.
    package var server: String { "\(scheme)://\(host)" }

    private static func prefix(_ text: String, location: String) throws -> String {
        let name = text.hasSuffix("/") ? String(text.dropLast()) : text
        if name.isEmpty { return "" }
        if let fault = RemoteKey.fault(in: name) {
            throw MLOpsError(.usage, "the prefix of the remote `\(printable(location))` \(fault)")
        }
        return name + "/"
    }

    private static func check(bucket: String, location: String) throws {
        guard (1...255).contains(bucket.utf8.count), bucket.utf8.allSatisfy(isPlain), !bucket.hasPrefix(".") else {
            throw MLOpsError(
                .usage, "the remote `\(printable(location))` names no bucket", hint: "write `s3://bucket/prefix`")
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    static func parse(endpoint: String) throws -> (scheme: String, host: String) {
        let text = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
        for scheme in ["http", "https"] where text.lowercased().hasPrefix(scheme + "://") {
            let host = String(text.dropFirst(scheme.count + 3)).lowercased()
            let isHost = host.utf8.allSatisfy {
                isPlain($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "]")
            }
            guard !host.isEmpty, isHost else { break }
            // The port that the scheme implies is left out of `Host`, which is signed.
            let implied = scheme == "http" ? ":80" : ":443"
            return (scheme, host.hasSuffix(implied) ? String(host.dropLast(implied.count)) : host)
        }
        throw MLOpsError(
            .usage, "endpoint `\(printable(endpoint))` is not `http://host:port` or `https://host:port`",
            hint: "leave out any path, user name and password")
    }
}

extension String? {
    /// nil for an empty text too: an empty variable is as good as none.
    var nonEmpty: String? { self?.isEmpty == false ? self : nil }
}
