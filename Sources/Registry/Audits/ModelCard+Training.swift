internal import Basics

/// How the model was made, and what that took.
extension ModelCard {
    var training: String {
        let data = input.trainingData.map(describe).joined(separator: "\n\n")
        let rows = input.hyperparameters.sorted { $0.key < $1.key }.map { name, value in
            [MarkdownText.code(name), MarkdownText.code(value.string ?? value.canonicalText)]
        }
        let parameters = rows.isEmpty ? "Not stated." : MarkdownText.table(["Hyper-parameter", "Value"], rows)
        return section(
            "Training Details",
            [
                section("Training Data", level: 3, [data.isEmpty ? "Not stated." : data]),
                section(
                    "Training Procedure", level: 3,
                    [
                        facts([("Recipe", code(input.recipe))]),
                        section("Preprocessing", level: 4, [prose(input.preprocessing)]),
                        section("Training Hyperparameters", level: 4, [parameters]),
                        section("Speeds, Sizes, Times", level: 4, [course, forms]),
                    ]),
            ])
    }

    /// Name, digest, licence and source of a data set.
    func describe(_ data: CardDataset) -> String {
        let version = data.version.map { "@\($0)" } ?? ""
        let lines = facts([
            ("Name", MarkdownText.code(data.name + version)),
            ("Digest", code(data.digest?.description)),
            ("Licence", inline(data.license)),
            ("Source", data.source.map(MarkdownText.link)),
            ("Split", inline(data.split)),
            ("Examples", data.exampleCount.map(String.init)),
        ])
        return lines + (data.description.map { "\n\n" + MarkdownText.paragraphs($0) } ?? "")
    }

    private var course: String {
        guard let training = input.training else { return "How training went is not stated." }
        let end = training.stoppedEarly.map { $0 ? ", stopped early" : ", as planned" } ?? ""
        return facts([
            ("Epochs", "\(training.epochCount)\(end)"),
            ("Kept epoch", training.bestEpoch.map(String.init)),
            ("Training loss", training.trainingLoss.map { number($0) }),
            ("Validation loss", training.validationLoss.map { number($0) }),
            ("Time", training.durationSeconds.map { Format.duration(.seconds($0)) }),
            ("Seed", training.seed.map(String.init)),
            ("Parameters", input.parameterCount.map(String.init)),
        ])
    }

    private var forms: String {
        guard !input.forms.isEmpty else { return "Size and latency are not stated." }
        let rows = input.forms.map { form in
            let latency = form.latency
            func milliseconds(_ value: Double?) -> String { value.map { Format.fixed($0, 3) } ?? ModelCard.unknown }
            return [
                MarkdownText.inline(form.name), form.byteCount.map(Format.bytes) ?? ModelCard.unknown,
                milliseconds(latency?.p50Milliseconds), milliseconds(latency?.p95Milliseconds),
                milliseconds(latency?.p99Milliseconds),
                latency.map { Format.fixed($0.throughputPerSecond, 0) } ?? ModelCard.unknown,
                code(form.digest?.description) ?? ModelCard.unknown,
            ]
        }
        let table = MarkdownText.table(
            ["Form", "Size", "p50 ms", "p95 ms", "p99 ms", "Examples per second", "Digest"],
            alignedRight: [1, 2, 3, 4, 5], rows)
        let isNoisy = input.forms.contains { $0.latency?.isNoisy == true }
        return table + (isNoisy ? "\n\nThe machine was unsteady while the latency was measured (more than 5 %)." : "")
    }

    var impact: String {
        let energy = input.energy
        let hours = energy.map { Format.fixed($0.durationSeconds / 3600, 4) }
        let grid = energy.map { estimate in
            let year = estimate.grid.year.map { ", for the year \($0)" } ?? ""
            let source = MarkdownText.inline(estimate.grid.source)
            return "\(Format.number(estimate.grid.gramsPerKilowattHour)) g CO2e/kWh (\(source)\(year))"
        }
        return section(
            "Environmental Impact",
            [
                facts([
                    ("Hardware Type", inline(input.hardware)),
                    ("Hours used", hours),
                    ("Cloud Provider", nil),
                    ("Compute Region", inline(input.region)),
                    ("Energy", energy.map { "\(Format.number($0.joules)) J (\(Format.number($0.kilowattHours)) kWh)" }),
                    ("Grid intensity", grid),
                    ("Carbon Emitted", energy.map { "\(Format.number($0.emissionsGrams)) g CO2e, estimated" }),
                    ("Method", energy.map { MarkdownText.sentence($0.note) }),
                ])
            ])
    }

    var specification: String {
        section(
            "Technical Specifications",
            [
                section("Model Architecture and Objective", level: 3, [prose(input.architecture)]),
                section(
                    "Compute Infrastructure", level: 3,
                    [facts([("Hardware", inline(input.hardware)), ("Software", inline(input.software))])]),
            ])
    }
}
