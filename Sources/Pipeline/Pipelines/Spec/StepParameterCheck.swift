internal import Basics

/// Checks a stage's `with` against what its step declares.
struct StepParameterCheck {
    var step: any BuiltInStep
    var stage: StageSpec

    /// The values with defaults filled in, and all errors.
    func check(_ node: YAMLNode?) -> (with: JSONValue, errors: [MLOpsError]) {
        var diagnostics = Diagnostics()
        let location = node?.location ?? stage.uses?.location ?? stage.location
        var map = YAMLMap(entries: [], location: location)
        if let node, !node.isNull {
            guard case .map(let entries) = node.content else {
                return ([:], [node.expected("a map of parameters of step `\(step.name)`")])
            }
            map.entries = entries
        }
        let names = step.parameters.map(\.name)
        diagnostics.add(map.unknownKeys(names, of: "`with` of step `\(step.name)`"))
        // A key that is only misspelt is told once, as such, and not as missing, too.
        let misspelt = Set(map.keys.filter { !names.contains($0) }.compactMap { nearestName(to: $0, among: names) })
        var with: [String: JSONValue] = [:]
        for parameter in step.parameters {
            if let value = map.value(parameter.name) {
                diagnostics.attempt {
                    with[parameter.name] = try StepParameterCheck.checked(value, parameter, of: "step `\(step.name)`")
                }
            } else if parameter.isRequired, !misspelt.contains(parameter.name) {
                diagnostics.add(
                    MLOpsError(
                        .usage, "step `\(step.name)` of stage `\(stage.name)` needs `\(parameter.name)`",
                        hint: "add `\(parameter.name):` to `with`; it is \(parameter.documentation)", at: location))
            } else if !parameter.isRequired, let value = parameter.defaultValue {
                with[parameter.name] = value
            }
        }
        return (.object(with), diagnostics.errors)
    }

    /// The value of `node`, which must be of the parameter's kind.
    ///
    /// - Parameter owner: what the parameter belongs to, for the hint.
    static func checked(_ node: YAMLNode, _ parameter: StepParameter, of owner: String) throws -> JSONValue {
        let hint = "`\(parameter.name)` of \(owner) is \(parameter.documentation)"
        let fits: Bool
        let expected: String
        switch (parameter.kind, node.content) {
        case (.string, let content):
            expected = "a text"
            if case .string = content { fits = true } else { fits = false }
        case (.int, let content):
            expected = "a whole number"
            if case .int = content { fits = true } else { fits = false }
        case (.double, let content):
            expected = "a number"
            switch content {
            case .int: fits = true
            case .double(let value): fits = value.isFinite
            default: fits = false
            }
        case (.bool, let content):
            expected = "`true` or `false`"
            if case .bool = content { fits = true } else { fits = false }
        case (.list, let content):
            expected = "a list"
            if case .list = content { fits = true } else { fits = false }
        case (.map, let content):
            expected = "a map"
            if case .map = content { fits = true } else { fits = false }
        case (.any, _):
            expected = "a value"
            fits = true
        }
        guard fits else { throw node.expected("\(expected) for `\(parameter.name)`", hint: hint) }
        if !parameter.choices.isEmpty, case .string(let value) = node.content, !parameter.choices.contains(value) {
            let all = parameter.choices.map { "`\($0)`" }.joined(separator: ", ")
            let near = nearestName(to: value, among: parameter.choices)
            throw node.expected(
                "one of \(all) for `\(parameter.name)`", hint: near.map { "did you mean `\($0)`?" } ?? hint)
        }
        return node.toJSON()
    }
}
