package import Basics

/// Where a remote is and how to reach it; never a secret. Credentials come from the environment and the files of AWS.
package struct RemoteConfiguration: Sendable, Codable, Hashable {
    /// `s3://bucket/prefix`, `file:///path` or a path.
    package var url: String
    /// The server of an S3-compatible store, such as `http://127.0.0.1:8333`; nil for AWS.
    package var endpoint: String?
    package var region: String?
    /// Whether the bucket is a part of the path (true) or of the host name; nil: true for an own endpoint, false for AWS.
    package var pathStyle: Bool?
    /// The section of `~/.aws/credentials` and `~/.aws/config`.
    package var profile: String?
    /// A PEM file of certificate authorities to trust instead of the system's.
    package var certificateFile: String?
    /// Whether one machine alone publishes there: its store need not honour conditional writes then.
    package var isSingleWriter: Bool?

    package init(
        url: String, endpoint: String? = nil, region: String? = nil, pathStyle: Bool? = nil, profile: String? = nil,
        certificateFile: String? = nil, isSingleWriter: Bool? = nil
    ) {
        self.url = url
        self.endpoint = endpoint
        self.region = region
        self.pathStyle = pathStyle
        self.profile = profile
        self.certificateFile = certificateFile
        self.isSingleWriter = isSingleWriter
    }

    private enum CodingKeys: String, CodingKey {
        case url, endpoint, region, profile
        case pathStyle = "path_style"
        case certificateFile = "ca_file"
        case isSingleWriter = "single_writer"
    }
}

/// The remote that `configuration` describes. Nothing is read or connected yet.
///
/// - Parameters:
///   - environment: the variables of the process: `AWS_…`, `HOME`.
///   - base: the folder that a relative path starts from.
///   - limiter: bounds the bytes that move there in a second.
///   - notice: told when requests keep failing and are made again.
/// - Throws: kind `.usage` that names the setting and what is wrong with it.
package func openRemote(
    _ configuration: RemoteConfiguration, environment: [String: String],
    relativeTo base: String = FileSystem.currentDirectory, limiter: RateLimiter? = nil, notice: NoticeHandler? = nil
) throws -> any Remote {
    let url = configuration.url
    if url.hasPrefix("s3://") {
        var configuration = configuration
        configuration.certificateFile = configuration.certificateFile.nonEmpty.map {
            FileSystem.absolute($0, from: base)
        }
        return try S3Remote(
            settings: S3Settings(configuration, environment: environment), limiter: limiter, notice: notice)
    }
    if url.hasPrefix("file://") {
        let path = String(url.dropFirst("file://".count))
        guard path.hasPrefix("/") else {
            throw MLOpsError(
                .usage, "remote `\(printable(url))` names a host",
                hint: "write `file:///absolute/path` or just the path")
        }
        return DirectoryRemote(folder: FileSystem.absolute(path), limiter: limiter)
    }
    if let scheme = url.firstRange(of: "://") {
        throw MLOpsError(
            .usage,
            "remote `\(printable(url))` has the unknown scheme `\(printable(String(url[..<scheme.lowerBound])))`",
            hint: "use `s3://bucket/prefix`, `file:///path` or a path")
    }
    guard !url.isEmpty, !url.utf8.contains(0) else { throw MLOpsError(.usage, "the URL of a remote is empty") }
    return DirectoryRemote(folder: FileSystem.absolute(url, from: base), limiter: limiter)
}
