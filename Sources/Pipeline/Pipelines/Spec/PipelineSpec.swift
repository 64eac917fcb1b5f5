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
struct StageSpec: Sendable {
    var name: String
    var location: SourceLocation
    var run: YAMLNode?
    var uses: LocatedText?
    var with: YAMLNode?
    var params: [YAMLNode] = []
    var deps: [YAMLNode] = []
    var outs: [YAMLNode] = []
    var metrics: [YAMLNode] = []
    var needs: [YAMLNode] = []
    var env: [EnvironmentSpec] = []
    var secrets: [LocatedText] = []
    var condition: YAMLNode?
    var matrix: YAMLNode?
    var foreach: YAMLNode?
    var timeout: YAMLNode?
    var retries: YAMLNode?
    var resources: YAMLNode?
    /// Its own, else the file's.
    var executor: YAMLNode?
    /// Its own, else the file's.
    var image: YAMLNode?
    var isAlways = false
    var isFrozen = false
    var isAlwaysChanged = false
    var summary: String?

    /// The name that the file gives it: `train` of `train@seed=1`.
    var group: String
    var locals = StageLocals()

    init(name: String, location: SourceLocation) {
        self.name = name
        self.location = location
        group = name
    }

    static let keys = [
        "run", "uses", "with", "params", "deps", "outs", "metrics", "needs", "env", "secrets", "if", "matrix",
        "foreach",
        "timeout", "retries", "resources", "executor", "image", "always", "frozen", "always_changed", "desc",
    ]
    /// Names that mean something else where metrics and energy are listed by stage.
    static let reservedNames = ["energy", "joules", "kwh", "method", "total"]
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
