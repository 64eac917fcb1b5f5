import Basics
import ContentStorage
import TestSupport
import Testing

@testable import Workspaces

/// What runs and the stage cache keep.
@Suite struct CollectionTests {
    private let folder: TemporaryFolder
    private let workspace: Workspace

    init() throws {
        folder = try TemporaryFolder()
        workspace = try Workspace.initialize(
            at: folder.path,
            environment: HostEnvironment(variables: [:], executable: "/bin/false", actor: "test@host")
        ).workspace
    }

    /// Stores content as the output of a stage of the run `id`, made `days` ago.
    private func record(run id: String, days: Int, isLast: Bool = false) async throws -> ContentRoot {
        try folder.write("out", "output of \(id)")
        let root = try await workspace.store.add(path: folder("out")).root
        let output: JSONValue = [
            "path": "out", "digest": .string(root.digest.description), "kind": "file",
            "byteCount": .int(root.byteCount), "fileCount": 1,
        ]
        let fingerprint = Digest.of(id)
        let then = Timestamp(milliseconds: Timestamp.now.milliseconds - Int64(days) * 86_400_000)
        let entry: JSONValue = [
            "format": 1, "fingerprint": .string(fingerprint.description), "pipeline": "p", "stage": .string("s\(id)"),
            "run": .string(id), "created": .string(then.description), "ingredients": [:], "parameters": [:],
            "outs": [output], "seconds": 1,
        ]
        let path = try folder.write(".mlops/cache/stages/\(fingerprint.hex).json", entry.sealed.canonicalBytes)
        try age(path, days: days)
        if isLast { try folder.write(".mlops/cache/last/p/s\(id)", fingerprint.description + "\n") }
        let run: JSONValue = ["format": 1, "outcome": "succeeded", "stages": [["name": "s", "outs": [output]]]]
        try age(try folder.write(".mlops/runs/\(id)/run.json", run.canonicalBytes), days: days)
        // Without any grace period what is older than now goes, and now has the kernel's ticks.
        try await Task.sleep(for: .milliseconds(12))
        return root
    }

    private func collect(_ runs: RetentionPolicy.Limit) async throws -> CollectionReport {
        try await workspace.collect(
            RetentionPolicy(runs: runs), options: CollectionOptions(grace: .zero, isDryRun: false))
    }

    @Test func runsAndTheirCacheAreKeptAsLongAsAsked() async throws {
        let old = try await record(run: "20260101-000000-000-aaaaaa", days: 40)
        let last = try await record(run: "20260102-000000-000-bbbbbb", days: 40, isLast: true)
        let new = try await record(run: "20260601-000000-000-cccccc", days: 2)
        #expect(try await collect(.all).isNothing)
        let report = try await collect(.age(.seconds(30 * 86400)))
        #expect(report.lost.contains { $0.contains("20260101") }, "\(report.lost)")
        #expect(try !workspace.store.contains(old))
        #expect(try workspace.store.contains(last) && workspace.store.contains(new))
        #expect(!FileSystem.exists(folder(".mlops/runs/20260101-000000-000-aaaaaa")))
        #expect(FileSystem.exists(folder(".mlops/runs/20260601-000000-000-cccccc/run.json")))
        _ = try await collect(.count(1))
        #expect(try workspace.store.contains(last) && workspace.store.contains(new))
    }

    @Test func aRecordThatCannotBeReadStopsItAndABrokenCacheEntryGoes() async throws {
        let root = try await record(run: "20260101-000000-000-aaaaaa", days: 1)
        try folder.write(".mlops/cache/stages/\(Digest.of("x").hex).json", "torn")
        #expect(try await collect(.all).removedPackCount == 0)
        #expect(!FileSystem.exists(folder(".mlops/cache/stages/\(Digest.of("x").hex).json")))
        try folder.write(".mlops/runs/20260101-000000-000-aaaaaa/run.json", "")
        await #expect { try await collect(.all) } throws: {
            ($0 as? MLOpsError)?.exitCode == 12 && "\($0)".contains("nothing was removed")
        }
        #expect(try workspace.store.contains(root))
    }

    @Test(arguments: [
        ("all", true), ("3", true), ("90d", true), ("2w", true), ("12h", true), ("-1", false), ("x", false),
    ])
    func limitsAreRead(_ text: String, _ isLimit: Bool) {
        #expect(((try? RetentionPolicy.Limit(text, flag: "--keep-runs")) != nil) == isLimit)
    }
}
