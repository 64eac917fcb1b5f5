internal import Basics

/// Makes one stage of each combination of a `matrix` and of each item of a `foreach`.
struct StageExpansion {
    /// Stages of one pipeline, at most.
    static let stageLimit = 50_000

    let interpolation: Interpolation
    private(set) var diagnostics = Diagnostics()
    private var count = 0

    init(_ interpolation: Interpolation) { self.interpolation = interpolation }

    /// The variants of every stage, in the order of the file; a stage without `matrix` and `foreach` is its own.
    mutating func expand(_ stages: [StageSpec]) -> [StageSpec] {
        var all: [StageSpec] = []
        all.reserveCapacity(min(stages.count, StageExpansion.stageLimit))
        let reader = self
        for stage in stages {
            if diagnostics.isFull { return [] }
            let expanded = diagnostics.attempt(at: stage.location) { try reader.variants(of: stage) } ?? []
            count += expanded.count
            guard count <= StageExpansion.stageLimit else {
                diagnostics.add(tooMany(count, at: stage.location))
                return all
            }
            all += expanded
        }
        return all
    }

    private func variants(of stage: StageSpec) throws -> [StageSpec] {
        if let matrix = stage.matrix {
            return try named(try combinations(matrix, stage.name), of: stage, at: matrix.location)
        }
        if let foreach = stage.foreach {
            return try named(try items(foreach, stage.name), of: stage, at: foreach.location)
        }
        return [stage]
    }

    private struct Variant {
        var suffix: String
        var locals: StageLocals
    }

    private func named(
        _ variants: [Variant], of stage: StageSpec, at location: SourceLocation
    ) throws -> [StageSpec] {
        var seen: Set<String> = []
        let stage = stage.withoutVariants
        return try variants.map { variant in
            var copy = stage
            copy.name = StageExpansion.name(stage.name, variant.suffix)
            copy.locals = variant.locals
            guard seen.insert(copy.name).inserted else {
                throw MLOpsError(
                    .usage, "two variants of stage `\(stage.name)` would both be called `\(copy.name)`",
                    hint: "give each combination values of its own", at: location)
            }
            return copy
        }
    }

    private func tooMany(_ count: Int, at location: SourceLocation) -> MLOpsError {
        MLOpsError(
            .usage, "the pipeline has \(count) stages, the limit is \(StageExpansion.stageLimit)",
            hint: "split it, or let one stage do several combinations", at: location)
    }

    // MARK: Names

    private static func name(_ stage: String, _ suffix: String) -> String {
        let name = "\(stage)@\(suffix)"
        // File names end at 255 bytes; the log's has four more.
        return name.utf8.count <= 180 ? name : "\(name.prefix(150))-\(Digest.of(suffix).hex.prefix(12))"
    }

    /// A scalar as it stands in a stage's name: what is no letter, digit, `.`, `_`, `+` or `-` becomes `_`; for a list or a
    /// map its number in the list.
    private static func label(_ value: YAMLNode, _ index: Int) -> String {
        switch value.content {
        case .list, .map: "\(index)"
        case .null: "null"
        default:
            String(
                value.text.map { character in
                    guard character.isASCII, character.isLetter || character.isNumber || "._+-".contains(character)
                    else { return "_" }
                    return character
                })
        }
    }

    // MARK: foreach

    private func items(_ node: YAMLNode, _ stage: String) throws -> [Variant] {
        var used = ReferenceUse()
        let list = try interpolation.resolve(node, used: &used)
        let variants: [Variant]
        switch list.content {
        case .list(let items):
            try checkCount(items.count, at: node.location)
            variants = items.enumerated().map { index, item in
                Variant(suffix: StageExpansion.label(item, index), locals: StageLocals(item: item))
            }
        case .map(let entries):
            try checkCount(entries.count, at: node.location)
            variants = entries.map { entry in
                let key = YAMLNode(.string(entry.key), at: entry.keyLocation, text: entry.key)
                return Variant(
                    suffix: StageExpansion.label(key, 0), locals: StageLocals(item: entry.value, key: key))
            }
        default: throw list.expected("a list or a map for `foreach`", hint: "write `foreach: [a, b]`")
        }
        guard !variants.isEmpty else {
            throw MLOpsError(
                .usage, "the `foreach` of stage `\(stage)` is empty, so it stands for no stage",
                hint: "give it an item; `if: false` leaves a stage out", at: node.location)
        }
        return variants
    }

    /// - Throws: if so many variants alone are too many, before they are made.
    private func checkCount(_ count: Int, at location: SourceLocation) throws {
        if count > StageExpansion.stageLimit { throw tooMany(count, at: location) }
    }

    // MARK: matrix

