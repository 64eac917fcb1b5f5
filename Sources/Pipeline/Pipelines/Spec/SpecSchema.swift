package import Basics

/// The JSON Schema (draft 2020-12) of a pipeline's file, as editors use it.
///
/// It describes what the reader accepts, as far as a schema can: places where a reference may stand accept a text with `${`.
package struct SpecSchema: Sendable {
    private let steps: StepCatalog

    package init(steps: StepCatalog) { self.steps = steps }

    package var json: JSONValue {
        [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "mlops pipeline",
            "type": "object",
            "additionalProperties": false,
            "required": ["version"],
            "anyOf": [["required": ["stages"]], ["required": ["include"]]],
            "properties": .object(top),
            "$defs": .object(definitions),
        ]
    }

    private func text(_ description: String) -> JSONValue { ["type": "string", "description": .string(description)] }

    private func list(_ items: JSONValue, _ description: String) -> JSONValue {
        ["type": "array", "items": items, "description": .string(description)]
    }

    private func flag(_ description: String) -> JSONValue {
        ["type": "boolean", "description": .string(description)]
    }

    private func reference(_ definition: String, _ description: String) -> JSONValue {
        ["$ref": .string("#/$defs/\(definition)"), "description": .string(description)]
    }

    private func object(_ properties: [String: JSONValue], required: [JSONValue] = []) -> JSONValue {
        var members: [String: JSONValue] = [
            "type": "object", "additionalProperties": false, "properties": .object(properties),
        ]
        if !required.isEmpty { members["required"] = .array(required) }
        return .object(members)
    }

    /// `schema`, or a text with a reference.
    private func orReference(_ schema: JSONValue) -> JSONValue { ["anyOf": [schema, ["$ref": "#/$defs/reference"]]] }

    // MARK: Top

    private var top: [String: JSONValue] {
        [
            "version": ["const": 1, "description": "the number of the language"],
            "name": reference("name", "the pipeline's name, in records and in the cache"),
            "params": list(["type": "string"], "files of parameters, YAML or JSON"),
            "include": list(["type": "string"], "files whose stages and parameters are added"),
            "executor": reference("executor", "what starts the stages of this file that name none themselves"),
            "image": text("the container image of the stages of this file that name none themselves"),
            "resources": reference("resources", "what all running stages together may take"),
            "secrets": object(["file": text("a file of NAME=value lines, mode 0600")], required: ["file"]),
            "stages": [
                "type": "object", "minProperties": 1, "description": "the stages by name",
                "propertyNames": ["$ref": "#/$defs/name"], "additionalProperties": ["$ref": "#/$defs/stage"],
            ],
        ]
    }

    // MARK: Stage

    private var stage: [String: JSONValue] {
        [
            "run": [
                "description": "a program and its arguments, or a line for the shell",
                "oneOf": [
                    ["type": "string", "minLength": 1],
                    ["type": "array", "minItems": 1, "items": ["type": ["string", "number", "boolean"]]],
                ],
            ],
            "uses": ["description": "a built-in step", "anyOf": .array(stepNames)],
            "with": ["type": ["object", "string"], "description": "the parameters of the step"],
            "params": list(["type": "string"], "parameters that the command reads on its own"),
            "deps": list(["type": "string"], "files and folders that the stage reads"),
            "outs": list(["$ref": "#/$defs/output"], "files and folders that the stage writes"),
            "metrics": list(["$ref": "#/$defs/output"], "JSON files of numbers that the stage writes"),
            "needs": list(["type": "string"], "stages, or outputs of stages, that must be done before"),
            "env": reference("environment", "environment variables that count in the fingerprint"),
            "secrets": list(["$ref": "#/$defs/variable"], "secrets that the stage finds in its environment"),
            "if": [
                "type": ["string", "boolean"], "description": "a condition; where it is false the stage is skipped",
            ],
            "matrix": reference("matrix", "makes a stage of each combination of values"),
            "foreach": [
                "type": ["array", "object", "string"], "description": "makes a stage of each item of a list or a map",
            ],
            "timeout": [
                "type": ["string", "number"], "description": "the longest that the stage may run: 90s, 10m, 1h30m",
            ],
            "retries": reference("retries", "how often, and after what, a failed stage starts again"),
            "resources": reference("resources", "what the stage takes while it runs"),
            "executor": reference("executor", "what starts the stage: local or slurm"),
            "image": text("the container image that the stage runs in"),
            "always": flag("run even if a stage before it failed, refused or was skipped"),
            "frozen": flag("never run; what the stage wrote stands as it is"),
            "always_changed": flag("run again even if nothing changed"),
            "desc": text("one line for people"),
        ]
    }

    private var stepNames: [JSONValue] {
        guard !steps.steps.isEmpty else { return [["type": "string"]] }
        return steps.steps.map { step -> JSONValue in
            ["const": .string(step.name), "description": .string(step.summary)]
        }
    }

    // MARK: Definitions

    private var definitions: [String: JSONValue] {
        [
            "name": ["type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"],
            "variable": ["type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"],
            "reference": ["type": "string", "pattern": "\\$\\{[^}]+\\}"],
            "stage": stageDefinition,
            "output": output,
            "environment": environment,
            "matrix": matrix,
            "retries": retries,
            "resources": resources,
            "executor": executor,
        ]
    }

    private var stageDefinition: JSONValue {
        guard case .object(var members) = object(stage) else { return object(stage) }
        members["oneOf"] = [["required": ["run"]], ["required": ["uses"]]]
        members["dependentRequired"] = ["with": ["uses"]]
        let parameters = steps.steps.map { step -> JSONValue in
            let isStep: JSONValue = ["properties": ["uses": ["const": .string(step.name)]], "required": ["uses"]]
            return ["if": isStep, "then": ["properties": ["with": self.orReference(self.parameters(of: step))]]]
        }
        members["allOf"] = .array(parameters)
        return .object(members)
    }

    private func parameters(of step: any BuiltInStep) -> JSONValue {
        let properties = step.parameters.map { ($0.name, schema(of: $0)) }
        let required = step.parameters.filter(\.isRequired).map { JSONValue.string($0.name) }
        return object(Dictionary(properties, uniquingKeysWith: { $1 }), required: required)
    }

    private func schema(of parameter: StepParameter) -> JSONValue {
        var members: [String: JSONValue] = ["description": .string(parameter.documentation)]
        if let value = parameter.defaultValue { members["default"] = value }
        let type: JSONValue? =
            switch parameter.kind {
            case .string: "string"
            case .int: "integer"
            case .double: "number"
            case .bool: "boolean"
            case .list: "array"
            case .map: "object"
            case .any: nil
            }
        guard let type else { return .object(members) }
        var value: [String: JSONValue] = ["type": type]
        if !parameter.choices.isEmpty { value["enum"] = .array(parameter.choices.map(JSONValue.string)) }
        members["anyOf"] = [.object(value), ["$ref": "#/$defs/reference"]]
        return .object(members)
    }

    private var output: JSONValue {
        [
            "oneOf": [
                ["type": "string", "minLength": 1],
                object(
                    [
                        "path": text("the file or folder"),
                        "cache": flag("whether the content goes into the store; true by default"),
                        "persist": flag("whether it is left where it is when the stage runs again"),
                    ], required: ["path"]),
            ]
        ]
    }

    private var environment: JSONValue {
        [
            "oneOf": [
                ["type": "array", "items": ["$ref": "#/$defs/variable"]],
                [
                    "type": "object", "propertyNames": ["$ref": "#/$defs/variable"],
                    "additionalProperties": ["type": ["string", "number", "boolean", "null"]],
                ],
            ]
        ]
    }

    private var matrix: JSONValue {
        let combinations: JSONValue = ["type": "array", "items": ["type": "object", "minProperties": 1]]
        return orReference([
            "type": "object",
            "properties": ["include": combinations, "exclude": combinations],
            "propertyNames": ["$ref": "#/$defs/name"],
            "additionalProperties": orReference(["type": "array", "minItems": 1]),
        ])
    }

    private var retries: JSONValue {
        let count: JSONValue = ["type": "integer", "minimum": 0, "maximum": 100]
        let cause: JSONValue = [
            "oneOf": [["enum": ["timeout", "signal"]], ["type": "integer", "minimum": 1, "maximum": 255]]
        ]
        return [
            "anyOf": [
                count, ["$ref": "#/$defs/reference"],
                object(
                    [
                        "max": orReference(count), "on": ["type": "array", "items": cause],
                        "delay": ["type": ["string", "number"]],
                        "backoff": orReference(["type": "number", "minimum": 1, "maximum": 100]),
                    ], required: ["max"]),
            ]
        ]
    }

    private var resources: JSONValue {
        [
            "type": "object",
            "properties": [
                "cpus": orReference(["type": "number", "exclusiveMinimum": 0]),
                "memory": ["type": ["string", "integer"]],
                "gpus": orReference(["type": "integer", "minimum": 0]),
            ],
            "propertyNames": ["$ref": "#/$defs/name"],
            "additionalProperties": orReference(["type": "integer", "minimum": 0]),
        ]
    }

    private var executor: JSONValue {
        let names = Executor.Name.allCases
        let options = names.map { name -> (String, JSONValue) in
            let properties = Executor.options(of: name).map { ($0.name, schema(of: $0)) }
            let value = object(Dictionary(properties, uniquingKeysWith: { $1 }))
            return (name.rawValue, ["anyOf": [["type": "null"], value]])
        }
        guard case .object(var map) = object(Dictionary(options, uniquingKeysWith: { $1 })) else { return [:] }
        (map["minProperties"], map["maxProperties"]) = (1, 1)
        let known: JSONValue = ["enum": .array(names.map { JSONValue.string($0.rawValue) })]
        return orReference(["oneOf": [known, .object(map)]])
    }
}
