import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

/// What the stage cache and the records of runs say is believed only as it was written.
@Suite struct RecordBitFlipTests {
    private static let triesEveryFlip = ProcessInfo.processInfo.environment["MLOPS_PROVE"] == "1"

    private static let spec = """
        version: 1
        name: p
        stages:
          a:
            run: [sh, -c, "tr a-z A-Z < data.txt > a.txt; printf '{\\"accuracy\\": 0.91}' > m.json"]
            deps: [data.txt]
            outs: [a.txt]
            metrics: [m.json]
        """

    private func ranBench() async throws -> (bench: Bench, report: RunReport) {
        let bench = try Bench(RecordBitFlipTests.spec)
        try bench.folder.write("data.txt", "hello\n")
        return (bench, try await bench.run())
    }

    private func flips(_ good: [UInt8]) -> [(bit: Int, bytes: [UInt8])] {
        stride(from: 0, to: good.count * 8, by: RecordBitFlipTests.triesEveryFlip ? 1 : 7).map { bit in
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            return (bit, bytes)
        }
    }

    @Test func everyFlippedBitOfACacheEntryMakesItMissing() async throws {
        let (bench, report) = try await ranBench()
        let cache = StageCache(workspace: bench.folder(".mlops"))
        let fingerprint = try #require(report.stages[0].fingerprint)
        let path = ".mlops/cache/stages/\(fingerprint.hex).json"
        let good = try bench.folder.read(path)
        #expect(cache.entry(fingerprint)?.metrics?["accuracy"] == 0.91)
        let flips = flips(good)
        for (bit, bytes) in flips {
            try Data(bytes).write(to: URL(fileURLWithPath: bench.folder(path)))
            #expect(cache.entry(fingerprint) == nil, "bit \(bit)")
        }
        print("bit flips: cache entries \(flips.count)/\(flips.count) noticed, of \(good.count * 8) bits")
    }

    /// Of seventeen digits the last may be another for the same value.
    @Test func aCacheEntryIsItsTextAndNotItsValues() async throws {
        let (bench, report) = try await ranBench()
        let cache = StageCache(workspace: bench.folder(".mlops"))
        let fingerprint = try #require(report.stages[0].fingerprint)
        var entry = try #require(cache.entry(fingerprint))
        entry.metrics = ["accuracy": 0.30000000000000004]
        try cache.store(entry)
        #expect(cache.entry(fingerprint) != nil)
        let path = ".mlops/cache/stages/\(fingerprint.hex).json"
        let text = try FileSystem.readText(bench.folder(path))
        try bench.folder.write(path, text.replacing("30000000000000004", with: "30000000000000005"))
        #expect(cache.entry(fingerprint) == nil)
    }

    @Test func everyFlippedBitOfARunsRecordIsNoticedOrChangesNothing() async throws {
        let (bench, report) = try await ranBench()
        let (workspace, path) = (bench.folder(".mlops"), "\(report.folder)/run.json")
        let good = try bench.folder.read(path)
        let outputs = try KeptOutputs(workspace: workspace).runs.flatMap(\.outputs)
        let record = try RunHistory(workspace: workspace).record(report.id).json.object
        #expect(outputs.count == 2)
        var noticed = 0
        let flips = flips(good)
        for (bit, bytes) in flips {
            try Data(bytes).write(to: URL(fileURLWithPath: bench.folder(path)))
            do {
                // What is beside the values, such as the checksum's own name, may change.
                let found = try RunHistory(workspace: workspace).record(report.id).json.object
                for (key, value) in record ?? [:] where key != "checksum" {
                    #expect(found?[key] == value, "bit \(bit)")
                }
                #expect(try KeptOutputs(workspace: workspace).runs.flatMap(\.outputs) == outputs, "bit \(bit)")
            } catch {
                noticed += 1
                #expect(throws: MLOpsError.self, "bit \(bit)") { try KeptOutputs(workspace: workspace) }
            }
        }
        #expect(noticed > flips.count * 9 / 10)
        print(
            "bit flips: records of runs \(noticed)/\(flips.count) noticed, the others change nothing, "
                + "of \(good.count * 8) bits")
    }
}
