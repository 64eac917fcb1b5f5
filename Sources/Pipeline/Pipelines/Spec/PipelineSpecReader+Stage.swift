internal import Basics

extension PipelineSpecReader {
    mutating func stage(_ entry: YAMLEntry, _ defaults: StageDefaults) -> StageSpec? {
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
        diagnostics.add(map.unknownKeys(StageSpec.keys, of: "stage `\(name)`"))
        var stage = StageSpec(name: name, location: at, keys: map, defaults: defaults)
        for entry in map.entries where !entry.value.isNull { check(entry, of: &stage) }
        checkAction(stage)
        checkVariants(stage)
        checkSecrets(stage)
        return stage
    }

    /// Collects what is wrong with the kind of a key's value; what may hold references is checked when they are replaced.
    private mutating func check(_ entry: YAMLEntry, of stage: inout StageSpec) {
        let node = entry.value
        switch entry.key {
        case "uses", "desc": _ = text(node)
        case "params": _ = nodes(node, "names of parameters")
        case "deps", "outs", "metrics": _ = nodes(node, "paths")
        case "needs": _ = nodes(node, "stages or outputs")
        case "env": stage.env = environment(node)
        case "secrets":
            stage.secrets = texts(node, "names of secrets")
            for name in stage.secrets where !diagnostics.isFull { checkVariable(name) }
        case "always", "frozen", "always_changed": diagnostics.attempt { _ = try node.bool() }
        default: break
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

    private mutating func checkVariants(_ stage: StageSpec) {
        if stage.matrix != nil, let foreach = stage.foreach {
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(stage.name)` has both `matrix` and `foreach`",
                    hint: "write the list of `foreach` as one more key of `matrix`", at: foreach.location))
        }
        if stage.isFrozen, stage.isAlwaysChanged {
            diagnostics.add(
                MLOpsError(
                    .usage,
                    "stage `\(stage.name)` is `frozen`, which never runs, and `always_changed`, which always does",
                    hint: "keep one of them", at: stage.location))
        }
    }

    private mutating func checkSecrets(_ stage: StageSpec) {
        for secret in stage.secrets {
            guard let variable = stage.env.first(where: { $0.name.text == secret.text }) else { continue }
            diagnostics.add(
                MLOpsError(
                    .usage, "stage `\(stage.name)` names `\(secret.text)` in `secrets` and in `env`",
                    hint: "remove it from `env`, whose values are kept in the cache", at: variable.name.location))
        }
    }

    // MARK: Environment

    private mutating func environment(_ node: YAMLNode) -> [EnvironmentSpec] {
        var variables: [EnvironmentSpec] = []
        switch node.content {
        case .list(let items):
            variables = items.compactMap { text($0) }.map { EnvironmentSpec(name: $0, value: nil) }
        case .map(let entries):
            variables = entries.map {
                EnvironmentSpec(
                    name: LocatedText(text: $0.key, location: $0.keyLocation), value: $0.value.isNull ? nil : $0.value)
            }
        default: diagnostics.add(node.expected("a map of variables or a list of names"))
        }
        for variable in variables where !diagnostics.isFull { checkVariable(variable.name) }
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
}
