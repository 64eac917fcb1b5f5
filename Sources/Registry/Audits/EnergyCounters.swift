/// One counter of the kernel's powercap interface, read at one moment.
package struct EnergyCounter: Hashable, Sendable {
    /// The folder, such as `intel-rapl:0`.
    package var id: String
    package var microjoules: UInt64
    /// The greatest value before the counter starts again at 0.
    package var rangeMicrojoules: UInt64

    package init(id: String, microjoules: UInt64, rangeMicrojoules: UInt64) {
        self.id = id
        self.microjoules = microjoules
        self.rangeMicrojoules = rangeMicrojoules
    }
}

/// The sum of what energy counters gained from sample to sample. A counter that starts again is followed; one that shows
/// less than it can is left out of that sample, so the sum never falls.
package struct EnergyAccumulator: Hashable, Sendable {
    package private(set) var joules = 0.0
    /// Gains that made no sense and were left out.
    package private(set) var skippedCount = 0
    private var last: [String: EnergyCounter] = [:]

    package init() {}

    /// Takes in all counters read at one moment. A counter counts from the second sample that shows it.
    package mutating func add(_ sample: [EnergyCounter]) {
        for counter in sample {
            defer { last[counter.id] = counter }
            guard let before = last[counter.id] else { continue }
            var now = counter.microjoules
            if now < before.microjoules { now += counter.rangeMicrojoules }
            guard now >= before.microjoules else {
                skippedCount += 1
                continue
            }
            joules += Double(now - before.microjoules) * 1e-6
        }
    }

    /// `counters` without those that repeat another: some processors of several dies show one counter under several names.
    /// Two are the same if their values differ by less than a joule or by less than a millionth.
    package static func withoutMirrors(_ counters: [EnergyCounter]) -> [EnergyCounter] {
        var kept: [EnergyCounter] = []
        for counter in counters {
            let isMirror = kept.contains { other in
                let greater = max(other.microjoules, counter.microjoules)
                let difference = Double(greater - min(other.microjoules, counter.microjoules))
                return difference < 1e6 || difference < Double(greater) * 1e-6
            }
            if !isMirror { kept.append(counter) }
        }
        return kept
    }
}
