internal import Basics

/// Everything that a stage's results depend on; equal ingredients give equal results.
///
/// The fingerprint is the SHA-256 of their canonical JSON, described in Documentation/formats/runs.md.
struct Ingredients: Sendable {
    /// Raised when the meaning of a member changes.
    static let format: Int64 = 1

    var json: JSONValue

    var fingerprint: Digest { Digest.of(json.canonicalBytes) }

    /// The parts that the pipeline's file determines; `Lookup` adds what lies on the disk.
    init(_ stage: Stage) {
        var members: [String: JSONValue] = ["format": .int(Ingredients.format)]
        switch stage.action {
        case .shell(let line): members["command"] = ["shell": .string(line)]
        case .command(let arguments): members["command"] = ["arguments": .array(arguments.map(JSONValue.string))]
        case .step(let name, let version):
            members["step"] = ["name": .string(name), "version": .int(Int64(version))]
            members["with"] = stage.with
        }
        if !stage.environment.isEmpty {
            members["env"] = .object(
                Dictionary(
                    stage.environment.map { ($0.name, $0.value.map(JSONValue.string) ?? .null) },
                    uniquingKeysWith: { $1 }))
        }
        if !stage.params.isEmpty { members["params"] = .object(stage.params) }
        members["outs"] = .array(stage.outs.map(\.path).sorted().map(JSONValue.string))
        members["metrics"] = .array(stage.metrics.map(\.path).sorted().map(JSONValue.string))
        members["external"] = stage.external
        // Without outputs two stages with the same command are still two things to do.
        if stage.outputs.isEmpty { members["stage"] = .string(stage.name) }
        json = .object(members)
    }

    init(json: JSONValue) { self.json = json }

    mutating func set(_ key: String, _ value: JSONValue) {
        guard case .object(var members) = json else { return }
        members[key] = value
        json = .object(members)
    }
}

/// Tells what makes two fingerprints of a stage differ.
struct IngredientComparison {
    var old: JSONValue
    var new: JSONValue
    /// Values of the parameters that were put into the stage's keys, then and now.
    var oldParameters: JSONValue
    var newParameters: JSONValue

    /// Both sides as they are read from a file, where `2.0` is the whole number 2.
    init(old: StageCacheEntry, new: Ingredients, parameters: [String: JSONValue]) {
        func read(_ value: JSONValue) -> JSONValue {
            (try? JSONValue(parsing: value.canonicalBytes, source: "ingredients")) ?? value
        }
        self.old = old.ingredients
        self.new = read(new.json)
        oldParameters = .object(old.parameters)
        newParameters = read(.object(parameters))
    }

    /// One reason for each difference, parameters before the keys that they land in.
    func reasons() -> [StageReason] {
        var reasons: [StageReason] = []
        reasons += deepDifferences(oldParameters, newParameters).filter { $0.old != nil && $0.new != nil }
            .map { changed("param", $0.key, "parameter `\($0.key)`", $0.old, $0.new) }
        reasons += leaves("params").map { changed("param", $0.key, "parameter `\($0.key)`", $0.old, $0.new) }
        if old["command"] != new["command"] { reasons.append(StageReason("command", "", command())) }
        if old["executable"] != new["executable"], old["command"] == new["command"] {
            reasons.append(StageReason("executable", "", "the program that it starts changed"))
        }
        if old["step"] != new["step"] { reasons.append(step()) }
        reasons += leaves("with").map { changed("with", $0.key, "`with.\($0.key)`", $0.old, $0.new) }
        reasons += pairs("env").map { StageReason("env", $0.key, "the environment variable `\($0.key)` changed") }
        reasons += pairs("deps").map { pair in
            let text =
                pair.old == nil
                ? "`\(pair.key)` is a new dependency"
                : pair.new == nil ? "`\(pair.key)` is no dependency any more" : "`\(pair.key)` changed"
            return StageReason("dep", pair.key, text)
        }
        reasons += pairs("artifacts").map { StageReason("artifact", $0.key, "the artifact `\($0.key)` changed") }
        if old["outs"] != new["outs"] || old["metrics"] != new["metrics"] {
            reasons.append(StageReason("out", "", "the list of its outputs changed"))
        }
        reasons += upstream()
        if old["external"] != new["external"] {
            reasons.append(StageReason("external", "", "what it compares with outside the pipeline changed"))
        }
        if reasons.isEmpty { reasons.append(StageReason("new", "", "its fingerprint changed")) }
        return reasons
    }

