import Basics
import Glibc
import Testing

@testable import Audits

@Suite struct ModelCardTests {
    /// A card with everything that a pipeline can know.
    static func fullInput() throws -> ModelCardInput {
        let digest = Digest.of("data")
        var input = ModelCardInput(name: "models/census")
        input.version = "v3"
        input.digest = Digest.of("model")
        input.summary = "Tells who earns more than 50 000 dollars a year."
        input.description = "A small network over the columns of the census.\n\nUse | it <b>with</b> care: #1 *model*."
        input.developers = "The mlops project"
        input.license = "Apache-2.0"
        input.languages = ["en"]
        input.pipelineTag = "tabular-classification"
        input.tags = ["fairness", "tabular", "no"]
        input.repository = "https://git.example/mlops"
        input.gitCommit = "0123456789abcdef0123456789abcdef01234567"
        input.gitIsDirty = true
        input.run = "20260131-120000-ab12"
        input.pipeline = "pipelines/census.yaml"
        input.createdAt = Timestamp("2026-01-31T12:00:00.000Z")
        input.directUse = "Studies of fairness."
        input.outOfScopeUse = "Decisions about people."
        input.limitations = ["The data is of 1994.", "# One country | only"]
        input.recommendations = "Look at the groups before you use it."
        input.getStarted = ["mlops registry pull models/census@v3", "mlops predict models/census@v3 people.csv"]
        var data = CardDataset(name: "datasets/census")
        data.version = "v1"
        data.digest = digest
        data.license = "CC BY 4.0"
        data.source = "https://doi.org/10.24432/C5XW20"
        data.split = "train"
        data.exampleCount = 32561
        input.trainingData = [data]
        data.split = "test"
        data.exampleCount = 16281
        input.testData = data
        input.preprocessing = "Standardised numbers, one-hot categories, both fitted on the training split."
        input.recipe = "tabular/mlp"
        input.architecture = "Multi-layer perceptron, 108-64-32-2"
        input.parameterCount = 9122
        input.hyperparameters = ["epochs": 10, "learning_rate": 0.001, "optimizer": "adamw", "hidden": [64, 32]]
        var training = CardTraining(epochCount: 10)
        training.bestEpoch = 8
        training.stoppedEarly = false
        training.trainingLoss = 0.3012
        training.validationLoss = 0.3101
        training.durationSeconds = 12.5
        training.seed = 7
        input.training = training
        input.metrics = [
            CardMetric(id: "accuracy", title: "Accuracy", float32: 0.8571, int8: 0.8566),
            CardMetric(id: "roc_auc", title: "ROC AUC", float32: 0.9123, int8: nil),
            CardMetric(id: "brier", title: "Brier score", float32: 1e-05, int8: nil),
        ]
        var float = CardForm(name: "float32")
        float.byteCount = 37_000
        float.latency = try LatencySummary(milliseconds: Array(repeating: 0.125, count: 100), warmUpCount: 10)
        input.forms = [float, CardForm(name: "int8")]
        input.gates = [
            CardGate(metric: "test.accuracy", rule: "at least 0.85", value: 0.8571, passed: true),
            CardGate(
                metric: "fairness.equalized_odds_difference", rule: "at most 0.1", value: nil, passed: false,
                reason: "group `c` of `team` has no positive example"),
        ]
        input.energy = EnergyEstimate(
            joules: 410.5, cpuSeconds: 98.2, durationSeconds: 55, method: .cpuTime, note: "processor time × power model"
        )
        input.hardware = "AMD EPYC, 2 threads"
        input.software = "mlops 0.1.0"
        input.citation = "@misc{census}"
        var options = FairnessOptions()
        options.replicates = 200
        input.fairness = try FairnessReport(
            labels: (0..<70).map { $0 < 65 && $0 % 3 == 0 ? 1 : 0 }, predictions: (0..<70).map { $0 % 5 < 2 ? 1 : 0 },
            columns: [SensitiveColumn(name: "team", values: (0..<70).map { $0 < 35 ? "a|b" : $0 < 65 ? "b" : "c" })],
            options: options)
        return input
    }

    @Test(arguments: ["full", "bare"])
    func theCardIsTheSnapshot(_ name: String) throws {
        let input = name == "full" ? try ModelCardTests.fullInput() : ModelCardInput(name: "models/x")
        try expectSnapshot(ModelCard(input).markdown, "\(name).card.md")
    }

    @Test func aBareCardInventsNothing() {
        let card = ModelCard(ModelCardInput(name: "models/x")).markdown
        #expect(card.hasPrefix("---\nlibrary_name: mlops\ntags:\n  - mlops\n---\n\n# Model Card for models/x\n"))
        #expect(!card.contains("model-index") && !card.contains("license:"))
        #expect(card.contains("- **License:** not stated"))
        #expect(card.contains("- **Carbon Emitted:** not stated"))
    }

    @Test func textOfOthersStaysText() {
        #expect(
            MarkdownText.inline("# a\n| b *c* <script> [x](y) `z` snake_case _e_")
                == "\\# a \\| b \\*c\\* &lt;script&gt; \\[x\\](y) \\`z\\` snake_case \\_e\\_")
        #expect(MarkdownText.inline("1. item") == "1\\. item")
        #expect(MarkdownText.inline("0.5 is - #1. of +2") == "0.5 is - #1. of +2")
        #expect(MarkdownText.inline("- a") == "\\- a")
        #expect(MarkdownText.sentence("group `a*` of `b` has *none*") == "group `a*` of `b` has \\*none\\*")
        #expect(MarkdownText.code("a`b|c") == "`` a`b\\|c ``")
        #expect(MarkdownText.link("https://a.b/c") == "<https://a.b/c>")
        #expect(MarkdownText.link("https://a.b/c d") == "https://a.b/c d")
        #expect(MarkdownText.link("javascript:x") == "javascript:x")
        #expect(MarkdownText.codeBlock(["a ``` b"], language: "sh") == "````sh\na ``` b\n````")
    }

    @Test func theInputReadsBack() throws {
        let input = try ModelCardTests.fullInput()
        let copy = try JSONValue(encoding: input).decode(as: ModelCardInput.self)
        #expect(ModelCard(copy).markdown == ModelCard(input).markdown)
    }
}

/// Compares with the file `name` of the fixtures; `RECORD_SNAPSHOTS=1` rewrites it.
private func expectSnapshot(_ text: String, _ name: String) throws {
    let path = fixturePath(name)
    if getenv("RECORD_SNAPSHOTS") != nil { try FileSystem.replace(path, with: Array(text.utf8)) }
    #expect(try text == FileSystem.readText(path), "run with RECORD_SNAPSHOTS=1 and look at the difference")
}
