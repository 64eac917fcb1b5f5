import Basics
import NeuralNets
import Testing

@Suite struct ScheduleTests {
    /// Made by Tests/Fixtures/neuralnets/make_optimizers.py.
    private struct Rates: Decodable {
        var rates: [String: [Double]]
        var oneCycleMomenta: [Double]
        var metrics: [Double]
        var plateau: [String: [Double]]
    }

    private static var oneCycle: OneCycle {
        var cycle = OneCycle(steps: 20)
        cycle.momentum = 0.85...0.95
        return cycle
    }

    private static var linearCycle: OneCycle {
        var cycle = OneCycle(steps: 17)
        cycle.risingShare = 0.4
        cycle.isLinear = true
        cycle.startDivisor = 10
        cycle.endDivisor = 100
        cycle.hasThreePhases = true
        return cycle
    }

    private static let schedules: [String: Schedule] = [
        "step": .step(interval: 4, factor: 0.5),
        "multiStep": .multiStep(milestones: [3, 5, 9], factor: 0.2),
        "exponential": .exponential(factor: 0.9),
        "cosine": .cosine(steps: 12, floor: 0.05),
        "restarts": .cosineRestarts(steps: 3, growth: 2, floor: 0.1),
        "linear": .linear(from: 0.25, to: 0.75, steps: 5),
        "polynomial": .polynomial(steps: 8, power: 2),
        "oneCycle": .oneCycle(oneCycle),
        "oneCycleLinear": .oneCycle(linearCycle),
        "warmUp": .sequence(.linear(from: 0.25, steps: 3), steps: 3, then: .cosine(steps: 10)),
    ]

    @Test func everyScheduleGivesTheRatesOfPyTorch() throws {
        let fixture: Rates = try Fixtures.load("schedules.json")
        #expect(Set(fixture.rates.keys) == Set(ScheduleTests.schedules.keys))
        for (name, rates) in fixture.rates {
            let schedule = try #require(ScheduleTests.schedules[name])
            for (step, rate) in rates.enumerated() {
                let factor = schedule.factor(at: step)
                #expect(abs(factor - rate) < 1e-12, "\(name) at \(step): \(factor), \(rate)")
            }
            let decoded: Schedule = try JSONValue(encoding: schedule).decode()
            #expect(decoded == schedule)
        }
        for (step, momentum) in fixture.oneCycleMomenta.enumerated() {
            let found = try #require(Schedule.oneCycle(ScheduleTests.oneCycle).momentum(at: step))
            #expect(abs(found - momentum) < 1e-12, "momentum at \(step)")
        }
    }

    @Test func aPlateauLowersTheRateWhenPyTorchDoes() throws {
        let fixture: Rates = try Fixtures.load("schedules.json")
        var absolute = PlateauSchedule(factor: 0.1, patience: 1)
        absolute.threshold = .absolute(0.05)
        absolute.coolDown = 2
        absolute.floor = 1e-3
        var largest = PlateauSchedule(factor: 0.5, patience: 2)
        largest.isMaximized = true
        largest.threshold = .relative(0.01)
        let schedules = [
            "relative": PlateauSchedule(factor: 0.5, patience: 2), "absolute": absolute, "largest": largest,
        ]
        for (name, start) in schedules {
            var schedule = start
            let metrics = name == "largest" ? fixture.metrics.map { -$0 } : fixture.metrics
            let factors = metrics.map { schedule.update($0) }
            let expected = try #require(fixture.plateau[name])
            for (step, pair) in zip(factors, expected).enumerated() {
                #expect(abs(pair.0 - pair.1) < 1e-15, "\(name) at \(step)")
            }
        }
    }
}
