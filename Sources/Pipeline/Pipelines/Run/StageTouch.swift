internal import Basics

/// Which stages of a pipeline a change touches.
package struct StageTouch: Sendable {
    /// The commit that the change starts from.
    package var commit: String
    /// Stages that the change touches itself, and why.
    package var stages: [(name: String, reason: String)] = []
    /// They and everything that waits for them, by index, in order.
    package var selected: [Int] = []

    /// - Parameters:
    ///   - files: what changed, relative to the repository's folder.
    ///   - old: the pipeline before the change; nil if it was not there or could not be read.
    ///   - isSpecTouched: whether the spec, what it includes or a file of parameters is among `files`.
    ///   - artifacts: names whose pointers changed.
    package init(
        _ pipeline: Pipeline, commit: String, files: Set<String>, artifacts: Set<String>, old: Pipeline?,
        isSpecTouched: Bool
    ) {
        self.commit = commit
        let before = Dictionary((old?.stages ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var touched: [Int] = []
        for (index, stage) in pipeline.stages.enumerated() {
            var reason = StageTouch.reason(stage, files, artifacts)
            if reason == nil, isSpecTouched { reason = StageTouch.reason(stage, before: before[stage.name], old) }
            guard let reason else { continue }
            stages.append((stage.name, reason))
            touched.append(index)
        }
        selected = StageTouch.downstream(of: touched, in: pipeline.graph)
    }

    private static func reason(_ stage: Stage, _ files: Set<String>, _ artifacts: Set<String>) -> String? {
        if let artifact = stage.artifacts.first(where: { artifacts.contains($0) }) {
            return "the artifact `\(artifact)` changed"
        }
        for dep in stage.deps.map(\.path) {
            if files.contains(dep) { return "`\(dep)` changed" }
            if let file = files.sorted().first(where: { FileSystem.contains(dep, $0) }) { return "`\(file)` changed" }
        }
        return nil
    }

    private static func reason(_ stage: Stage, before: Stage?, _ old: Pipeline?) -> String? {
        guard old != nil else { return "the pipeline is new, or could not be read as it was" }
        guard let before else { return "it is new" }
        let (was, now) = (Ingredients(before), Ingredients(stage))
        // What the fingerprint is made of, and what a text of parameters was put into.
        if was.json != now.json || before.usedParameters != stage.usedParameters {
            return "its spec or parameters changed"
        }
        let same =
            before.deps.map(\.path) == stage.deps.map(\.path) && before.artifacts == stage.artifacts
            && before.needs.map(\.name) == stage.needs.map(\.name)
        return same ? nil : "what it waits for changed"
    }

    private static func downstream(of start: [Int], in graph: StageGraph) -> [Int] {
        var (found, open) = (Set(start), start)
        while let stage = open.popLast() {
            for next in graph.downstream[stage] where found.insert(next).inserted { open.append(next) }
        }
        return found.sorted()
    }
}
