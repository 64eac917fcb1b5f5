internal import Basics

/// A pipeline as its file says it, before interpolation.
struct PipelineSpec: Sendable {
    var file: String
    var digest: Digest
    var name: String
    var params: [LocatedText]
    var stages: [StageSpec]

    static let keys = ["version", "name", "params", "stages"]
}

/// A text with its place in the file.
struct LocatedText: Sendable {
    var text: String
    var location: SourceLocation
}

/// One stage as the file says it.
struct StageSpec: Sendable {
    var name: String
    var location: SourceLocation
    var run: YAMLNode?
    var uses: LocatedText?
    var with: YAMLNode?
    var params: [LocatedText] = []
    var deps: [YAMLNode] = []
    var outs: [YAMLNode] = []
    var metrics: [YAMLNode] = []
    var needs: [LocatedText] = []
    var env: [EnvironmentSpec] = []
    var timeout: YAMLNode?

    static let keys = ["run", "uses", "with", "params", "deps", "outs", "metrics", "needs", "env", "timeout"]
    /// Keys of the design that this version does not know yet.
    static let futureKeys = ["matrix", "foreach", "if", "retries", "resources", "executor", "always", "secrets"]
    /// Names that mean something else where metrics and energy are listed by stage.
    static let reservedNames = ["energy", "joules", "kwh", "method", "total"]
}

/// A variable of `env:`; without a value it is taken from the caller's environment.
struct EnvironmentSpec: Sendable {
    var name: LocatedText
    var value: YAMLNode?
}

/// Reads a spec from its node, collecting every error.
struct PipelineSpecReader {
    private(set) var diagnostics = Diagnostics()

    /// nil if the document is not even a map.
    mutating func read(_ node: YAMLNode, file: String, digest: Digest) -> PipelineSpec? {
        guard case .map(let keys) = node.content else {
            diagnostics.add(node.expected("a map with `version`, `name` and `stages`"))
            return nil
        }
        let map = YAMLMap(entries: keys, location: node.location)
        diagnostics.add(map.unknownKeys(PipelineSpec.keys, of: "a pipeline"))
        diagnostics.attempt {
            let version = try map.required("version", of: "the pipeline")
            guard case .int(1) = version.content else {
                throw version.expected("version 1", hint: "write `version: 1`")
            }
        }
        let name = diagnostics.attempt {
            let node = try map.required("name", of: "the pipeline")
            return try PipelineSpecReader.name(try node.string(), of: "pipeline", at: node.location)
        }
        let params = texts(map.value("params"), "parameter files")
        var stages: [StageSpec] = []
        diagnostics.attempt {
            let node = try map.required("stages", of: "the pipeline")
            guard case .map(let entries) = node.content else { throw node.expected("a map of stages by name") }
            guard !entries.isEmpty else {
                throw MLOpsError(.usage, "`stages` is empty", hint: "add a stage", at: node.location)
            }
            return entries
        }.map { entries in stages = entries.compactMap { stage($0) } }
        return PipelineSpec(file: file, digest: digest, name: name ?? "", params: params, stages: stages)
    }

    private mutating func stage(_ entry: YAMLEntry) -> StageSpec? {
        let at = entry.keyLocation
        guard let name = diagnostics.attempt({ try PipelineSpecReader.name(entry.key, of: "stage", at: at) }),
            let map = diagnostics.attempt({
                guard case .map(let entries) = entry.value.content else {
                    throw entry.value.expected(
                        "a map for stage `\(entry.key)`", hint: "write `\(entry.key): { run: [program, argument] }`")
                }
                return YAMLMap(entries: entries, location: entry.value.location)
            })
        else { return nil }
        if StageSpec.reservedNames.contains(name) {
            diagnostics.add(
                MLOpsError(
                    .usage, "a stage cannot be called `\(name)`", hint: "`\(name)` names the run's energy", at: at))
        }
        rejectUnknownKeys(map, stage: name)
        var stage = StageSpec(name: name, location: at)
        stage.run = map.value("run")
        stage.with = map.value("with")
        stage.timeout = map.value("timeout")
        stage.uses = map.value("uses").flatMap { text($0) }
        stage.params = texts(map.value("params"), "names of parameters")
        stage.needs = texts(map.value("needs"), "stages")
        stage.deps = nodes(map.value("deps"), "paths")
        stage.outs = nodes(map.value("outs"), "paths")
        stage.metrics = nodes(map.value("metrics"), "paths")
        stage.env = environment(map.value("env"))
        checkAction(stage)
        return stage
    }

