import Basics
import Foundation
import Remotes
import TestSupport
import Testing

/// Makes empty remotes of one kind; each test gets one of its own.
struct RemoteMaker: Sendable, CustomTestStringConvertible {
    let name: String
    let make: @Sendable () throws -> (remote: any Remote, owner: any AnyObject & Sendable)

    var testDescription: String { name }

    /// All kinds that can be had here: the folder, and S3 when `Scripts/s3-server` runs.
    static let all: [RemoteMaker] = [directory] + (TestS3.isAvailable ? [s3] : [])

    static let directory = RemoteMaker(name: "directory") {
        let folder = try TemporaryFolder()
        return (DirectoryRemote(folder: folder("remote/below")), folder)
    }

    static let s3 = RemoteMaker(name: "S3") {
        (try TestS3.remote(), NoOwner())
    }

    private final class NoOwner: Sendable {}
}

/// The real S3 server that `eval "$(Scripts/s3-server start FOLDER)"` names.
enum TestS3 {
    static let endpoint = ProcessInfo.processInfo.environment["MLOPS_TEST_S3"]
    static let bucket = ProcessInfo.processInfo.environment["MLOPS_TEST_S3_BUCKET"] ?? "mlops-test"
    static let accessKey = ProcessInfo.processInfo.environment["MLOPS_TEST_S3_ACCESS_KEY"] ?? "AKTEST"
    static let secretKey = ProcessInfo.processInfo.environment["MLOPS_TEST_S3_SECRET_KEY"] ?? "SKTESTSKTEST"

    static let isAvailable = endpoint != nil

    static func environment(accessKey: String = accessKey, secretKey: String = secretKey) -> [String: String] {
        [
            "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true",
        ]
    }

    /// A remote below a prefix that nothing else uses.
    static func remote(
        bucket: String = bucket, accessKey: String = accessKey, secretKey: String = secretKey,
        limits: S3Remote.Limits = .init(), retry: RetryPolicy = .init()
    ) throws -> S3Remote {
        let prefix = "test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let configuration = RemoteConfiguration(url: "s3://\(bucket)/\(prefix)", endpoint: endpoint)
        let settings = try S3Settings(
            configuration, environment: environment(accessKey: accessKey, secretKey: secretKey))
        return S3Remote(settings: settings, limits: limits, retry: retry)
    }
}

/// `count` bytes that no compressor shrinks, the same for the same seed.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = Philox(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes += $0 } }
    return Array(bytes.prefix(count))
}
