import Basics
import TestSupport
import Testing

@testable import Audits

@Suite struct EnergyTests {
    private func counter(_ id: String, _ microjoules: UInt64, range: UInt64 = 1_000_000_000) -> EnergyCounter {
        EnergyCounter(id: id, microjoules: microjoules, rangeMicrojoules: range)
    }

    /// A powercap folder with a package, a part of it, the platform, and a second package.
    private func machine(packages: [UInt64]) throws -> (folder: TemporaryFolder, source: PowerSource) {
        let folder = try TemporaryFolder()
        func domain(_ id: String, _ name: String, _ energy: UInt64) throws {
            try folder.write("powercap/\(id)/name", name + "\n")
            try folder.write("powercap/\(id)/energy_uj", "\(energy)\n")
            try folder.write("powercap/\(id)/max_energy_range_uj", "262143328850\n")
        }
        for (index, energy) in packages.enumerated() { try domain("intel-rapl:\(index)", "package-\(index)", energy) }
        try domain("intel-rapl:0:0", "core", 5)
        try domain("intel-rapl:9", "psys", 7)
        try domain("intel-rapl-mmio:0", "package-0", packages.first ?? 0)
        try folder.write("cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC 7763 64-Core Processor\n")
        try folder.write("stat", "cpu  100 0 50 9999 7 0 0 50 0 0\ncpu0 1 1 1 1\n")
        let source = PowerSource(
            powercapFolder: folder("powercap"), processorInfo: folder("cpuinfo"), machineTimes: folder("stat"))
        return (folder, source)
    }

    @Test func aCounterThatStartsAgainIsFollowed() {
        var sum = EnergyAccumulator()
        sum.add([counter("a", 999_000_000)])
        sum.add([counter("a", 3_000_000)])
        #expect(abs(sum.joules - 4) < 1e-9)
        #expect(sum.skippedCount == 0)
    }

    @Test func aCounterThatMakesNoSenseIsSkippedNeverNegative() {
        var sum = EnergyAccumulator()
        sum.add([counter("a", 5_000_000, range: 0), counter("b", 1_000_000)])
        sum.add([counter("a", 1_000_000, range: 0), counter("b", 3_000_000)])
        sum.add([counter("a", 2_000_000, range: 0), counter("b", 3_000_000)])
        #expect(abs(sum.joules - 3) < 1e-9)
        #expect(sum.skippedCount == 1)
    }

    @Test func mirroredCountersCountOnce() {
        let counters = [
            counter("0", 90_000_000_000), counter("1", 90_000_040_000), counter("2", 80_000_000_000),
            counter("3", 1_000),
            counter("4", 500_000),
        ]
        #expect(EnergyAccumulator.withoutMirrors(counters).map(\.id) == ["0", "2", "3"])
    }

    @Test func onlyPackagesAreRead() throws {
        let (folder, source) = try machine(packages: [10_000_000, 70_000_000])
        #expect(source.packageCounters().map(\.id) == ["intel-rapl:0", "intel-rapl:1"])
        #expect(source.processorModelName() == "AMD EPYC 7763 64-Core Processor")
        #expect(source.machineBusySeconds() == 2)
        withExtendedLifetime(folder) {}
    }

    @Test func measuredEnergyIsSharedByProcessorTime() throws {
        let (folder, source) = try machine(packages: [10_000_000, 70_000_000])
        let tracker = EnergyTracker(source: source)
        let start = tracker.start()
        try folder.write("powercap/intel-rapl:0/energy_uj", "40000000")
        try folder.write("powercap/intel-rapl:1/energy_uj", "80000000")
        // 4 more seconds of busy time, of which the work took 1.
        try folder.write("stat", "cpu  500 0 50 9999 7 0 0 50 0 0\n")
        let estimate = tracker.stop(start, cpuSeconds: 1)
        #expect(estimate.method == .rapl)
        #expect(abs(estimate.joules - 10) < 1e-9)
        #expect(estimate.cpuSeconds == 1)
        #expect(abs(estimate.kilowattHours - 10 / 3.6e6) < 1e-15)
        #expect(abs(estimate.emissionsGrams - 10 / 3.6e6 * 475) < 1e-12)
        #expect(estimate.note.contains("not included"))
    }

    @Test func withoutCountersTheProcessorTimeDecides() throws {
        let (folder, source) = try machine(packages: [])
        let tracker = EnergyTracker(
            source: source, grid: GridIntensity(gramsPerKilowattHour: 56, source: "France", year: 2023))
        let estimate = tracker.stop(tracker.start(), cpuSeconds: 64)
        #expect(estimate.method == .cpuTime)
        #expect(estimate.joules == 140, "280 W over 128 threads for 64 s")
        #expect(estimate.note.contains("280 W of design power over 128 threads"))
        #expect(abs(estimate.emissionsGrams - 140 / 3.6e6 * 56) < 1e-12)
        withExtendedLifetime(folder) {}
    }

    @Test func countersThatVanishFallBack() throws {
        let (folder, source) = try machine(packages: [10_000_000])
        let tracker = EnergyTracker(source: source)
        let start = tracker.start()
        try FileSystem.removeTree(folder("powercap"))
        #expect(tracker.stop(start, cpuSeconds: 1).method == .cpuTime)
    }

    @Test func processorsAreToldApart() {
        #expect(PowerModel(modelName: "AMD EPYC").wattsPerThread == 4)
        #expect(PowerModel(modelName: nil).wattsPerThread == 4)
        #expect(PowerModel(modelName: "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz").wattsPerThread == 145.0 / 36)
        #expect(PowerModel(modelName: "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz").wattsPerThread == 210.0 / 48)
        #expect(PowerModel(modelName: "Intel(R) Core(TM) i7-8700K CPU").wattsPerThread == 4, "another model")
        #expect(PowerModel(modelName: nil).joules(cpuSeconds: -1) == 0)
    }

    @Test func estimatesAddUpAndReadBack() throws {
        let part = EnergyEstimate(joules: 3, cpuSeconds: 1, durationSeconds: 2, method: .cpuTime, note: "n")
        let other = EnergyEstimate(joules: 5, cpuSeconds: 2, durationSeconds: 2, method: .rapl, note: "m")
        let total = try #require(EnergyEstimate.total([part, other]))
        #expect(total.joules == 8 && total.powerWatts == 2 && total.method == .mixed && total.note == "m; n")
        #expect(EnergyEstimate.total([]) == nil)
        let json = try JSONValue(encoding: total)
        #expect(json["grid_gco2e_per_kwh"] == 475)
        #expect(json["grid_year"] == 2018)
        #expect(try json.decode(as: EnergyEstimate.self) == total)
    }
}
