package import Audits
internal import Basics
internal import Glibc
internal import Inference
internal import Interchange
internal import Tensors

/// Measures how fast a model file answers: one query after another on random examples, in several runs.
///
/// As MLPerf's single stream has it, but shorter: queries follow each other, percentiles are order statistics, and what comes
/// before the first run does not count.
package struct ModelBenchmark: Sendable {
    package struct Report: Codable, Hashable, Sendable {
        package var path: String
        package var bytes: Int64
        package var precision: String
        package var threads: Int
        package var processor: String?
        package var cases: [Case]
    }

    /// What was measured with queries of one size.
    package struct Case: Codable, Hashable, Sendable {
        package var batch: Int
        /// Of all queries of all runs.
        package var latency: LatencySummary
        /// Examples a second, of each run.
        package var throughputs: [Double]
        /// The median of the runs.
        package var throughput: Double
        /// The slowest and the fastest run: the median lies between with `intervalConfidence`.
        package var throughputInterval: Interval
        /// 1 − 2^(1 − runs): a median is outside only if all runs fall on one side of it.
        package var intervalConfidence: Double
        /// Standard deviation over mean of the runs' throughputs.
        package var variation: Double
        /// Whether `variation` is at most 5 %, so that two measurements may be compared.
        package var isConclusive: Bool
        /// Of the process while it was measured, with its code and the weights; nil if the system does not tell.
        @OrNull package var peakBytes: Double?
        package var layers: [LayerTime]?

        private enum CodingKeys: String, CodingKey {
            case batch, latency, throughputs, throughput, variation, layers
            case throughputInterval = "throughput_interval"
            case intervalConfidence = "interval_confidence"
            case isConclusive = "is_conclusive"
            case peakBytes = "peak_bytes"
        }
    }

    /// One call of the network and the layers that it does.
    package struct LayerTime: Codable, Hashable, Sendable {
        package var path: String
        package var type: String
        package var medianMilliseconds: Double
        /// Of the sum of the medians.
        package var share: Double
        package var gigaflopsPerSecond: Double

        private enum CodingKeys: String, CodingKey {
            case path, type, share
            case medianMilliseconds = "median_ms"
            case gigaflopsPerSecond = "gflops"
        }
    }

    package var batches: [Int]
    /// Nil: one for each processor.
    package var threads: Int?
    package var runs: Int
    /// Of each run; it has 10 queries at least.
    package var secondsPerRun: Double
    package var measuresLayers: Bool

    /// - Throws: kind `.usage` naming what is out of range.
    package init(batches: [Int], threads: Int?, runs: Int, secondsPerRun: Double, measuresLayers: Bool) throws {
        guard !batches.isEmpty, batches.allSatisfy({ (1...65536).contains($0) }) else {
            throw MLOpsError(
                .usage, "batch sizes \(batches) are not in 1...65536", hint: "name them as in `--batch 1,32`")
        }
        guard threads.map((1...1024).contains) ?? true, (2...1000).contains(runs),
            (0.001...3600).contains(secondsPerRun)
        else {
            throw MLOpsError(
                .usage, "\(threads ?? 1) threads, \(runs) runs or \(secondsPerRun) s a run are out of range",
                hint: "use 1...1024 threads, 2...1000 runs and 0.001...3600 s")
        }
        self.batches = batches
        self.threads = threads
        self.runs = runs
        self.secondsPerRun = secondsPerRun
        self.measuresLayers = measuresLayers
    }

    /// Measures the model at `path`.
    ///
    /// - Parameter progress: gets how many of how many runs are done.
    /// - Throws: what `Predictor` throws.
    package func run(_ path: String, progress: (Int, Int) -> Void = { _, _ in }) throws -> Report {
        let predictor = try Predictor(path: path)
        if measuresLayers, predictor.plan == nil {
            throw MLOpsError(
                .usage, "`\(path)` is an int8 model, whose layers are not measured one by one",
                hint: "measure it without `--layers`")
        }
        let before = EngineThreads.count
        if let threads { EngineThreads.count = threads }
        defer { EngineThreads.count = before }
        var cases: [Case] = []
        for (index, batch) in batches.enumerated() {
            cases.append(
                try measure(predictor, batch: batch) { progress(index * runs + $0, batches.count * runs) })
        }
        return Report(
            path: path, bytes: try FileStatus.following(path)?.size ?? 0,
            precision: predictor.description.precision.rawValue, threads: EngineThreads.count,
            processor: ProcessFacts.processor, cases: cases)
    }

    private func measure(_ predictor: Predictor, batch: Int, _ progress: (Int) -> Void) throws -> Case {
        var random = Philox(seed: 0)
        let size = batch * predictor.inputShape.reduce(1, *)
        let features = (0..<size).map { _ in Float(random.nextUniform() * 2 - 1) }
        ProcessFacts.resetPeak()
        // Ten queries or a second, whichever is longer, but no more than a minute.
        let warmUp = try queries(predictor, features, batch, atLeast: 10, seconds: min(1, secondsPerRun))
        var milliseconds: [Double] = []
        var throughputs: [Double] = []
        for run in 0..<runs {
            try Task.checkCancellation()
            let latencies = try queries(predictor, features, batch, atLeast: 10, seconds: secondsPerRun)
            throughputs.append(Double(batch * latencies.count) / (latencies.reduce(0, +) / 1000))
            milliseconds += latencies
            progress(run + 1)
        }
        let sorted = throughputs.sorted()
        let mean = throughputs.reduce(0, +) / Double(runs)
        let squares = throughputs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let variation = (squares / Double(runs - 1)).squareRoot() / mean
        return Case(
            batch: batch,
            latency: try LatencySummary(
                milliseconds: warmUp + milliseconds, warmUpCount: warmUp.count, examplesPerQuery: batch),
            throughputs: throughputs, throughput: (sorted[(runs - 1) / 2] + sorted[runs / 2]) / 2,
            throughputInterval: Interval(sorted[0], sorted[runs - 1]),
            intervalConfidence: 1 - pow(2, Double(1 - runs)), variation: variation,
            isConclusive: variation <= LatencySummary.noiseLimit, peakBytes: ProcessFacts.peakBytes.map(Double.init),
            layers: measuresLayers ? try layers(of: predictor, features, batch) : nil)
    }

    /// The milliseconds of each query.
    private func queries(
        _ predictor: Predictor, _ features: [Float], _ batch: Int, atLeast least: Int, seconds: Double
    ) throws -> [Double] {
        let clock = ContinuousClock()
        let start = clock.now
        var last = start
        var milliseconds: [Double] = []
        while milliseconds.count < least || (last - start).seconds < seconds {
            _ = try predictor.logits(features: features, count: batch)
            let now = clock.now
            milliseconds.append((now - last).seconds * 1000)
            last = now
        }
        return milliseconds
    }

    private func layers(of predictor: Predictor, _ features: [Float], _ batch: Int) throws -> [LayerTime] {
        guard let plan = predictor.plan else { return [] }
        var times = [[Double]](repeating: [], count: plan.steps.count)
        let clock = ContinuousClock()
        let start = clock.now
        while times[0].count < 10 || (clock.now - start).seconds < secondsPerRun {
            _ = try plan.run(features, count: batch) { times[$0].append($1.seconds * 1000) }
        }
        let medians = times.map { $0.sorted()[$0.count / 2] }
        let sum = medians.reduce(0, +)
        return zip(plan.steps, medians).map { step, median in
            LayerTime(
                path: step.path, type: step.name, medianMilliseconds: median, share: sum > 0 ? median / sum : 0,
                gigaflopsPerSecond: median > 0 ? Double(step.operations * batch) / median / 1e6 : 0)
        }
    }
}

/// What Linux tells of this process and its machine.
private enum ProcessFacts {
    static var processor: String? {
        value(of: "model name", in: "/proc/cpuinfo")
    }

    /// The most memory that the process held since `resetPeak`.
    static var peakBytes: Int64? {
        value(of: "VmHWM", in: "/proc/self/status")?.split(separator: " ").first.flatMap { Int64($0) }.map { $0 * 1024 }
    }

    /// Has the system forget the peak so far; where it cannot, the peak is that of the whole process.
    static func resetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    private static func value(of key: String, in path: String) -> String? {
        guard let text = try? FileSystem.readText(path) else { return nil }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].trimmingSpaces == key { return parts[1].trimmingSpaces }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}