    /// The argument or the line that differs.
    private func command() -> String {
        if let before = old["command"]?["arguments"]?.array, let now = new["command"]?["arguments"]?.array {
            let places = zip(before, now).enumerated().filter { $0.element.0 != $0.element.1 }
            guard before.count == now.count, places.count == 1, let place = places.first else {
                return "its command changed" + (before.count == now.count ? " in \(places.count) arguments" : "")
            }
            let (was, present) = (shown(place.element.0), shown(place.element.1))
            // Long ones that begin alike would look the same.
            let values = was == present ? "" : " from \(was) to \(present)"
            return "argument \(place.offset) of its command changed" + values
        }
        if let before = old["command"]?["shell"]?.string, let now = new["command"]?["shell"]?.string,
            let difference = TextDifference(before, now).sentence
        {
            return "its command changed: " + difference
        }
        return "its command changed"
    }

    private func step() -> StageReason {
        let (name, version) = (new["step"]?["name"]?.string ?? "", new["step"]?["version"]?.integer ?? 0)
        guard old["step"]?["name"]?.string == name, let before = old["step"]?["version"]?.integer else {
            return StageReason("step", name, "it uses another step, `\(name)`")
        }
        return StageReason("step", name, "step `\(name)` is version \(version), was \(before)")
    }

    private func upstream() -> [StageReason] {
        let (before, now) = (old["upstream"], new["upstream"])
        var reasons: [StageReason] = []
        for (kind, text) in [("metrics", "the metrics of"), ("energy", "the energy of")]
        where before?[kind] != now?[kind] {
            let stages = differences(before?[kind], now?[kind]).map(\.key).filter { $0 != "joules" && $0 != "kwh" }
            let names = stages.map { "`\($0)`" }.joined(separator: ", ")
            reasons.append(
                StageReason(
                    kind, stages.joined(separator: ","), "\(text) \(names.isEmpty ? "earlier stages" : names) changed"))
        }
        return reasons
    }

    private func changed(
        _ kind: String, _ key: String, _ what: String, _ old: JSONValue?, _ new: JSONValue?
    ) -> StageReason {
        let text =
            switch (old, new) {
            case (nil, let new?): "\(what) is new: \(shown(new))"
            case (let old?, nil): "\(what) was \(shown(old)) and is gone"
            case (let old?, let new?): "\(what) changed from \(shown(old)) to \(shown(new))"
            case (nil, nil): "\(what) changed"
            }
        return StageReason(kind, key, text)
    }

    private func shown(_ value: JSONValue) -> String { shortened(printable(value.canonicalText), to: 40) }

    private typealias Pair = (key: String, old: JSONValue?, new: JSONValue?)

    private func pairs(_ member: String) -> [Pair] { differences(old[member], new[member]) }

    private func leaves(_ member: String) -> [Pair] { deepDifferences(old[member], new[member]) }

    /// The keys whose values differ, sorted; of maps and lists on both sides the keys inside: `optimizer.lr`, `layers.0`.
    private func deepDifferences(_ old: JSONValue?, _ new: JSONValue?) -> [Pair] {
        differences(old, new).flatMap { pair -> [Pair] in
            let below: [Pair] =
                switch (pair.old, pair.new) {
                case (.object?, .object?): deepDifferences(pair.old, pair.new)
                case (.array(let left)?, .array(let right)?) where left.count == right.count:
                    deepDifferences(numbered(left), numbered(right))
                default: []
                }
            return below.isEmpty ? [pair] : below.map { (key: "\(pair.key).\($0.key)", old: $0.old, new: $0.new) }
        }
    }

    private func numbered(_ items: [JSONValue]) -> JSONValue {
        .object(Dictionary(items.enumerated().map { (String($0), $1) }, uniquingKeysWith: { $1 }))
    }

    /// The keys whose values differ, sorted.
    private func differences(_ old: JSONValue?, _ new: JSONValue?) -> [Pair] {
        let (left, right) = (old?.object ?? [:], new?.object ?? [:])
        return Set(left.keys).union(right.keys).sorted().filter { left[$0] != right[$0] }
            .map { (key: $0, old: left[$0], new: right[$0]) }
    }
}
