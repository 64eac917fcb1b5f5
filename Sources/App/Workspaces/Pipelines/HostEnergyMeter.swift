internal import Audits
internal import Basics
internal import Pipelines

/// Measures stages by this machine's counters, or estimates from their processor time.
struct HostEnergyMeter: EnergyMeter {
    private let tracker = EnergyTracker()

    func start() -> any Sendable { tracker.start() }

    func stop(_ token: any Sendable, usage: ResourceUsage) -> JSONValue {
        guard let start = token as? EnergyTracker.Start else { return .null }
        return tracker.stop(start, cpuSeconds: usage.userSeconds + usage.systemSeconds).json
    }
}