    private mutating func rejectUnknownKeys(_ map: YAMLMap, stage: String) {
        for error in map.unknownKeys(StageSpec.keys, of: "stage `\(stage)`") {
            let key = map.entries.first { $0.keyLocation == error.location }?.key ?? ""
            guard StageSpec.futureKeys.contains(key) else {
                diagnostics.add(error)
                continue
            }
            let keys = StageSpec.keys.map { "`\($0)`" }.joined(separator: ", ")
            diagnostics.add(
                MLOpsError(
                    .usage, "key `\(key)` in stage `\(stage)` is not supported by this version",
                    hint: "remove it; the keys of a stage are \(keys)", at: error.location))
        }
    }

    private mutating func checkAction(_ stage: StageSpec) {
        switch (stage.run, stage.uses) {
        case (let run?, .some):
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(stage.name)` has both `run` and `uses`", hint: "keep one of them",
                    at: run.location))
        case (nil, nil):
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(stage.name)` has neither `run` nor `uses`",
                    hint: "add `run: [program, argument]` or `uses: <step>`", at: stage.location))
        case (.some, nil):
            guard let with = stage.with else { return }
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(stage.name)` has `with` beside `run`",
                    hint: "`with` belongs to `uses`; give a command its values as arguments or in `env`",
                    at: with.location))
        case (nil, .some): break
        }
    }

    // MARK: Parts

    private mutating func text(_ node: YAMLNode) -> LocatedText? {
        diagnostics.attempt { LocatedText(text: try node.string(), location: node.location) }
    }

    private mutating func nodes(_ node: YAMLNode?, _ what: String) -> [YAMLNode] {
        guard let node else { return [] }
        if case .list(let items) = node.content { return items }
        diagnostics.add(node.expected("a list of \(what)", hint: "write `[…]` around it, or each behind a `- `"))
        return []
    }

    private mutating func texts(_ node: YAMLNode?, _ what: String) -> [LocatedText] {
        nodes(node, what).compactMap { text($0) }
    }

    private mutating func environment(_ node: YAMLNode?) -> [EnvironmentSpec] {
        var variables: [EnvironmentSpec] = []
        switch node?.content {
        case nil: return []
        case .list(let items):
            variables = items.compactMap { text($0) }.map { EnvironmentSpec(name: $0, value: nil) }
        case .map(let entries):
            variables = entries.map {
                EnvironmentSpec(
                    name: LocatedText(text: $0.key, location: $0.keyLocation), value: $0.value.isNull ? nil : $0.value)
            }
        default:
            diagnostics.attempt {
                throw (node ?? YAMLNode(.null, at: SourceLocation(path: "", line: 1))).expected(
                    "a map of variables or a list of names")
            }
        }
        for variable in variables { checkVariable(variable.name) }
        return variables
    }

    private mutating func checkVariable(_ name: LocatedText) {
        let text = name.text
        let isName =
            text.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F
            } && !text.isEmpty && !(text.utf8.first.map { $0 <= 0x39 } ?? true)
        if !isName {
            diagnostics.add(
                MLOpsError(
                    .usage, "`\(printable(shortened(text)))` is not a name of an environment variable",
                    hint: "use letters, digits and `_`", at: name.location))
        } else if ["LD_PRELOAD", "LD_AUDIT"].contains(text) || text.hasPrefix("DYLD_") || text.hasPrefix("MLOPS_") {
            diagnostics.add(
                MLOpsError(
                    .usage, "the environment variable `\(text)` cannot be set by a stage",
                    hint: text.hasPrefix("MLOPS_")
                        ? "names that begin with `MLOPS_` are the program's own"
                        : "it would load code into every program of the stage; set it in the command itself",
                    at: name.location))
        }
    }

    /// Letters, digits, `-` and `_`, at most 64, beginning with a letter: fit for file names and metric paths.
    private static func name(_ text: String, of what: String, at location: SourceLocation) throws -> String {
        let bytes = Array(text.utf8)
        func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        let isName =
            bytes.first.map(isLetter) ?? false
            && bytes.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
        guard isName, bytes.count <= 64 else {
            throw MLOpsError(
                .usage, "`\(printable(shortened(text)))` is not a name for a \(what)",
                hint: "begin with a letter, then letters, digits, `-` and `_`, at most 64", at: location)
        }
        return text
    }
}
