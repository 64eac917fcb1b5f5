package import Basics
internal import Synchronization

/// The artifacts of one event log: reads their histories, and adds events to them without locks.
///
/// Every change reads the history, decides, and claims the next number; whoever finds it taken reads what came in
/// between and decides again. Histories are checked whenever they are read.
package final class Registry: Sendable {
    package let log: any EventLog
    private let actor: String
    private let now: @Sendable () -> Timestamp
    private let known = Mutex<[ArtifactName: ArtifactHistory]>([:])

    /// How often a change tries again before it gives up.
    private static let attempts = 500

    /// - Parameter actor: who changes things, for the events.
    package init(log: any EventLog, actor: String, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.log = log
        self.actor = actor
        self.now = now
    }

    /// The artifact's history; empty if it has none.
    ///
    /// - Throws: kind `.damaged` naming the event at which it breaks, `.failed` if a newer program wrote one.
    package func history(of artifact: ArtifactName) async throws -> ArtifactHistory {
        let count = try await log.eventCount(of: artifact)
        var history = known.withLock { $0[artifact] } ?? ArtifactHistory(artifact: artifact)
        // A rebase may have replaced the events that are known; then everything is read again.
        if try await !isCurrent(history, count: count) { history = ArtifactHistory(artifact: artifact) }
        if history.events.count < count {
            for event in try await log.load(artifact, history.events.count + 1...count) {
                try history.append(event, location: log.location(of: artifact, number: event.event.number))
            }
        }
        known.withLock { [history] in $0[artifact] = history }
        return history
    }

    /// Whether the log, with `count` events, still holds the events of `history`.
    private func isCurrent(_ history: ArtifactHistory, count: Int) async throws -> Bool {
        guard let last = history.events.last else { return true }
        guard history.events.count <= count else { return false }
        return Digest.of(try await log.read(history.artifact, number: last.event.number)) == last.digest
    }

    /// The history of an artifact that must have one.
    ///
    /// - Throws: kind `.notFound` with the nearest name, besides what `history` throws.
    package func existingHistory(of artifact: ArtifactName) async throws -> ArtifactHistory {
        let history = try await history(of: artifact)
        guard history.events.isEmpty else { return history }
        let near = nearestName(to: artifact.description, among: try await log.artifacts().map(\.description))
        throw MLOpsError(
            .notFound, "artifact `\(artifact)` does not exist",
            hint: near.map { "did you mean `\($0)`?" } ?? "run `mlops registry list` to see those that do")
    }

    /// The histories of all artifacts, or of those of one kind, sorted by name.
    package func histories(kind: String? = nil) async throws -> [ArtifactHistory] {
        let artifacts = try await log.artifacts().filter { kind == nil || $0.kind == kind }
        return try await mapConcurrently(artifacts, width: 8) { try await self.history(of: $0) }
    }

    /// The version that `reference` names.
    ///
    /// - Throws: kind `.notFound` if there is none, `.failed` if it was withdrawn.
    package func resolve(_ reference: ArtifactReference) async throws -> VersionRecord {
        try await existingHistory(of: reference.artifact).resolve(reference.selector)
    }

    /// Adds the event that `decide` makes of the present history; nil makes none. Called again after every lost race.
    func change<Outcome: Sendable>(
        _ artifact: ArtifactName,
        _ decide: (ArtifactHistory) async throws -> (body: RegistryEvent.Body?, outcome: Outcome)
    ) async throws -> Outcome {
        for attempt in 0..<Registry.attempts {
            let history = try await history(of: artifact)
            let (body, outcome) = try await decide(history)
            guard let body else { return outcome }
            let event = try history.next(body, actor: actor, time: now())
            if try await log.place(event) { return outcome }
            // Losers wait a random while, longer the more they lost, so that they stop meeting.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...min(1 << min(attempt, 6), 50))))
        }
        throw MLOpsError(
            .conflict, "`\(artifact)` kept changing: others won \(Registry.attempts) times",
            hint: "run the same command again")
    }
}
