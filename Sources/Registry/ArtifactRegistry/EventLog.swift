internal import Basics

/// Where the events of artifacts lie: one immutable record for each number, created only if absent.
package protocol EventLog: Sendable {
    /// Where event `number` lies, for messages.
    func location(of artifact: ArtifactName, number: Int) -> String
    /// The artifacts with at least one event, sorted.
    func artifacts() async throws -> [ArtifactName]
    /// The numbers of an artifact's events, ascending; empty for an unknown artifact.
    func numbers(of artifact: ArtifactName) async throws -> [Int]
    /// The bytes of an event.
    func read(_ artifact: ArtifactName, number: Int) async throws -> [UInt8]
    /// Stores an event durably unless its number is taken or its predecessor has changed.
    ///
    /// - Returns: false if someone else was faster; nothing was stored then.
    func append(_ event: StoredEvent) async throws -> Bool
}

/// Where an event lies below the root of a log: `models/census/7.json`.
package enum EventKey {
    package static func path(_ artifact: ArtifactName, number: Int) -> String { "\(artifact)/\(number).json" }

    /// The artifact and number of a path; nil if it is not an event's.
    package static func parse(_ path: String) -> (artifact: ArtifactName, number: Int)? {
        guard path.hasSuffix(".json"), let slash = path.lastIndex(of: "/"),
            let number = number(ofFile: String(path[slash...].dropFirst())),
            let artifact = try? ArtifactName(String(path[..<slash]))
        else { return nil }
        return (artifact, number)
    }

    /// The number in `7.json`; nil for any other name.
    static func number(ofFile name: String) -> Int? {
        guard name.hasSuffix(".json"), let number = Int(name.dropLast(5)), number >= 1, "\(number).json" == name else {
            return nil
        }
        return number
    }
}

extension EventLog {
    /// Appends `event`; true also if it is there already, as after a lost answer of a remote.
    func place(_ event: StoredEvent) async throws -> Bool {
        if try await append(event) { return true }
        let number = event.event.number
        guard try await numbers(of: event.event.artifact).contains(number) else { return false }
        return try await read(event.event.artifact, number: number) == event.bytes
    }

    /// The events in `numbers`, in their order, as they are stored: readable, but not yet checked as a chain.
    func load(_ artifact: ArtifactName, _ numbers: some Sequence<Int> & Sendable) async throws -> [StoredEvent] {
        try await mapConcurrently(Array(numbers), width: 8) { try await load(artifact, number: $0) }
    }

    func load(_ artifact: ArtifactName, number: Int) async throws -> StoredEvent {
        try StoredEvent(
            reading: try await read(artifact, number: number), artifact: artifact, number: number,
            location: location(of: artifact, number: number))
    }

    /// The count of an artifact's events, whose numbers have no gap.
    ///
    /// - Throws: kind `.damaged` naming the first missing event.
    func eventCount(of artifact: ArtifactName) async throws -> Int {
        let numbers = try await numbers(of: artifact)
        for (index, number) in numbers.enumerated() where number != index + 1 {
            throw damagedHistory(
                "event \(index + 1) of `\(artifact)` is missing", location(of: artifact, number: index + 1))
        }
        return numbers.count
    }
}
