internal import Basics

/// Interpolates each stage of a spec, checks its `with`, asks its step for a plan.
struct StageBuilder {
    let source: PipelineSource
    let spec: PipelineSpec
    /// With the locals of the stage that is being read.
    var interpolation: Interpolation
    var diagnostics = Diagnostics()
    /// What all running stages together may take.
    var limits = Resources()
    /// Bytes that the references of all stages so far stand for.
    private var spentSize = 0

    /// A stage between interpolation and planning.
    private struct Draft {
        var spec: StageSpec
        var condition: StageCondition?
        var action: Stage.Action
        var with: JSONValue
        var used: ReferenceUse
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
            if diagnostics.isFull { return [] }
            let condition = enter(stage)
            if let draft = draft(stage, condition) { drafts.append(draft) } else { checkRest(of: stage) }
        }
        let outlines = drafts.map { draft in
            var uses: String?
            if case .step(let name, _) = draft.action { uses = name }
            return StageOutline(name: draft.spec.name, uses: uses, with: draft.with)
        }
        return drafts.compactMap { draft in
            if diagnostics.isFull { return nil }
            enter(draft.spec, draft.condition)
            return stage(of: draft, outlines)
        }
    }

    /// Turns to the keys of `stage`; gives its condition.
    private mutating func enter(_ stage: StageSpec) -> StageCondition? {
        enter(stage, nil)
        guard let node = stage.condition else { return nil }
        let condition = diagnostics.attempt(at: node.location) { try interpolation.condition(node) }
        interpolation.isLenient = condition?.holds == false
        return condition
    }

    private mutating func enter(_ stage: StageSpec, _ condition: StageCondition?) {
        interpolation.locals = stage.locals
        interpolation.isLenient = condition?.holds == false
    }

    /// Collects the errors in the other keys of a stage whose action is wrong already.
    private mutating func checkRest(of spec: StageSpec) {
        var used = ReferenceUse(size: spentSize)
        _ = paths(spec.deps, &used)
        for nodes in [spec.outs, spec.metrics] { _ = outputs(nodes, &used) }
        _ = environment(spec.env, &used)
        _ = settings(spec, &used)
        _ = namedParameters(spec.params, &used)
    }

    // MARK: Action and parameters of the step

    private mutating func draft(_ spec: StageSpec, _ condition: StageCondition?) -> Draft? {
        var used = ReferenceUse(size: spentSize)
        defer { spentSize = max(spentSize, used.size) }
        if let uses = spec.uses, spec.run == nil {
            guard let step = step(uses) else { return nil }
            var node: YAMLNode?
            if let with = spec.with {
                node = diagnostics.attempt { try interpolation.resolve(with, used: &used) }
                if node == nil { return nil }
            }
            let (with, errors) = StepParameterCheck(step: step, stage: spec).check(node)
            diagnostics.add(errors)
            guard errors.isEmpty else { return nil }
            let action = Stage.Action.step(name: step.name, version: step.version)
            return Draft(spec: spec, condition: condition, action: action, with: with, used: used)
        }
        guard let run = spec.run, spec.uses == nil,
            let action = diagnostics.attempt({ try interpolation.command(run, used: &used) })
        else {
            return nil
        }
        return Draft(spec: spec, condition: condition, action: action, with: [:], used: used)
    }

    private mutating func step(_ uses: LocatedText) -> (any BuiltInStep)? {
        if let step = source.steps[uses.text] { return step }
        let near = nearestName(to: uses.text, among: source.steps.names)
        let all = source.steps.names.map { "`\($0)`" }.joined(separator: ", ")
        diagnostics.add(
            MLOpsError(
                .usage, "there is no step `\(printable(shortened(uses.text)))`",
                hint: near.map { "did you mean `\($0)`?" } ?? "the steps are \(all)", at: uses.location))
        return nil
    }

    // MARK: Paths and plan

    private mutating func stage(of draft: Draft, _ outlines: [StageOutline]) -> Stage? {
        let spec = draft.spec
        var used = draft.used
        used.size = spentSize
        defer { spentSize = max(spentSize, used.size) }
        let deps = paths(spec.deps, &used)
        let outs = outputs(spec.outs, &used)
        let metrics = outputs(spec.metrics, &used)
        let environment = environment(spec.env, &used)
        let settings = settings(spec, &used)
        let params = namedParameters(spec.params, &used)
        let named = needs(spec.needs, &used)
        guard let plan = plan(draft, outlines, deps: deps, outs: outs, metrics: metrics) else { return nil }
        let at = spec.uses?.location ?? spec.location
        for artifact in plan.artifacts { diagnostics.attempt(at: at) { _ = try RelativePath(artifact) } }
        let needs = named + plan.needs.map { LocatedName(name: $0, location: spec.with?.location ?? at) }
        var stage = Stage(
            name: spec.name, location: spec.location, action: draft.action, with: draft.with,
            deps: union(deps, plan.deps, at: at), artifacts: plan.artifacts, outs: union(outs, plan.outs, at: at),
            metrics: union(metrics, plan.metrics, at: at), needs: needs, environment: environment,
            timeout: settings.timeout, params: params,
            usedParameters: Dictionary(
                used.parameters.map { ($0, interpolation.parameters[$0]?.toJSON() ?? .null) }, uniquingKeysWith: { $1 }),
            readsMetrics: plan.readsMetrics, readsEnergy: plan.readsEnergy, hasEffects: plan.hasEffects,
            external: plan.external)
        stage.condition = draft.condition
        settings.apply(to: &stage, spec)
        return stage
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

    private mutating func paths(_ nodes: [YAMLNode], _ used: inout ReferenceUse) -> [StagePath] {
        located(nodes, &used) { node in
            StagePath(path: try StageSettingsReader.path(node.string()), location: node.location)
        }
    }

    private mutating func outputs(_ nodes: [YAMLNode], _ used: inout ReferenceUse) -> [StagePath] {
        located(nodes, &used, StageSettingsReader.output)
    }

    private mutating func located(
        _ nodes: [YAMLNode], _ used: inout ReferenceUse, _ read: (YAMLNode) throws -> StagePath
    ) -> [StagePath] {
        var paths: [StagePath] = []
        var seen: Set<String> = []
        for node in nodes where !diagnostics.isFull {
            let path = diagnostics.attempt(at: node.location) {
                let resolved = try interpolation.resolve(node, used: &used)
                return try read(node.hasReference ? resolved.withSingleSlashes : resolved)
            }
            guard let path else { continue }
            if seen.insert(path.path).inserted {
                paths.append(path)
            } else {
                diagnostics.add(
                    MLOpsError(
                        .usage, "the path `\(printable(path.path))` stands twice in this list",
                        hint: "remove one of them",
                        at: node.location))
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
            guard let path = diagnostics.attempt(at: location, { try StageSettingsReader.path(text) }) else { continue }
            if !all.contains(where: { $0.path == path }) { all.append(StagePath(path: path, location: nil)) }
        }
        return all
    }
}
