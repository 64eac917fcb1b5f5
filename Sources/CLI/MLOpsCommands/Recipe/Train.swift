internal import ArgumentParser
internal import Basics
internal import ModelZoo
internal import TerminalOutput
internal import Training

struct Train: Verb {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a recipe on a dataset, and write the model file",
        discussion: """
            The dataset is a folder with a dataset.json. If it has a split `test`, the model is measured on it. A terminal shows
            progress with loss, rate and time left; elsewhere each epoch is a line. Ctrl-C leaves a checkpoint beside the model;
            the same command with --resume goes on from there and ends with the same bytes.

            Examples:
              mlops train vision/lenet5 --data data/fashion --out model.safetensors
              mlops train vision/resnet20 --data data/fashion --out model.safetensors --set depth=14 --epochs 5
              mlops train vision/mlp --data data/digits --out model.safetensors --diagnose --plots plots
            """)

    @Argument(help: "The recipe; see `mlops recipe list`.")
    var recipe: String

    @Option(help: ArgumentHelp("The dataset's folder.", valueName: "dir"))
    var data: String

    @Option(help: ArgumentHelp("Where to write the model file.", valueName: "file"))
    var out: String

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A setting of the recipe; may be given many times.", valueName: "name=value"))
    var set: [String] = []

    @Option(help: "Of the split, the first weights and the order of examples.")
    var seed: UInt64 = 0

    @Option(help: "Passes over the training split; short for --set epochs=…")
    var epochs: Int?

    @Flag(help: "Go on from the checkpoint that an interrupted run left, if there is one.")
    var resume = false

    @Flag(help: "Report dead and saturated units and the gradients' norms of each layer.")
    var diagnose = false

    @Option(help: ArgumentHelp("Draw learning curve, confusion matrix and more into this folder.", valueName: "dir"))
    var plots: String?

    @Option(help: ArgumentHelp("Write an event file for TensorBoard into this folder.", valueName: "dir"))
    var tensorboard: String?

    @Option(help: ArgumentHelp("Write a trace of the first 500,000 operations for Perfetto.", valueName: "file"))
    var profile: String?

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let folder = global.workingDirectory
        var call = TrainCall(
            recipe: recipe, data: FileSystem.absolute(data, from: folder),
            output: FileSystem.absolute(out, from: folder), settings: try settings(), seed: seed)
        call.diagnoses = diagnose
        call.plots = plots.map { FileSystem.absolute($0, from: folder) }
        call.tensorBoard = tensorboard.map { FileSystem.absolute($0, from: folder) }
        call.trace = profile.map { FileSystem.absolute($0, from: folder) }
        call.resumes = resume
        let progress = TrainProgress(console)
        let report: TrainReport
        do {
            defer { progress.finish() }
            report = try call.run {
                progress.show($0)
            } epoch: {
                progress.show($0)
            }
        } catch is CancellationError {
            let kept = call.checkpoint.flatMap { FileSystem.exists($0) ? $0 : nil }
            throw MLOpsError(
                .interrupted, "training was interrupted" + (kept.map { "; its state is in `\($0)`" } ?? ""),
                hint: kept == nil ? nil : "run the same command with --resume to go on")
        }
        try console.report(TrainListing(report: report))
    }

    /// The values of `--set` and `--epochs`; what is no JSON is a text.
    private func settings() throws -> [String: JSONValue] {
        var settings: [String: JSONValue] = [:]
        for item in set {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw MLOpsError(
                    .usage, "`--set \(printable(item))` is no setting", hint: "write --set learning_rate=0.01")
            }
            let value = try? JSONValue(parsing: Array(parts[1].utf8), source: "--set")
            settings[String(parts[0])] = value ?? .string(String(parts[1]))
        }
        if let epochs { settings["epochs"] = .int(Int64(epochs)) }
        return settings
    }
}

/// A bar on a terminal, a line for each epoch.
private final class TrainProgress {
    private let console: Console
    private var nextDrawing = ContinuousClock.now
    private var nextLine = ContinuousClock.now + .seconds(10)

    init(_ console: Console) { self.console = console }

