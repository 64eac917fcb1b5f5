package import Basics

/// A pipeline that was read, interpolated, checked and put in order.
package struct Pipeline: Sendable {
    /// The spec's path in the repository; as given where it lies elsewhere.
    package var file: String
    package var name: String
    /// The repository's folder, absolute.
    package var root: String
    /// SHA-256 of the spec's bytes.
    package var specDigest: Digest
    /// All parameters, overrides applied.
    package var parameters: JSONValue
    /// `--set` as given.
    package var overrides: [String]
    package var git: Lazy<GitContext>
    /// In the order of the file.
    package var stages: [Stage]
    package var graph: StageGraph
    package var steps: StepCatalog
    /// The caller's environment.
    package var environment: [String: String]
    /// The files that it includes, by their paths in the repository.
    package var includes: [String] = []
    /// What all running stages together may take.
    package var limits = Resources()
    /// The file of `NAME=value` lines, absolute, that secrets come from where the environment does not have them.
    package var secretsFile: LocatedName?
}

/// What a pipeline is loaded with, besides its file.
package struct PipelineSource: Sendable {
    /// The repository's folder, absolute; every path of a pipeline is relative to it.
    package var root: String
    /// The pipeline's file, relative to the root or absolute.
    package var file: String
    /// The file's name in messages.
    package var displayName: String
    /// `a.b=value`, from `--set`.
    package var overrides: [String]
    package var environment: [String: String]
    /// Looked at only if something asks.
    package var git: Lazy<GitContext>
    package var steps: StepCatalog

    package init(
        root: String, file: String, displayName: String? = nil, overrides: [String] = [],
        environment: [String: String] = [:], git: Lazy<GitContext> = Lazy(value: GitContext()),
        steps: StepCatalog = StepCatalog([])
    ) {
        self.root = root
        self.file = file
        self.displayName = displayName ?? file
        self.overrides = overrides
        self.environment = environment
        self.git = git
        self.steps = steps
    }
}

extension Pipeline {
    /// The pipeline of `source`.
    ///
    /// - Throws: the first error of the file, of kind `.usage` with its place; its hint says how many more there are.
    package static func load(_ source: PipelineSource) throws -> Pipeline {
        var loader = PipelineLoader(source)
        let pipeline = try loader.load()
        try loader.diagnostics.throwFirst()
        guard let pipeline else { throw MLOpsError(.usage, "`\(source.displayName)` cannot be read") }
        return pipeline
    }

    /// All errors of the pipeline of `source`, in the order of the file; empty if it can run.
    ///
    /// - Throws: if the file cannot be read at all.
    package static func lint(_ source: PipelineSource) throws -> [MLOpsError] {
        var loader = PipelineLoader(source)
        _ = try loader.load()
        return loader.diagnostics.inOrder
    }

    /// The stages whose condition does not hold.
    package var excluded: Set<Int> { Set(stages.indices.filter { stages[$0].condition?.holds == false }) }

    /// The stage called `name`.
    ///
    /// - Throws: kind `.notFound` with the nearest name.
    package func stage(_ name: String) throws -> Stage {
        guard let stage = stages.first(where: { $0.name == name }) else { throw unknownStage(name) }
        return stage
    }

    /// The indices of the stage called `name`, or of all variants of a `matrix` or `foreach` of that name.
    ///
    /// - Throws: kind `.notFound` with the nearest name.
    package func stageIndices(_ name: String) throws -> [Int] {
        if let index = stages.firstIndex(where: { $0.name == name }) { return [index] }
        let variants = stages.indices.filter { stages[$0].group == name }
        guard !variants.isEmpty else { throw unknownStage(name) }
        return variants
    }

    private func unknownStage(_ name: String) -> MLOpsError {
        MLOpsError(
            .notFound, "the pipeline `\(self.name)` has no stage `\(printable(shortened(name)))`",
            hint: unknownStageHint(name, among: stages.map(\.name)))
    }
}

/// ``did you mean `train`?``, or all the names.
func unknownStageHint(_ name: String, among names: [String]) -> String {
    if let near = nearestName(to: name, among: names) { return "did you mean `\(near)`?" }
    let shown = names.prefix(8).map { "`\($0)`" }.joined(separator: ", ")
    return "the stages are \(shown)\(names.count > 8 ? " and \(names.count - 8) more" : "")"
}
