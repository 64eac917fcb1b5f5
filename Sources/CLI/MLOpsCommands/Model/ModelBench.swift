internal import ArgumentParser
internal import Audits
internal import Basics
internal import TerminalOutput
internal import Training

struct ModelBench: Verb {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure how fast a model answers",
        discussion: """
            Queries of random examples follow each other; what the warm-up takes does not count. Percentiles are of all queries,
            the throughput is the median of the runs with the slowest and the fastest. Runs that waver by more than 5 % are told
            as inconclusive. As in MLPerf's single stream, but shorter, so not compliant with it.

            Examples:
              mlops model bench model.safetensors
              mlops model bench model.safetensors --batch 1,32 --threads 1
              mlops model bench model.safetensors --layers
            """)

    @Argument(help: ArgumentHelp("A model of mlops, float or int8.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("Examples of one query; several sizes with commas between.", valueName: "sizes"))
    var batch = "1"

    @Option(help: "Threads; by default one for each processor.")
    var threads: Int?

    @Option(help: "Runs, of which the median counts.")
    var runs = 6

    @Option(help: "Seconds of each run, which has at least 10 queries.")
    var seconds = 1.0

    @Flag(help: "Show the time of each layer too.")
    var layers = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let batches = try batch.split(separator: ",").map { part in
            guard let size = Int(part) else {
                throw MLOpsError(
                    .usage, "batch size `\(printable(String(part)))` is no number",
                    hint: "name them as in `--batch 1,32`")
            }
            return size
        }
        let benchmark = try ModelBenchmark(
            batches: batches, threads: threads, runs: runs, secondsPerRun: seconds, measuresLayers: layers)
        let display = ProgressDisplay(console, ProgressMeter("measuring"))
        defer { display.finish() }
        var report = try benchmark.run(FileSystem.absolute(file, from: global.workingDirectory)) { done, total in
            display.update(done: Int64(done), total: Int64(total))
        }
        display.finish()
        report.path = file
        try console.report(BenchReport(report: report))
    }
}

struct BenchReport: Encodable, TextRenderable {
    var report: ModelBenchmark.Report

    func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

    var essence: String { report.cases.map { Format.number($0.throughput) }.joined(separator: "\n") }

    func text(_ style: TextStyle) -> String {
        var facts = FactList([("file", .init(report.path, .heading))])
        facts.add("model", .init("\(report.precision), \(Format.bytes(report.bytes))"))
        facts.add("threads", .init(String(report.threads)))
        facts.add("processor", ifKnown: report.processor)
        let tables = report.cases.compactMap { layers(of: $0)?.text(style) }
        return ([facts.text(style), cases.text(style)] + tables).joined(separator: "\n")
    }

    private var cases: Table {
        var table = Table(
            [.init("batch", .right)]
                + ["p50 ms", "p95 ms", "p99 ms", "examples/s", "slowest", "fastest", "peak"].map {
                    .init($0, .right)
                } + [.init("")])
        for item in report.cases {
            let latency = [item.latency.p50Milliseconds, item.latency.p95Milliseconds, item.latency.p99Milliseconds]
            let rates = [item.throughput, item.throughputInterval.lower, item.throughputInterval.upper]
            let peak = item.peakBytes.map { Format.bytes(Int64($0)) } ?? "?"
            let wavers = "inconclusive: runs waver by \(Format.fixed(item.variation * 100, 1)) %"
            table.add(
                [.init(String(item.batch))] + latency.map { .init(Format.fixed($0, 3)) }
                    + rates.map { .init(Format.number($0)) } + [
                        .init(peak), item.isConclusive ? .init("") : .init(wavers, .caution),
                    ])
        }
        return table
    }

    private func layers(of item: ModelBenchmark.Case) -> Table? {
        guard let layers = item.layers else { return nil }
        var table = Table([
            .init("layers, batch \(item.batch)"), .init("type"), .init("ms", .right), .init("share", .right),
            .init("GFLOP/s", .right),
        ])
        for layer in layers {
            table.add(
                .init(layer.path), .init(layer.type), .init(Format.fixed(layer.medianMilliseconds, 3)),
                .init("\(Format.fixed(layer.share * 100, 1)) %"), .init(Format.fixed(layer.gigaflopsPerSecond, 1)))
        }
        return table
    }
}
