internal import Basics

/// Turns a spec into a pipeline: parameters, interpolation, steps' plans, graph; collects every error on the way.
struct PipelineLoader {
    private let source: PipelineSource
    var diagnostics = Diagnostics()

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
        let (node, digest) = try document(path)
        guard let node else { return nil }
        var reader = PipelineSpecReader()
        let spec = reader.read(node, file: source.displayName, digest: digest)
        diagnostics.add(reader.diagnostics.errors)
        guard let spec else { return nil }
        let interpolation = interpolation(for: spec)
        return pipeline(of: spec, interpolation, path: path)
    }

    private mutating func document(_ path: String) throws -> (YAMLNode?, Digest) {
        let limits = YAMLLimits()
        let size = try FileStatus.of(path)?.size ?? 0
        if size > limits.byteCount {
            diagnostics.attempt { _ = try YAML.read(path, name: source.displayName) }
            return (nil, Digest.of([]))
        }
        let bytes = try FileSystem.read(path)
        let node = diagnostics.attempt { try YAML.parse(bytes, file: source.displayName) }
        return (node, Digest.of(bytes))
    }

    private mutating func interpolation(for spec: PipelineSpec) -> Interpolation {
        var parameters = ParameterSet.read(
            spec.params, folder: source.root, pipeline: source.displayName, into: &diagnostics)
        for override in source.overrides { diagnostics.attempt { try parameters.apply(override) } }
        return Interpolation(parameters: parameters, git: source.git, environment: source.environment)
    }

    /// The file's path in the repository, where it lies there: a record says the same on every machine.
    private func recordedName(_ path: String) -> String {
        let prefix = FileSystem.absolute(source.root) + "/"
        return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : source.displayName
    }

    private mutating func pipeline(of spec: PipelineSpec, _ interpolation: Interpolation, path: String) -> Pipeline? {
        var builder = StageBuilder(source: source, spec: spec, interpolation: interpolation)
        let stages = builder.stages()
        diagnostics.add(builder.diagnostics.errors)
        var graphBuilder = StageGraphBuilder(stages, names: spec.stages.map(\.name))
        let graph = graphBuilder.build()
        diagnostics.add(graphBuilder.diagnostics.errors)
        guard let graph else { return nil }
        return Pipeline(
            file: recordedName(path), name: spec.name, root: source.root, specDigest: spec.digest,
            parameters: interpolation.parameters.root.toJSON(), overrides: source.overrides, git: source.git,
            stages: stages, graph: graph, steps: source.steps, environment: source.environment)
    }
}
