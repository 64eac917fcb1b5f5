internal import Basics

/// The keys of a stage that say how it runs, not what.
struct StageSettings {
    var timeout: Duration?
    var retries = RetryPolicy()
    var resources = Resources()
    var executor = Executor.local
    var image: String?

    func apply(to stage: inout Stage, _ spec: StageSpec) {
        stage.group = spec.group
        stage.summary = spec.summary
        stage.retries = retries
        stage.resources = resources
        stage.executor = executor
        stage.image = image
        stage.secrets = spec.secrets.map { LocatedName(name: $0.text, location: $0.location) }
        stage.isAlways = spec.isAlways
        stage.isFrozen = spec.isFrozen
        stage.isAlwaysChanged = spec.isAlwaysChanged
    }
}

extension StageBuilder {
    mutating func settings(_ spec: StageSpec, _ used: inout ReferenceUse) -> StageSettings {
        var settings = StageSettings()
        settings.timeout = read(spec.timeout, &used) { try StageSettingsReader.duration($0) }
        settings.retries = read(spec.retries, &used, StageSettingsReader.retries) ?? RetryPolicy()
        settings.resources = read(spec.resources, &used, StageSettingsReader.resources) ?? Resources()
        settings.executor = read(spec.executor, &used, StageSettingsReader.executor) ?? .local
        settings.image = read(spec.image, &used) { node in
            let image = try node.string()
            guard !image.isEmpty, image.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw node.expected(
                    "the name of a container image", hint: "write for example `image: python:3.12-slim`")
            }
            return image
        }
        if let node = spec.resources { checkLimits(settings.resources, spec, at: node.location) }
        return settings
    }

    private mutating func read<Value>(
        _ node: YAMLNode?, _ used: inout ReferenceUse, _ body: (YAMLNode) throws -> Value
    ) -> Value? {
        guard let node else { return nil }
        return diagnostics.attempt(at: node.location) { try body(interpolation.resolve(node, used: &used)) }
    }

    // MARK: The pipeline's own

    /// Reads `resources:` of the pipeline, which the stages' are compared with.
    mutating func readLimits() {
        var used = ReferenceUse()
        limits = read(spec.resources, &used, StageSettingsReader.resources) ?? Resources()
    }

    /// The file of `secrets: { file: … }`, absolute; `~/` is the caller's home.
    mutating func secretsFile() -> LocatedName? {
        var used = ReferenceUse()
        let source = source
        return read(spec.secrets, &used) { node in
            guard case .map(let entries) = node.content else {
                throw node.expected(
                    "a map with the file of secrets",
                    hint: "write `secrets: { file: ~/.config/mlops/secrets }`; a stage names its secrets in a list")
            }
            let map = YAMLMap(entries: entries, location: node.location)
            try map.rejectUnknownKeys(["file"], of: "`secrets`")
            let file = try map.required("file", of: "`secrets`")
            var path = try file.string()
            guard !path.isEmpty, !path.utf8.contains(0) else { throw file.expected("the path of a file") }
            if path.hasPrefix("~/"), let home = source.environment["HOME"] {
                path = FileSystem.join(home, String(path.dropFirst(2)))
            }
            return LocatedName(name: FileSystem.absolute(path, from: source.root), location: file.location)
        }
    }

    /// A stage that asks for more than there is would wait for ever.
    private mutating func checkLimits(_ resources: Resources, _ spec: StageSpec, at location: SourceLocation) {
        func tooMuch(_ name: String, _ asked: String, _ limit: String) {
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(spec.name)` takes \(asked) of `\(name)`, the pipeline has \(limit)",
                    hint: "raise `\(name)` in the `resources` of the pipeline, or lower it here", at: location))
        }
        if let cpus = resources.cpus, let limit = limits.cpus, cpus > limit {
            tooMuch("cpus", Format.number(cpus), Format.number(limit))
        }
        if let memory = resources.memory, let limit = limits.memory, memory.bytes > limit.bytes {
            tooMuch("memory", "\(memory)", "\(limit)")
        }
        if let gpus = resources.gpus, let limit = limits.gpus, gpus > limit { tooMuch("gpus", "\(gpus)", "\(limit)") }
        for (name, count) in resources.custom.sorted(by: { $0.key < $1.key }) {
            guard let limit = limits.custom[name] else {
                let near = nearestName(to: name, among: Array(limits.custom.keys) + StageSettingsReader.resourceKeys)
                diagnostics.add(
                    MLOpsError(
                        .usage, "stage `\(spec.name)` takes the resource `\(name)`, of which the pipeline has none",
                        hint: near.map { "did you mean `\($0)`?" }
                            ?? "say in the pipeline's own `resources` how much of `\(name)` there is", at: location))
                continue
            }
            if count > limit { tooMuch(name, "\(count)", "\(limit)") }
        }
    }

    // MARK: Lists

    mutating func environment(
        _ variables: [EnvironmentSpec], _ used: inout ReferenceUse
    ) -> [(name: String, value: String?)] {
        variables.compactMap { variable in
            guard let node = variable.value else {
                let name = variable.name.text
                guard !interpolation.secrets.contains(name) else {
                    diagnostics.add(
                        MLOpsError(
                            .usage, "`\(name)` is a secret of this pipeline and cannot stand in `env`",
                            hint: "name it in `secrets`, which keeps its value out of the cache",
                            at: variable.name.location))
                    return nil
                }
                return (name, source.environment[name])
            }
            return diagnostics.attempt {
                let value = try interpolation.resolve(node, used: &used).scalarText("a text or a number")
                if value.utf8.contains(0) {
                    throw MLOpsError(
                        .usage, "the value of `\(variable.name.text)` contains a NUL byte", at: node.location)
                }
                return (variable.name.text, value)
            }
        }
    }

    mutating func needs(_ nodes: [YAMLNode], _ used: inout ReferenceUse) -> [LocatedName] {
        nodes.compactMap { node in
            diagnostics.attempt(at: node.location) {
                LocatedName(name: try interpolation.resolve(node, used: &used).string(), location: node.location)
            }
        }
    }

    mutating func namedParameters(_ nodes: [YAMLNode], _ used: inout ReferenceUse) -> [String: JSONValue] {
        var values: [String: JSONValue] = [:]
        for node in nodes where !diagnostics.isFull {
            let name = diagnostics.attempt(at: node.location) { try interpolation.resolve(node, used: &used).string() }
            guard let name else { continue }
            let path = name.hasPrefix("params.") ? String(name.dropFirst(7)) : name
            guard let value = interpolation.parameters[path] else {
                diagnostics.add(interpolation.parameters.unknown(path, option: true, at: node.location))
                continue
            }
            values[path] = value.toJSON()
        }
        return values
    }
}
