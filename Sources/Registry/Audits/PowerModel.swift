/// The power of one busy hardware thread of a processor: its thermal design power over its threads.
///
/// A virtual machine sees a part of a processor, so the threads are those of the whole part as its maker sells it, not those
/// that the machine shows.
package struct PowerModel: Hashable, Sendable {
    /// Of a processor that is not in the table: what codecarbon assumes.
    package static let unknownWattsPerThread = 4.0

    package var wattsPerThread: Double
    /// Where the number comes from, in words.
    package var note: String

    /// The model of the processor that `/proc/cpuinfo` calls `modelName`; nil stands for a processor without a name.
    package init(modelName: String?) {
        let name = modelName ?? "an unnamed processor"
        let words = name.split { " ()@".contains($0) }.map(String.init)
        let match = PowerModel.table.first { entry in
            let parts = entry.model.split(separator: " ").map(String.init)
            return words.indices.contains { words[$0...].starts(with: parts) }
        }
        if let match {
            wattsPerThread = match.watts / Double(match.threads)
            note = "\(name): \(Int(match.watts)) W of design power over \(match.threads) threads"
        } else {
            wattsPerThread = PowerModel.unknownWattsPerThread
            note = "\(name) is not in the table of design powers: 4 W a thread assumed"
        }
    }

    /// Common servers and desktops: the maker's design power in watts and hardware threads of one package.
    private static let table: [(model: String, watts: Double, threads: Int)] = [
        ("EPYC 7302", 155, 32), ("EPYC 7402", 180, 48), ("EPYC 7443", 200, 48), ("EPYC 7543", 225, 64),
        ("EPYC 7702", 200, 128), ("EPYC 7713", 225, 128), ("EPYC 7742", 225, 128), ("EPYC 7763", 280, 128),
        ("EPYC 9354", 280, 64), ("EPYC 9554", 360, 128), ("EPYC 9654", 360, 192),
        ("E5-2670 v3", 120, 24), ("E5-2680 v4", 120, 28), ("E5-2690 v4", 135, 28), ("E5-2686 v4", 145, 36),
        ("Gold 6130", 125, 32), ("Gold 6148", 150, 40), ("Gold 6248", 150, 40), ("Gold 6330", 205, 56),
        ("Silver 4210", 85, 20), ("Silver 4314", 135, 32), ("Platinum 8259CL", 210, 48), ("Platinum 8370C", 270, 64),
        ("Platinum 8375C", 300, 64), ("Platinum 8380", 270, 80), ("Platinum 8480+", 350, 112),
        ("i7-8700", 65, 12), ("i7-10700K", 125, 16), ("i7-12700K", 125, 20), ("i9-9900K", 95, 16),
        ("i9-13900K", 125, 32), ("Ryzen 5 3600", 65, 12), ("Ryzen 5 5600X", 65, 12), ("Ryzen 7 3700X", 65, 16),
        ("Ryzen 7 5800X", 105, 16), ("Ryzen 9 5950X", 105, 32), ("Ryzen 9 7950X", 170, 32),
    ]

    /// The energy of `cpuSeconds` of processor time.
    package func joules(cpuSeconds: Double) -> Double { max(0, cpuSeconds) * wattsPerThread }
}
