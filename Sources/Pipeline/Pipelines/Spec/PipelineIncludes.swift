internal import Basics

/// Reads a pipeline's file and all that it includes, each once, into one spec.
struct PipelineIncludes {
    private let root: String
    /// The included files as they are named, in the order in which they were read.
    private(set) var files: [String] = []
    /// The files on the way from the first one to the present one.
    private var chain: [(path: String, name: String)] = []
    private var seen: Set<String> = []
    private var digests: [String] = []

    /// Files that include one another, and files in all, at most.
    private static let depthLimit = 16
    private static let countLimit = 200

    init(root: String = "/") { self.root = root }

    /// nil if the file at `path` is no pipeline.
    ///
    /// - Throws: if it cannot be read at all.
    mutating func read(_ path: String, name: String, into diagnostics: inout Diagnostics) throws -> PipelineSpec? {
        guard var spec = try document(path, name: name, isIncluded: false, into: &diagnostics) else { return nil }
        seen.insert(path)
        chain = [(path, name)]
        include(into: &spec, &diagnostics)
        refuseTwice(spec.stages, into: &diagnostics)
        if !digests.isEmpty { spec.digest = Digest.of(([spec.digest.hex] + digests).joined(separator: "\n")) }
        return spec
    }

    private func document(
        _ path: String, name: String, isIncluded: Bool, into diagnostics: inout Diagnostics
    ) throws -> PipelineSpec? {
        let size = try FileStatus.of(path)?.size ?? 0
        if size > YAMLLimits().byteCount {
            diagnostics.attempt { _ = try YAML.read(path, name: name) }
            return nil
        }
        let bytes = try FileSystem.read(path)
        guard let node = diagnostics.attempt({ try YAML.parse(bytes, file: name) }) else { return nil }
        var reader = PipelineSpecReader()
        let spec = reader.read(node, file: name, digest: Digest.of(bytes), isIncluded: isIncluded)
        diagnostics.add(reader.diagnostics.errors)
        return spec
    }

    /// Puts the stages and parameters of what `spec` includes before its own; its own `resources` and `secrets` win.
    private mutating func include(into spec: inout PipelineSpec, _ diagnostics: inout Diagnostics) {
        var stages: [StageSpec] = []
        var params: [LocatedText] = []
        if spec.includes.count > PipelineIncludes.countLimit {
            return diagnostics.add(tooMany(at: spec.includes[PipelineIncludes.countLimit].location))
        }
        for file in spec.includes where !diagnostics.isFull {
            let included: PipelineSpec?
            do {
                included = try read(file, &diagnostics)
            } catch {
                diagnostics.add(error, at: file.location)
                continue
            }
            guard let included else { continue }
            stages += included.stages
            params += included.params
            spec.resources = spec.resources ?? included.resources
            spec.secrets = spec.secrets ?? included.secrets
        }
        spec.stages = stages + spec.stages
        var known: Set<String> = []
        spec.params = (params + spec.params).filter { known.insert($0.text).inserted }
    }

    private mutating func read(_ file: LocatedText, _ diagnostics: inout Diagnostics) throws -> PipelineSpec? {
        let name = try StageSettingsReader.path(file.text)
        let path = FileSystem.absolute(name, from: root)
        if let start = chain.firstIndex(where: { $0.path == path }) {
            let names = (chain[start...].map(\.name) + [name]).map { "`\($0)`" }.joined(separator: " → ")
            throw MLOpsError(
                .usage, "the pipelines include each other in a cycle: \(names)", hint: "remove one of the `include`s",
                at: file.location)
        }
        guard seen.insert(path).inserted else { return nil }
        guard chain.count < PipelineIncludes.depthLimit, seen.count <= PipelineIncludes.countLimit else {
            throw tooMany(at: file.location)
        }
        guard FileSystem.exists(path) else {
            let folder = FileSystem.parent(of: name)
            let names = (try? FileSystem.list(FileSystem.absolute(folder, from: root))) ?? []
            let near = nearestName(to: FileSystem.name(of: name), among: names)
            throw MLOpsError(
                .usage, "the included pipeline `\(printable(name))` does not exist",
                hint: near.map { "did you mean `\(FileSystem.join(folder, $0))`?" }
                    ?? "paths are relative to the repository's folder", at: file.location)
        }
        guard var spec = try document(path, name: name, isIncluded: true, into: &diagnostics) else { return nil }
        files.append(name)
        digests.append("\(name) \(spec.digest.hex)")
        chain.append((path, name))
        defer { chain.removeLast() }
        include(into: &spec, &diagnostics)
        return spec
    }

    private func tooMany(at location: SourceLocation) -> MLOpsError {
        let (count, depth) = (PipelineIncludes.countLimit, PipelineIncludes.depthLimit)
        return MLOpsError(
            .usage, "more than \(count) files are included, or deeper than \(depth)",
            hint: "put stages that belong together into one file", at: location)
    }

    private func refuseTwice(_ stages: [StageSpec], into diagnostics: inout Diagnostics) {
        var places: [String: SourceLocation] = [:]
        for stage in stages {
            if let first = places[stage.name] {
                diagnostics.add(
                    MLOpsError(
                        .usage, "the stage `\(stage.name)` is in `\(first.path)` too",
                        hint:
                            "the stages of included files keep their names; rename one, the other is at line \(first.line)",
                        at: stage.location))
            } else {
                places[stage.name] = stage.location
            }
        }
    }
}
