/// Which stages may start: a pure state machine, event in, actions out.
///
/// - A stage starts when all that it waits for succeeded, fewer than `width` run, and what it needs is free; of several, the
///   first of the file. One that needs more than there is starts when nothing else runs.
/// - What waits for a stage that did not succeed is skipped, unless it is an `always` stage.
/// - After a failure only `always` stages start, unless `keepsGoing`; after a refusal everything else goes on, so that reports
///   are still written; after an interruption nothing starts.
/// - A stage that runs elsewhere is expected there as soon as each that it waits for has succeeded or is in the queue there
///   itself. It takes a place of `remoteWidth`, but gives it up to one that may start.
struct Scheduler: Sendable {
    enum State: Sendable, Hashable { case waiting, running, succeeded, failed, refused, skipped, interrupted }

    enum Outcome: Sendable, Hashable { case succeeded, failed, refused, interrupted }

    enum Event: Sendable, Hashable {
        case finished(Int, Outcome)
        /// It came into the queue of the place where it runs: when it was expected, when it started, or as another attempt.
        case queued(Int)
        /// It was to be expected, but its place does not take it.
        case declined(Int)
        /// The user or the system asked to stop.
        case interrupt
    }

    enum Action: Sendable, Hashable {
        case start(Int)
        /// It is to be put into the queue where it runs, behind those stages.
        case expect(Int, behind: [Int])
        /// It is to be taken out of that queue. What was put behind it is taken out first.
        case withdraw(Int)
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
        /// Whether it may be in the queue there before it may start.
        var canBeExpected = false
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
    /// Stages that are in the queue where they run, or run there.
    private var queued: Set<Int> = []
    /// Stages that are to be in that queue although they wait.
    private var expected: Set<Int> = []
    private var declined: Set<Int> = []

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
            actions += skip(stage, .condition)
            actions += release(after: stage)
        }
        return actions + startReady()
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .finished(let stage, let outcome): finish(stage, outcome)
        case .interrupt: stop(because: .interrupted)
        case .queued(let stage): note(queued: stage)
        case .declined(let stage): note(declined: stage)
        }
    }

    private func rule(_ stage: Int) -> Rule { rules[stage] ?? Rule() }

    private mutating func finish(_ stage: Int, _ outcome: Outcome) -> [Action] {
        precondition(states[stage] == .running, "stage \(stage) ended, but was \(states[stage])")
        free(stage)
        queued.remove(stage)
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
        return actions + startReady() + expectMore()
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
            expected.remove(stage)
            take(stage)
            actions.append(.start(stage))
        }
        for stage in passed { ready.insert(stage) }
        return actions + giveUpPlaces()
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

    // MARK: Expecting

    private mutating func note(queued stage: Int) -> [Action] {
        // It may have ended or have been withdrawn by now.
        guard states[stage] == .running || expected.contains(stage) else { return [] }
        declined.subtract(graph.downstream[stage])
        // What was put behind an earlier attempt waits for what is over.
        let stale = queued.insert(stage).inserted ? [] : withdraw(behind: stage)
        return stale + expectMore()
    }

    private mutating func note(declined stage: Int) -> [Action] {
        declined.insert(stage)
        return withdraw(stage)
    }

    private mutating func expectMore() -> [Action] {
        var actions: [Action] = []
        for source in queued.sorted() {
            for stage in graph.downstream[source] where mayBeExpected(stage) {
                expected.insert(stage)
                actions.append(.expect(stage, behind: graph.upstream[stage].filter { queued.contains($0) }))
            }
        }
        return actions
    }

    private func mayBeExpected(_ stage: Int) -> Bool {
        let rule = rule(stage)
        guard rule.canBeExpected, states[stage] == .waiting, !expected.contains(stage), !declined.contains(stage),
            stoppedBy == nil || rule.isAlways, remoteCount + expected.count < remoteWidth
        else { return false }
        return graph.upstream[stage].allSatisfy { other in
            switch states[other] {
            case .waiting, .running: queued.contains(other)
            case .succeeded: true
            default: rule.isAlways
            }
        }
    }

    private mutating func giveUpPlaces() -> [Action] {
        var actions: [Action] = []
        while remoteCount + expected.count > remoteWidth, let last = expected.max() { actions += withdraw(last) }
        return actions
    }

    private mutating func withdraw(_ stage: Int) -> [Action] {
        guard expected.remove(stage) != nil else { return [] }
        queued.remove(stage)
        return withdraw(behind: stage) + [.withdraw(stage)]
    }

    private mutating func withdraw(behind stage: Int) -> [Action] {
        graph.downstream[stage].flatMap { withdraw($0) }
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
                    actions += skip(other, .upstream(source))
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
        return stopped.flatMap { skip($0, cause) } + stopped.flatMap { release(after: $0) }
    }

    private mutating func skip(_ stage: Int, _ cause: SkipCause) -> [Action] {
        let withdrawn = withdraw(stage)
        states[stage] = .skipped
        unfinishedCount -= 1
        return withdrawn + [.skip(stage, cause)]
    }
}
