internal import Basics

/// Reads `retries`, `resources`, `executor` and the entries of `outs` from nodes that are interpolated.
enum StageSettingsReader {
    // MARK: Times

    static func duration(_ node: YAMLNode, allowsZero: Bool = false) throws -> Duration {
        let text = try node.scalarText("a duration")
        guard text.utf8.first.map({ (0x30...0x39).contains($0) }) ?? false, let duration = Duration(parsing: text),
            allowsZero || duration > .zero
        else {
            throw node.expected(
                allowsZero ? "a duration" : "a duration above zero",
                hint: "write a number and a unit: `90s`, `10m`, `1h30m`")
        }
        return duration
    }

    // MARK: Retries

    static let retryKeys = ["max", "on", "delay", "backoff"]

    static func retries(_ node: YAMLNode) throws -> RetryPolicy {
        var policy = RetryPolicy()
        if case .int = node.content {
            policy.max = try count(node, 0...100, "retries")
            return policy
        }
        guard case .map(let entries) = node.content else {
            throw node.expected("a number of retries, or a map", hint: "write `retries: { max: 2, on: [timeout, 75] }`")
        }
        let map = YAMLMap(entries: entries, location: node.location)
        try map.rejectUnknownKeys(retryKeys, of: "`retries`")
        policy.max = try count(try map.required("max", of: "`retries`"), 0...100, "`max`")
        if let causes = map.value("on") { policy.causes = Set(try causes.list().map(cause)) }
        if let delay = map.value("delay") { policy.delay = try duration(delay, allowsZero: true) }
        if let backoff = map.value("backoff") {
            policy.backoff = try backoff.double()
            guard policy.backoff >= 1, policy.backoff <= 100 else {
                throw backoff.expected("a factor in 1...100", hint: "`backoff` multiplies the delay after each retry")
            }
        }
        return policy
    }

    private static func cause(_ node: YAMLNode) throws -> RetryPolicy.Cause {
        switch node.content {
        case .int(let code):
            guard let code = Int32(exactly: code), (1...255).contains(code) else {
                throw node.expected("an exit code in 1...255")
            }
            return .exit(code)
        case .string("timeout"): return .timeout
        case .string("signal"): return .signal
        case .string(let text):
            let near = nearestName(to: text, among: ["timeout", "signal"])
            throw node.expected(
                "`timeout`, `signal` or an exit code",
                hint: near.map { "did you mean `\($0)`?" } ?? "leave `on` out to retry after any failure")
        default: throw node.expected("`timeout`, `signal` or an exit code")
        }
    }

    private static func count(_ node: YAMLNode, _ range: ClosedRange<Int>, _ what: String) throws -> Int {
        guard let value = try? node.int(), range.contains(value) else {
            throw node.expected("a whole number in \(range.lowerBound)...\(range.upperBound) for \(what)")
        }
        return value
    }

    // MARK: Resources

    static let resourceKeys = ["cpus", "memory", "gpus"]

    static func resources(_ node: YAMLNode) throws -> Resources {
        guard case .map(let entries) = node.content else {
            throw node.expected("a map of resources", hint: "write `resources: { cpus: 2, memory: 4GiB }`")
        }
        var resources = Resources()
        for entry in entries where !entry.value.isNull {
            switch entry.key {
            case "cpus":
                let cpus = try entry.value.double()
                guard cpus > 0, cpus <= 100_000 else { throw entry.value.expected("a number of processors above 0") }
                resources.cpus = cpus
            case "memory": resources.memory = try memory(entry.value)
            case "gpus": resources.gpus = try count(entry.value, 0...100_000, "`gpus`")
            default:
                if let near = nearestName(to: entry.key, among: resourceKeys) {
                    throw MLOpsError(
                        .usage, "unknown key `\(printable(shortened(entry.key)))` in `resources`",
                        hint: "did you mean `\(near)`?", at: entry.keyLocation)
                }
                let name = try PipelineSpecReader.name(entry.key, of: "resource", at: entry.keyLocation)
                resources.custom[name] = try count(entry.value, 0...1_000_000_000, "`\(name)`")
            }
        }
        return resources
    }

