internal import Basics

/// A pipeline as its files say it, before interpolation.
struct PipelineSpec: Sendable {
    var file: String
    var digest: Digest
    var name: String
    var params: [LocatedText]
    var includes: [LocatedText]
    /// What all running stages together may take.
    var resources: YAMLNode?
    /// Where secrets come from besides the environment.
    var secrets: YAMLNode?
    var stages: [StageSpec]

    static let keys = ["version", "name", "params", "include", "executor", "image", "resources", "secrets", "stages"]
}

/// A text with its place in the file.
struct LocatedText: Sendable, Hashable {
    var text: String
    var location: SourceLocation
}

/// One stage as the file says it; of a `matrix` or a `foreach`, one of its variants once it is expanded.
///
/// It points at the document's own values: a file can hold tens of thousands of stages, of which each has few keys.
struct StageSpec: Sendable {
    var name: String
    var location: SourceLocation
    /// The keys that have a value; those of the wrong kind are told by `PipelineSpecReader`.
    private var keys: YAMLMap
    private let defaults: StageDefaults
    var env: [EnvironmentSpec] = []
    var secrets: [LocatedText] = []

    /// The name that the file gives it: `train` of `train@seed=1`.
    var group: String
    var locals = StageLocals()

    init(name: String, location: SourceLocation, keys: YAMLMap, defaults: StageDefaults) {
        self.name = name
        self.location = location
        self.keys = keys
        self.defaults = defaults
        group = name
    }

    var run: YAMLNode? { keys.value("run") }
    var uses: LocatedText? { text("uses") }
    var with: YAMLNode? { keys.value("with") }
    var params: [YAMLNode] { items("params") }
    var deps: [YAMLNode] { items("deps") }
    var outs: [YAMLNode] { items("outs") }
    var metrics: [YAMLNode] { items("metrics") }
    var needs: [YAMLNode] { items("needs") }
    var condition: YAMLNode? { keys.value("if") }
    var matrix: YAMLNode? { keys.value("matrix") }
    var foreach: YAMLNode? { keys.value("foreach") }
    var timeout: YAMLNode? { keys.value("timeout") }
    var retries: YAMLNode? { keys.value("retries") }
    var resources: YAMLNode? { keys.value("resources") }
    /// Its own, else the file's.
    var executor: YAMLNode? { keys.value("executor") ?? defaults.executor }
    /// Its own, else the file's.
    var image: YAMLNode? { keys.value("image") ?? defaults.image }
    var isAlways: Bool { flag("always") }
    var isFrozen: Bool { flag("frozen") }
    var isAlwaysChanged: Bool { flag("always_changed") }
    var summary: String? { text("desc")?.text }

    /// The stage without what makes variants of it.
    var withoutVariants: StageSpec {
        var stage = self
        stage.keys.entries.removeAll { $0.key == "matrix" || $0.key == "foreach" }
        return stage
    }

    private func items(_ key: String) -> [YAMLNode] {
        if case .list(let items) = keys.value(key)?.content { items } else { [] }
    }

    private func text(_ key: String) -> LocatedText? {
        guard let node = keys.value(key), case .string(let text) = node.content else { return nil }
        return LocatedText(text: text, location: node.location)
    }

    private func flag(_ key: String) -> Bool {
        if case .bool(true) = keys.value(key)?.content { true } else { false }
    }

    static let keys = [
        "run", "uses", "with", "params", "deps", "outs", "metrics", "needs", "env", "secrets", "if", "matrix",
        "foreach",
        "timeout", "retries", "resources", "executor", "image", "always", "frozen", "always_changed", "desc",
    ]
    /// Names that mean something else where metrics and energy are listed by stage.
    static let reservedNames = ["energy", "joules", "kwh", "method", "total"]
}

/// What a file says once for all its stages.
final class StageDefaults: Sendable {
    let executor: YAMLNode?
    let image: YAMLNode?

    init(executor: YAMLNode?, image: YAMLNode?) {
        self.executor = executor
        self.image = image
    }
}

/// What `${matrix.…}`, `${item}` and `${key}` stand for in one variant of a stage.
struct StageLocals: Sendable {
    var matrix: [(key: String, value: YAMLNode)]?
    var item: YAMLNode?
    /// Of a `foreach` over a map.
    var key: YAMLNode?
}

/// A variable of `env:`; without a value it is taken from the caller's environment.
struct EnvironmentSpec: Sendable {
    var name: LocatedText
    var value: YAMLNode?
}
