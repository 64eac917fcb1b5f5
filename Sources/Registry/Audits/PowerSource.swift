internal import Basics
internal import Glibc

/// What the kernel tells about energy and processors. The files are parameters, so that tests can bring their own.
package struct PowerSource: Sendable {
    package var powercapFolder: String
    package var processorInfo: String
    package var machineTimes: String

    package init(
        powercapFolder: String = "/sys/class/powercap", processorInfo: String = "/proc/cpuinfo",
        machineTimes: String = "/proc/stat"
    ) {
        self.powercapFolder = powercapFolder
        self.processorInfo = processorInfo
        self.machineTimes = machineTimes
    }

    /// The counters of the processor packages; empty if there are none or they may not be read (they are root's since
    /// CVE-2020-8694). Parts of a package (`intel-rapl:0:1`), memory and the whole platform (`psys`) are left out, as they overlap.
    package func packageCounters() -> [EnergyCounter] {
        guard let folders = try? FileSystem.list(powercapFolder) else { return [] }
        return folders.compactMap { folder -> EnergyCounter? in
            let parts = folder.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "intel-rapl", Int(parts[1]) != nil else { return nil }
            let path = FileSystem.join(powercapFolder, folder)
            guard let name = text(path, "name"), name.hasPrefix("package"),
                let energy = text(path, "energy_uj").flatMap({ UInt64($0) })
            else { return nil }
            let range = text(path, "max_energy_range_uj").flatMap { UInt64($0) } ?? 0
            return EnergyCounter(id: folder, microjoules: energy, rangeMicrojoules: range)
        }
    }

    /// The processor's name; nil if the kernel gives none.
    package func processorModelName() -> String? {
        guard let text = try? FileSystem.readText(processorInfo) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        guard let name = line?.split(separator: ":", maxSplits: 1).last else { return nil }
        return printable(name.split(separator: " ").joined(separator: " "))
    }

    /// Processor time that the whole machine has spent since it started, idle and waiting time left out; nil if unknown.
    package func machineBusySeconds() -> Double? {
        guard let text = try? FileSystem.readText(machineTimes),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") })
        else { return nil }
        // user nice system idle iowait irq softirq steal; guest time is part of user.
        let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
        guard ticks.count >= 4 else { return nil }
        let busy = ticks.enumerated().filter { ![3, 4].contains($0.offset) }.reduce(0) { $0 + $1.element }
        return busy / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }

    private func text(_ folder: String, _ name: String) -> String? {
        guard let text = try? FileSystem.readText(FileSystem.join(folder, name)) else { return nil }
        return text.split(separator: "\n").first.map(String.init)
    }
}