    private static func memory(_ node: YAMLNode) throws -> ByteCount {
        let text = try node.scalarText("an amount of memory")
        guard let bytes = ByteCount(parsing: text) else {
            throw node.expected("an amount of memory", hint: "write a number and a unit: `512MiB`, `4GiB`")
        }
        return bytes
    }

    // MARK: Executor

    /// `slurm`, or `{ slurm: { partition: gpu } }`.
    static func executor(_ node: YAMLNode) throws -> Executor {
        switch node.content {
        case .string: return Executor(try executorName(node, node.string(), at: node.location))
        case .map(let entries) where entries.count == 1:
            let name = try executorName(node, entries[0].key, at: entries[0].keyLocation)
            let value = entries[0].value
            guard !value.isNull else { return Executor(name) }
            guard case .map(let options) = value.content else { throw value.expected("a map of options of `\(name)`") }
            return Executor(
                name, options: try executorOptions(YAMLMap(entries: options, location: value.location), name))
        default:
            throw node.expected(
                "the name of an executor, or a map of one with its options",
                hint: "write `executor: slurm` or `executor: { slurm: { partition: gpu } }`")
        }
    }

    private static func executorName(
        _ node: YAMLNode, _ text: String, at location: SourceLocation
    ) throws -> Executor.Name {
        if let name = Executor.Name(rawValue: text) { return name }
        let names = Executor.Name.allCases.map(\.rawValue)
        let all = names.map { "`\($0)`" }.joined(separator: " and ")
        throw MLOpsError(
            .usage, "there is no executor `\(printable(shortened(text)))`",
            hint: nearestName(to: text, among: names).map { "did you mean `\($0)`?" } ?? "the executors are \(all)",
            at: location)
    }

    private static func executorOptions(_ map: YAMLMap, _ name: Executor.Name) throws -> [String: JSONValue] {
        let known = Executor.options(of: name)
        try map.rejectUnknownKeys(known.map(\.name), of: "the options of `\(name)`")
        var options: [String: JSONValue] = [:]
        for parameter in known {
            guard let value = map.value(parameter.name) else { continue }
            options[parameter.name] = try StepParameterCheck.checked(value, parameter, of: "executor `\(name)`")
        }
        return options
    }

    // MARK: Paths

    static let outputKeys = ["path", "cache", "persist"]

    /// A path, or `{ path: a, cache: false, persist: true }`.
    static func output(_ node: YAMLNode) throws -> StagePath {
        guard case .map(let entries) = node.content else {
            return StagePath(path: try path(node.string()), location: node.location)
        }
        let map = YAMLMap(entries: entries, location: node.location)
        try map.rejectUnknownKeys(outputKeys, of: "an output")
        let text = try map.required("path", of: "an output")
        var output = StagePath(path: try path(text.string()), location: text.location)
        output.isCached = try map.bool("cache") ?? true
        output.persists = try map.bool("persist") ?? false
        return output
    }

    /// A path inside the repository; one slash at the end is fine.
    static func path(_ text: String) throws -> String {
        try RelativePath(text.count > 1 && text.hasSuffix("/") ? String(text.dropLast()) : text).description
    }
}

extension YAMLNode {
    /// Whether `${` stands in it.
    var hasReference: Bool {
        switch content {
        case .string(let text): text.contains("${")
        case .list(let items): items.contains(where: \.hasReference)
        case .map(let entries): entries.contains { $0.value.hasReference }
        default: false
        }
    }

    /// Paths with each run of slashes as one: `${params.folder}/a` is meant to work, too, where the folder is `models/`.
    var withSingleSlashes: YAMLNode {
        var node = self
        switch content {
        case .string(let text) where text.contains("//") && !text.hasPrefix("/"):
            let isFolder = text.hasSuffix("/")
            node.content = .string(text.split(separator: "/").joined(separator: "/") + (isFolder ? "/" : ""))
        case .map(let entries):
            node.content = .map(
                entries.map { entry in
                    var entry = entry
                    entry.value = entry.value.withSingleSlashes
                    return entry
                })
        default: break
        }
        return node
    }
}
