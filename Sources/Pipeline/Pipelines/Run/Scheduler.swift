/// Which stages may start: a pure state machine, event in, actions out.
///
/// - A stage starts when all that it waits for succeeded, fewer than `width` run, and what it needs is free; of several, the
///   first of the file. One that needs more than there is starts when nothing else runs.
/// - What waits for a stage that did not succeed is skipped, unless it is an `always` stage.
/// - After a failure only `always` stages start, unless `keepsGoing`; after a refusal everything else goes on, so that reports
///   are still written; after an interruption nothing starts.
struct Scheduler: Sendable {
    enum State: Sendable, Hashable { case waiting, running, succeeded, failed, refused, skipped, interrupted }

    enum Outcome: Sendable, Hashable { case succeeded, failed, refused, interrupted }

    enum Event: Sendable, Hashable {
        case finished(Int, Outcome)
        /// The user or the system asked to stop.
        case interrupt
    }

    enum Action: Sendable, Hashable {
        case start(Int)
        case skip(Int, SkipCause)
    }

    enum SkipCause: Sendable, Hashable {
        /// A stage that it waits for did not succeed.
        case upstream(Int)
        /// The run stops after that stage failed.
        case stopped(after: Int)
        /// Its own `if` is false.
        case condition
        case interrupted
    }

    /// What is particular about a stage.
    struct Rule: Sendable {
        /// Whether it runs whatever became of the stages that it waits for.
        var isAlways = false
        /// Whether its `if` is false.
        var isExcluded = false
        /// Whether it runs elsewhere, so that it takes nothing of this machine.
        var isRemote = false
        /// What it takes while it runs.
        var need = ResourceNeed()
    }

    private let graph: StageGraph
    private let width: Int
    private let remoteWidth: Int
    private let keepsGoing: Bool
    private let rules: [Int: Rule]
    private let hasRemote: Bool
    private(set) var states: [State]
    private var missing: [Int]
    private var ready = LowestFirst()
    private var budget: ResourceBudget
    private var localCount = 0
    private var remoteCount = 0
    private var unfinishedCount: Int
    private var stoppedBy: SkipCause?

    /// - Parameters:
    ///   - selected: the stages to run, closed under `upstream`; others count as done.
    ///   - remoteWidth: as `width`, for stages that run elsewhere.
    ///   - rules: of the stages that have any.
    init(
        graph: StageGraph, selected: Set<Int>, width: Int, remoteWidth: Int = .max, keepsGoing: Bool,
        rules: [Int: Rule] = [:], capacity: ResourceNeed = ResourceNeed()
    ) {
        precondition(width > 0, "width must be at least 1, not \(width)")
        self.graph = graph
        self.width = width
        self.remoteWidth = remoteWidth
        self.keepsGoing = keepsGoing
        self.rules = rules
        hasRemote = rules.values.contains(where: \.isRemote)
        budget = ResourceBudget(capacity: capacity)
        states = graph.names.indices.map { selected.contains($0) ? .waiting : .succeeded }
        missing = graph.upstream.map { $0.count { selected.contains($0) } }
        unfinishedCount = selected.count
        for stage in selected where missing[stage] == 0 { ready.insert(stage) }
    }

    /// Whether every stage has ended.
    var isDone: Bool { unfinishedCount == 0 }

    /// The stages that start first, and those that will never start.
    mutating func begin() -> [Action] {
        var actions: [Action] = []
        for stage in rules.keys.sorted() where rule(stage).isExcluded && states[stage] == .waiting {
            actions.append(skip(stage, .condition))
            actions += release(after: stage)
        }
        return actions + startReady()
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .finished(let stage, let outcome): finish(stage, outcome)
        case .interrupt: stop(because: .interrupted)
        }
    }

    private func rule(_ stage: Int) -> Rule { rules[stage] ?? Rule() }

    private mutating func finish(_ stage: Int, _ outcome: Outcome) -> [Action] {
        precondition(states[stage] == .running, "stage \(stage) ended, but was \(states[stage])")
        free(stage)
        unfinishedCount -= 1
        var actions: [Action] = []
        switch outcome {
        case .succeeded:
            states[stage] = .succeeded
            actions = release(after: stage)
        case .failed:
            states[stage] = .failed
            actions = release(after: stage)
            // What always runs fails for itself: it stops nothing that was not stopped before.
            if !keepsGoing { actions += stop(because: .stopped(after: stage)) }
        case .refused:
            states[stage] = .refused
            actions = release(after: stage)
        case .interrupted:
            states[stage] = .interrupted
            actions = release(after: stage) + stop(because: .interrupted)
        }
        return actions + startReady()
    }

    // MARK: Starting

    private mutating func startReady() -> [Action] {
        var actions: [Action] = []
        var passed: [Int] = []
        while localCount < width || (hasRemote && remoteCount < remoteWidth), let stage = ready.popLowest() {
            guard states[stage] == .waiting else { continue }
            guard mayStart(stage) else {
                passed.append(stage)
                continue
            }
            states[stage] = .running
            take(stage)
            actions.append(.start(stage))
        }
        for stage in passed { ready.insert(stage) }
        return actions
    }

    private func mayStart(_ stage: Int) -> Bool {
        let rule = rule(stage)
        guard stoppedBy == nil || rule.isAlways else { return false }
        if rule.isRemote { return remoteCount < remoteWidth }
        return localCount < width && (budget.fits(rule.need) || localCount == 0)
    }

    private mutating func take(_ stage: Int) {
        let rule = rule(stage)
        if rule.isRemote { remoteCount += 1 } else { localCount += 1 }
        if !rule.isRemote { budget.take(rule.need) }
    }

    private mutating func free(_ stage: Int) {
        let rule = rule(stage)
        if rule.isRemote { remoteCount -= 1 } else { localCount -= 1 }
        if !rule.isRemote { budget.free(rule.need) }
    }

    // MARK: Ending

    /// What a stage that ended means for those that wait for it, and in turn for those that wait for them.
    private mutating func release(after stage: Int) -> [Action] {
        var actions: [Action] = []
        var open = [stage]
        while let source = open.popLast() {
            let isDone = states[source] == .succeeded
            for other in graph.downstream[source] where states[other] == .waiting {
                guard isDone || rule(other).isAlways else {
                    actions.append(skip(other, .upstream(source)))
                    open.append(other)
                    continue
                }
                missing[other] -= 1
                if missing[other] == 0 { ready.insert(other) }
            }
        }
        return actions
    }

    private mutating func stop(because cause: SkipCause) -> [Action] {
        let isFirst = stoppedBy == nil
        stoppedBy = cause == .interrupted ? cause : stoppedBy ?? cause
        guard isFirst || cause == .interrupted else { return [] }
        let stopped = states.indices.filter {
            states[$0] == .waiting && (cause == .interrupted || !rule($0).isAlways)
        }
        return stopped.map { skip($0, cause) } + stopped.flatMap { release(after: $0) }
    }

    private mutating func skip(_ stage: Int, _ cause: SkipCause) -> Action {
        states[stage] = .skipped
        unfinishedCount -= 1
        return .skip(stage, cause)
    }
}
