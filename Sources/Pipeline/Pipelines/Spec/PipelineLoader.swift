internal import Basics

/// Turns a spec into a pipeline: included files, parameters, variants, interpolation, steps' plans, graph; collects every error
/// on the way.
struct PipelineLoader {
    private let source: PipelineSource
    var diagnostics = Diagnostics()
    private var includes = PipelineIncludes()

    init(_ source: PipelineSource) { self.source = source }

    /// nil if errors leave nothing to build a pipeline from; `diagnostics` tells them.
    ///
    /// - Throws: if the file cannot be read.
    mutating func load() throws -> Pipeline? {
        let path = FileSystem.absolute(source.file, from: source.root)
        guard FileSystem.exists(path) else {
            throw MLOpsError(
                .notFound, "the pipeline `\(source.displayName)` does not exist",
                hint: "run `ls pipelines` to see those that do")
        }
        includes = PipelineIncludes(root: source.root)
        guard let spec = try includes.read(path, name: source.displayName, into: &diagnostics), !isTooWrong() else {
            return nil
        }
        let interpolation = interpolation(for: spec)
        return pipeline(of: spec, interpolation, path: path)
    }

    /// Whether there are so many errors that what follows would only add consequences of them; says so behind the last.
    private mutating func isTooWrong() -> Bool {
        guard diagnostics.isFull else { return false }
        diagnostics.close()
        return true
    }

    private mutating func interpolation(for spec: PipelineSpec) -> Interpolation {
        var parameters = ParameterSet.read(
            spec.params, folder: source.root, pipeline: source.displayName, into: &diagnostics)
        for override in source.overrides { diagnostics.attempt { try parameters.apply(override) } }
        return Interpolation(
            parameters: parameters, git: source.git, environment: source.environment,
            secrets: Set(spec.stages.flatMap { $0.secrets.map(\.text) }))
    }

    /// The file's path in the repository, where it lies there: a record says the same on every machine.
    private func recordedName(_ path: String) -> String {
        let prefix = FileSystem.absolute(source.root) + "/"
        return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : source.displayName
    }

    private mutating func pipeline(of spec: PipelineSpec, _ interpolation: Interpolation, path: String) -> Pipeline? {
        var expansion = StageExpansion(interpolation)
        var spec = spec
        let groups = spec.stages.map(\.name)
        spec.stages = expansion.expand(spec.stages)
        diagnostics.add(expansion.diagnostics.errors)
        var builder = StageBuilder(source: source, spec: spec, interpolation: interpolation)
        builder.readLimits()
        let secretsFile = builder.secretsFile()
        let stages = builder.stages()
        diagnostics.add(builder.diagnostics.errors)
        if isTooWrong() { return nil }
        var graphBuilder = StageGraphBuilder(stages, names: groups + spec.stages.map(\.name))
        let graph = graphBuilder.build()
        diagnostics.add(graphBuilder.diagnostics.errors)
        guard let graph else { return nil }
        var pipeline = Pipeline(
            file: recordedName(path), name: spec.name, root: source.root, specDigest: spec.digest,
            parameters: interpolation.parameters.root.toJSON(), overrides: source.overrides, git: source.git,
            stages: stages, graph: graph, steps: source.steps, environment: source.environment)
        pipeline.includes = includes.files
        pipeline.limits = builder.limits
        pipeline.secretsFile = secretsFile
        return pipeline
    }
}
