internal import Basics

/// Interpolates each stage of a spec, checks its `with`, asks its step for a plan.
struct StageBuilder {
    private let source: PipelineSource
    private let spec: PipelineSpec
    private let interpolation: Interpolation
    private(set) var diagnostics = Diagnostics()

    /// A stage between interpolation and planning.
    private struct Draft {
        var spec: StageSpec
        var action: Stage.Action
        var with: JSONValue
        var used: Set<String>
    }

    init(source: PipelineSource, spec: PipelineSpec, interpolation: Interpolation) {
        self.source = source
        self.spec = spec
        self.interpolation = interpolation
    }

    /// The stages without those whose errors leave nothing to run.
    mutating func stages() -> [Stage] {
        var drafts: [Draft] = []
        for stage in spec.stages {
            if let draft = draft(stage) { drafts.append(draft) } else { checkRest(of: stage) }
        }
        let outlines = drafts.map { draft in
            var uses: String?
            if case .step(let name, _) = draft.action { uses = name }
            return StageOutline(name: draft.spec.name, uses: uses, with: draft.with)
        }
        return drafts.compactMap { stage(of: $0, outlines) }
    }

    /// Collects the errors in the other keys of a stage whose action is wrong already.
    private mutating func checkRest(of spec: StageSpec) {
        var used: Set<String> = []
        for nodes in [spec.deps, spec.outs, spec.metrics] { _ = paths(nodes, &used) }
        _ = environment(spec.env, &used)
        _ = timeout(spec.timeout, &used)
        _ = namedParameters(spec.params)
    }

    // MARK: Action and parameters of the step

    private mutating func draft(_ spec: StageSpec) -> Draft? {
        var used: Set<String> = []
        if let uses = spec.uses, spec.run == nil {
            guard let step = source.steps[uses.text] else {
                let near = nearestName(to: uses.text, among: source.steps.names)
                let all = source.steps.names.map { "`\($0)`" }.joined(separator: ", ")
                diagnostics.add(
                    MLOpsError(
                        .usage, "there is no step `\(printable(shortened(uses.text)))`",
                        hint: near.map { "did you mean `\($0)`?" } ?? "the steps are \(all)", at: uses.location))
                return nil
            }
            var node: YAMLNode?
            if let with = spec.with {
                node = diagnostics.attempt { try interpolation.resolve(with, used: &used) }
                if node == nil { return nil }
            }
            let (with, errors) = StepParameterCheck(step: step, stage: spec).check(node)
            diagnostics.add(errors)
            guard errors.isEmpty else { return nil }
            return Draft(spec: spec, action: .step(name: step.name, version: step.version), with: with, used: used)
        }
        guard let run = spec.run, spec.uses == nil,
            let action = diagnostics.attempt({ try interpolation.command(run, used: &used) })
        else {
            return nil
        }
        return Draft(spec: spec, action: action, with: [:], used: used)
    }

    // MARK: Paths and plan

    private mutating func stage(of draft: Draft, _ outlines: [StageOutline]) -> Stage? {
        let spec = draft.spec
        var used = draft.used
        let deps = paths(spec.deps, &used)
        let outs = paths(spec.outs, &used)
        let metrics = paths(spec.metrics, &used)
        let environment = environment(spec.env, &used)
        let timeout = timeout(spec.timeout, &used)
        let params = namedParameters(spec.params)
        guard let plan = plan(draft, outlines, deps: deps, outs: outs, metrics: metrics) else { return nil }
        let at = spec.uses?.location ?? spec.location
        for artifact in plan.artifacts { diagnostics.attempt(at: at) { _ = try RelativePath(artifact) } }
        let needs =
            spec.needs.map { LocatedName(name: $0.text, location: $0.location) }
            + plan.needs.map { LocatedName(name: $0, location: spec.with?.location ?? at) }
        return Stage(
            name: spec.name, location: spec.location, action: draft.action, with: draft.with,
            deps: union(deps, plan.deps, at: at), artifacts: plan.artifacts, outs: union(outs, plan.outs, at: at),
            metrics: union(metrics, plan.metrics, at: at), needs: needs, environment: environment, timeout: timeout,
            params: params,
            usedParameters: Dictionary(
                used.map { ($0, interpolation.parameters[$0]?.toJSON() ?? .null) }, uniquingKeysWith: { $1 }),
            readsMetrics: plan.readsMetrics, readsEnergy: plan.readsEnergy, hasEffects: plan.hasEffects,
            external: plan.external)
    }

