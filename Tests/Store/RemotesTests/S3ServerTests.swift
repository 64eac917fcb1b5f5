import Basics
import Remotes
import TestSupport
import Testing

/// What only a real server can show. `Scripts/s3-server` starts one and prints the variables that these tests look for.
@Suite(
    .serialized,
    .enabled(if: TestS3.isAvailable, "MLOPS_TEST_S3 is not set: run eval \"$(Scripts/s3-server start FOLDER)\" first"))
struct S3ServerTests {
    @Test func tellsAWrongSecretFromAnUnknownKey() async throws {
        let wrong = try TestS3.remote(secretKey: "WRONG")
        let first = await #expect(throws: MLOpsError.self) { try await wrong.put([1], at: "k") }
        #expect(first?.exitCode == 14)
        #expect(first?.message == "the secret key is wrong for the access key `AKTEST` (from the environment)")
        let unknown = try TestS3.remote(accessKey: "AKNOBODY")
        let second = await #expect(throws: MLOpsError.self) { try await unknown.list("") }
        #expect(second?.exitCode == 14)
        #expect(second?.message.hasSuffix("does not know the access key `AKNOBODY` (from the environment)") == true)
        let third = await #expect(throws: MLOpsError.self) { try await wrong.size(of: "k") }
        #expect(third?.exitCode == 14)
    }

    @Test func saysThatTheBucketDoesNotExist() async throws {
        let remote = try TestS3.remote(bucket: "no-such-bucket")
        for operation in ["list", "push"] {
            let error = await #expect(throws: MLOpsError.self) {
                if operation == "list" { _ = try await remote.list("") } else { _ = try await probeRemote(remote) }
            }
            #expect(error?.kind == .notFound)
            #expect(error?.message.hasPrefix("bucket `no-such-bucket` does not exist") == true)
        }
    }

    @Test func movesALargeFileInParts() async throws {
        var limits = S3Remote.Limits()
        (limits.singlePut, limits.part) = (8 << 20, 5 << 20)
        let remote = try TestS3.remote(limits: limits)
        let folder = try TemporaryFolder()
        let bytes = noise(23_000_001)
        let path = try folder.write("f", bytes)
        try await remote.upload(file: path, to: "packs/large", digest: Digest.of(bytes))
        #expect(try await remote.size(of: "packs/large") == 23_000_001)
        try await remote.download("packs/large", to: folder("g"))
        #expect(try Digest.of(folder.read("g")) == Digest.of(bytes))
        #expect(
            try await remote.get("packs/large", range: 5_242_870..<5_242_890) == Array(bytes[5_242_870..<5_242_890]))
        #expect(try await remote.get("packs/large").count == 23_000_001)
    }

    @Test func listsMoreThanOnePage() async throws {
        let remote = try TestS3.remote()
        let keys = (0..<1030).map { "packs/\($0)" }
        _ = try await mapConcurrently(keys, width: 16) { try await remote.put([1], at: $0) }
        #expect(try await Set(remote.list("packs").map(\.key)) == Set(keys))
    }

    @Test func makesABucketOnce() async throws {
        let name = "made-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let remote = try TestS3.remote(bucket: name)
        try await remote.createBucket()
        try await remote.createBucket()
        try await remote.put([1], at: "k")
        #expect(try await remote.get("k") == [1])
    }
}
