package import Basics

/// An operation that a stage names with `uses:`. App hands them in, so that Pipelines needs no engine.
package protocol BuiltInStep: Sendable {
    /// What `uses:` says: `train`.
    var name: String { get }
    /// Raised when the step's results change; part of every fingerprint.
    var version: Int { get }
    /// One line for people.
    var summary: String { get }
    /// What `with:` may hold.
    var parameters: [StepParameter] { get }

    /// What a stage with these parameters reads and writes. Called when the pipeline is loaded; it starts nothing.
    ///
    /// - Parameters:
    ///   - with: the stage's `with`, interpolated, checked against `parameters`, defaults filled in.
    ///   - stage: the stage's name.
    /// - Throws: `MLOpsError`; without a location it is shown at the stage's `with`.
    func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan

    /// Does the work, in a child process of its own; writes the outs and the metrics files.
    ///
    /// - Throws: `MLOpsError`; kind `.refused` ends the run as refused.
    func run(_ context: StepContext) async throws

    /// Whether what an earlier run did outside its outputs (`StepContext.recordEffects`) still holds; if not, the stage runs
    /// again although nothing that it reads has changed.
    func holds(_ effects: JSONValue) async throws -> Bool
}

extension BuiltInStep {
    package func holds(_ effects: JSONValue) async throws -> Bool { true }
}

/// One key of a step's `with:`.
package struct StepParameter: Sendable {
    package enum Kind: String, Sendable, Encodable { case string, int, double, bool, list, map, any }

    package var name: String
    package var kind: Kind
    package var isRequired: Bool
    /// Filled in when the key is missing; nil leaves it out.
    package var defaultValue: JSONValue?
    /// The only values, when there are few.
    package var choices: [String]
    /// One line for people.
    package var documentation: String

    package init(
        _ name: String, _ kind: Kind, required: Bool = false, default defaultValue: JSONValue? = nil,
        choices: [String] = [], _ documentation: String
    ) {
        self.name = name
        self.kind = kind
        self.isRequired = required
        self.defaultValue = defaultValue
        self.choices = choices
        self.documentation = documentation
    }
}

/// What a step knows when it plans a stage.
package struct StepPlanning: Sendable {
    /// The repository's folder, absolute.
    package var root: String
    package var pipeline: String
    /// All stages of the pipeline in the order of the file.
    package var stages: [StageOutline]
    /// `deps:`, `outs:` and `metrics:` that the stage itself declares.
    package var deps: [String]
    package var outs: [String]
    package var metrics: [String]

    package init(
        root: String, pipeline: String, stages: [StageOutline] = [], deps: [String] = [], outs: [String] = [],
        metrics: [String] = []
    ) {
        self.root = root
        self.pipeline = pipeline
        self.stages = stages
        self.deps = deps
        self.outs = outs
        self.metrics = metrics
    }
}

extension StepPlanning {
    /// The stage whose metric `path` is: the longest name before a dot, as in `test@lr=0.1.accuracy`.
    package func stageName(of path: String) -> String? {
        var end = path.endIndex
        while let dot = path[..<end].lastIndex(of: ".") {
            if stages.contains(where: { $0.name == path[..<dot] }) { return String(path[..<dot]) }
            end = dot
        }
        return nil
    }
}

/// A stage as the others see it.
package struct StageOutline: Sendable {
    package var name: String
    /// The step that it uses; nil for a command.
    package var uses: String?
    /// Its `with`, interpolated.
    package var with: JSONValue

    package init(name: String, uses: String?, with: JSONValue) {
        self.name = name
        self.uses = uses
        self.with = with
    }
}

/// What a stage reads and writes, as its step infers it; the stage's own `deps:`, `outs:`, `metrics:` and `needs:` are added.
package struct StepPlan: Sendable {
    /// Paths in the repository.
    package var deps: [String]
    /// Artifacts whose pointer's digest counts: `datasets/census`.
    package var artifacts: [String]
    package var outs: [String]
    package var metrics: [String]
    /// Stages that must be done before.
    package var needs: [String]
    /// Whether the metrics of all stages upstream are read: they are handed over, and count in the fingerprint.
    package var readsMetrics: Bool
    /// The same for their energy.
    package var readsEnergy: Bool
    /// Whether each run has effects outside its outputs that `holds` can check.
    package var hasEffects: Bool
    /// State elsewhere that counts, such as the digest of a baseline's version.
    package var external: JSONValue?

    package init(
        deps: [String] = [], artifacts: [String] = [], outs: [String] = [], metrics: [String] = [],
        needs: [String] = [], readsMetrics: Bool = false, readsEnergy: Bool = false, hasEffects: Bool = false,
        external: JSONValue? = nil
    ) {
        self.deps = deps
        self.artifacts = artifacts
        self.outs = outs
        self.metrics = metrics
        self.needs = needs
        self.readsMetrics = readsMetrics
        self.readsEnergy = readsEnergy
        self.hasEffects = hasEffects
        self.external = external
    }
}

/// The steps that `uses:` can name.
package struct StepCatalog: Sendable {
    /// In the order of their names.
    package let steps: [any BuiltInStep]
    private let byName: [String: any BuiltInStep]

    package init(_ steps: [any BuiltInStep]) {
        self.steps = steps.sorted { $0.name < $1.name }
        byName = Dictionary(steps.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    package subscript(name: String) -> (any BuiltInStep)? { byName[name] }

    package var names: [String] { steps.map(\.name) }
}
