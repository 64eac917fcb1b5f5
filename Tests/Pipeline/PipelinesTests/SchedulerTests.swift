import Basics
import Testing

@testable import Pipelines

struct SchedulerTests {
    /// Stages 0…; each pair is (from, to).
    private func scheduler(
        _ count: Int, _ edges: [(Int, Int)], width: Int = 8, remoteWidth: Int = .max, keepsGoing: Bool = false,
        selected: Set<Int>? = nil, rules: [Int: Scheduler.Rule] = [:], capacity: [String: Double] = [:]
    ) -> Scheduler {
        var upstream = [[Int]](repeating: [], count: count)
        var downstream = upstream
        for (from, to) in edges {
            upstream[to].append(from)
            downstream[from].append(to)
        }
        let graph = StageGraph(
            names: (0..<count).map { "s\($0)" }, edges: [], upstream: upstream, downstream: downstream,
            order: Array(0..<count))
        return Scheduler(
            graph: graph, selected: selected ?? Set(0..<count), width: width, remoteWidth: remoteWidth,
            keepsGoing: keepsGoing, rules: rules, capacity: ResourceNeed(capacity))
    }

    @Test func aStageStartsWhenAllThatItWaitsForSucceeded() {
        var scheduler = scheduler(4, [(0, 2), (1, 2), (2, 3)])
        #expect(scheduler.begin() == [.start(0), .start(1)])
        #expect(scheduler.handle(.finished(1, .succeeded)) == [])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.start(2)])
        #expect(scheduler.handle(.finished(2, .succeeded)) == [.start(3)])
        #expect(!scheduler.isDone)
        #expect(scheduler.handle(.finished(3, .succeeded)) == [])
        #expect(scheduler.isDone)
    }

    @Test func noMoreThanTheWidthRunAndTheFirstOfTheFileGoFirst() {
        var scheduler = scheduler(5, [], width: 2)
        #expect(scheduler.begin() == [.start(0), .start(1)])
        #expect(scheduler.handle(.finished(1, .succeeded)) == [.start(2)])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.start(3)])
    }