    private typealias Combination = [(key: String, value: YAMLNode, index: Int)]

    private func combinations(_ node: YAMLNode, _ stage: String) throws -> [Variant] {
        var used = ReferenceUse()
        let resolved = try interpolation.resolve(node, used: &used)
        guard case .map(let entries) = resolved.content else {
            throw resolved.expected("a map of lists for `matrix`", hint: "write `matrix: { seed: [1, 2, 3] }`")
        }
        var axes: [(key: String, values: [YAMLNode])] = []
        for entry in entries where entry.key != "include" && entry.key != "exclude" {
            _ = try PipelineSpecReader.name(entry.key, of: "key of `matrix`", at: entry.keyLocation)
            guard case .list(let values) = entry.value.content else {
                throw entry.value.expected("a list of values for `\(entry.key)`", hint: "write `\(entry.key): […]`")
            }
            axes.append((entry.key, values))
        }
        let map = YAMLMap(entries: entries, location: resolved.location)
        var all = try product(axes, at: node.location)
        for pattern in try patterns(map.value("exclude"), "exclude", known: axes.map(\.key)) {
            all.removeAll { combination in StageExpansion.matches(combination, pattern) }
        }
        var variants = all.map { combination in
            (suffix: suffix(of: combination), locals: combination, keys: Set(combination.map(\.key)))
        }
        for pattern in try patterns(map.value("include"), "include", known: nil) { include(pattern, into: &variants) }
        guard !variants.isEmpty else {
            throw MLOpsError(
                .usage, "the matrix of stage `\(stage)` has no combinations, so it stands for no stage",
                hint: "check its lists and `exclude`; `if: false` leaves a stage out", at: node.location)
        }
        return variants.map { variant in
            Variant(
                suffix: variant.suffix,
                locals: StageLocals(matrix: variant.locals.map { (key: $0.key, value: $0.value) }))
        }
    }

    private func product(
        _ axes: [(key: String, values: [YAMLNode])], at location: SourceLocation
    ) throws -> [Combination] {
        guard !axes.isEmpty else { return [] }
        var total = 1
        for axis in axes {
            total *= axis.values.count
            guard total <= StageExpansion.stageLimit else { throw tooMany(total, at: location) }
        }
        var all: [Combination] = [[]]
        for axis in axes {
            all = all.flatMap { combination in
                axis.values.enumerated().map { combination + [(key: axis.key, value: $1, index: $0)] }
            }
        }
        return all
    }

    private func patterns(_ node: YAMLNode?, _ key: String, known: [String]?) throws -> [[YAMLEntry]] {
        guard let node else { return [] }
        guard case .list(let items) = node.content else {
            throw node.expected("a list of combinations for `\(key)`", hint: "write `\(key): [ { seed: 1 } ]`")
        }
        return try items.map { item in
            guard case .map(let entries) = item.content, !entries.isEmpty else {
                throw item.expected("a map of values in `\(key)`")
            }
            let map = YAMLMap(entries: entries, location: item.location)
            if let known { try map.rejectUnknownKeys(known, of: "`\(key)`") }
            for entry in entries {
                _ = try PipelineSpecReader.name(entry.key, of: "key of `matrix`", at: entry.keyLocation)
            }
            return entries
        }
    }

    private static func matches(_ combination: Combination, _ pattern: [YAMLEntry]) -> Bool {
        pattern.allSatisfy { wanted in
            combination.contains { $0.key == wanted.key && $0.value.toJSON() == wanted.value.toJSON() }
        }
    }

    /// As GitHub has it: an entry is added to each combination of the lists whose values it does not contradict; one that
    /// contradicts all of them, or names no key of the lists, becomes a combination of its own.
    private func include(
        _ pattern: [YAMLEntry],
        into variants: inout [(suffix: String, locals: Combination, keys: Set<String>)]
    ) {
        var isAdded = false
        for index in variants.indices where !variants[index].keys.isEmpty {
            let original = variants[index].locals.filter { variants[index].keys.contains($0.key) }
            let shared = pattern.filter { variants[index].keys.contains($0.key) }
            guard StageExpansion.matches(original, shared) else { continue }
            for entry in pattern where !variants[index].keys.contains(entry.key) {
                variants[index].locals.removeAll { $0.key == entry.key }
                variants[index].locals.append((entry.key, entry.value, 0))
            }
            isAdded = true
        }
        guard !isAdded else { return }
        let combination = pattern.map { (key: $0.key, value: $0.value, index: variants.count) }
        variants.append((suffix(of: combination), combination, []))
    }

    private func suffix(of combination: Combination) -> String {
        combination.map { "\($0.key)=\(StageExpansion.label($0.value, $0.index))" }.joined(separator: ",")
    }
}
