internal import Synchronization

/// Follows the energy of pieces of work that may run at the same time.
///
/// The counters wrap every few minutes on a busy machine: let `sampleRepeatedly` run beside long work.
package final class EnergyTracker: Sendable {
    /// The moment at which a piece of work began.
    package struct Start: Sendable {
        fileprivate var joules: Double?
        fileprivate var busySeconds: Double?
        fileprivate var time: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var accumulator = EnergyAccumulator()
        var ids: Set<String>
        var model: PowerModel?
    }

    private static let leftOut = "memory, disks, network and cooling are not included"

    private let source: PowerSource
    private let grid: GridIntensity
    private let state: Mutex<State>

    package init(source: PowerSource = PowerSource(), grid: GridIntensity = .world) {
        self.source = source
        self.grid = grid
        let counters = EnergyAccumulator.withoutMirrors(source.packageCounters())
        var state = State(ids: Set(counters.map(\.id)))
        state.accumulator.add(counters)
        self.state = Mutex(state)
    }

    /// Marks the beginning of a piece of work.
    package func start() -> Start {
        // The machine's times only serve to share out what counters say.
        let joules = sample()
        return Start(joules: joules, busySeconds: joules == nil ? nil : source.machineBusySeconds(), time: .now)
    }

    /// The energy since `start` of work that took `cpuSeconds` of processor time in all its processes.
    package func stop(_ start: Start, cpuSeconds: Double) -> EnergyEstimate {
        let duration = ContinuousClock.now - start.time
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
        if let before = start.joules, let after = sample() {
            let busy = zip(start.busySeconds, source.machineBusySeconds()).map { $1 - $0 }
            let share = busy.map { $0 > 0 ? min(1, max(0, cpuSeconds) / $0) : 1 }
            let basis =
                share == nil
                ? "all of it" : "times the share of the machine's busy processor time"
            return EnergyEstimate(
                joules: (after - before) * (share ?? 1), cpuSeconds: cpuSeconds, durationSeconds: seconds,
                method: .rapl,
                note: "measured by the RAPL counters of the processor packages, \(basis); \(EnergyTracker.leftOut)",
                grid: grid)
        }
        let model = powerModel()
        return EnergyEstimate(
            joules: model.joules(cpuSeconds: cpuSeconds), cpuSeconds: cpuSeconds, durationSeconds: seconds,
            method: .cpuTime,
            note: "processor time × power model, as RAPL is not readable; \(model.note); \(EnergyTracker.leftOut)",
            grid: grid)
    }

    /// Looked up once: the kernel asks every processor for its frequency when it is read.
    private func powerModel() -> PowerModel {
        state.withLock { state in
            if let model = state.model { return model }
            let model = PowerModel(modelName: source.processorModelName())
            state.model = model
            return model
        }
    }

    /// Reads the counters every `interval` until the task is cancelled.
    package func sampleRepeatedly(every interval: Duration = .seconds(30)) async {
        while !state.withLock(\.ids.isEmpty), (try? await Task.sleep(for: interval)) != nil { _ = sample() }
    }

    /// Joules counted so far; nil if the counters cannot be read (any more).
    private func sample() -> Double? {
        state.withLock { state in
            guard !state.ids.isEmpty else { return nil }
            let counters = source.packageCounters().filter { state.ids.contains($0.id) }
            guard counters.count == state.ids.count else { return nil }
            state.accumulator.add(counters)
            return state.accumulator.joules
        }
    }
}

/// Both values; nil unless there are both.
private func zip<First, Second>(_ first: First?, _ second: Second?) -> (First, Second)? {
    if let first, let second { (first, second) } else { nil }
}
