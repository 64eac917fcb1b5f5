internal import Basics

extension Interpolation {
    /// Whether `node`, the value of an `if:`, lets the stage run.
    func condition(_ node: YAMLNode) throws -> StageCondition {
        if case .bool(let value) = node.content { return StageCondition(text: "\(value)", holds: value, values: []) }
        guard case .string(let text) = node.content else {
            throw node.expected("a condition", hint: "write for example `if: ${git.branch} == \"main\"`")
        }
        do {
            let expression = try ExpressionParser.parse(text)
            var values: [String: ExpressionValue] = [:]
            var shown: [String] = []
            for name in expression.references where values[name] == nil {
                values[name] = try conditionValue(of: name, at: node.location)
                shown.append("${\(name)} is \(values[name] ?? .null)")
            }
            let result = try expression.evaluate(values)
            guard case .bool(let holds) = result else {
                throw ExpressionFault(
                    "it gives \(result.summary), neither true nor false", hint: "compare it, as in `… == \"main\"`")
            }
            return StageCondition(text: text, holds: holds, values: shown)
        } catch let fault as ExpressionFault {
            throw MLOpsError(
                .usage, "the condition `\(printable(shortened(text)))` is wrong: \(fault.message)", hint: fault.hint,
                at: node.location)
        }
    }

    /// The value of a reference; null for a variable that is not set and a branch or a commit that is not there.
    private func conditionValue(of name: String, at location: SourceLocation) throws -> ExpressionValue {
        var used = ReferenceUse()
        let node = try value(of: name, at: location, allowsUnset: true, used: &used)
        guard let value = ExpressionValue(node) else {
            throw ExpressionFault(
                "`${\(name)}` is \(node.summary), which cannot be compared", hint: "name one of its values")
        }
        return value
    }
}
