package import Basics

/// All that a model card can say. What is nil or empty is written as not stated.
package struct ModelCardInput: Codable, Hashable, Sendable {
    // MARK: What it is

    /// `models/census`
    package var name: String
    /// `v3`
    package var version: String?
    package var digest: Digest?
    package var summary: String?
    package var description: String?
    package var developers: String?
    package var contact: String?
    /// The identifier that Hugging Face uses, in lower case: `apache-2.0`, `cc-by-4.0`.
    package var license: String?
    /// ISO 639 codes.
    package var languages: [String] = []
    /// Hugging Face's name of the task: `tabular-classification`, `image-classification`.
    package var pipelineTag: String?
    package var tags: [String] = []
    package var baseModel: String?
    package var repository: String?
    package var gitCommit: String?
    /// Whether files differed from the commit.
    package var gitIsDirty: Bool?
    package var run: String?
    package var pipeline: String?
    package var createdAt: Timestamp?

    // MARK: What it is for

    package var directUse: String?
    package var downstreamUse: String?
    package var outOfScopeUse: String?
    package var limitations: [String] = []
    package var recommendations: String?
    /// Commands for a shell.
    package var getStarted: [String] = []
    package var citation: String?

    // MARK: How it was made

    package var trainingData: [CardDataset] = []
    package var preprocessing: String?
    package var recipe: String?
    package var architecture: String?
    package var parameterCount: Int?
    /// By name, of any JSON type.
    package var hyperparameters: [String: JSONValue] = [:]
    package var training: CardTraining?

    // MARK: How well it does

    package var testData: CardDataset?
    package var metrics: [CardMetric] = []
    package var fairness: FairnessReport?
    package var forms: [CardForm] = []
    package var gates: [CardGate] = []
    package var energy: EnergyEstimate?
    /// The processor and what else it ran on.
    package var hardware: String?
    package var region: String?
    package var software: String?

    package init(name: String) { self.name = name }
}

/// A data set as the card names it.
package struct CardDataset: Codable, Hashable, Sendable {
    /// `datasets/census`
    package var name: String
    package var version: String?
    package var digest: Digest?
    package var license: String?
    /// Where it comes from: an address or words.
    package var source: String?
    package var split: String?
    package var exampleCount: Int?
    package var description: String?

    package init(name: String) { self.name = name }
}

/// How training went.
package struct CardTraining: Codable, Hashable, Sendable {
    package var epochCount: Int
    /// The epoch whose weights were kept, from 1.
    package var bestEpoch: Int?
    package var stoppedEarly: Bool?
    package var trainingLoss: Double?
    package var validationLoss: Double?
    package var durationSeconds: Double?
    package var seed: UInt64?

    package init(epochCount: Int) { self.epochCount = epochCount }
}

/// One metric of the test split, in each form of the model that was tested.
package struct CardMetric: Codable, Hashable, Sendable {
    /// Hugging Face's identifier: `accuracy`, `f1`, `roc_auc`.
    package var id: String
    /// For people: `ROC AUC`.
    package var title: String
    package var float32: Double?
    package var int8: Double?

    package init(id: String, title: String, float32: Double?, int8: Double?) {
        self.id = id
        self.title = title
        self.float32 = float32
        self.int8 = int8
    }
}

/// One form of the model: its size and speed.
package struct CardForm: Codable, Hashable, Sendable {
    /// `float32`, `int8`
    package var name: String
    package var digest: Digest?
    package var byteCount: Int64?
    package var latency: LatencySummary?

    package init(name: String) { self.name = name }
}

/// The verdict on one rule of a gate.
package struct CardGate: Codable, Hashable, Sendable {
    package var metric: String
    /// `at least 0.85`
    package var rule: String
    package var value: Double?
    package var passed: Bool
    /// Why it did not pass.
    package var reason: String?

    package init(metric: String, rule: String, value: Double?, passed: Bool, reason: String? = nil) {
        self.metric = metric
        self.rule = rule
        self.value = value
        self.passed = passed
        self.reason = reason
    }
}