    @Test func aFailureSkipsWhatWaitsForItAndStopsTheRest() {
        var scheduler = scheduler(5, [(0, 1), (1, 2)], width: 2)
        #expect(scheduler.begin() == [.start(0), .start(3)])
        #expect(
            scheduler.handle(.finished(0, .failed)) == [
                .skip(1, .upstream(0)), .skip(2, .upstream(1)), .skip(4, .stopped(after: 0)),
            ])
        #expect(!scheduler.isDone, "a stage that runs is waited for")
        #expect(scheduler.handle(.finished(3, .succeeded)) == [])
        #expect(scheduler.isDone)
    }

    @Test func keepingGoingRunsWhatDoesNotWaitForTheFailure() {
        var scheduler = scheduler(4, [(0, 1), (2, 3)], width: 1, keepsGoing: true)
        _ = scheduler.begin()
        #expect(scheduler.handle(.finished(0, .failed)) == [.skip(1, .upstream(0)), .start(2)])
        #expect(scheduler.handle(.finished(2, .succeeded)) == [.start(3)])
    }

    @Test func aRefusalSkipsOnlyWhatWaitsForIt() {
        var scheduler = scheduler(4, [(0, 1), (2, 3)], width: 1)
        _ = scheduler.begin()
        #expect(scheduler.handle(.finished(0, .refused)) == [.skip(1, .upstream(0)), .start(2)])
        #expect(scheduler.states[0] == .refused)
    }

    @Test func anInterruptionStartsNothingMore() {
        var scheduler = scheduler(3, [(0, 2)], width: 1)
        _ = scheduler.begin()
        #expect(scheduler.handle(.interrupt) == [.skip(1, .interrupted), .skip(2, .interrupted)])
        #expect(scheduler.handle(.finished(0, .interrupted)) == [])
        #expect(scheduler.isDone)
    }

    @Test func stagesThatWereNotChosenCountAsDone() {
        var scheduler = scheduler(3, [(0, 1), (1, 2)], selected: [2])
        #expect(scheduler.begin() == [.start(2)])
    }

    @Test func anAlwaysStageStartsWhateverBecameOfTheOthers() {
        for outcome in [Scheduler.Outcome.succeeded, .failed, .refused] {
            var scheduler = scheduler(3, [(0, 1), (1, 2)], rules: [2: .init(isAlways: true)])
            _ = scheduler.begin()
            var actions = scheduler.handle(.finished(0, outcome))
            if outcome == .succeeded { actions = scheduler.handle(.finished(1, .failed)) }
            #expect(actions.last == .start(2), "\(outcome)")
            _ = scheduler.handle(.finished(2, .succeeded))
            #expect(scheduler.isDone)
        }
    }

    @Test func afterAnInterruptionNotEvenAnAlwaysStageStarts() {
        var scheduler = scheduler(2, [(0, 1)], rules: [1: .init(isAlways: true)])
        _ = scheduler.begin()
        #expect(scheduler.handle(.finished(0, .interrupted)) == [.skip(1, .interrupted)])
        #expect(scheduler.isDone)
    }

    @Test func whatDoesNotFitWaitsAndSmallerOnesGoFirst() {
        let need = { (cpus: Double) in Scheduler.Rule(need: ResourceNeed(["cpus": cpus])) }
        var scheduler = scheduler(
            4, [], rules: [0: need(3), 1: need(2), 2: need(1), 3: need(9)], capacity: ["cpus": 4])
        #expect(scheduler.begin() == [.start(0), .start(2)])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.start(1)])
        #expect(scheduler.handle(.finished(2, .succeeded)) == [])
        #expect(scheduler.handle(.finished(1, .succeeded)) == [.start(3)], "what needs more than there is runs alone")
    }

    @Test func whatRunsElsewhereTakesNoPlaceHere() {
        var scheduler = scheduler(3, [], width: 1, rules: [0: .init(isRemote: true), 1: .init(isRemote: true)])
        #expect(scheduler.begin() == [.start(0), .start(1), .start(2)])
    }

    // MARK: Expecting

    private static let elsewhere = Scheduler.Rule(isRemote: true, canBeExpected: true)

    private func rules(_ stages: Range<Int>) -> [Int: Scheduler.Rule] {
        Dictionary(uniqueKeysWithValues: stages.map { ($0, SchedulerTests.elsewhere) })
    }

    @Test func aStageIsExpectedAsSoonAsAllThatItWaitsForIsInTheQueue() {
        var scheduler = scheduler(4, [(0, 2), (1, 2), (2, 3)], rules: rules(0..<4))
        #expect(scheduler.begin() == [.start(0), .start(1)])
        #expect(scheduler.handle(.queued(0)) == [])
        #expect(scheduler.handle(.queued(1)) == [.expect(2, behind: [0, 1])])
        #expect(scheduler.handle(.queued(2)) == [.expect(3, behind: [2])])
        #expect(scheduler.handle(.queued(3)) == [])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [])
        #expect(scheduler.handle(.finished(1, .succeeded)) == [.start(2)])
        #expect(scheduler.handle(.finished(2, .succeeded)) == [.start(3)])
        #expect(scheduler.handle(.finished(3, .succeeded)) == [])
        #expect(scheduler.isDone)
    }

    @Test func whatRunsHereMustBeDoneBeforeAStageIsExpected() {
        var scheduler = scheduler(3, [(0, 2), (1, 2)], rules: rules(1..<3))
        _ = scheduler.begin()
        #expect(scheduler.handle(.queued(1)) == [])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.expect(2, behind: [1])])
    }

    @Test func aFailureTakesWhatWaitsForItOutOfTheQueueTheLastFirst() {
        var scheduler = scheduler(3, [(0, 1), (1, 2)], rules: rules(0..<3))
        _ = scheduler.begin()
        _ = scheduler.handle(.queued(0))
        _ = scheduler.handle(.queued(1))
        #expect(
            scheduler.handle(.finished(0, .failed)) == [
                .withdraw(2), .withdraw(1), .skip(1, .upstream(0)), .skip(2, .upstream(1)),
            ])
        #expect(scheduler.isDone)
    }

    @Test func anAlwaysStageIsExpectedAfterAFailureToo() {
        var rules = rules(0..<3)
        rules[2]?.isAlways = true
        var scheduler = scheduler(3, [(0, 2), (1, 2)], rules: rules)
        _ = scheduler.begin()
        _ = scheduler.handle(.queued(1))
        #expect(scheduler.handle(.finished(0, .failed)) == [.expect(2, behind: [1])])
        #expect(scheduler.handle(.finished(1, .failed)) == [.start(2)])
    }

    @Test func anInterruptionTakesAllOutOfTheQueue() {
        var scheduler = scheduler(2, [(0, 1)], rules: rules(0..<2))
        _ = scheduler.begin()
        _ = scheduler.handle(.queued(0))
        #expect(scheduler.handle(.interrupt) == [.withdraw(1), .skip(1, .interrupted)])
    }

    @Test func anotherAttemptReplacesWhatWasBehindTheFirst() {
        var scheduler = scheduler(3, [(0, 1), (1, 2)], rules: rules(0..<3))
        _ = scheduler.begin()
        _ = scheduler.handle(.queued(0))
        _ = scheduler.handle(.queued(1))
        #expect(scheduler.handle(.queued(0)) == [.withdraw(2), .withdraw(1), .expect(1, behind: [0])])
        #expect(scheduler.handle(.queued(1)) == [.expect(2, behind: [1])])
    }

    @Test func aStageThatMayStartTakesThePlaceOfOneThatIsExpected() {
        var scheduler = scheduler(5, [(0, 2), (1, 3), (1, 4)], remoteWidth: 3, rules: rules(0..<5))
        #expect(scheduler.begin() == [.start(0), .start(1)])
        #expect(scheduler.handle(.queued(0)) == [.expect(2, behind: [0])])
        #expect(scheduler.handle(.queued(1)) == [], "all three places are taken")
        #expect(scheduler.handle(.finished(1, .succeeded)) == [.start(3), .start(4), .withdraw(2)])
        #expect(scheduler.handle(.finished(3, .succeeded)) == [.expect(2, behind: [0])])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.start(2)])
    }

    @Test func whatIsDeclinedIsAskedForAgainOnlyBehindAnotherAttempt() {
        var scheduler = scheduler(3, [(0, 1)], rules: rules(0..<3))
        _ = scheduler.begin()
        #expect(scheduler.handle(.queued(0)) == [.expect(1, behind: [0])])
        #expect(scheduler.handle(.declined(1)) == [.withdraw(1)])
        #expect(scheduler.handle(.finished(2, .succeeded)) == [])
        #expect(scheduler.handle(.queued(0)) == [.expect(1, behind: [0])])
        #expect(scheduler.handle(.finished(0, .succeeded)) == [.start(1)])
        #expect(scheduler.handle(.declined(1)) == [], "it runs already")
    }

    @Test func anyOrderOfEndingsEndsEveryStageOnce() {
        for seed in 0..<200 as Range<UInt64> {
            var random = Philox(seed: seed)
            let count = 2 + random.nextIndex(below: 20)
            let edges = (0..<count * 2).compactMap { _ -> (Int, Int)? in
                let (a, b) = (random.nextIndex(below: count), random.nextIndex(below: count))
                return a < b ? (a, b) : nil
            }
            let unique = Dictionary(edges.map { ("\($0.0)-\($0.1)", $0) }, uniquingKeysWith: { $1 }).values
            var rules: [Int: Scheduler.Rule] = [:]
            for stage in 0..<count where random.nextIndex(below: 2) == 0 {
                rules[stage] = SchedulerTests.elsewhere
                rules[stage]?.isAlways = random.nextIndex(below: 5) == 0
            }
            let remoteWidth = 1 + random.nextIndex(below: 6)
            var scheduler = scheduler(
                count, Array(unique), width: 1 + random.nextIndex(below: 4), remoteWidth: remoteWidth,
                keepsGoing: random.nextIndex(below: 2) == 0, rules: rules)
            var running: [Int] = []
            var ended: Set<Int> = []
            var expected: Set<Int> = []
            func apply(_ actions: [Scheduler.Action]) {
                for action in actions {
                    switch action {
                    case .start(let stage):
                        #expect(!ended.contains(stage), "seed \(seed)")
                        running.append(stage)
                        expected.remove(stage)
                    case .skip(let stage, _):
                        #expect(ended.insert(stage).inserted && !expected.contains(stage), "seed \(seed)")
                    case .expect(let stage, let others):
                        #expect(expected.insert(stage).inserted && !others.isEmpty, "seed \(seed)")
                        #expect(others.allSatisfy { running.contains($0) || expected.contains($0) }, "seed \(seed)")
                    case .withdraw(let stage): #expect(expected.remove(stage) != nil, "seed \(seed)")
                    }
                }
                let elsewhere = running.count { rules[$0] != nil } + expected.count
                #expect(elsewhere <= remoteWidth, "seed \(seed)")
            }
            apply(scheduler.begin())
            while !running.isEmpty {
                for _ in 0..<random.nextIndex(below: 4) {
                    let known = (running.filter { rules[$0] != nil } + expected.sorted())
                    guard !known.isEmpty else { break }
                    let stage = known[random.nextIndex(below: known.count)]
                    let isDeclined = expected.contains(stage) && random.nextIndex(below: 6) == 0
                    apply(scheduler.handle(isDeclined ? .declined(stage) : .queued(stage)))
                }
                let stage = running.remove(at: random.nextIndex(below: running.count))
                #expect(ended.insert(stage).inserted, "seed \(seed)")
                let outcome: Scheduler.Outcome = [.succeeded, .succeeded, .succeeded, .failed, .refused][
                    random.nextIndex(below: 5)]
                apply(scheduler.handle(.finished(stage, outcome)))
            }
            #expect(scheduler.isDone && ended.count == count && expected.isEmpty, "seed \(seed)")
        }
    }
}
