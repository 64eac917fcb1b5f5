/// Which stages may start: a pure state machine, event in, actions out.
///
/// - A stage starts when all that it waits for succeeded and fewer than `width` run; of several, the first of the file.
/// - What waits for a stage that did not succeed is skipped, and so is what a condition leaves out.
/// - After a failure nothing new starts, unless `keepsGoing`; after a refusal everything else goes on, so that reports are
///   still written.
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
        /// Its own condition does not hold.
        case condition
        /// A stage that it waits for did not succeed.
        case upstream(Int)
        /// The run stops after that stage failed.
        case stopped(after: Int)
        case interrupted
    }

    private let graph: StageGraph
    private let width: Int
    private let keepsGoing: Bool
    private(set) var states: [State]
    private var missing: [Int]
    private var ready = LowestFirst()
    private var runningCount = 0
    private var unfinishedCount: Int
    private var stoppedBy: SkipCause?
    private let excluded: [Int]

    /// - Parameters:
    ///   - selected: the stages to run, closed under `upstream`; others count as done.
    ///   - excluded: those whose condition does not hold.
    init(graph: StageGraph, selected: Set<Int>, excluded: Set<Int> = [], width: Int, keepsGoing: Bool) {
        precondition(width > 0, "width must be at least 1, not \(width)")
        self.graph = graph
        self.width = width
        self.keepsGoing = keepsGoing
        self.excluded = excluded.intersection(selected).sorted()
        states = graph.names.indices.map { selected.contains($0) ? .waiting : .succeeded }
        missing = graph.upstream.map { $0.count { selected.contains($0) } }
        unfinishedCount = selected.count
        for stage in selected where missing[stage] == 0 { ready.insert(stage) }
    }

    /// Whether every stage has ended.
    var isDone: Bool { unfinishedCount == 0 }

    /// What is left out, then the stages that start first.
    mutating func begin() -> [Action] {
        var actions: [Action] = []
        for stage in excluded {
            // One that waits for another such stage may be skipped already.
            if states[stage] == .waiting { actions.append(skip(stage, .condition)) }
            actions += skipDownstream(of: stage)
        }
        return actions + startReady()
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .finished(let stage, let outcome): finish(stage, outcome)
        case .interrupt: stop(because: .interrupted)
        }
    }

    private mutating func finish(_ stage: Int, _ outcome: Outcome) -> [Action] {
        precondition(states[stage] == .running, "stage \(stage) ended, but was \(states[stage])")
        runningCount -= 1
        unfinishedCount -= 1
        var actions: [Action] = []
        switch outcome {
        case .succeeded:
            states[stage] = .succeeded
            for other in graph.downstream[stage] where states[other] == .waiting {
                missing[other] -= 1
                if missing[other] == 0 { ready.insert(other) }
            }
        case .failed:
            states[stage] = .failed
            actions = skipDownstream(of: stage)
            if !keepsGoing { actions += stop(because: .stopped(after: stage)) }
        case .refused:
            states[stage] = .refused
            actions = skipDownstream(of: stage)
        case .interrupted:
            states[stage] = .interrupted
            actions = stop(because: .interrupted)
        }
        return actions + startReady()
    }

    private mutating func startReady() -> [Action] {
        var actions: [Action] = []
        while stoppedBy == nil, runningCount < width, let stage = ready.popLowest() {
            guard states[stage] == .waiting else { continue }
            states[stage] = .running
            runningCount += 1
            actions.append(.start(stage))
        }
        return actions
    }

    private mutating func skipDownstream(of stage: Int) -> [Action] {
        var actions: [Action] = []
        var open = [stage]
        while let source = open.popLast() {
            for other in graph.downstream[source] where states[other] == .waiting {
                actions.append(skip(other, .upstream(source)))
                open.append(other)
            }
        }
        return actions
    }

    private mutating func stop(because cause: SkipCause) -> [Action] {
        stoppedBy = stoppedBy ?? cause
        return states.indices.filter { states[$0] == .waiting }.map { skip($0, cause) }
    }

    private mutating func skip(_ stage: Int, _ cause: SkipCause) -> Action {
        states[stage] = .skipped
        unfinishedCount -= 1
        return .skip(stage, cause)
    }
}
