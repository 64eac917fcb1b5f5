package import Basics

/// How much carbon dioxide the grid emits for a kilowatt-hour, and who says so.
package struct GridIntensity: Codable, Hashable, Sendable {
    /// Grams of CO2 equivalent.
    package var gramsPerKilowattHour: Double
    package var source: String
    /// The year that the number is of; nil if not stated.
    package var year: Int?

    package init(gramsPerKilowattHour: Double, source: String, year: Int?) {
        self.gramsPerKilowattHour = gramsPerKilowattHour
        self.source = source
        self.year = year
    }

    /// The mean of the world's grids: 475 g/kWh (IEA, Global Energy & CO2 Status Report 2019).
    package static let world = GridIntensity(
        gramsPerKilowattHour: 475, source: "world average, IEA Global Energy & CO2 Status Report 2019", year: 2018)
}

/// The energy that a piece of work took, how that is known, and what it emitted.
package struct EnergyEstimate: Codable, Hashable, Sendable {
    package enum Method: String, Codable, Sendable {
        /// The counters of the processor packages, times the work's share of the machine's busy time.
        case rapl
        /// Processor time times a power model.
        case cpuTime = "cpu_time"
        /// A sum of estimates of both kinds.
        case mixed
    }

    package var joules: Double
    package var kilowattHours: Double
    /// Processor time of all processes of the work.
    package var cpuSeconds: Double
    package var durationSeconds: Double
    /// Mean power over the duration; 0 for no duration.
    package var powerWatts: Double
    package var method: Method
    /// What the number rests on and what it leaves out, in words.
    package var note: String
    package var emissionsGrams: Double
    package var grid: GridIntensity

    enum CodingKeys: String, CodingKey {
        case joules, method, note
        case kilowattHours = "kwh"
        case cpuSeconds = "cpu_seconds"
        case durationSeconds = "duration_seconds"
        case powerWatts = "power_watts"
        case emissionsGrams = "emissions_gco2e"
        case gramsPerKilowattHour = "grid_gco2e_per_kwh"
        case gridSource = "grid_source"
        case gridYear = "grid_year"
    }

    private static let joulesPerKilowattHour = 3_600_000.0

    package init(
        joules: Double, cpuSeconds: Double, durationSeconds: Double, method: Method, note: String,
        grid: GridIntensity = .world
    ) {
        self.joules = joules
        kilowattHours = joules / EnergyEstimate.joulesPerKilowattHour
        self.cpuSeconds = cpuSeconds
        self.durationSeconds = durationSeconds
        powerWatts = durationSeconds > 0 ? joules / durationSeconds : 0
        self.method = method
        self.note = note
        emissionsGrams = kilowattHours * grid.gramsPerKilowattHour
        self.grid = grid
    }

    /// The sum of several pieces of work; their durations add up, whether or not they ran at the same time.
    ///
    /// - Returns: nil for no piece.
    package static func total(_ parts: [EnergyEstimate]) -> EnergyEstimate? {
        guard let first = parts.first else { return nil }
        let methods = Set(parts.map(\.method))
        let notes = Set(parts.map(\.note)).sorted()
        return EnergyEstimate(
            joules: parts.reduce(0) { $0 + $1.joules }, cpuSeconds: parts.reduce(0) { $0 + $1.cpuSeconds },
            durationSeconds: parts.reduce(0) { $0 + $1.durationSeconds },
            method: methods.count == 1 ? first.method : .mixed, note: notes.joined(separator: "; "), grid: first.grid)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        joules = try container.decode(Double.self, forKey: .joules)
        kilowattHours = try container.decode(Double.self, forKey: .kilowattHours)
        cpuSeconds = try container.decode(Double.self, forKey: .cpuSeconds)
        durationSeconds = try container.decode(Double.self, forKey: .durationSeconds)
        powerWatts = try container.decode(Double.self, forKey: .powerWatts)
        method = try container.decode(Method.self, forKey: .method)
        note = try container.decode(String.self, forKey: .note)
        emissionsGrams = try container.decode(Double.self, forKey: .emissionsGrams)
        grid = GridIntensity(
            gramsPerKilowattHour: try container.decode(Double.self, forKey: .gramsPerKilowattHour),
            source: try container.decode(String.self, forKey: .gridSource),
            year: try container.decodeIfPresent(Int.self, forKey: .gridYear))
    }

    package func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }

    /// What `encode` writes, without an encoder's cost: a pipeline takes it for each of its stages.
    package var json: JSONValue {
        let members: [CodingKeys: JSONValue?] = [
            .joules: .number(joules), .kilowattHours: .number(kilowattHours), .cpuSeconds: .number(cpuSeconds),
            .durationSeconds: .number(durationSeconds), .powerWatts: .number(powerWatts),
            .method: .string(method.rawValue), .note: .string(note), .emissionsGrams: .number(emissionsGrams),
            .gramsPerKilowattHour: .number(grid.gramsPerKilowattHour), .gridSource: .string(grid.source),
            .gridYear: grid.year.map { .int(Int64($0)) },
        ]
        return .object(
            Dictionary(uniqueKeysWithValues: members.compactMap { key, value in value.map { (key.stringValue, $0) } }))
    }
}