    func show(_ step: TrainingStep) {
        let now = ContinuousClock.now
        if console.showsProgress {
            guard now >= nextDrawing else { return }
            nextDrawing = now + .milliseconds(100)
            console.drawProgress([line(step, width: console.progressArea.columns)])
        } else if now >= nextLine {
            nextLine = now + .seconds(10)
            console.note(text(step))
        }
    }

    func show(_ record: EpochRecord) {
        let validation = record.validationLoss.map { loss in
            ", validation loss \(Format.fixed(loss, 4))"
                + (record.validationAccuracy.map { ", accuracy \(Format.fixed($0, 4))" } ?? "")
        }
        nextLine = ContinuousClock.now + .seconds(10)
        console.note(
            "epoch \(record.epoch): loss \(Format.fixed(record.trainLoss, 4)), accuracy "
                + "\(Format.fixed(record.trainAccuracy, 4))\(validation ?? "") "
                + "(\(Format.duration(.seconds(record.seconds))))")
    }

    func finish() { if console.showsProgress { console.wipeProgress() } }

    private func text(_ step: TrainingStep) -> String {
        let rate = "\(Format.number(step.examplesPerSecond.rounded())) examples/s"
        let left = step.secondsLeft.map { ", \(Format.duration(.seconds($0.rounded(.up)))) left" } ?? ""
        return
            "epoch \(step.epoch) of \(step.epochCount), step \(step.step) of \(step.stepsPerEpoch): loss "
            + "\(Format.fixed(step.loss, 4)), \(rate)\(left)"
    }

    private func line(_ step: TrainingStep, width: Int) -> String {
        let done = (step.epoch - 1) * step.stepsPerEpoch + step.step
        let share = Double(done) / Double(max(1, step.epochCount * step.stepsPerEpoch))
        let cells = 20
        let full = min(cells, Int(share * Double(cells)))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: cells - full)
        return String("\(bar) \(text(step))".prefix(max(10, width - 1)))
    }
}

private struct TrainListing: Encodable, TextRenderable {
    var report: TrainReport

    func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

    func text(_ style: TextStyle) -> String {
        var facts = FactList()
        facts.add("model", .init(report.model))
        facts.add("recipe", .init("\(report.recipe), \(report.parameters) parameters, seed \(report.seed)"))
        facts.add(
            "training",
            .init(
                "\(Format.count(report.epochs, "epoch")) over \(Format.count(report.trainExamples, "example")) in "
                    + "\(Format.duration(.seconds(report.seconds))), kept epoch \(report.bestEpoch)"))
        if let accuracy = report.testAccuracy, let count = report.testExamples {
            facts.add("test", .init("accuracy \(Format.fixed(accuracy, 4)) over \(Format.count(count, "example"))"))
        }
        for path in report.plots { facts.add("plot", .init(path)) }
        for finding in report.findings { facts.add("finding", .init(finding, .caution)) }
        return facts.text(style) + diagnosis(style)
    }

    /// A row for each layer: before the first epoch and after the last.
    private func diagnosis(_ style: TextStyle) -> String {
        guard let first = report.diagnoses.first, let last = report.diagnoses.last else { return "" }
        var table = Table([
            .init("layer"), .init("kind"), .init("mean", .right), .init("deviation", .right), .init("dead", .right),
            .init("saturated", .right), .init("gradient, before", .right), .init("after", .right),
            .init("of the weight", .right),
        ])
        func percent(_ share: Double?) -> Table.Cell {
            .init(share.map { "\(Int(($0 * 100).rounded())) %" } ?? "", (share ?? 0) >= 0.2 ? .caution : .plain)
        }
        for (before, layer) in zip(first.layers, last.layers) {
            let ratio = layer.gradientNorm.flatMap { norm in layer.weightNorm.map { norm / max($0, 1e-30) } }
            table.add(
                .init(layer.path), .init(layer.kind), .init(Format.fixed(layer.mean, 3)),
                .init(Format.fixed(layer.deviation, 3)), percent(layer.deadShare), percent(layer.saturatedShare),
                .init(before.gradientNorm.map { Format.scientific($0) } ?? ""),
                .init(layer.gradientNorm.map { Format.scientific($0) } ?? ""),
                .init(ratio.map { Format.scientific($0) } ?? ""))
        }
        return "\n" + table.text(style)
    }

    var essence: String { report.testAccuracy.map { Format.fixed($0, 4) } ?? report.model }
}
