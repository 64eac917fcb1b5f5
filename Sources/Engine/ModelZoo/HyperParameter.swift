package import Basics

/// One setting of a recipe: what `with: { config: … }` may hold, checked by `pipeline lint` before anything runs.
package struct HyperParameter: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        case boolean
        case choice([String])
        /// A list of integers, each in the range, at most `maximumCount` of them.
        case integers(ClosedRange<Int>, maximumCount: Int)
    }

    package var name: String
    package var kind: Kind
    package var defaultValue: JSONValue
    /// One line without a full stop.
    package var summary: String

    package init(_ name: String, _ kind: Kind, default defaultValue: JSONValue, _ summary: String) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.summary = summary
    }

    /// What is accepted, in words: `a number in 0...1`.
    package var expectation: String {
        switch kind {
        case .integer(let range): "a whole number in \(range)"
        case .number(let range): "a number in \(Format.number(range.lowerBound))...\(Format.number(range.upperBound))"
        case .boolean: "true or false"
        case .choice(let names): "one of \(names.joined(separator: ", "))"
        case .integers(let range, let count): "a list of at most \(count) whole numbers in \(range)"
        }
    }

    /// Whether `value` is of the kind and in the range.
    package func accepts(_ value: JSONValue) -> Bool {
        switch kind {
        case .integer(let range): value.integer.map(range.contains) ?? false
        case .number(let range): value.number.map(range.contains) ?? false
        case .boolean: value.boolean != nil
        case .choice(let names): value.string.map(names.contains) ?? false
        case .integers(let range, let count):
            value.array.map { items in
                items.count <= count && items.allSatisfy { $0.integer.map(range.contains) ?? false }
            } ?? false
        }
    }
}

/// The settings of one training: every hyper-parameter of the recipe, given or default.
package struct HyperParameters: Hashable, Sendable {
    package let values: [String: JSONValue]

    /// Checks `config` against `declared` and fills in the defaults.
    ///
    /// - Parameter config: an object, or null for all defaults.
    /// - Throws: kind `.usage` naming the recipe, the setting, what was given and what is accepted.
    package init(resolving config: JSONValue, of recipe: String, declared: [HyperParameter]) throws {
        var values = Dictionary(uniqueKeysWithValues: declared.map { ($0.name, $0.defaultValue) })
        guard config == .null || config.object != nil else {
            throw MLOpsError(.usage, "the config of recipe `\(recipe)` is not a map of settings")
        }
        for (name, value) in (config.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let parameter = declared.first(where: { $0.name == name }) else {
                let names = declared.map(\.name)
                throw MLOpsError(
                    .usage, "recipe `\(recipe)` has no setting `\(printable(name))`",
                    hint: nearestName(to: name, among: names).map { "did you mean `\($0)`?" }
                        ?? "it has \(names.joined(separator: ", "))")
            }
            guard parameter.accepts(value) else {
                throw MLOpsError(
                    .usage,
                    "setting `\(name)` of recipe `\(recipe)` is \(value.canonicalText), expected \(parameter.expectation)",
                    hint: "\(name): \(parameter.summary); default \(parameter.defaultValue.canonicalText)")
            }
            values[name] = value
        }
        self.values = values
    }

    package var json: JSONValue { .object(values) }

    package func integer(_ name: String) -> Int { values[name]?.integer ?? 0 }
    package func number(_ name: String) -> Double { values[name]?.number ?? 0 }
    package func boolean(_ name: String) -> Bool { values[name]?.boolean ?? false }
    package func text(_ name: String) -> String { values[name]?.string ?? "" }
    package func integers(_ name: String) -> [Int] { (values[name]?.array ?? []).compactMap(\.integer) }
}