    private mutating func plan(
        _ draft: Draft, _ outlines: [StageOutline], deps: [StagePath], outs: [StagePath], metrics: [StagePath]
    ) -> StepPlan? {
        guard case .step(let name, _) = draft.action, let step = source.steps[name] else { return StepPlan() }
        let planning = StepPlanning(
            root: source.root, pipeline: spec.name, stages: outlines, deps: deps.map(\.path), outs: outs.map(\.path),
            metrics: metrics.map(\.path))
        let place = draft.spec.with?.location ?? draft.spec.uses?.location ?? draft.spec.location
        return diagnostics.attempt(at: place) {
            try step.plan(draft.with, stage: draft.spec.name, environment: planning)
        }
    }

    private mutating func paths(_ nodes: [YAMLNode], _ used: inout Set<String>) -> [StagePath] {
        var paths: [StagePath] = []
        for node in nodes {
            let path = diagnostics.attempt(at: node.location) {
                let text = try interpolation.resolve(node, used: &used).string()
                return StagePath(path: try StageBuilder.checked(text), location: node.location)
            }
            guard let path else { continue }
            if paths.contains(where: { $0.path == path.path }) {
                diagnostics.add(
                    MLOpsError(
                        .usage, "the path `\(printable(path.path))` stands twice in this list",
                        hint: "remove one of them",
                        at: node.location))
            } else {
                paths.append(path)
            }
        }
        return paths
    }

    /// `declared` and what the step adds to it; the step's paths are checked as well, as they come from `with`.
    private mutating func union(
        _ declared: [StagePath], _ planned: [String], at location: SourceLocation
    ) -> [StagePath] {
        var all = declared
        for text in planned {
            guard let path = diagnostics.attempt(at: location, { try StageBuilder.checked(text) }) else { continue }
            if !all.contains(where: { $0.path == path }) { all.append(StagePath(path: path, location: nil)) }
        }
        return all
    }

    /// A path inside the repository; one slash at the end is fine.
    private static func checked(_ text: String) throws -> String {
        try RelativePath(text.count > 1 && text.hasSuffix("/") ? String(text.dropLast()) : text).description
    }

    // MARK: The rest

    private mutating func environment(
        _ variables: [EnvironmentSpec], _ used: inout Set<String>
    ) -> [(
        name: String, value: String?
    )] {
        variables.compactMap { variable in
            guard let node = variable.value else { return (variable.name.text, source.environment[variable.name.text]) }
            return diagnostics.attempt {
                let value = try interpolation.resolve(node, used: &used).scalarText("a text or a number")
                if value.utf8.contains(0) {
                    throw MLOpsError(
                        .usage, "the value of `\(variable.name.text)` contains a NUL byte", at: node.location)
                }
                return (variable.name.text, value)
            }
        }
    }

    private mutating func timeout(_ node: YAMLNode?, _ used: inout Set<String>) -> Duration? {
        guard let node else { return nil }
        return diagnostics.attempt { try StageBuilder.duration(interpolation.resolve(node, used: &used)) }
    }

    private static func duration(_ node: YAMLNode) throws -> Duration {
        let hint = "write a number and a unit: `90s`, `10m`, `1h30m`"
        let text = try node.scalarText("a duration")
        guard text.utf8.first.map({ (0x30...0x39).contains($0) }) ?? false, let timeout = Duration(parsing: text),
            timeout > .zero
        else { throw node.expected("a duration above zero", hint: hint) }
        return timeout
    }

    private mutating func namedParameters(_ names: [LocatedText]) -> [String: JSONValue] {
        var values: [String: JSONValue] = [:]
        for name in names {
            let path = name.text.hasPrefix("params.") ? String(name.text.dropFirst(7)) : name.text
            guard let value = interpolation.parameters[path] else {
                diagnostics.add(interpolation.parameters.unknown(path, option: true, at: name.location))
                continue
            }
            values[path] = value.toJSON()
        }
        return values
    }
}
